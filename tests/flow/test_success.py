"""Runs that end well."""

import json
import time
from pathlib import Path

import psycopg2
import pytest

from aurora_restore.details import Step, steps_of
from aurora_restore.errors import EndedBadly
from sandbox import Sandbox

SPEC = json.loads((Path(__file__).parent.parent / "data" / "state-flow.json").read_text())


MENDED = "was missing and is written now"


def test_a_refresh_leaves_nine_success_records_and_one_message(
    refresh, caplog: pytest.LogCaptureFixture
):
    """
    Every box of the diagram has its record, written by its hook, and success is announced once.
    """
    run = refresh()

    assert run.error is None
    assert MENDED not in caplog.text
    assert run.statuses() == {step.value: "SUCCESS" for step in steps_of("delete-first")}
    assert run.items["operation"]["status"] == "SUCCESS"
    assert run.context()["result"] == "SUCCESS"
    assert run.context()["target"] == "987654321098/us-west-2/staging"
    for step in steps_of("delete-first"):
        assert [entry["status"] for entry in run.items[step]["history"]] == [
            "IN_PROGRESS",
            "SUCCESS",
        ]


def test_records_of_the_spec_s_operation_are_the_spec_s(refresh, aws: Sandbox):
    """
    With the spec's names, accounts and Regions the six records have its keys and its values.
    """
    rds = aws.client("rds")
    make_cluster(aws, "old-cluster-id")

    run = refresh(target_cluster_id="new-cluster-id", replaces="old-cluster-id")

    assert run.error is None
    chosen_by_aws = {
        "copy_status": {"creating", "copying", "available"},
        "restore_status": {"creating", "available"},
    }
    for example in SPEC:
        record = run.items[example["step"]]
        assert set(record) >= {"operation_id", "step", "status", "timestamp", "details"}
        assert (record["operation_id"], record["status"]) == ("op-001", "SUCCESS")
        details = record["details"]
        assert set(details) == set(example["details"])
        for key, value in example["details"].items():
            if key in chosen_by_aws:
                assert details[key] in chosen_by_aws[key]
            elif key == "copy_snapshot_id":
                assert details[key] == "daily-backup-2024-03-20-copy"
            elif key == "cluster_endpoint":
                assert details[key].startswith("new-cluster-id.cluster-")
            elif key in {"vpc_id", "subnet_ids", "security_group_ids"}:
                assert details[key] == aws.facts[key] or sorted(aws.facts[key]) == details[key]
            elif key == "cluster_port":
                assert details[key] == aws.facts["postgres_port"]
            else:
                assert details[key] == value, key
    left = {each["DBClusterIdentifier"] for each in rds.describe_db_clusters()["DBClusters"]}
    assert left == {"new-cluster-id", "staging"}


def test_the_restored_database_is_the_source_s(refresh, aws: Sandbox):
    """
    The endpoint serves the source's rows over TLS to the role of the request, and the old
    cluster's rows are gone.
    """
    run = refresh()

    details = run.items[Step.SEND_NOTIFICATION]["details"]
    with login(aws, details, "reporting", "reporting_secret_arn") as database:
        cursor = database.cursor()
        cursor.execute("SELECT count(*) FROM sales.orders")
        [rows] = cursor.fetchone()
        cursor.execute("SELECT to_regclass('public.old_marker')")
        assert cursor.fetchone() == (None,)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM sales.orders")
    assert rows > 100_000


def test_the_order_of_the_calls_is_the_diagram_s(refresh):
    """
    Share, copy, take the sharing back, final snapshot, readers, writer, cluster, restore,
    instances, password, tags.
    """
    run = refresh()

    assert run.changes() == [
        "ModifyDBClusterSnapshotAttribute",
        "CopyDBClusterSnapshot",
        "ModifyDBClusterSnapshotAttribute",
        "CreateDBClusterSnapshot",
        "DeleteDBInstance",
        "DeleteDBInstance",
        "DeleteDBCluster",
        "RestoreDBClusterFromSnapshot",
        "CreateDBInstance",
        "CreateDBInstance",
        "ModifyDBCluster",
        "AddTagsToResource",
    ]


def test_a_second_refresh_replaces_the_first_one_s_cluster(refresh, aws: Sandbox):
    """
    The same request again is another operation: it deletes what the first one made, and its
    copy has a name of its own.
    """
    first = refresh("op-001")
    second = refresh("op-002")

    assert (first.error, second.error) == (None, None)
    details = second.items[Step.SEND_NOTIFICATION]["details"]
    assert details["deleted_cluster_id"] == "staging"
    assert details["copy_snapshot_id"] == "daily-backup-2024-03-20-copy-op002"
    [cluster] = aws.client("rds").describe_db_clusters()["DBClusters"]
    tags = {tag["Key"]: tag["Value"] for tag in cluster["TagList"]}
    assert tags["aurora-restore:operation-id"] == "op-002"


def test_with_nothing_to_replace_nothing_is_deleted(refresh):
    """
    A target identifier that is free is restored into, and the record says that none was deleted.
    """
    run = refresh(target_cluster_id="copy-for-team-a")

    assert run.error is None
    assert run.items[Step.DELETE_CLUSTER]["details"]["deleted_cluster_id"] is None
    assert not [change for change in run.changes() if change.startswith("Delete")]


def test_a_finished_operation_is_left_alone(refresh, caplog):
    """
    An operation that has succeeded is not done twice: the run says so, and succeeds.
    """
    first = refresh()

    again = refresh()

    assert again.error is None
    assert (again.items, again.messages, again.changes()) == (
        first.items,
        first.messages,
        first.changes(),
    )
    assert "has already succeeded" in caplog.text


def test_another_request_may_not_take_an_operation_s_name(refresh, aws: Sandbox):
    """
    It is refused and announced, and the records of the operation that has the name stay.
    """
    aws.plant("copy-failed")
    first = refresh()

    other = refresh(reader_count=0)

    assert "this operation was begun with another request" in str(other.error)
    assert other.items == first.items
    assert len(other.messages) == 2
    assert other.changes() == first.changes()


def test_a_failed_operation_is_continued_where_it_stopped(refresh, aws: Sandbox):
    """
    Running the same operation again repeats no finished step.
    """
    aws.plant("snapshot-failed", identifier="staging-final-*")
    failed = refresh()
    aws.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="staging-final-op001")

    resumed = refresh()

    assert isinstance(failed.error, EndedBadly)
    assert resumed.error is None
    assert resumed.statuses() == {step.value: "SUCCESS" for step in steps_of("delete-first")}
    assert resumed.changes().count("CopyDBClusterSnapshot") == 1
    assert resumed.changes().count("DeleteDBCluster") == 1
    assert len(resumed.items[Step.COPY_SNAPSHOT]["history"]) == 2


def test_a_failed_copy_that_was_removed_is_made_anew(refresh, aws: Sandbox):
    """
    The error asks for its removal; going on with the operation then requests it once more.
    """
    aws.plant("copy-failed")
    failed = refresh()
    [copy] = [
        each["DBClusterSnapshotIdentifier"]
        for each in aws.client("rds").describe_db_cluster_snapshots(SnapshotType="manual")[
            "DBClusterSnapshots"
        ]
    ]
    still = refresh()
    aws.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=copy)

    resumed = refresh()

    assert [type(each.error) for each in (failed, still)] == [EndedBadly, EndedBadly]
    assert resumed.error is None
    assert resumed.items[Step.CHECK_COPY_STATUS]["details"]["copy_snapshot_id"] == copy
    assert resumed.changes().count("CopyDBClusterSnapshot") == 2


def test_an_operation_that_has_gone_back_does_not_go_forward_again(refresh, aws: Sandbox):
    """
    Once the old cluster is brought back another operation is needed, and the message says so.
    """
    aws.plant("restore-failed")
    failed = refresh()

    again = refresh()
    anew = refresh("op-002")

    assert "brought back from staging-final-op001" in failed.context()["old_cluster"]
    assert failed.context()["next_command"].startswith("prefect deployment run ")
    assert "has brought the old cluster back" in str(again.error)
    assert again.changes() == failed.changes()
    assert anew.error is None


def test_a_named_secret_s_password_is_the_master_s_afterwards(refresh, aws: Sandbox):
    """
    With a master secret of its own the cluster takes that password, not one that RDS makes.
    """
    run = refresh(master_secret_id=aws.facts["master_secret_arn"])

    assert run.error is None
    details = run.items[Step.SEND_NOTIFICATION]["details"]
    with login(aws, details, "postgres", "master_secret_arn") as database:
        cursor = database.cursor()
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("postgres",)


@pytest.mark.parametrize(
    "failure",
    ["copies-in-flight", pytest.param("throttling", marks=pytest.mark.long), "dynamodb-throttled"],
)
def test_what_heals_by_itself_costs_only_time(
    refresh, aws: Sandbox, monkeypatch: pytest.MonkeyPatch, failure: str
):
    """
    Throttling and quotas of things in flight slow a run down and do not fail it.
    """
    monkeypatch.setenv("AURORA_RESTORE_RECORDS_PATIENCE", "60")
    aws.plant(failure)

    run = refresh()

    assert run.error is None
    assert all(fault["struck"] for fault in aws.planted())


def test_only_the_snapshot_that_was_checked_is_shared(refresh, aws: Sandbox, during):
    """
    A newer snapshot that appears while the run waits to copy is neither shared nor copied.
    """
    source = aws.client("rds", "source")
    aws.plant("copies-in-flight", times=15)

    def take_another() -> None:
        while not any(item["step"] == Step.COPY_SNAPSHOT for item in aws.items("op-001")):
            time.sleep(0.05)
        source.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier="newer", DBClusterIdentifier=aws.facts["source_cluster"]
        )

    during(take_another)
    run = refresh(snapshot_id=None, source_cluster_id=aws.facts["source_cluster"])

    assert run.error is None
    assert shared_with(aws, "newer") == []
    details = run.items[Step.SEND_NOTIFICATION]["details"]
    assert details["source_snapshot"] == aws.facts["snapshot"]


def test_what_another_operation_takes_back_is_shared_anew_and_with_nobody_in_the_end(
    refresh, aws: Sandbox, during
):
    """
    At preflight the snapshot is shared by another operation, which takes that back before it can be
    copied here.
    """
    source, snapshot = aws.client("rds", "source"), aws.facts["snapshot"]

    def share(**change: list[str]) -> None:
        source.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=snapshot, AttributeName="restore", **change
        )

    share(ValuesToAdd=[aws.facts["target_account"]])
    aws.plant("copies-in-flight", times=None)

    def take_back() -> None:
        while not aws.events(kind="call", operation="CopyDBClusterSnapshot"):
            time.sleep(0.05)
        share(ValuesToRemove=[aws.facts["target_account"]])
        aws.clear()

    during(take_back)
    run = refresh()

    assert run.error is None
    assert shared_with(aws, snapshot) == []


def shared_with(aws: Sandbox, snapshot: str) -> list[str]:
    """Return the accounts that may copy a snapshot of the source account."""
    answer = aws.client("rds", "source").describe_db_cluster_snapshot_attributes(
        DBClusterSnapshotIdentifier=snapshot
    )["DBClusterSnapshotAttributesResult"]["DBClusterSnapshotAttributes"]
    return [account for each in answer for account in each["AttributeValues"]]


def make_cluster(aws: Sandbox, cluster_id: str, **options: object) -> None:
    """Make a cluster with a writer that may be replaced, ready."""
    rds = aws.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=cluster_id,
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret-1",
        DBSubnetGroupName=aws.facts["subnet_group"],
        VpcSecurityGroupIds=aws.facts["security_group_ids"],
        Port=aws.facts["postgres_port"],
        Tags=[{"Key": "aurora-restore:managed", "Value": "true"}],
        **options,
    )
    aws.advance(3600)
    rds.create_db_instance(
        DBInstanceIdentifier=f"{cluster_id}-1",
        DBClusterIdentifier=cluster_id,
        DBInstanceClass=aws.facts["instance_class"],
        Engine="aurora-postgresql",
        Tags=[{"Key": "aurora-restore:managed", "Value": "true"}],
    )
    aws.advance(3600)


def login(aws: Sandbox, details: dict, user: str, secret: str) -> "psycopg2.extensions.connection":
    """Connect to the restored cluster as a client would: by its endpoint, over verified TLS."""
    secrets = aws.client("secretsmanager")
    content = secrets.get_secret_value(SecretId=aws.facts[secret])["SecretString"]
    return psycopg2.connect(
        host=details["cluster_endpoint"],
        hostaddr=aws.env["PGHOSTADDR"],
        port=details["cluster_port"],
        dbname="postgres",
        user=user,
        password=json.loads(content)["password"],
        sslmode="verify-full",
        sslrootcert=aws.env["PGSSLROOTCERT"],
    )
