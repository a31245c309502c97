"""What is checked before anything is changed: each obstacle is one line, and nothing is touched."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT, request
from product_fixtures import calls, changes, forget_caches

from aurora_restore import preflight, sessions
from aurora_restore.details import OperationBegun
from aurora_restore.errors import RestoreError
from aurora_restore.rds import tags
from sandbox import Sandbox

ROLES = [{"name": "app", "secret_id": "aurora-restore/app"}]


class Arrange:
    """What may be wrong with an account."""

    def __init__(self, aws: Sandbox, admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aws, self.admin, self.monkeypatch = aws, admin, monkeypatch

    def setting(self, name: str, text: str) -> None:
        self.monkeypatch.setenv(f"AURORA_RESTORE_{name}", text)
        forget_caches()

    def without_role(self) -> None:
        self.monkeypatch.delenv("AURORA_RESTORE_SOURCE_ROLE_ARN")
        forget_caches()

    def secret(self, text: str) -> None:
        keeper = self.aws.client("secretsmanager")
        keeper.put_secret_value(SecretId="aurora-restore/app", SecretString=text)

    def staging(self, **settings: Any) -> None:
        self.admin.modify_db_cluster(DBClusterIdentifier="staging", **settings)

    def untagged(self) -> None:
        arn = self.aws.facts["target_cluster_arn"]
        self.admin.remove_tags_from_resource(ResourceName=arn, TagKeys=[tags.MANAGED])

    def stopped(self) -> None:
        self.admin.stop_db_cluster(DBClusterIdentifier="staging")
        self.aws.advance(3600)

    def failed_snapshot(self) -> None:
        self.aws.plant("snapshot-failed")
        self.aws.client("rds", "source").create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier="broken", DBClusterIdentifier="production"
        )
        self.aws.advance(3600)


@pytest.fixture
def arrange(account: Sandbox, admin: Any, monkeypatch: pytest.MonkeyPatch) -> Arrange:
    return Arrange(account, admin, monkeypatch)


def begun(**changes: Any) -> OperationBegun:
    return OperationBegun(operation_id=f"op-{uuid4()}", request=request(**changes))


def test_everything_in_order_gives_the_snapshots_facts(account: Sandbox) -> None:
    """
    When nothing stands in the way the first step knows what the specification shows.
    """
    found = preflight.check(begun(roles=ROLES, master_secret_id="aurora-restore/master"))

    assert found.facts() == {
        "snapshot_name": "daily-backup-2024-03-20",
        "snapshot_arn": account.facts["snapshot_arn"],
        "source_account_id": SOURCE_ACCOUNT,
        "target_account_id": TARGET_ACCOUNT,
        "source_region": "us-east-1",
        "target_region": "us-west-2",
    }
    assert found.data_from is not None
    assert changes(account) == []


def test_secret_is_not_shown_anywhere(account: Sandbox) -> None:
    """
    The passwords are read to see that they are there, and kept nowhere.
    """
    found = preflight.check(begun(roles=ROLES))

    keeper = account.client("secretsmanager")
    password = keeper.get_secret_value(SecretId="aurora-restore/app")["SecretString"]
    assert password not in repr(found)


Case = tuple[Callable[[Arrange], object] | None, dict[str, Any], str]
CASES: dict[str, Case] = {
    "account not allowed": (
        lambda it: it.setting("ALLOWED_TARGET_ACCOUNTS", '["111111111111"]'),
        {},
        (
            "target_account_id 987654321098: not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS. "
            "Correct the request, or have the platform team allow the account."
        ),
    ),
    "cluster not allowed": (
        lambda it: it.setting("ALLOWED_TARGET_CLUSTERS", "stag"),
        {},
        (
            "cluster staging: its identifier does not match AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS "
            "(stag). Correct the request, or have the platform team allow the identifier."
        ),
    ),
    "replaced cluster not allowed": (
        lambda it: it.setting("ALLOWED_TARGET_CLUSTERS", "staging"),
        {"replaces": "production"},
        (
            "cluster production: its identifier does not match "
            "AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS (staging). Correct the request, or have the "
            "platform team allow the identifier."
        ),
    ),
    "other target account": (
        None,
        {"target_account_id": "111111111111"},
        (
            "target_account_id: "
            "the request says 111111111111, the credentials are of 987654321098. "
            "Correct the request, or run in the right account."
        ),
    ),
    "other source account": (
        None,
        {"source_account_id": "111111111111"},
        (
            "source_account_id: "
            "the request says 111111111111, the credentials are of 123456789012. "
            "Correct the request, or run in the right account."
        ),
    ),
    "role denied": (
        lambda it: it.aws.plant("assume-role-denied"),
        {},
        (
            "source_account_id 123456789012: its credentials were refused (AccessDenied). Let the "
            "task role assume the role AURORA_RESTORE_SOURCE_ROLE_ARN (trust policy, external id), "
            "or correct that setting."
        ),
    ),
    "source denied": (
        lambda it: it.aws.plant("source-denied"),
        {},
        (
            "DescribeDBClusterSnapshots: AWS denies this call (AccessDenied). Grant the action to "
            "the role that makes it: the task role, or the source role for calls to the source "
            "account."
        ),
    ),
    "no topic": (
        lambda it: it.setting("TOPIC_ARN", "arn:aws:sns:us-west-2:987654321098:none"),
        {},
        (
            "topic arn:aws:sns:us-west-2:987654321098:none: it cannot be used (NotFound). Check "
            "AURORA_RESTORE_TOPIC_ARN, its policy and its key, then run again."
        ),
    ),
    "no secret": (
        None,
        {"roles": [*ROLES, {"name": "other", "secret_id": "aurora-restore/none"}]},
        (
            "roles.1.secret_id aurora-restore/none: "
            "no such secret in the target account and Region. "
            "Check the name, the account and the Region in the request."
        ),
    ),
    "secret denied": (
        lambda it: it.aws.plant("secret-denied"),
        {"roles": ROLES},
        (
            "roles.0.secret_id aurora-restore/app: the secret may not be read. "
            "Grant secretsmanager:GetSecretValue on it."
        ),
    ),
    "secret in another form": (
        lambda it: it.secret("plain"),
        {"roles": ROLES},
        (
            "roles.0.secret_id aurora-restore/app: "
            "the secret is not a JSON object with a `password` "
            'text. Store it as {"username": "...", "password": "..."}.'
        ),
    ),
    "master password RDS refuses": (
        lambda it: it.secret('{"password": "with space"}'),
        {"master_secret_id": "aurora-restore/app"},
        (
            "master_secret_id aurora-restore/app: RDS does not accept this password. Use 8 to 41 "
            "printable ASCII characters without slash, quotes, at sign or space."
        ),
    ),
    "no subnet group": (
        None,
        {"db_subnet_group_name": "none"},
        (
            "db_subnet_group_name none: no such DB subnet group in the target Region. "
            "Check the name, the account and the Region in the request."
        ),
    ),
    "protected": (
        lambda it: it.staging(DeletionProtection=True),
        {},
        "cluster staging: deletion protection is on. Turn it off if this cluster may be replaced.",
    ),
    "unmarked": (
        lambda it: it.untagged(),
        {},
        (
            "cluster staging: it lacks the tag aurora-restore:managed = true, so it is not ours to "
            "delete. Set the tag if this cluster may be replaced, or name another one."
        ),
    ),
    "stopped": (
        lambda it: it.stopped(),
        {},
        "cluster staging: its status is 'stopped', so AWS does not delete it. Start it.",
    ),
    "target taken": (
        None,
        {"replaces": "old"},
        (
            "target_cluster_id staging: "
            "a cluster of this name exists, and `replaces` names another. "
            "Name it in `replaces` to have it deleted, or choose another target_cluster_id."
        ),
    ),
    "no snapshot": (
        None,
        {"snapshot_id": "none"},
        (
            "snapshot_id none: no such cluster snapshot in account 123456789012, Region us-east-1. "
            "Check the name, the account and the Region in the request."
        ),
    ),
    "no snapshot of the cluster": (
        None,
        {"snapshot_id": None, "source_cluster_id": "none"},
        (
            "source_cluster_id none: it has no available manual snapshot. "
            "Check the name, the account and the Region in the request."
        ),
    ),
    "not shared": (
        lambda it: it.without_role(),
        {},
        (
            "snapshot_id daily-backup-2024-03-20: "
            "not found, or not shared with account 987654321098 "
            "(account 123456789012, Region us-east-1). Share the snapshot, or set "
            "AURORA_RESTORE_SOURCE_ROLE_ARN."
        ),
    ),
    "failed snapshot": (
        lambda it: it.failed_snapshot(),
        {"snapshot_id": "broken"},
        "snapshot_id broken: its status is 'failed'. Wait until it is available, or name another.",
    ),
    "automated": (
        None,
        {
            "snapshot_id": None,
            "source_cluster_id": "production",
            "snapshot_type": "automated",
        },
        (
            "source_cluster_id production: an automated snapshot cannot be shared with another "
            "account. Copy it to a manual snapshot in the source account and name that one."
        ),
    ),
    "no key": (
        None,
        {"kms_key_id": None},
        (
            "kms_key_id: snapshot daily-backup-2024-03-20 is encrypted and no key is given for its "
            "copy. Give a KMS key of the target account and Region."
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_obstacle_is_told_before_anything_is_changed(
    account: Sandbox, arrange: Arrange, case: str
) -> None:
    """
    Whatever would stop a later step is one line with its remedy, and no call changes anything.
    """
    prepare, wrong, line = CASES[case]
    if prepare is not None:
        prepare(arrange)

    with pytest.raises(RestoreError) as refused:
        preflight.check(begun(**wrong))

    assert str(refused.value) == line
    assert changes(account) == []


def test_cluster_that_the_snapshot_is_of_is_not_replaced(account: Sandbox, admin: Any) -> None:
    """
    A snapshot's own cluster would be deleted by its restore: refused when they are the same.
    """
    admin.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="own", DBClusterIdentifier="staging"
    )
    account.advance(3600)
    same = {"source_account_id": TARGET_ACCOUNT, "source_region": "us-west-2"}

    with pytest.raises(RestoreError) as refused:
        preflight.check(begun(**same, snapshot_id="own"))

    assert str(refused.value) == (
        "target_cluster_id staging: snapshot own was taken from the cluster that would be "
        "deleted. Name another target cluster, account or Region."
    )
    assert changes(account) == []


def test_accounts_are_checked_before_anything_else_is_asked(account: Sandbox) -> None:
    """
    In a wrong account not even a look at its clusters and secrets is taken.
    """
    with pytest.raises(RestoreError):
        preflight.check(begun(target_account_id="111111111111", roles=ROLES))

    assert [each["operation"] for each in calls(account)] == ["GetCallerIdentity"]


def test_snapshot_shared_with_us_needs_no_role(account: Sandbox, arrange: Arrange) -> None:
    """
    Without a source role a shared snapshot passes, and the source account is never entered.
    """
    account.client("rds", "source").modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=account.facts["snapshot"],
        AttributeName="restore",
        ValuesToAdd=[TARGET_ACCOUNT],
    )
    arrange.without_role()

    found = preflight.check(begun())

    assert found.snapshot_name == "daily-backup-2024-03-20"
    assert calls(account, "AssumeRole") == []
    assert {each["account"] for each in calls(account)} == {TARGET_ACCOUNT}
    assert not sessions.owns_source(found.request)
