"""Planted failures of API calls, as a boto3 client sees them."""

import json
import time
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox import Fault, SandboxError

ONCE = Config(retries={"total_max_attempts": 1})


def client(aws, service, account="target") -> Any:
    """A client that tries once, so that every failure is seen."""
    return aws.session(account).client(service, config=ONCE)


def code_of(call) -> str:
    """The code of the error that the call ends with, "" if it goes well."""
    try:
        call()
    except ClientError as problem:
        return problem.response["Error"]["Code"]
    return ""


def calls(aws) -> dict[str, Any]:
    """One call for each operation that the named failures are about."""
    facts = aws.facts
    rds, source = client(aws, "rds"), client(aws, "rds", "source")
    sts, secrets = client(aws, "sts"), client(aws, "secretsmanager")
    sns, dynamodb = client(aws, "sns"), client(aws, "dynamodb")
    role = _open_role(aws)
    numbers = iter(range(1000))
    item = {"operation_id": {"S": "op"}, "step": {"S": "copy-snapshot"}, "status": {"S": "SUCCESS"}}
    return {
        "copy": lambda: source.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=facts["snapshot"],
            TargetDBClusterSnapshotIdentifier=f"copy-{next(numbers)}",
        ),
        "single-step": lambda: rds.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=facts["snapshot_arn"],
            TargetDBClusterSnapshotIdentifier=f"copy-{next(numbers)}",
        ),
        "rename": lambda: source.modify_db_cluster(
            DBClusterIdentifier="production", NewDBClusterIdentifier="other", ApplyImmediately=True
        ),
        "restore": lambda: source.restore_db_cluster_from_snapshot(
            DBClusterIdentifier=f"restored-{next(numbers)}",
            SnapshotIdentifier=facts["snapshot"],
            Engine="aurora-postgresql",
        ),
        "delete": lambda: rds.delete_db_cluster(
            DBClusterIdentifier="staging", SkipFinalSnapshot=True
        ),
        "clusters": rds.describe_db_clusters,
        "assume": lambda: sts.assume_role(RoleArn=role, RoleSessionName="test"),
        "source": source.describe_db_cluster_snapshots,
        "secret": lambda: secrets.get_secret_value(SecretId=facts["app_secret"]),
        "publish": lambda: sns.publish(TopicArn=facts["topic_arn"], Message="text"),
        "put": lambda: dynamodb.put_item(TableName=facts["table"], Item=item),
    }


def _open_role(aws) -> str:
    """A role of the source that trusts the whole target account."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "987654321098"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = aws.client("iam", "source")
    return iam.create_role(RoleName="open", AssumeRolePolicyDocument=document)["Role"]["Arn"]


# failure, call, code, HTTP status, how often (None: until cleared)
NAMED = [
    ("kms-denied", "copy", "KMSKeyNotAccessibleFault", 400, None),
    ("snapshot-quota", "copy", "SnapshotQuotaExceeded", 400, None),
    ("copies-in-flight", "copy", "SnapshotQuotaExceeded", 400, 3),
    ("single-step-refused", "single-step", "InvalidParameterCombination", 400, None),
    ("rename-refused", "rename", "InvalidDBClusterStateFault", 400, None),
    ("restore-refused", "restore", "InvalidRestoreFault", 400, None),
    ("cluster-capacity", "restore", "InsufficientDBClusterCapacityFault", 403, 1),
    ("delete-refused", "delete", "InvalidParameterCombination", 400, None),
    ("assume-role-denied", "assume", "AccessDenied", 403, None),
    ("source-denied", "source", "AccessDenied", 403, None),
    ("secret-denied", "secret", "AccessDeniedException", 400, None),
    ("sns-refused", "publish", "AuthorizationError", 403, None),
    ("sns-down", "publish", "InternalError", 500, 3),
    ("dynamodb-throttled", "put", "ProvisionedThroughputExceededException", 400, 4),
    ("dynamodb-down", "put", "InternalServerError", 500, None),
    ("dynamodb-denied", "put", "AccessDeniedException", 400, 1),
]


@pytest.mark.parametrize("planned", NAMED, ids=[name for name, *_ in NAMED])
def test_a_named_failure_is_met_as_often_as_planned(aws, planned):
    """
    The client gets the code and HTTP status, a request id, exactly so often; then it is over.
    """
    name, call, code, status, times = planned
    options = {"step": "copy-snapshot"} if name == "dynamodb-denied" else {}
    aws.plant(name, **options)
    failing = calls(aws)[call]

    for _ in range(times or 6):
        with pytest.raises(ClientError) as caught:
            failing()
        response = caught.value.response
        assert response["Error"]["Code"] == code
        assert response["Error"]["Message"]
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert response["ResponseMetadata"]["RequestId"]

    if times is None:
        aws.clear()
    assert code_of(failing) != code
    if times is not None:
        assert [fault["struck"] for fault in aws.planted()] == [times]


def test_every_call_failure_has_such_a_test(aws):
    """
    Whoever adds a failure adds its line above.
    """
    lifecycles = {"capacity", "copy-failed", "copy-stuck", "copy-vanished", "delete-stuck"} | {
        "instance-failed",
        "instance-stuck",
        "password-stuck",
        "rename-stuck",
        "restore-failed",
        "restore-stuck",
        "snapshot-failed",
    }

    circumstances = {"class-withdrawn", "quota", "version-withdrawn"}

    known = {name for name, *_ in NAMED} | {"throttling"} | lifecycles | circumstances
    assert known == set(aws.failures())


def test_throttling_meets_every_third_call_of_rds(aws):
    """
    Two calls go well, the third is throttled; no more than 40 in all.
    """
    aws.plant("throttling", times=2)
    describe = calls(aws)["clusters"]

    codes = [code_of(describe) for _ in range(9)]
    assert codes == ["", "", "Throttling"] * 2 + [""] * 3
    aws.plant("throttling")
    assert aws.planted()[-1]["times"] == 40


def test_the_default_retries_of_boto3_get_through_throttling(aws):
    """
    The code is one that botocore knows as throttling.
    """
    aws.plant("throttling")
    rds = aws.client("rds")

    for _ in range(6):
        rds.describe_db_clusters()

    assert [e["result"] for e in aws.events(operation="DescribeDBClusters")].count(
        "Throttling"
    ) == 2


def test_source_denied_is_about_the_source_account_only(aws):
    """
    The same operation goes well in the target.
    """
    aws.plant("source-denied")

    client(aws, "rds").describe_db_cluster_snapshots()
    assert code_of(calls(aws)["source"]) == "AccessDenied"


def test_a_single_step_is_refused_and_two_are_not(aws):
    """
    The hop between accounts within the Region passes, then the hop between Regions.
    """
    aws.plant("single-step-refused")
    facts, there = aws.facts, aws.client("rds", "target", "us-east-1")
    here = client(aws, "rds")
    aws.client("rds", "source").modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=facts["snapshot"],
        AttributeName="restore",
        ValuesToAdd=[facts["target_account"]],
    )
    wish = {"KmsKeyId": facts["target_key_arn"], "TargetDBClusterSnapshotIdentifier": "copy"}

    def copy(where, source, **more):
        where.copy_db_cluster_snapshot(SourceDBClusterSnapshotIdentifier=source, **(wish | more))

    single = code_of(lambda: copy(here, facts["snapshot_arn"]))
    copy(there, facts["snapshot_arn"], KmsKeyId=facts["hop_key_arn"])
    there.get_waiter("db_cluster_snapshot_available").wait(
        DBClusterSnapshotIdentifier="copy", WaiterConfig={"Delay": 0.1, "MaxAttempts": 50}
    )
    [hop] = there.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="copy")[
        "DBClusterSnapshots"
    ]
    copy(here, hop["DBClusterSnapshotArn"])
    aws.clear()

    assert (single, hop["KmsKeyId"]) == ("InvalidParameterCombination", facts["hop_key_arn"])
    assert (
        code_of(
            lambda: copy(here, facts["snapshot_arn"], TargetDBClusterSnapshotIdentifier="single")
        )
        == ""
    )


def test_a_refused_rename_lets_other_changes_through(aws):
    """
    Only a call with a new name fails; `code` chooses what it fails with.
    """
    aws.plant("rename-refused", code="DBClusterAlreadyExistsFault")
    rds = client(aws, "rds")

    other = code_of(lambda: rds.modify_db_cluster(DBClusterIdentifier="staging", Port=5432))
    assert (other, code_of(calls(aws)["rename"])) == ("", "DBClusterAlreadyExistsFault")


def test_a_failure_can_be_about_one_cluster(aws):
    """
    `identifier` is the cluster, snapshot or instance in the call, by name or ARN.
    """
    aws.plant("rename-refused", identifier="stag*")
    aws.plant("copies-in-flight", identifier="other-*")
    failing, rds = calls(aws), client(aws, "rds")

    def rename_staging():
        rds.modify_db_cluster(
            DBClusterIdentifier=aws.facts["target_cluster_arn"],
            NewDBClusterIdentifier="x",
            ApplyImmediately=True,
        )

    assert (code_of(failing["rename"]), code_of(failing["copy"])) == ("", "")
    assert code_of(rename_staging) == "InvalidDBClusterStateFault"
    assert [each["struck"] for each in aws.planted()] == [1, 0]


def test_circumstances_are_planted_by_name_as_well(aws):
    """
    With their options; `clear` and `reset` take them back.
    """
    rds = client(aws, "rds")

    def most():
        found = rds.describe_account_attributes()["AccountQuotas"]
        return {each["AccountQuotaName"]: each["Max"] for each in found}["DBClusters"]

    aws.plant("quota", name="DBClusters", limit=1)
    lowered = most()
    aws.clear()
    cleared = most()
    aws.plant("quota", name="DBClusters", limit=2)
    aws.reset()

    assert (lowered, cleared, most()) == (1, 40, 40)


@pytest.mark.parametrize("operation", ["put_item", "update_item", "transact_write_items"])
def test_dynamodb_is_denied_for_one_step_and_status(aws, operation):
    """
    However the item is written; other steps, and the step with another status, are written.
    """
    dynamodb, table = client(aws, "dynamodb"), aws.facts["table"]

    def write(step: str, status: str) -> str:
        key = {"operation_id": {"S": "op"}, "step": {"S": step}}
        update = {
            "TableName": table,
            "Key": key,
            "UpdateExpression": "SET #status = :now, attempts = :one",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":now": {"S": status}, ":one": {"N": "1"}},
        }
        wishes: dict[str, Any] = {
            "put_item": {"TableName": table, "Item": key | {"status": {"S": status}}},
            "update_item": update,
            "transact_write_items": {"TransactItems": [{"Update": update}]},
        }
        return code_of(lambda: getattr(dynamodb, operation)(**wishes[operation]))

    aws.plant("dynamodb-denied", step="delete-rds", status="SUCCESS")

    codes = [
        write("copy-snapshot", "SUCCESS"),
        write("delete-rds", "IN_PROGRESS"),
        write("delete-rds", "SUCCESS"),
        write("delete-rds", "SUCCESS"),
    ]
    assert codes == ["", "", "AccessDeniedException", ""]


def test_dynamodb_goes_down_after_a_step_until_cleared(aws):
    """
    The record of that step is written; from then on nothing is, nor read.
    """
    aws.plant("dynamodb-down", after_step="copy-snapshot")
    put, dynamodb = calls(aws)["put"], client(aws, "dynamodb")
    scan = lambda: dynamodb.scan(TableName=aws.facts["table"])  # noqa: E731

    before = [code_of(scan), code_of(put)]
    after = [code_of(put), code_of(scan)]
    aws.clear()

    assert before == ["", ""]
    assert after == ["InternalServerError"] * 2
    assert code_of(scan) == ""


def test_dynamodb_is_down_for_a_while_of_aws_time(aws):
    """
    `seconds` pass on the sandbox's clock.
    """
    aws.plant("dynamodb-down", seconds=30_000)
    put = calls(aws)["put"]

    during = code_of(put)
    aws.advance(30_000)

    assert (during, code_of(put)) == ("InternalServerError", "")


def test_a_fault_of_ones_own_says_what_it_is_about(aws):
    """
    `after`, `every`, `times` and `match` count the matching calls only.
    """
    rds = client(aws, "rds")
    aws.plant(
        Fault(
            "rds",
            ("DescribeDBClusters", "DescribeDBInstances"),
            "Made-Up",
            "a text",
            status=418,
            times=1,
            after=1,
            match={"DBClusterIdentifier": "stag"},
        )
    )

    codes = [
        code_of(rds.describe_db_clusters),
        code_of(lambda: rds.describe_db_clusters(DBClusterIdentifier="staging")),
        code_of(rds.describe_db_clusters),
        code_of(lambda: rds.describe_db_clusters(DBClusterIdentifier="staging")),
        code_of(lambda: rds.describe_db_clusters(DBClusterIdentifier="staging")),
    ]
    assert codes == ["", "", "", "Made-Up", ""]


def test_a_dropped_connection_did_nothing(aws):
    """
    The client sees a closed connection, the topic no message.
    """
    aws.plant(Fault("sns", "Publish", drop_connection=True))

    with pytest.raises(ConnectionClosedError):
        calls(aws)["publish"]()

    assert aws.messages() == []
    assert [e["result"] for e in aws.events(operation="Publish")] == ["ConnectionLost"]


def test_a_lost_reply_belongs_to_a_call_that_was_carried_out(aws):
    """
    The client sees a closed connection, the message was delivered; so a resend doubles it.
    """
    aws.plant(Fault("sns", "Publish", lose_reply=True))

    with pytest.raises(ConnectionClosedError):
        calls(aws)["publish"]()
    aws.client("sns").publish(TopicArn=aws.facts["topic_arn"], Message="text")

    assert [message["Message"] for message in aws.messages()] == ["text", "text"]


def test_a_delayed_call_takes_its_time_and_goes_well(aws):
    """
    `delay` is in real seconds, for time-outs of clients.
    """
    aws.plant(Fault("sns", "Publish", delay=0.3))
    began = time.monotonic()

    calls(aws)["publish"]()

    assert time.monotonic() - began >= 0.3
    assert len(aws.messages()) == 1


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("no-such", {}, "There is no failure 'no-such'"),
        ("kms-denied", {"often": 3}, "'kms-denied' has no option often"),
        ("copy-failed", {"often": 3}, "'copy-failed': .*often"),
        ("quota", {"often": 3}, "'quota': .*often"),
    ],
)
def test_what_cannot_be_planted_is_said(aws, name, options, problem):
    """
    A typing error in a test's plan must not look like a plan that holds.
    """
    with pytest.raises(SandboxError, match=problem):
        aws.plant(name, **options)
