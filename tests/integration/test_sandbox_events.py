"""The event log and the inbox: what was called by whom, what SNS delivers and what it refuses."""

import json
from datetime import datetime

import pytest
from botocore.exceptions import ClientError


def test_a_call_is_logged_with_who_where_what_and_how_it_ended(aws):
    """
    Parameters have boto3's names and types; the caller is as GetCallerIdentity tells.
    """
    rds = aws.client("rds", "source")
    caller = aws.client("sts", "source").get_caller_identity()["Arn"]
    with pytest.raises(ClientError):
        rds.restore_db_cluster_from_snapshot(
            DBClusterIdentifier="new",
            SnapshotIdentifier="missing",
            Engine="aurora-postgresql",
            DeletionProtection=True,
            Tags=[{"Key": "a", "Value": "b"}],
        )

    [event] = aws.events(kind="call", service="rds")

    moment = datetime.fromisoformat(event.pop("at"))
    assert moment.tzinfo is not None
    assert event.pop("aws_seconds") >= 0
    assert event == {
        "kind": "call",
        "account": "123456789012",
        "region": "us-east-1",
        "service": "rds",
        "operation": "RestoreDBClusterFromSnapshot",
        "parameters": {
            "DBClusterIdentifier": "new",
            "SnapshotIdentifier": "missing",
            "Engine": "aurora-postgresql",
            "DeletionProtection": True,
            "Tags": [{"Key": "a", "Value": "b"}],
        },
        "result": "DBClusterSnapshotNotFoundFault",
        "caller": caller,
    }


def test_a_successful_call_is_ok_and_a_denied_one_has_its_code(aws):
    """
    Whatever the protocol: query, JSON, EC2.
    """
    aws.client("rds").describe_db_clusters()
    for call in (
        lambda: aws.client("kms").describe_key(KeyId="alias/missing"),
        lambda: aws.client("ec2").describe_subnets(SubnetIds=["subnet-0"]),
        lambda: aws.client("sqs").get_queue_url(QueueName="missing"),
    ):
        with pytest.raises(ClientError):
            call()

    results = [(event["service"], event["result"]) for event in aws.events(kind="call")]
    assert results == [
        ("rds", "ok"),
        ("kms", "NotFoundException"),
        ("ec2", "InvalidSubnetID.NotFound"),
        ("sqs", "QueueDoesNotExist"),
    ]


def test_no_secret_is_in_the_event_log(aws):
    """
    Passwords, secret strings and tokens are masked, at any depth; a flag about one is not.
    """
    word = "marker-4711-word"
    aws.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging", MasterUserPassword=word, ApplyImmediately=True
    )
    aws.advance(3600)
    aws.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging", ManageMasterUserPassword=False, DeletionProtection=False
    )
    secrets = aws.client("secretsmanager")
    secrets.put_secret_value(SecretId=aws.facts["app_secret"], SecretString=word)
    secrets.get_secret_value(SecretId=aws.facts["app_secret"])
    aws.client("dynamodb").put_item(
        TableName=aws.facts["table"],
        Item={"operation_id": {"S": "op"}, "step": {"S": "any"}, "details": {"S": word}},
    )

    events = aws.events(kind="call")
    assert word not in json.dumps(events)
    assert events[0]["parameters"]["MasterUserPassword"] == "***"
    assert events[1]["parameters"]["ManageMasterUserPassword"] is False
    assert events[2]["parameters"]["SecretString"] == "***"


def test_of_an_item_the_log_has_the_keys_and_the_status(aws):
    """
    Enough to see in which order records were written.
    """
    dynamodb, table = aws.client("dynamodb"), aws.facts["table"]
    key = {"operation_id": {"S": "op"}, "step": {"S": "copy-snapshot"}}
    dynamodb.put_item(TableName=table, Item=key | {"status": {"S": "IN_PROGRESS"}})
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "SUCCESS"}},
    )

    written = [event["parameters"]["written"] for event in aws.events(service="dynamodb")]
    plain = {"operation_id": "op", "step": "copy-snapshot"}
    assert written == [[plain | {"status": "IN_PROGRESS"}], [plain | {"status": "SUCCESS"}]]


def test_a_change_of_status_is_logged_at_its_moment(aws):
    """
    When anybody looks at the resource does not matter.
    """
    aws.client("rds").create_db_cluster_snapshot(
        DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="mine"
    )
    aws.advance(3600)

    changes = [(e["resource"], e["to"]) for e in aws.events(kind="status")]
    assert changes == [("snapshot:mine", "creating"), ("snapshot:mine", "available")]
    [begun, done] = seen = aws.events(kind="status")
    assert done["aws_seconds"] - begun["aws_seconds"] >= 300
    assert aws.events(kind="status") == seen


def test_items_are_plain_python(aws):
    """
    Numbers are int or float, maps and lists are what they are; one operation can be asked for.
    """
    dynamodb = aws.client("dynamodb")
    for operation in ("op-1", "op-2"):
        item = {
            "operation_id": {"S": operation},
            "step": {"S": "any"},
            "details": {"M": {"n": {"N": "3"}, "x": {"N": "0.5"}, "l": {"L": [{"BOOL": True}]}}},
            "nothing": {"NULL": True},
        }
        dynamodb.put_item(TableName=aws.facts["table"], Item=item)

    assert len(aws.items()) == 2
    assert aws.items("op-2") == [
        {
            "operation_id": "op-2",
            "step": "any",
            "details": {"n": 3, "x": 0.5, "l": [True]},
            "nothing": None,
        }
    ]


def test_messages_are_what_sns_delivers(aws):
    """
    Subject, text and attributes arrive; looking does not take them away.
    """
    aws.client("sns").publish(
        TopicArn=aws.facts["topic_arn"],
        Subject="x" * 99,
        Message="text",
        MessageAttributes={"outcome": {"DataType": "String", "StringValue": "failed"}},
    )

    for _ in range(2):
        [message] = aws.messages()
    assert (message["Subject"], message["Message"]) == ("x" * 99, "text")
    assert message["MessageAttributes"] == {"outcome": {"Type": "String", "Value": "failed"}}
    assert message["TopicArn"] == aws.facts["topic_arn"]


@pytest.mark.parametrize(
    "wish",
    [
        {"Subject": "x" * 100, "Message": "text"},
        {"Subject": "two\nlines", "Message": "text"},
        {"Subject": "a\ttab", "Message": "text"},
        {"Subject": "caf\u00e9", "Message": "text"},
        {"Subject": " leading", "Message": "text"},
        {"Subject": "", "Message": "text"},
        {"Message": ""},
        {"Message": "\u00e9" * 131_073},
    ],
    ids=["100", "newline", "tab", "not-ascii", "space", "empty", "no-message", "256-KiB"],
)
def test_sns_refuses_what_aws_refuses(aws, wish):
    """
    A subject is 1 to 99 characters of printable ASCII; a message has 1 byte to 256 KiB.
    """
    with pytest.raises(ClientError) as caught:
        aws.client("sns").publish(TopicArn=aws.facts["topic_arn"], **wish)

    assert caught.value.response["Error"]["Code"] == "InvalidParameter"
    assert aws.messages() == []


def test_a_missing_topic_or_alias_is_not_found(aws):
    """
    In AWS's codes: NotFound and NotFoundException.
    """
    with pytest.raises(ClientError) as topic:
        aws.client("sns").publish(TopicArn=aws.facts["topic_arn"] + "-not", Message="text")
    with pytest.raises(ClientError) as alias:
        aws.client("kms").describe_key(KeyId="alias/missing")

    assert topic.value.response["Error"]["Code"] == "NotFound"
    assert alias.value.response["Error"]["Code"] == "NotFoundException"
