"""Who calls: two accounts, the task role as on ECS, role sessions that expire."""

import time
from urllib.error import HTTPError
from urllib.request import urlopen

import boto3
import botocore.session
import pytest
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import ClientError

HOUR = 4 + 0.2  # real seconds of a session's hour at the tests' speed, and a little more


@pytest.fixture
def task(aws, monkeypatch):
    """A session of a program that has nothing but the sandbox's environment."""
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


def assume(task, aws, **changes):
    """The reply to AssumeRole of the source's role."""
    wish = {
        "RoleArn": aws.facts["source_role_arn"],
        "RoleSessionName": "test",
        "ExternalId": aws.facts["external_id"],
    }
    wish = {name: value for name, value in (wish | changes).items() if value is not None}
    return task.client("sts").assume_role(**wish)


def static(credentials):
    """A session with a role session's keys as they are."""
    return boto3.Session(
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
        region_name="us-east-1",
    )


def refreshing(task, aws):
    """A session that assumes the source's role again whenever it must."""
    fetcher = AssumeRoleCredentialFetcher(
        task._session.create_client,
        task.get_credentials(),
        aws.facts["source_role_arn"],
        extra_args={"ExternalId": aws.facts["external_id"], "RoleSessionName": "test"},
    )
    session = botocore.session.Session()
    session._credentials = DeferredRefreshableCredentials(
        fetcher.fetch_credentials, method="assume-role"
    )
    return boto3.Session(botocore_session=session, region_name="us-east-1")


def code(caught):
    return caught.value.response["Error"]["Code"]


def test_a_program_runs_under_the_task_role(task):
    """
    botocore's own container provider finds the role's credentials; they are the target account's.
    """
    identity = task.client("sts").get_caller_identity()

    assert identity["Account"] == "987654321098"
    assert ":assumed-role/aurora-restore-task/" in identity["Arn"]
    assert task.get_credentials().method == "container-role"
    assert task.region_name == "us-west-2"


def test_the_container_endpoint_wants_its_token(aws):
    """
    Without the authorization token there are no credentials.
    """
    with pytest.raises(HTTPError, match="403"):
        urlopen(aws.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"])  # noqa: S310  the sandbox's


def test_an_assumed_role_acts_in_the_other_account(task, aws):
    """
    The same program sees the source's clusters through the role, and its own without.
    """
    reply = assume(task, aws)
    source = static(reply["Credentials"])

    there = source.client("rds").describe_db_clusters()["DBClusters"]
    here = task.client("rds").describe_db_clusters()["DBClusters"]
    identity = source.client("sts").get_caller_identity()
    assert [cluster["DBClusterIdentifier"] for cluster in there] == ["production"]
    assert [cluster["DBClusterIdentifier"] for cluster in here] == ["staging"]
    assert identity["Arn"] == reply["AssumedRoleUser"]["Arn"]
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/aurora-restore-source/test"
    assert identity["UserId"] == reply["AssumedRoleUser"]["AssumedRoleId"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ExternalId": "wrong"},
        {"ExternalId": None},
        {"RoleArn": "arn:aws:iam::123456789012:role/no-such-role"},
        {"RoleArn": "arn:aws:iam::987654321098:role/aurora-restore-task"},
    ],
)
def test_a_role_lets_in_only_whom_its_trust_policy_names(task, aws, changes):
    """
    A wrong or missing external id, an unknown role, a role for ECS only: AccessDenied.
    """
    with pytest.raises(ClientError, match=r"not authorized to perform: sts:AssumeRole") as caught:
        assume(task, aws, **changes)

    assert code(caught) == "AccessDenied"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_principal_that_the_trust_policy_does_not_name_is_refused(aws):
    """
    An administrator of a third account knows the external id and gets nothing all the same.
    """
    with pytest.raises(ClientError) as caught:
        assume(aws.session("111122223333"), aws)

    assert code(caught) == "AccessDenied"


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (3601, "1 hour session limit for roles assumed by role chaining"),
        (43201, "less than or equal to 43200"),
    ],
)
def test_a_chained_session_lasts_at_most_an_hour(task, aws, seconds, message):
    """
    A session that assumes a role cannot ask for more than 3600 seconds; nobody for 43201.
    """
    with pytest.raises(ClientError, match=message) as caught:
        assume(task, aws, DurationSeconds=seconds)

    assert code(caught) == "ValidationError"


def test_static_keys_of_a_session_expire_with_the_compressed_hour(task, aws):
    """
    The reply's Expiration is real: after it RDS says ExpiredToken, a refreshing client goes on.
    """
    credentials = assume(task, aws)["Credentials"]
    old, fresh = static(credentials).client("rds"), refreshing(task, aws).client("rds")
    old.describe_db_clusters()
    fresh.describe_db_clusters()
    left = credentials["Expiration"].timestamp() - time.time()

    time.sleep(HOUR)

    assert 0 < left < HOUR
    with pytest.raises(ClientError) as caught:
        old.describe_db_clusters()
    assert code(caught) == "ExpiredToken"
    assert fresh.describe_db_clusters()["DBClusters"]


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("dynamodb", "list_tables", "ExpiredTokenException"),
        ("kms", "list_keys", "ExpiredTokenException"),
        ("secretsmanager", "list_secrets", "ExpiredTokenException"),
        ("sns", "list_topics", "ExpiredToken"),
        ("sts", "get_caller_identity", "ExpiredToken"),
        ("ec2", "describe_vpcs", "ExpiredToken"),
    ],
)
def test_every_service_refuses_an_expired_key(task, aws, service, operation, expected):
    """
    Each in the words of its protocol; `advance` expires keys as well as waiting does.
    """
    client = static(assume(task, aws)["Credentials"]).client(service)
    aws.advance(3601)

    with pytest.raises(ClientError) as caught:
        getattr(client, operation)()

    assert code(caught) == expected
    assert caught.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("rds", "describe_db_clusters", "InvalidClientTokenId"),
        ("dynamodb", "list_tables", "UnrecognizedClientException"),
        ("sqs", "list_queues", "UnrecognizedClientException"),
    ],
)
def test_an_unknown_key_is_refused(task, aws, service, operation, expected):
    """
    A made-up key, and a session's key without its token, belong to nobody.
    """
    made_up = boto3.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name="us-west-2")
    known = assume(task, aws)["Credentials"]
    without = boto3.Session(known["AccessKeyId"], known["SecretAccessKey"], region_name="us-west-2")

    for session in (made_up, without):
        with pytest.raises(ClientError) as caught:
            getattr(session.client(service), operation)()
        assert code(caught) == expected


def test_a_key_of_another_account_is_found_only_if_its_policy_says_so(aws):
    """
    The source's key can be described from the target by its ARN; the target's from the source not.
    """
    shared, private = aws.facts["source_key_arn"], aws.facts["target_key_arn"]

    found = aws.client("kms", "target", "us-east-1").describe_key(KeyId=shared)["KeyMetadata"]
    with pytest.raises(ClientError) as caught:
        aws.client("kms", "source", "us-west-2").describe_key(KeyId=private)

    assert (found["Arn"], found["AWSAccountId"]) == (shared, "123456789012")
    assert code(caught) == "AccessDeniedException"
