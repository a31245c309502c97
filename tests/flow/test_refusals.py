"""Bad input: refused before anything is changed, in one line, on record and announced."""

import json
from collections.abc import Callable
from typing import Any

import clients
import pytest

from aurora_restore.details import Step
from sandbox import Sandbox


def secret(aws: Sandbox, content: str) -> str:
    """Store a secret in the target account; return its ARN."""
    return aws.client("secretsmanager").create_secret(Name="odd", SecretString=content)["ARN"]


def role_denied(aws: Sandbox) -> dict[str, Any]:
    clients.forget()  # they have the role's credentials already
    aws.plant("assume-role-denied")
    return {}


def role(secret_id: str) -> dict[str, Any]:
    return {"roles": [{"name": "app", "secret_id": secret_id}]}


def protect(aws: Sandbox) -> None:
    aws.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging", DeletionProtection=True, ApplyImmediately=True
    )
    aws.advance(3600)


def failed_snapshot(aws: Sandbox) -> str:
    aws.plant("snapshot-failed")
    aws.client("rds", "source").create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="half-made", DBClusterIdentifier=aws.facts["source_cluster"]
    )
    aws.advance(3600)
    return "half-made"


def mysql_snapshot(aws: Sandbox) -> str:
    rds = aws.client("rds", "source")
    rds.create_db_cluster(
        DBClusterIdentifier="other",
        Engine="aurora-mysql",
        MasterUsername="admin",
        MasterUserPassword="not-a-secret-1",
    )
    aws.advance(3600)
    rds.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="of-mysql", DBClusterIdentifier="other"
    )
    aws.advance(3600)
    return "of-mysql"


def snapshot_of(aws: Sandbox, master: str) -> str:
    rds = aws.client("rds", "source")
    rds.create_db_cluster(
        DBClusterIdentifier="other",
        Engine="aurora-postgresql",
        MasterUsername=master,
        MasterUserPassword="not-a-secret-1",
    )
    aws.advance(3600)
    rds.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="of-other", DBClusterIdentifier="other"
    )
    aws.advance(3600)
    return "of-other"


def deleted_secret(aws: Sandbox) -> str:
    arn = secret(aws, json.dumps({"password": "hunter2-marker"}))
    aws.client("secretsmanager").delete_secret(SecretId=arn)
    return arn


Wish = Callable[[Sandbox], dict[str, Any]]

# name · what is done to the sandbox, and the wishes · what the one line says: what, and the remedy
REFUSED: dict[str, tuple[Wish, str, str]] = {
    "snapshot-not-there": (
        lambda _aws: {"snapshot_id": "no-such"},
        "snapshot_id no-such: no such cluster snapshot in account 123456789012, Region us-east-1",
        "Check the name",
    ),
    "snapshot-not-available": (
        lambda aws: {"snapshot_id": failed_snapshot(aws)},
        "snapshot_id half-made: its status is 'failed', so it never becomes available",
        "Name another snapshot",
    ),
    "another-engine": (
        lambda aws: {"snapshot_id": mysql_snapshot(aws), "kms_key_id": None},
        "snapshot_id of-mysql: its engine is 'aurora-mysql', not 'aurora-postgresql'",
        "Name a snapshot of an Aurora PostgreSQL cluster",
    ),
    "wrong-source-account": (
        lambda _aws: {"source_account_id": "111111111111"},
        "source_account_id: the request says 111111111111, the credentials are of 123456789012",
        "Correct the request",
    ),
    "target-account-not-allowed": (
        lambda _aws: {"target_account_id": "111111111111"},
        "target_account_id 111111111111: not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS",
        "have the platform team allow the account",
    ),
    "source-role-denied": (
        role_denied,
        "source_account_id 123456789012: its credentials were refused (AccessDenied)",
        "Let the task role assume the role",
    ),
    "source-role-lacks-a-permission": (
        lambda aws: aws.plant("source-denied") or {},
        "rds:DescribeDBClusterSnapshots: role arn:aws:iam::123456789012:role/aurora-restore-source",
        "Grant rds:DescribeDBClusterSnapshots to role",
    ),
    "secret-in-another-form": (
        lambda aws: role(secret(aws, json.dumps(["hunter2-marker"]))),
        "the secret is neither a JSON object with a `password` text nor a password alone",
        "Store it as",
    ),
    "secret-without-password": (
        lambda aws: role(secret(aws, json.dumps({"username": "app"}))),
        "the secret is neither a JSON object with a `password` text nor a password alone",
        "Store it as",
    ),
    "master-password-rds-refuses": (
        lambda aws: {"master_secret_id": secret(aws, json.dumps({"password": "hunter2-marker/@"}))},
        "RDS does not accept this password",
        "Use 8 to 41 printable ASCII characters",
    ),
    "role-is-the-master": (
        lambda aws: {
            "roles": [{"name": "master", "secret_id": aws.facts["app_secret_arn"]}],
            "snapshot_id": snapshot_of(aws, master="master"),
            "kms_key_id": None,
        },
        "role master: this is the cluster's master user",
        "Use master_secret_id",
    ),
    "secret-being-deleted": (
        lambda aws: role(deleted_secret(aws)),
        "the secret cannot be read",
        "Restore the secret",
    ),
    "protected-cluster": (
        lambda aws: protect(aws) or {},
        "cluster staging: deletion protection is on",
        "Turn it off",
    ),
    "target-taken": (
        lambda _aws: {"target_cluster_id": "staging", "replaces": "another"},
        "target_cluster_id staging: a cluster of this name exists, and `replaces` names another",
        "Name it in `replaces`",
    ),
    "two-things-at-once": (
        lambda _aws: {"db_subnet_group_name": "nowhere", "instance_class": "db.r99.large"},
        "preflight: 2 findings, nothing was changed: (1) db_subnet_group_name nowhere: no such",
        "(2) instance_class db.r99.large: Region us-west-2 does not offer it",
    ),
}


@pytest.mark.parametrize(("wish", "what", "remedy"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused_before_anything_changes(
    refresh, aws: Sandbox, wish: Wish, what: str, remedy: str
):
    """
    One line names the field or resource and the remedy; the record is FAILED, one message says
    so, and no call that changes anything was made.
    """
    wishes = wish(aws)
    before = len([event for event in aws.events() if event["kind"] == "call"])

    run = refresh(**wishes)

    line = str(run.error)
    assert what in line
    assert remedy in line
    assert "\n" not in line
    assert run.statuses() == {Step.CHECK_SNAPSHOT.value: "FAILED"}
    assert run.items[Step.CHECK_SNAPSHOT]["details"]["error"]["message"] == line
    assert run.context()["step"] == Step.CHECK_SNAPSHOT
    assert changes_since(run.events, before) == []
    assert "hunter2-marker" not in json.dumps([run.items, run.messages, run.events, line])


INVALID = {
    "unknown-field": ({"snapshotid": "x"}, "snapshotid: unknown field"),
    "malformed-identifier": ({"target_cluster_id": "-bad-"}, "target_cluster_id: malformed"),
    "malformed-account": ({"source_account_id": "12"}, "source_account_id: malformed"),
    "two-sources": ({"source_cluster_id": "production"}, "give exactly one of the two"),
    "serverless-without-range": ({"instance_class": "db.serverless"}, "serverless_min_acu"),
    "same-source-and-target": (
        {
            "snapshot_id": None,
            "source_cluster_id": "staging",
            "source_account_id": "987654321098",
            "source_region": "us-west-2",
        },
        "is the source itself",
    ),
}


@pytest.mark.parametrize(("wishes", "words"), INVALID.values(), ids=INVALID.keys())
def test_a_request_that_is_not_valid_is_recorded_and_announced(
    refresh, aws: Sandbox, wishes: dict[str, Any], words: str
):
    """
    Prefect refuses the parameters before the flow's body runs; the hook still records and tells.
    """
    run = refresh(**wishes)

    assert run.error is not None
    assert run.statuses() == {Step.CHECK_SNAPSHOT.value: "FAILED"}
    message = run.items[Step.CHECK_SNAPSHOT]["details"]["error"]["message"]
    assert words in message
    assert "\n" not in message
    assert words in run.context()["error"]
    assert run.changes() == []


def test_a_cluster_is_not_restored_over_the_source_of_its_snapshot(refresh, aws: Sandbox):
    """
    Within one account and Region a snapshot's own cluster is never the one to be deleted.
    """
    rds = aws.client("rds")
    rds.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="of-staging", DBClusterIdentifier="staging"
    )
    aws.advance(3600)

    run = refresh(
        snapshot_id="of-staging",
        source_account_id=aws.facts["target_account"],
        source_region=aws.facts["target_region"],
    )

    assert "was taken from the cluster that would be deleted" in str(run.error)
    assert run.statuses() == {Step.CHECK_SNAPSHOT.value: "FAILED"}


def test_without_the_topic_nothing_is_begun_but_the_record(
    refresh, aws: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """
    A topic that is not there is found before anything is changed, and the record says so.
    """
    monkeypatch.setenv("AURORA_RESTORE_TOPIC_ARN", aws.facts["topic_arn"] + "-gone")

    run = refresh()

    assert "cannot be used (NotFound" in str(run.error)
    assert run.statuses() == {Step.CHECK_SNAPSHOT.value: "FAILED"}
    assert run.changes() == []


def test_without_the_table_nothing_is_begun_but_the_announcement(
    refresh, aws: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """
    A table that is not there stops the run before its first step, and the message says so.
    """
    monkeypatch.setenv("AURORA_RESTORE_STATE_TABLE", "no-such-table")

    run = refresh()

    assert "DynamoDB table no-such-table: cannot be used (ResourceNotFoundException)" in str(
        run.error
    )
    assert "no-such-table" in run.context()["error"]
    assert run.changes() == []


def test_settings_that_are_missing_are_named(refresh, monkeypatch: pytest.MonkeyPatch):
    """
    A run without its environment says in one line which variables it lacks.
    """
    monkeypatch.delenv("AURORA_RESTORE_STATE_TABLE")

    run = refresh()

    assert str(run.error) == (
        "environment: state_table: missing; give a value. "
        "Set AURORA_RESTORE_<NAME> for each name above."
    )


def changes_since(events: list[dict[str, Any]], calls_before: int) -> list[str]:
    """The operations of the run that change something in AWS, but for records and messages."""
    calls = [event for event in events if event["kind"] == "call"][calls_before:]
    reads = ("Describe", "List", "Get", "AssumeRole")
    return [
        event["operation"]
        for event in calls
        if event["service"] not in {"dynamodb", "sns", "sqs"}
        and not event["operation"].startswith(reads)
        and event["parameters"].get("DryRun") is not True
    ]
