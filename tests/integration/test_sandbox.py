"""The sandbox as a whole: what it is at the start, that a reset leaves nothing, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox import Sandbox, SandboxError

PATIENCE = 60  # seconds for a sandbox to start on a busy machine
END = 30  # seconds for one to end on a busy machine; about 0.5 on an idle one


def sql(aws: Sandbox, cluster_endpoint: str, user: str, password: str, statement: str):
    """The rows of a statement, over the endpoint as anybody reaches it."""
    connection = psycopg2.connect(
        host=cluster_endpoint,
        hostaddr="127.0.0.1",
        port=aws.facts["postgres_port"],
        user=user,
        password=password,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=aws.facts["ca_file"],
    )
    with closing(connection), connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def master(aws: Sandbox) -> str:
    """The target's master password, from its secret."""
    value = aws.client("secretsmanager").get_secret_value(SecretId=aws.facts["master_secret"])
    return json.loads(value["SecretString"])["password"]


def test_the_world_is_there_and_available(aws):
    """
    Both accounts hold what a restore needs, and nothing in them is still changing.
    """
    facts = aws.facts
    source, target = aws.client("rds", "source"), aws.client("rds")

    [production] = source.describe_db_clusters()["DBClusters"]
    [snapshot] = source.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    [staging] = target.describe_db_clusters()["DBClusters"]
    instances = target.describe_db_instances()["DBInstances"]
    [group] = target.describe_db_subnet_groups()["DBSubnetGroups"]
    table = aws.client("dynamodb").describe_table(TableName=facts["table"])["Table"]

    assert production["DBClusterIdentifier"] == "production"
    assert production["KmsKeyId"] == facts["source_key_arn"]
    assert len(production["DBClusterMembers"]) == 1
    assert snapshot["DBClusterSnapshotArn"] == facts["snapshot_arn"]
    assert (snapshot["Status"], snapshot["StorageEncrypted"]) == ("available", True)
    assert (staging["Status"], staging["Port"]) == ("available", facts["postgres_port"])
    assert staging["KmsKeyId"] == facts["target_key_arn"]
    assert {"Key": "aurora-restore:managed", "Value": "true"} in staging["TagList"]
    assert [(i["DBInstanceIdentifier"], i["DBInstanceStatus"]) for i in instances] == [
        ("staging-1", "available"),
        ("staging-2", "available"),
    ]
    assert (group["DBSubnetGroupName"], group["VpcId"]) == (facts["subnet_group"], facts["vpc_id"])
    assert [i["IndexName"] for i in table["GlobalSecondaryIndexes"]] == [
        facts["table_index"],
        facts["target_index"],
    ]
    assert aws.events(kind="status") == []


def test_the_newest_automated_snapshot_of_the_source_holds_its_data(aws):
    """
    There is a nightly backup too, of the filled database: restored, it has the source's rows.
    """
    source = aws.client("rds", "source")

    [nightly] = source.describe_db_cluster_snapshots(SnapshotType="automated")["DBClusterSnapshots"]
    source.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="from-nightly",
        SnapshotIdentifier=nightly["DBClusterSnapshotIdentifier"],
        Engine="aurora-postgresql",
        Port=aws.facts["postgres_port"],
    )
    aws.advance(3600)
    source.modify_db_cluster(
        DBClusterIdentifier="from-nightly",
        MasterUserPassword="a-new-password",
        ApplyImmediately=True,
    )
    aws.advance(600)
    source.create_db_instance(
        DBInstanceIdentifier="from-nightly-1",
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
        DBClusterIdentifier="from-nightly",
    )
    aws.advance(3600)
    [restored] = source.describe_db_clusters(DBClusterIdentifier="from-nightly")["DBClusters"]

    rows = sql(
        aws,
        restored["Endpoint"],
        "postgres",
        "a-new-password",
        "SELECT (SELECT count(*) FROM sales.orders), (SELECT count(*) FROM audit.entries)",
    )
    assert rows == [(150000, 100000)]


def test_a_reset_leaves_nothing_of_what_happened(sandbox):
    """
    Calls, changes still under way, rows, items, messages, faults, new accounts: all gone.
    """
    sandbox.reset()
    facts, rds = sandbox.facts, sandbox.client("rds")
    password = master(sandbox)
    [staging] = rds.describe_db_clusters()["DBClusters"]
    sql(sandbox, staging["Endpoint"], "postgres", password, "DROP TABLE old_marker")
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="under-way"
    )
    rds.modify_db_cluster(DBClusterIdentifier="staging", MasterUserPassword="another-password")
    sandbox.client("rds", "source").delete_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=facts["snapshot"]
    )
    item = {"operation_id": {"S": "op"}, "step": {"S": "any"}}
    sandbox.client("dynamodb").put_item(TableName=facts["table"], Item=item)
    sandbox.client("sns").publish(TopicArn=facts["topic_arn"], Message="text")
    sandbox.client("sqs", "111122223333").create_queue(QueueName="elsewhere")
    sandbox.plant("throttling")
    sandbox.plant("copy-failed")
    sandbox.advance(1000)
    assert sandbox.items()
    assert sandbox.messages()

    sandbox.reset()

    [snapshot] = sandbox.client("rds", "source").describe_db_cluster_snapshots(
        SnapshotType="manual"
    )["DBClusterSnapshots"]
    own = rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    rows = sql(
        sandbox, staging["Endpoint"], "postgres", password, "SELECT count(*) FROM old_marker"
    )
    queues = sandbox.client("sqs", "111122223333").list_queues()
    assert rows == [(3,)]
    assert snapshot["DBClusterSnapshotIdentifier"] == facts["snapshot"]
    assert (own, sandbox.items(), sandbox.messages()) == ([], [], [])
    assert sandbox.planted() == []
    assert queues.get("QueueUrls", []) == []
    assert sandbox.events(kind="status") == []


def test_durations_can_be_set_until_they_are_cleared(aws):
    """
    What begins after that lasts so long, and as long as usual again after `clear` or `reset`.
    """
    rds = aws.client("rds")

    def later(name: str) -> tuple[str, int]:
        rds.create_db_cluster_snapshot(
            DBClusterIdentifier="staging", DBClusterSnapshotIdentifier=name
        )
        aws.advance(500_000)
        found = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)
        [made] = found["DBClusterSnapshots"]
        return made["Status"], made["PercentProgress"]

    aws.set_durations(SNAPSHOT=1_000_000, COPY=1)
    with pytest.raises(SandboxError, match="no duration SNAPSHOTS"):
        aws.set_durations(SNAPSHOT=1, SNAPSHOTS=1)
    with pytest.raises(SandboxError, match="positive"):
        aws.set_durations(SNAPSHOT=0)
    half_way = later("first")
    aws.clear()
    cleared = later("second")
    aws.set_durations(SNAPSHOT=1_000_000)
    aws.reset()

    assert half_way == ("creating", 50)
    assert cleared == later("third") == ("available", 100)


def test_a_cluster_that_was_deleted_is_back_after_a_reset(sandbox):
    """
    Also its server, its endpoint names and its instances.
    """
    sandbox.reset()
    rds, password = sandbox.client("rds"), master(sandbox)
    for number in (2, 1):
        rds.delete_db_instance(DBInstanceIdentifier=f"staging-{number}")
    rds.delete_db_cluster(DBClusterIdentifier="staging", SkipFinalSnapshot=True)
    sandbox.advance(3600)
    assert rds.describe_db_clusters()["DBClusters"] == []

    sandbox.reset()

    [staging] = rds.describe_db_clusters()["DBClusters"]
    for name in (staging["Endpoint"], staging["ReaderEndpoint"]):
        assert sql(sandbox, name, "postgres", password, "SELECT count(*) FROM old_marker") == [(3,)]
    assert len(rds.describe_db_instances()["DBInstances"]) == 2


def test_two_resets_give_the_same_state_although_nothing_is_shared(sandbox):
    """
    What is put back is a copy: changing it does not change what the next reset puts back.
    """
    rds = sandbox.client("rds")
    name = sandbox.facts["target_cluster_arn"]
    for _ in range(2):
        sandbox.reset()
        tags = rds.list_tags_for_resource(ResourceName=name)["TagList"]
        rds.add_tags_to_resource(ResourceName=name, Tags=[{"Key": "leak", "Value": "yes"}])

    assert [tag["Key"] for tag in tags] == ["aurora-restore:managed", "team"]


def test_an_attached_library_sees_the_same_sandbox(sandbox):
    """
    Who joins by the URL has the same facts and environment, and leaving does not end it.
    """
    with Sandbox.attach(sandbox.url) as joined:
        assert joined.facts == sandbox.facts
        assert joined.env == sandbox.env
        assert joined.pid is None

    assert sandbox.client("sts").get_caller_identity()["Account"] == "987654321098"


def test_a_reply_of_dynamodb_leaves_at_once(aws):
    """
    No reply waits for the acknowledgement of its own beginning, which takes 40 ms each time.
    """
    client = aws.client("dynamodb")
    key = {"operation_id": {"S": "op"}, "step": {"S": "any"}}
    taken = []
    for _ in range(50):
        began = time.perf_counter()
        client.get_item(TableName=aws.facts["table"], Key=key)
        taken.append(time.perf_counter() - began)

    assert sorted(taken)[25] < 0.04


def test_what_moto_breaks_on_is_an_error_in_one_line(aws):
    """
    A crash inside the emulator is InternalFailure for the client, the cause is in the event log.
    """
    client = aws.session().client("ec2", config=Config(retries={"total_max_attempts": 1}))

    with pytest.raises(ClientError) as caught:
        client.describe_vpc_endpoint_connections(NextToken="x")

    [event] = aws.events(operation="DescribeVpcEndpointConnections")[:1]
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "NotImplementedError" in event["problem"]
    assert "\n" not in event["problem"]


def test_a_wrong_option_is_refused_when_it_starts():
    """
    The library shows what the child said.
    """
    with pytest.raises(SandboxError, match=r"--speed must be greater than 0"):
        Sandbox(speed=0).start()


def test_the_command_line_lists_the_failures():
    """
    Each failure that can be planted has a line of its own.
    """
    listed = run_module("--failures").stdout.splitlines()

    names = [line.split()[0] for line in listed]
    assert {"copy-failed", "delete-stuck", "dynamodb-denied", "kms-denied"} <= set(names)
    assert all(len(line.split()) > 3 for line in listed)


def test_the_command_line_refuses_an_unknown_failure_at_once():
    """
    A typing error is noticed before the world is built.
    """
    done = run_module("--plant", "copy-faild")

    assert done.returncode == 2
    assert "There is no failure 'copy-faild'" in done.stdout


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-m", "sandbox", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


# How it ends


def is_listening(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes_of(folder: Path | str) -> list[str]:
    """The command lines of all processes that have to do with the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def until(condition, seconds: float) -> bool:
    """Whether the condition comes true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def leaves_nothing(facts: dict) -> bool:
    root = Path(facts["ca_file"]).parent
    ports = (int(facts["url"].rpartition(":")[2]), facts["postgres_port"])
    return not (processes_of(root) or root.exists() or any(map(is_listening, ports)))


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process that has started a sandbox of its own and told its facts."""
    code = (
        "import json, time; from sandbox import Sandbox\n"
        "with Sandbox(speed=3000) as aws:\n"
        "    print(json.dumps(aws.facts | {'pid': aws.pid}), flush=True)\n"
        "    time.sleep(600)\n"
    )
    started = subprocess.Popen(  # noqa: S603  our own words
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    yield started
    started.kill()
    started.communicate()


def test_it_ends_with_its_parent_and_leaves_nothing(parent):
    """
    Even a parent that was killed takes the sandbox along: processes, folder, ports.
    """
    facts = json.loads(parent.stdout.readline())
    assert len(processes_of(Path(facts["ca_file"]).parent)) >= 2
    assert is_listening(facts["postgres_port"])

    parent.kill()

    assert until(lambda: leaves_nothing(facts), END)
    assert until(lambda: not Path(f"/proc/{facts['pid']}").exists(), END)


def test_a_terminated_or_closed_sandbox_leaves_nothing():
    """
    SIGTERM ends it in seconds, with all processes, its folder and its ports; close is safe then.
    """
    with Sandbox(speed=3000) as aws:
        facts = dict(aws.facts)

        os.kill(aws.pid, signal.SIGTERM)

        assert until(lambda: leaves_nothing(facts), END)
    with pytest.raises((EndpointConnectionError, KeyError)):
        aws.client("sts").get_caller_identity()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["initdb", "postgres -D"])
def test_also_one_that_is_still_being_built_leaves_nothing(number, moment):
    """
    Ctrl-C and kill -9 in the middle of the start: no server and no folder stay.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # else the servers' folder is elsewhere
        with (Path(folder) / "output").open("w") as output:
            started = subprocess.Popen(
                [sys.executable, "-m", "sandbox"],
                stdout=output,
                stderr=output,
                env=os.environ | {"TMPDIR": folder},
            )
            try:
                assert until(lambda: any(moment in each for each in processes_of(folder)), PATIENCE)
                [root] = Path(folder).glob("aurora-restore-*")

                started.send_signal(number)
                started.wait(PATIENCE)
            finally:
                started.kill()

        assert until(lambda: not processes_of(folder) and not root.exists(), 2 * END)
        time.sleep(0.5)
        assert not root.exists()
        assert (Path(folder) / "output").read_text() == ""
