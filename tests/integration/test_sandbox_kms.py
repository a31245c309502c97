"""Who may use a KMS key: policies, states, DryRun, the key of RDS itself."""

import boto3
import pytest
from botocore.exceptions import ClientError
from rds_world import SOURCE, TARGET, World, key_policy

VIEWER = f"arn:aws:iam::{TARGET}:role/key-viewer"
TASK = f"arn:aws:iam::{TARGET}:role/aurora-restore-task"
DRY = {
    "create_grant": {"GranteePrincipal": TASK, "Operations": ["Decrypt"]},
    "decrypt": {"CiphertextBlob": b"text"},
    "encrypt": {"Plaintext": b"text"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
}


@pytest.fixture
def role(aws, monkeypatch):
    """KMS clients of the product's role in the target account, by Region."""
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    return lambda region="us-west-2": session.client("kms", region_name=region)


def make_key(aws, policy=None, account="target", region=None):
    more = {} if policy is None else {"Policy": policy}
    return aws.client("kms", account, region).create_key(**more)["KeyMetadata"]["Arn"]


def outcome(call, **wish):
    """The code of the error that the call ends with, "" if it goes well."""
    try:
        call(**wish)
    except ClientError as problem:
        return problem.response["Error"]["Code"]
    return ""


def try_grant(kms, key):
    """What a dry run of CreateGrant says."""
    return outcome(kms.create_grant, KeyId=key, DryRun=True, **DRY["create_grant"])


@pytest.mark.parametrize("operation", sorted(DRY))
def test_a_dry_run_says_that_the_call_would_go_well_and_does_nothing(aws, role, operation):
    """
    DryRunOperationException is the good news; there is no grant afterwards.
    """
    key = aws.facts["target_key_arn"]

    assert outcome(getattr(role(), operation), KeyId=key, DryRun=True, **DRY[operation]) == (
        "DryRunOperationException"
    )
    assert aws.client("kms").list_grants(KeyId=key)["Grants"] == []


def test_a_dry_run_ends_like_the_call_itself(aws, role):
    """
    A missing, a disabled and a dying key each have their code, with DryRun and without.
    """
    disabled, dying = make_key(aws), make_key(aws)
    admin = aws.client("kms")
    admin.disable_key(KeyId=disabled.rpartition("/")[2])
    admin.schedule_key_deletion(KeyId=dying.rpartition("/")[2])
    missing = f"{disabled[:-12]}000000000000"
    expected = {
        missing: "NotFoundException",
        disabled: "DisabledException",
        dying: "KMSInvalidStateException",
        "alias/none": "NotFoundException",
    }

    assert {key: try_grant(role(), key) for key in expected} == expected
    real = {key: outcome(role().create_grant, KeyId=key, **DRY["create_grant"]) for key in expected}
    assert real == expected


def test_key_of_another_account_needs_a_policy_that_lets_the_caller_in(aws, role):
    """
    The world's source key does; one that names its own account alone, or none, does not.
    """
    kms = role("us-east-1")
    private = make_key(aws, account="source")
    for_role = make_key(aws, key_policy(SOURCE, TASK), "source")
    for_other = make_key(aws, key_policy(SOURCE, VIEWER), "source")
    look_only = make_key(
        aws, key_policy(SOURCE, TARGET, actions=["kms:DescribeKey", "kms:PutKeyPolicy"]), "source"
    )
    keys = [aws.facts["source_key_arn"], for_role, private, for_other, look_only]

    good, denied = "DryRunOperationException", "AccessDeniedException"
    assert [try_grant(kms, key) for key in keys] == [good, good, denied, denied, denied]
    looks = [outcome(kms.describe_key, KeyId=key) for key in keys]
    assert looks == ["", "", denied, denied, ""]


def test_key_of_ones_own_account_can_shut_its_roles_out(aws, role):
    """
    A policy without the account's root leaves IAM nothing to allow; the administrator gets in.
    """
    closed = make_key(aws, key_policy(VIEWER))
    named = make_key(aws, key_policy(TASK))
    kms, admin = role(), aws.client("kms")

    assert outcome(kms.describe_key, KeyId=closed) == "AccessDeniedException"
    assert try_grant(kms, closed) == "AccessDeniedException"
    assert try_grant(kms, named) == "DryRunOperationException"
    assert try_grant(admin, closed) == "DryRunOperationException"
    assert outcome(admin.describe_key, KeyId=closed) == ""


def test_an_explicit_deny_wins_and_a_condition_does_not_hold_for_people(aws, role):
    """
    kms:GrantIsForAWSResource is met by RDS only.
    """
    condition = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    for_rds = make_key(aws, key_policy(TARGET, Condition=condition))
    denying = key_policy(TARGET).replace("}]}", "}, %s]}")
    deny = f'{{"Effect": "Deny", "Principal": {{"AWS": "{TASK}"}}, "Action": "kms:CreateGrant"}}'
    denied = make_key(aws, denying % deny)

    assert try_grant(role(), for_rds) == "AccessDeniedException"
    assert try_grant(role(), denied) == "AccessDeniedException"
    assert outcome(role().describe_key, KeyId=denied) == ""


def test_rds_uses_a_key_only_for_whom_its_policy_lets_in(aws, monkeypatch):
    """
    A cluster of the product's role cannot get a key that shuts the role out.
    """
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    rds = boto3.Session().client("rds")
    condition = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    wish = {
        "Engine": "aurora-postgresql",
        "MasterUsername": "postgres",
        "MasterUserPassword": "long-enough",
        "StorageEncrypted": True,
    }

    def create(name, policy):
        key = make_key(aws, policy)
        return outcome(rds.create_db_cluster, DBClusterIdentifier=name, KmsKeyId=key, **wish)

    assert create("closed", key_policy(VIEWER)) == "KMSKeyNotAccessibleFault"
    assert create("open", key_policy(TARGET, Condition=condition)) == ""


def test_a_default_key_is_told_by_its_manager(aws, role):
    """
    A cluster without KmsKeyId is under aws/rds: KeyManager AWS, ours to look at, not to grant.
    """
    made = aws.client("rds").create_db_cluster(
        DBClusterIdentifier="default-key",
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="long-enough",
        StorageEncrypted=True,
    )["DBCluster"]
    key, kms = made["KmsKeyId"], role()
    theirs = aws.client("kms", "source", "us-west-2")

    found = [kms.describe_key(KeyId=name)["KeyMetadata"] for name in (key, "alias/aws/rds")]
    assert [each["Arn"] for each in found] == [key, key]
    assert [each["KeyManager"] for each in found] == ["AWS", "AWS"]
    own = kms.describe_key(KeyId="alias/aurora-target")["KeyMetadata"]
    assert own["KeyManager"] == "CUSTOMER"
    assert try_grant(kms, key) == "AccessDeniedException"
    assert outcome(theirs.describe_key, KeyId=key) == "AccessDeniedException"


@pytest.mark.parametrize("actions", ["kms:*", ["kms:DescribeKey", "kms:Decrypt"]])
def test_copy_and_restore_need_a_source_key_that_lets_the_account_in(
    aurora: World, actions: str | list[str]
) -> None:
    """
    Sharing the snapshot is not enough: the key's policy must let the other account use it.
    """
    kms = aurora.client("kms", SOURCE)
    key = aurora.facts[SOURCE]["key"].rpartition("/")[2]
    here = aurora.client("rds", TARGET, "us-east-1")
    own = aurora.client("kms", TARGET, "us-east-1").create_key()["KeyMetadata"]["Arn"]
    accounts = [SOURCE] if actions == "kms:*" else [SOURCE, TARGET]
    kms.put_key_policy(
        KeyId=key, PolicyName="default", Policy=key_policy(*accounts, actions=actions)
    )

    with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
        aurora.copy(aurora.facts["daily"], "copy-1")
    with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
        here.restore_db_cluster_from_snapshot(
            DBClusterIdentifier="direct",
            SnapshotIdentifier=aurora.facts["daily"],
            Engine="aurora-postgresql",
            KmsKeyId=own,
        )
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(SOURCE, TARGET))
    assert aurora.copy(aurora.facts["daily"], "copy-1")["Status"] == "copying"
