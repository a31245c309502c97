"""What an examination gives: every check in its order, the plan, and nothing touched."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError
from examples import TARGET_ACCOUNT
from product_fixtures import calls, changes, forget_caches

from aurora_restore import preflight
from aurora_restore.errors import PreflightFailed
from aurora_restore.preflight import CHECKS, Check, Examination
from aurora_restore.rds import tags
from aurora_restore.rds.names import PLACEHOLDER
from aurora_restore.request import RestoreRequest
from demo import facts
from sandbox import Sandbox
from sandbox.faults import Fault

Examine = Callable[..., Examination]


@pytest.fixture
def examine(account: Sandbox) -> Examine:
    """Examine the sandbox's own request, with these wishes."""

    def examined(operation_id: str = "op-001", **wishes: Any) -> Examination:
        given = facts.request(account, **wishes)
        return preflight.examine(RestoreRequest.model_validate(given), operation_id)

    return examined


def named(examined: Examination, name: str) -> list[Check]:
    return [each for each in examined.checks if each.name == name]


def test_everything_in_order_gives_every_check_and_the_plan(
    account: Sandbox, examine: Examine
) -> None:
    """
    Every check is there, in its order, in order; the plan is the whole of what will be done.
    """
    examined = examine()

    names = list(dict.fromkeys(each.name for each in examined.checks))
    assert names == [name for name, _ in CHECKS]
    others = {each.name: each.status for each in examined.checks if each.status != "ok"}
    assert others == {"capacity": "unchecked"}
    assert all(each.resource and each.problem for each in examined.checks)
    plan = examined.require_clean()
    assert (plan.snapshot_id, plan.target_cluster_id) == (account.facts["snapshot"], "staging")
    assert (plan.vpc_id, plan.subnet_ids) == (
        account.facts["vpc_id"],
        sorted(account.facts["subnet_ids"]),
    )
    assert plan.old is not None
    assert plan.old.arn == account.facts["target_cluster_arn"]
    assert [each.id for each in plan.new.instances] == ["staging-1", "staging-2"]
    assert changes(account) == []


def test_plan_names_the_key_by_its_arn(account: Sandbox, examine: Examine) -> None:
    """
    Copy and cluster are under the key that the alias means now, whatever it will mean later.
    """
    plan = examine(kms_key_id="alias/aurora-target").require_clean()

    key = account.facts["target_key_arn"]
    assert (plan.new.kms_key_id, plan.route.hops[-1].kms_key_id) == (key, key)


def test_each_thing_is_read_once_and_side_by_side(account: Sandbox, examine: Examine) -> None:
    """
    The standard request takes 22 calls; those of RDS are made in two rounds, so no more than four
    calls of one examination follow one another: who we are, either round, a key and its grant.
    """
    examine()  # makes the clients
    account.plant(Fault("rds", None, times=None, delay=0.3))
    before = len(calls(account))

    examine()

    made = [each for each in calls(account)[before:] if each["operation"] != "AssumeRole"]
    asked = {(each["region"], each["operation"], str(each["parameters"])) for each in made}
    assert len(made) == len(asked) == 22
    answered = sorted(_seconds(each["at"]) for each in made if each["service"] == "rds")
    assert sum(later - earlier > 0.15 for earlier, later in pairwise(answered)) == 1


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def test_passwords_are_shown_nowhere(account: Sandbox, examine: Examine) -> None:
    """
    The passwords are read to see that they are there, and kept nowhere.
    """
    examined = examine(master_secret_id="aurora-restore/master")

    keeper = account.client("secretsmanager")
    for name in ("aurora-restore/app", "aurora-restore/master"):
        secret = keeper.get_secret_value(SecretId=name)["SecretString"]
        assert secret.split('"password": "')[1].split('"')[0] not in repr(examined)
    assert named(examined, "secrets")[-1].status == "ok"


def test_in_a_wrong_account_nothing_else_is_asked(account: Sandbox, examine: Examine) -> None:
    """
    Where the target account is another one, no call but those that tell so is made in it.
    """
    examined = examine(target_account_id="111111111111")

    assert {each["operation"] for each in calls(account) if each["account"] == TARGET_ACCOUNT} <= {
        "GetCallerIdentity",
        "AssumeRole",
    }
    assert named(examined, "old-cluster") == [
        Check(
            name="old-cluster",
            status="unchecked",
            resource="target_account_id",
            problem="not looked at: see target-account",
            remedy="Correct target-account first.",
        )
    ]
    assert (examined.plan, examined.fingerprint) == (None, None)


def test_shared_snapshot_needs_no_role(
    account: Sandbox, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without a source role a shared snapshot passes, and the source account is never entered.
    """
    account.client("rds", "source").modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=account.facts["snapshot"],
        AttributeName="restore",
        ValuesToAdd=[TARGET_ACCOUNT],
    )
    monkeypatch.delenv("AURORA_RESTORE_SOURCE_ROLE_ARN")
    forget_caches()

    plan = examine().require_clean()

    assert plan.snapshot_id == account.facts["snapshot"]
    assert not plan.route.hops[0].share
    assert {each["account"] for each in calls(account)} == {TARGET_ACCOUNT}


@pytest.mark.parametrize(
    ("service", "operation", "code", "unchecked"),
    [
        (
            "rds",
            "DescribeAccountAttributes",
            "AccessDenied",
            ["snapshot-quota", "cluster-quota", "instance-quota"],
        ),
        ("ec2", "DescribeSecurityGroups", "UnauthorizedOperation", ["security-groups"]),
        ("kms", "CreateGrant", "AccessDeniedException", ["source-key", "target-key"]),
    ],
)
def test_what_is_only_a_courtesy_does_not_stop(
    account: Sandbox,
    examine: Examine,
    service: str,
    operation: str,
    code: str,
    unchecked: list[str],
) -> None:
    """
    A denied read that the refresh itself does not need is told as unchecked, with what to grant.
    """
    account.plant(Fault(service, operation, code, "no", times=None))

    examined = examine()

    told = {each.name: each for each in examined.checks if each.status == "unchecked"}
    assert [*told] == sorted(["capacity", *unchecked], key=[n for n, _ in CHECKS].index)
    assert "aurora-restore-task" in told[unchecked[0]].remedy
    assert examined.findings == []
    assert examined.plan is not None


def test_without_the_snapshot_the_rest_is_still_looked_at(examine: Examine) -> None:
    """
    What hangs on a missing snapshot is unchecked and says so; what does not is checked.
    """
    examined = examine(snapshot_id="none", db_subnet_group_name="nowhere")

    status = {each.name: each.status for each in examined.checks}
    assert [name for name in status if status[name] == "failed"] == [
        "source-snapshot",
        "subnet-group",
    ]
    assert {name for name in status if status[name] == "unchecked"} == {
        "engine-version",
        "copy-route",
        "source-key",
        "snapshot-quota",
        "security-groups",
        "cluster-parameter-group",
        "instance-parameter-group",
        "log-exports",
        "roles",
        "capacity",
    } | ({"instance-class"} if status["instance-class"] == "unchecked" else set())
    assert examined.plan is None


def test_findings_are_one_error(examine: Examine) -> None:
    """
    All findings are told in one line, numbered, and no plan is given out.
    """
    examined = examine(db_subnet_group_name="nowhere", instance_class="db.r99.large")

    with pytest.raises(PreflightFailed) as failed:
        examined.require_clean()

    assert str(failed.value) == (
        "preflight: 2 findings, nothing was changed: (1) db_subnet_group_name nowhere: no such DB "
        "subnet group in the target Region. Correct the name in the request, or make it. "
        "(2) instance_class db.r99.large: Region us-west-2 does not offer it for version 16.14. "
        "Set instance_class to another."
    )


def test_cluster_of_the_same_operation_is_not_the_old_one(
    account: Sandbox, examine: Examine, admin: Any
) -> None:
    """
    A resumed operation takes what it has restored already for its own, not for what to delete.
    """
    admin.add_tags_to_resource(
        ResourceName=account.facts["target_cluster_arn"],
        Tags=tags.to_api(tags.marks("op-001", "staging")),
    )

    ours, anothers = examine("op-001"), examine("op-002")

    assert ours.require_clean().old is None
    assert anothers.require_clean().old is not None


def test_every_reason_against_the_old_cluster_is_told(
    account: Sandbox, examine: Examine, admin: Any
) -> None:
    """
    A cluster that is neither ours nor unprotected gives two lines.
    """
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)
    admin.remove_tags_from_resource(
        ResourceName=account.facts["target_cluster_arn"], TagKeys=[tags.MANAGED]
    )

    told = [each.problem for each in named(examine(), "old-cluster")]

    assert told == [
        "it lacks the tag aurora-restore:managed = true, so it is not ours to delete",
        "deletion protection is on",
    ]


def test_fingerprint_is_the_same_for_every_operation(
    account: Sandbox, examine: Examine, admin: Any
) -> None:
    """
    Two examinations of the same world agree, whatever the operation; another world differs.
    """
    first, second = examine("op-001"), examine(PLACEHOLDER)
    admin.modify_db_cluster(DBClusterIdentifier="staging", BackupRetentionPeriod=9)
    account.advance(3600)

    assert first.fingerprint == second.fingerprint is not None
    assert examine("op-001").fingerprint != first.fingerprint


def test_without_credentials_there_is_nothing_to_look_at(
    account: Sandbox, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A process that has no credentials at all is not told thirty times that it has none.
    """
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    forget_caches()

    try:
        with pytest.raises(NoCredentialsError):
            examine()
    finally:
        forget_caches()


def test_intermediate_copies_need_room_too(account: Sandbox, examine: Examine) -> None:
    """
    A copy in two hops is counted in both Regions.
    """
    account.plant("quota", name="ManualClusterSnapshots", limit=0)

    wishes = {"copy_route": "two-hops", "hop_kms_key_id": account.facts["hop_key_arn"]}
    told = [each.resource for each in named(examine(**wishes), "snapshot-quota")]

    assert told == [
        "manual cluster snapshots",
        f"manual cluster snapshots of account {TARGET_ACCOUNT} in us-east-1",
    ]


def test_copies_under_way_are_told_and_do_not_stop(
    account: Sandbox, examine: Examine, admin: Any
) -> None:
    """
    With five copies under way the sixth waits by itself: that is told, and nothing more.
    """
    admin.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="seed", DBClusterIdentifier="staging"
    )
    account.advance(3600)
    account.plant("copy-stuck", times=5)
    for number in range(5):
        admin.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier="seed",
            TargetDBClusterSnapshotIdentifier=f"stuck-{number}",
            KmsKeyId=account.facts["target_key_arn"],
        )

    [told] = named(examine(), "copies-in-flight")

    assert (told.status, told.problem) == ("ok", "5 of 5, so this one will wait")


def test_roles_of_the_cluster_cannot_be_asked_about(
    account: Sandbox, examine: Examine, admin: Any
) -> None:
    """
    Whether a role of the old cluster may be passed to the new one is told to be unknown.
    """
    role = f"arn:aws:iam::{TARGET_ACCOUNT}:role/importer"
    admin.add_role_to_db_cluster(
        DBClusterIdentifier="staging", RoleArn=role, FeatureName="s3Import"
    )

    [told] = named(examine(), "associated-roles")

    assert (told.status, told.resource) == ("unchecked", f"role {role}")
    assert told.remedy == "Make sure that role aurora-restore-task has iam:PassRole on it."
