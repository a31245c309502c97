"""Every way a step can end the operation: the record, the announcement, and nothing afterwards."""

import json

import psycopg2
import pytest

from aurora_restore import takeover
from aurora_restore.details import Step, steps_of
from sandbox import Sandbox
from sandbox.faults import Fault

DENIED = {"code": "AccessDenied", "message": "not authorized", "status": 403, "times": None}

# step that fails · what is planted · options · error type · words of its message · AWS's code
PLANTED = [
    (Step.COPY_SNAPSHOT, "kms-denied", {}, "Refused", "kms_key_id", "KMSKeyNotAccessibleFault"),
    (Step.COPY_SNAPSHOT, "snapshot-quota", {}, "Refused", "quota", "SnapshotQuotaExceeded"),
    (Step.CHECK_COPY_STATUS, "copy-failed", {}, "EndedBadly", "'failed'", None),
    (Step.CHECK_COPY_STATUS, "copy-vanished", {}, "EndedBadly", "vanished", None),
    (Step.CHECK_COPY_STATUS, "copy-stuck", {}, "TimedOut", "gave up after", None),
    (Step.DELETE_CLUSTER, "snapshot-failed", {}, "EndedBadly", "staging-final", None),
    (
        Step.DELETE_CLUSTER,
        "delete-refused",
        {},
        "Refused",
        "deletion protection",
        "InvalidParameterCombination",
    ),
    (Step.DELETE_CLUSTER, "delete-stuck", {}, "TimedOut", "being deleted", None),
    (
        Step.RESTORE_SNAPSHOT,
        "restore-refused",
        {},
        "InvalidRestoreFault",
        "InvalidRestoreFault",
        "InvalidRestoreFault",
    ),
    (
        Step.RESTORE_SNAPSHOT,
        "cluster-capacity",
        {"times": None},
        "TimedOut",
        "InsufficientDBClusterCapacityFault",
        "InsufficientDBClusterCapacityFault",
    ),
    (
        Step.CHECK_RESTORE_STATUS,
        "restore-failed",
        {},
        "EndedBadly",
        "'incompatible-restore'",
        None,
    ),
    (Step.CHECK_RESTORE_STATUS, "restore-stuck", {}, "TimedOut", "'creating'", None),
    (Step.CHECK_RESTORE_STATUS, "capacity", {}, "EndedBadly", "insufficient-capacity", None),
    (Step.CHECK_RESTORE_STATUS, "instance-failed", {}, "EndedBadly", "incompatible-network", None),
]


# Like others of the same step; they are part of the long evidence.
LONG = {"snapshot-quota", "copy-vanished", "restore-stuck", "cluster-capacity", "capacity"}


@pytest.mark.parametrize(
    ("step", "failure", "options", "error_type", "words", "code"),
    [
        pytest.param(*planted, id=planted[1], marks=[pytest.mark.long] * (planted[1] in LONG))
        for planted in PLANTED
    ],
)
def test_a_planted_failure_ends_the_operation_there(
    refresh, aws: Sandbox, monkeypatch, step, failure, options, error_type, words, code
):
    """
    The failing step has a FAILED record with its predecessor's facts and the error, one message
    says so, and no later step begins.
    """
    aws.plant(failure, **options)
    if error_type == "TimedOut":
        # Two hours of the sandbox's time.
        monkeypatch.setenv(f"AURORA_RESTORE_{WAITS[step]}_POLL__GIVE_UP_AFTER", "3")

    run = refresh()

    require_failed_at(run, step, error_type, words, code)


def test_what_ends_before_the_deletion_leaves_the_old_cluster_alone(refresh, aws: Sandbox):
    """
    After a failed copy nothing is deleted, and the announcement says so.
    """
    aws.plant("copy-failed")

    run = refresh()

    shared, withdrawn = ["ModifyDBClusterSnapshotAttribute"], ["ModifyDBClusterSnapshotAttribute"]
    assert run.changes() == [*shared, "CopyDBClusterSnapshot", *withdrawn]
    assert run.context()["old_cluster"] == "untouched"
    rds = aws.client("rds")
    [cluster] = rds.describe_db_clusters()["DBClusters"]
    assert (cluster["Status"], len(cluster["DBClusterMembers"])) == ("available", 2)


def test_a_failed_final_snapshot_deletes_nothing(refresh, aws: Sandbox):
    """
    The final snapshot is available before the first instance is touched, or nothing is.
    """
    aws.plant("snapshot-failed")

    run = refresh()

    assert not [change for change in run.changes() if change.startswith("Delete")]


def test_a_failure_after_the_deletion_names_the_final_snapshot(refresh, aws: Sandbox):
    """
    The announcement says from what the old cluster can be brought back.
    """
    aws.plant("restore-refused")

    run = refresh()

    assert "staging-final-op001" in run.context()["old_cluster"]
    [final] = aws.client("rds").describe_db_cluster_snapshots(
        DBClusterSnapshotIdentifier="staging-final-op001"
    )["DBClusterSnapshots"]
    assert final["Status"] == "available"


def test_a_role_that_postgresql_refuses_fails_the_setup(refresh, aws: Sandbox):
    """
    A schema that is not there is named, with PostgreSQL's own words, and no role is left behind.
    """
    role = {
        "name": "app",
        "secret_id": aws.facts["app_secret_arn"],
        "access": "read_only",
        "schemas": ["nowhere"],
    }

    run = refresh(roles=[role])

    require_failed_at(run, Step.SETUP_DB_USERS, "DatabaseSetupError", "no schema 'nowhere'")


def test_a_masking_script_that_fails_leaves_nobody_in(refresh, aws: Sandbox, tmp_path, monkeypatch):
    """
    Where there is no cluster to bring back, the restored one stays, closed to every login.
    """
    (tmp_path / "mask.sql").write_text("UPDATE sales.customers SET name = 1 / 0;")
    monkeypatch.setenv("AURORA_RESTORE_FILES", str(tmp_path))

    run = refresh(target_cluster_id="fresh", scripts=[{"file": "mask.sql"}])

    failed = run.items[Step.SETUP_DB_USERS]
    assert failed["status"] == run.items["operation"]["status"] == "FAILED"
    assert failed["details"]["error"]["message"].startswith("script mask.sql: line 1: division by")
    [made] = aws.client("rds").describe_db_clusters(DBClusterIdentifier="fresh")["DBClusters"]
    for name in ("app", "reporting"):
        secret = aws.facts[f"{name}_secret_arn"]
        kept = aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(
                host=made["Endpoint"],
                hostaddr=aws.env["PGHOSTADDR"],
                port=aws.facts["postgres_port"],
                dbname="postgres",
                user=name,
                password=json.loads(kept)["password"],
                sslmode="verify-full",
                sslrootcert=aws.env["PGSSLROOTCERT"],
            )


def test_an_archive_that_fails_leaves_a_database_that_serves(refresh, aws: Sandbox):
    """
    Archiving is the last act on AWS: its failure is reported, and takes nothing back.
    """
    aws.plant(Fault("rds", "AddTagsToResource", **DENIED))

    run = refresh()

    require_failed_at(
        run, Step.ARCHIVE_SNAPSHOT, "ClientError", "AddTagsToResource", "AccessDenied"
    )
    [cluster] = aws.client("rds").describe_db_clusters()["DBClusters"]
    assert cluster["Status"] == "available"


def test_an_announcement_that_sns_refuses_fails_the_last_step(refresh, aws: Sandbox):
    """
    Nobody is told, so the operation has not succeeded; that it is done waits in the head item, and
    whoever looks after it next tells that, once.
    """
    aws.plant("sns-refused")

    run = refresh()

    assert run.items[Step.SEND_NOTIFICATION]["status"] == "FAILED"
    assert run.items[Step.SEND_NOTIFICATION]["details"]["error"]["type"] == "TopicUnavailable"
    assert run.items["operation"]["status"] == "FAILED"
    assert run.items["operation"]["outcome"]["result"] == "SUCCESS"
    assert run.items["operation"]["announced"] is None
    assert run.messages == []

    aws.clear()
    assert (takeover.watch(), takeover.watch()) == ([], [])

    assert [message["Subject"] for message in aws.messages()] == ["staging refreshed"]
    statuses = {item["step"]: item["status"] for item in aws.items("op-001")}
    assert set(statuses.values()) == {"SUCCESS"}
    assert len(statuses) == 10


def test_an_sns_that_comes_back_is_told_once(refresh, aws: Sandbox):
    """
    A server error of SNS is retried, and the message arrives once.
    """
    aws.plant("sns-down")

    run = refresh()

    assert run.error is None
    assert len(run.messages) == 1


WAITS = {
    Step.CHECK_COPY_STATUS: "COPY",
    Step.DELETE_CLUSTER: "DELETE",
    Step.RESTORE_SNAPSHOT: "RESTORE",
    Step.CHECK_RESTORE_STATUS: "RESTORE",
}


def require_failed_at(run, step: Step, error_type: str, words: str, code: str | None = None):
    """Assert all that must be true of an operation that ended badly at `step`."""
    steps = list(steps_of("delete-first"))
    before = steps[: steps.index(step)]
    assert run.error is not None
    assert run.statuses() == {each.value: "SUCCESS" for each in before} | {step.value: "FAILED"}
    assert run.items["operation"]["status"] == "FAILED"

    details = run.items[step]["details"]
    error = details.pop("error")
    assert details == run.items[before[-1]]["details"]
    assert error["type"] == error_type
    assert words in error["message"]
    assert "\n" not in error["message"]
    if code is not None:
        assert error["aws_error_code"] == code
        assert error["aws_request_id"]
    history = [entry["status"] for entry in run.items[step]["history"]]
    assert history == ["IN_PROGRESS", "FAILED"]

    context = run.context()
    assert context["result"] == "FAILED"
    assert context["step"] == step
    assert words in context["error"]
    [message] = run.messages
    assert message["Subject"] == f"staging refresh FAILED at {step}"
    assert json.loads(message["Message"])["metadata"]["threadId"] == "op-001"
