"""What may be wrong with a refresh, each with how it comes about and what its remedy says."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import clients
from stage import HOUR, Stage

Act = Callable[[Stage], object]
TAG = "aurora-restore:managed"
FOREIGN = "111111111111"
OWN = {"source_account_id": "987654321098", "source_region": "us-west-2"}
NEW = {
    "target_cluster_id": "fresh",
    "kms_key_id": "alias/aurora-target",
}


@dataclass(frozen=True)
class Fault:
    """A fault: how it is planted, which check finds it, words of what it says, and its remedy."""

    name: str
    check: str
    says: str
    plant: Act
    cure: Act


def all_of(*acts: Act) -> Act:
    """Return what does each of these, in their order."""

    def act(stage: Stage) -> None:
        for each in acts:
            each(stage)

    return act


def wish(**wishes: object) -> Act:
    return lambda at: at.wish(**wishes)


def unwish(*fields: str) -> Act:
    return lambda at: at.unwish(*fields)


def setting(name: str, text: str | None) -> Act:
    return lambda at: at.setting(name, text)


def unset(name: str) -> Act:
    return lambda at: at.unset(name)


def fail(service: str, operation: str, code: str = "AccessDenied") -> Act:
    return lambda at: at.fail(service, operation, code)


def plant(failure: str, /, **options: object) -> Act:
    return lambda at: at.aws.plant(failure, **options)


def clear(at: Stage) -> None:
    at.aws.clear()


def role(secret: str) -> Act:
    return wish(roles=[{"name": "app", "secret_id": secret}])


def put_secret_back(at: Stage) -> None:
    at.secret(at.kept["aurora-restore/app"])


def key_id(at: Stage, fact: str) -> str:
    """Return a key's id: some of the emulator's operations take nothing else."""
    return str(at.facts[fact]).rpartition("/")[2]


def disable(side: str, fact: str, region: str | None = None) -> Act:
    return lambda at: at.kms(side, region).disable_key(KeyId=key_id(at, fact))


def enable(side: str, fact: str, region: str | None = None) -> Act:
    return lambda at: at.kms(side, region).enable_key(KeyId=key_id(at, fact))


def schedule(side: str, fact: str) -> Act:
    return lambda at: at.kms(side).schedule_key_deletion(KeyId=key_id(at, fact))


def unschedule(side: str, fact: str) -> Act:
    return all_of(
        lambda at: at.kms(side).cancel_key_deletion(KeyId=key_id(at, fact)), enable(side, fact)
    )


def odd_table(at: Stage) -> None:
    at.aws.client("dynamodb").create_table(
        TableName="odd-table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    at.setting("STATE_TABLE", "odd-table")


def failed_snapshot(at: Stage) -> None:
    at.aws.plant("snapshot-failed")
    at.snapshot("broken", at.facts["source_cluster"])
    at.wish(snapshot_id="broken")


def share(at: Stage) -> None:
    at.source.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=at.facts["snapshot"],
        AttributeName="restore",
        ValuesToAdd=[at.facts["target_account"]],
    )


def signing_key(at: Stage) -> None:
    made = at.kms().create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    at.wish(kms_key_id=made["KeyMetadata"]["Arn"])


def default_key_snapshot(at: Stage) -> None:
    at.snapshot_of_new("under-default", StorageEncrypted=True)


def one_zone(at: Stage) -> None:
    at.target.create_db_subnet_group(
        DBSubnetGroupName="narrow",
        DBSubnetGroupDescription="one zone",
        SubnetIds=at.facts["subnet_ids"][:1],
    )
    at.wish(db_subnet_group_name="narrow")


def strange_network(at: Stage) -> None:
    ec2 = at.aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_security_group(GroupName="other", Description="other", VpcId=vpc)
    at.wish(security_group_ids=[made["GroupId"]])


def cluster_group_of_18(at: Stage) -> None:
    at.target.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="of-18",
        DBParameterGroupFamily="aurora-postgresql18",
        Description="of another version",
    )
    at.wish(cluster_parameter_group="of-18")


def group_of_18(at: Stage) -> None:
    at.target.create_db_parameter_group(
        DBParameterGroupName="of-18",
        DBParameterGroupFamily="aurora-postgresql18",
        Description="of another version",
    )
    at.wish(instance_parameter_group="of-18")


def instance_arn(at: Stage) -> str:
    found = at.target.describe_db_instances(DBInstanceIdentifier="staging-2")["DBInstances"]
    return str(found[0]["DBInstanceArn"])


def untag_instance(at: Stage) -> None:
    at.target.remove_tags_from_resource(ResourceName=instance_arn(at), TagKeys=[TAG])


def tag_instance(at: Stage) -> None:
    at.target.add_tags_to_resource(
        ResourceName=instance_arn(at), Tags=[{"Key": TAG, "Value": "true"}]
    )


def untag(at: Stage) -> None:
    arn = at.facts["target_cluster_arn"]
    at.target.remove_tags_from_resource(ResourceName=arn, TagKeys=[TAG])


def tag(at: Stage) -> None:
    arn = at.facts["target_cluster_arn"]
    at.target.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": TAG, "Value": "true"}])


def stop(at: Stage) -> None:
    at.target.stop_db_cluster(DBClusterIdentifier="staging")
    at.aws.advance(HOUR)


def start(at: Stage) -> None:
    at.target.start_db_cluster(DBClusterIdentifier="staging")
    at.aws.advance(HOUR)


def make_global(at: Stage) -> None:
    at.target.create_global_cluster(
        GlobalClusterIdentifier="world",
        SourceDBClusterIdentifier=at.facts["target_cluster_arn"],
    )
    at.aws.advance(HOUR)


def free_of_global(at: Stage) -> None:
    at.target.remove_from_global_cluster(
        GlobalClusterIdentifier="world", DbClusterIdentifier=at.facts["target_cluster_arn"]
    )
    at.aws.advance(HOUR)


def replicate(at: Stage) -> None:
    at.cluster("replica", ReplicationSourceIdentifier=at.facts["target_cluster_arn"])


def delete(name: str) -> Act:
    def act(at: Stage) -> None:
        at.target.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
        at.aws.advance(HOUR)

    return act


def taken_instance(at: Stage) -> None:
    at.cluster("other")
    at.instance("fresh-1", "other")
    at.wish(**NEW)


def rename_instance(at: Stage) -> None:
    at.target.modify_db_instance(
        DBInstanceIdentifier="fresh-1", NewDBInstanceIdentifier="gone-1", ApplyImmediately=True
    )
    at.aws.advance(HOUR)


def delete_instance(name: str) -> Act:
    def act(at: Stage) -> None:
        at.target.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        at.aws.advance(HOUR)

    return act


def delete_snapshot(name: str) -> Act:
    return lambda at: at.target.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)


def mysql_cluster(at: Stage) -> None:
    at.cluster("old-mysql", Engine="aurora-mysql", MasterUsername="admin")
    at.wish(target_cluster_id="fresh", replaces="old-mysql")


def foreign_key(at: Stage) -> None:
    kms = at.kms("source", "us-west-2")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    at.policy("source", key, "123456789012", "987654321098", region="us-west-2")
    at.wish(kms_key_id=key)


def default_key(at: Stage) -> str:
    arn: str = at.kms("source").describe_key(KeyId="alias/aws/rds")["KeyMetadata"]["Arn"]
    return arn


def empty_cluster(at: Stage) -> None:
    at.cluster("empty", Tags=[{"Key": TAG, "Value": "true"}])
    at.wish(target_cluster_id="empty", instance_class=None)


def being_deleted(at: Stage) -> None:
    at.cluster("going", Tags=[{"Key": TAG, "Value": "true"}])
    at.aws.plant("delete-stuck", identifier="going")
    at.target.delete_db_cluster(DBClusterIdentifier="going", SkipFinalSnapshot=True)
    at.wish(target_cluster_id="going")


def deleted(at: Stage) -> None:
    at.wish(target_cluster_id="fresh")


ACCOUNT_FAULTS = [
    Fault(
        "another target account",
        "target-account",
        "the request says 111111111111",
        wish(target_account_id=FOREIGN),
        unwish("target_account_id"),
    ),
    Fault(
        "another source account",
        "source-account",
        "the request says 111111111111",
        wish(source_account_id=FOREIGN),
        unwish("source_account_id"),
    ),
    Fault(
        "source role denied",
        "source-account",
        "its credentials were refused",
        all_of(lambda _: clients.forget(), plant("assume-role-denied")),
        clear,
    ),
    Fault(
        "external id guessed",
        "source-account",
        "its credentials were refused",
        setting("SOURCE_EXTERNAL_ID", "guessed"),
        unset("SOURCE_EXTERNAL_ID"),
    ),
    Fault(
        "no such source role",
        "source-account",
        "its credentials were refused",
        setting("SOURCE_ROLE_ARN", "arn:aws:iam::123456789012:role/none"),
        unset("SOURCE_ROLE_ARN"),
    ),
    Fault(
        "account not allowed",
        "allow-list",
        "not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS",
        setting("ALLOWED_TARGET_ACCOUNTS", f'["{FOREIGN}"]'),
        unset("ALLOWED_TARGET_ACCOUNTS"),
    ),
    Fault(
        "cluster not allowed",
        "allow-list",
        "does not match AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS (stag)",
        setting("ALLOWED_TARGET_CLUSTERS", "stag"),
        setting("ALLOWED_TARGET_CLUSTERS", "stag.*"),
    ),
    Fault(
        "no such table",
        "records-table",
        "no such table in Region us-west-2, or it is not ACTIVE",
        setting("STATE_TABLE", "no-such-table"),
        unset("STATE_TABLE"),
    ),
    Fault(
        "a table with other keys",
        "records-table",
        "its keys are not operation_id and step",
        odd_table,
        unset("STATE_TABLE"),
    ),
    Fault(
        "table denied",
        "records-table",
        "Grant dynamodb:Query to role aurora-restore-task",
        fail("dynamodb", "Query", "AccessDeniedException"),
        clear,
    ),
    Fault(
        "no such topic",
        "topic",
        "it cannot be used (NotFound)",
        setting("TOPIC_ARN", "arn:aws:sns:us-west-2:987654321098:none"),
        unset("TOPIC_ARN"),
    ),
    Fault(
        "topic denied",
        "topic",
        "it cannot be used (AuthorizationError)",
        fail("sns", "GetTopicAttributes", "AuthorizationError"),
        clear,
    ),
    Fault(
        "no such secret",
        "secrets",
        "no such secret in the target account and Region",
        role("no-such-secret"),
        role("aurora-restore/app"),
    ),
    Fault(
        "secret denied",
        "secrets",
        "Grant secretsmanager:GetSecretValue",
        plant("secret-denied"),
        clear,
    ),
    Fault(
        "secret in another form",
        "secrets",
        "is neither a JSON object with a `password` text nor a password alone",
        lambda at: at.secret('["plain"]'),
        put_secret_back,
    ),
    Fault(
        "secret without password",
        "secrets",
        "is neither a JSON object with a `password` text nor a password alone",
        lambda at: at.secret(json.dumps({"username": "app"})),
        put_secret_back,
    ),
    Fault(
        "secret being deleted",
        "secrets",
        "the secret cannot be read",
        lambda at: at.aws.client("secretsmanager").delete_secret(SecretId="aurora-restore/app"),
        lambda at: at.aws.client("secretsmanager").restore_secret(SecretId="aurora-restore/app"),
    ),
    Fault(
        "master password that RDS refuses",
        "secrets",
        "Use 8 to 41 printable ASCII characters",
        all_of(
            lambda at: at.secret('{"password": "with space"}'),
            wish(master_secret_id="aurora-restore/app"),
        ),
        lambda at: at.secret('{"password": "without-space"}'),
    ),
    Fault(
        "role is the master",
        "roles",
        "this is the cluster's master user",
        all_of(
            lambda at: at.snapshot_of_new("of-chief", MasterUsername="chief"),
            wish(kms_key_id=None, roles=[{"name": "chief", "secret_id": "aurora-restore/app"}]),
        ),
        role("aurora-restore/app"),
    ),
]

SCRIPT = [{"file": "mask.sql"}]
APP = {"name": "app", "secret_id": "aurora-restore/app"}
ROLE_FILE = b"roles:\n- {name: app, secret_id: aurora-restore/app}\n"


def script(content: bytes) -> Act:
    return lambda at: at.file("mask.sql", content)


def in_hours(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def role_file(content: bytes) -> Act:
    return lambda at: at.file("roles.yaml", content)


def bad_script(name: str, says: str, content: bytes) -> Fault:
    plant = all_of(script(content), wish(scripts=SCRIPT))
    return Fault(name, "scripts", says, plant, script(b"SELECT 1;"))


def bad_role_file(name: str, check: str, says: str, content: bytes) -> Fault:
    plant = all_of(role_file(content), wish(roles=[], roles_file="roles.yaml"))
    return Fault(name, check, says, plant, role_file(ROLE_FILE))


DATABASE_FAULTS = [
    bad_script("script is not UTF-8", "line 2 is not UTF-8", b"SELECT 1;\n-- \xe9\n"),
    bad_script("script begins a transaction", "line 2", b"-- x\nBEGIN;\nSELECT 1;"),
    bad_script("script ends a transaction", "line 2", b"SELECT 1;\nCOMMIT AND CHAIN;"),
    bad_script("script of psql", "line 1", b"\\i other.sql"),
    bad_script("script without an end", "line 2", b"SELECT 1;\nSELECT 'x"),
    bad_script("script without a statement", "there is no statement in it", b"-- nothing\n"),
    Fault(
        "no such script",
        "scripts",
        "there is no such file",
        wish(scripts=[{"file": "none.sql"}]),
        all_of(script(b"SELECT 1;"), wish(scripts=SCRIPT)),
    ),
    Fault(
        "script of S3 without a version",
        "scripts",
        "it does not name one version of an object",
        wish(scripts=[{"file": "s3://bucket/mask.sql"}]),
        all_of(script(b"SELECT 1;"), wish(scripts=SCRIPT)),
    ),
    bad_role_file(
        "role file with an unknown key",
        "role-file",
        "roles.0.acess: unknown field",
        b"roles:\n- {name: app, acess: read_only}\n",
    ),
    bad_role_file("role file that is no YAML", "role-file", "line 3", b"roles:\n- {name: app\n"),
    bad_role_file(
        "role file with one name twice",
        "roles",
        "['app'] stand twice",
        b"roles:\n- {name: app}\n- {name: app}\n",
    ),
    bad_role_file(
        "role file with a circle",
        "roles",
        "circular membership",
        b"roles:\n- {name: a, member_of: [b]}\n- {name: b, member_of: [a]}\n",
    ),
    bad_role_file(
        "role file with a secret that is not there",
        "secrets",
        "no such secret",
        b"roles:\n- {name: app, secret_id: none}\n",
    ),
    Fault(
        "IAM login of a cluster without IAM",
        "roles",
        "which the new cluster will not allow",
        wish(roles=[{"name": "app", "iam": True}]),
        wish(iam_authentication=True),
    ),
    Fault(
        "password that has expired",
        "roles",
        "its password is valid until 2024-03-20 00:00 UTC, and the refresh may last until",
        wish(roles=[APP | {"valid_until": "2024-03-20T00:00:00Z"}]),
        wish(roles=[APP | {"valid_until": "2999-01-01T00:00:00Z"}]),
    ),
    Fault(
        "password that expires before the refresh ends",
        "roles",
        "Set valid_until to a later moment, or leave it out",
        all_of(
            setting("COPY_POLL__GIVE_UP_AFTER", "43200"),
            lambda at: at.wish(roles=[APP | {"valid_until": in_hours(11)}]),
        ),
        lambda at: at.wish(roles=[APP | {"valid_until": in_hours(24)}]),
    ),
    Fault(
        "login without a session",
        "roles",
        "its connection limit of 0 lets no session in",
        wish(roles=[APP | {"connection_limit": 0}]),
        wish(roles=[APP | {"connection_limit": 1}]),
    ),
]

SNAPSHOT_FAULTS = [
    Fault(
        "no such snapshot",
        "source-snapshot",
        "no such cluster snapshot in account 123456789012, Region us-east-1",
        wish(snapshot_id="none"),
        unwish("snapshot_id"),
    ),
    Fault(
        "no snapshot of the cluster",
        "source-snapshot",
        "it has no available manual snapshot",
        wish(snapshot_id=None, source_cluster_id="nobody"),
        wish(source_cluster_id="production"),
    ),
    Fault(
        "failed snapshot",
        "source-snapshot",
        "its status is 'failed', so it never becomes available",
        failed_snapshot,
        unwish("snapshot_id"),
    ),
    Fault(
        "snapshot of another engine",
        "source-snapshot",
        "its engine is 'aurora-mysql'",
        all_of(
            lambda at: at.snapshot_of_new(
                "of-mysql", Engine="aurora-mysql", MasterUsername="admin"
            ),
            wish(kms_key_id=None),
        ),
        unwish("snapshot_id", "kms_key_id"),
    ),
    Fault(
        "snapshot not shared",
        "source-snapshot",
        "not found, or not shared with account 987654321098",
        setting("SOURCE_ROLE_ARN", None),
        share,
    ),
    Fault(
        "snapshot denied",
        "source-snapshot",
        "Grant rds:DescribeDBClusterSnapshots to role",
        plant("source-denied"),
        clear,
    ),
    Fault(
        "snapshot of the cluster that is replaced",
        "source-snapshot",
        "was taken from the cluster that would be deleted",
        all_of(
            lambda at: at.snapshot("own", "staging", "target"),
            wish(**OWN, snapshot_id="own", roles=[]),
        ),
        wish(target_cluster_id="fresh"),
    ),
    Fault(
        "version not offered any more",
        "engine-version",
        "Region us-west-2 does not offer it",
        plant("version-withdrawn", version="16.14"),
        wish(engine_version="16.15"),
    ),
    Fault(
        "version that never was",
        "engine-version",
        "Region us-west-2 does not offer it",
        wish(engine_version="17.1"),
        unwish("engine_version"),
    ),
    Fault(
        "version older than the snapshot's",
        "engine-version",
        "AWS restores none as an older version",
        all_of(
            lambda at: at.snapshot_of_new("newer", EngineVersion="16.15"),
            wish(engine_version="16.14", kms_key_id=None),
        ),
        unwish("engine_version"),
    ),
    Fault(
        "versions denied",
        "engine-version",
        "Grant rds:DescribeDBEngineVersions to role aurora-restore-task",
        fail("rds", "DescribeDBEngineVersions"),
        clear,
    ),
    Fault(
        "two hops without a key",
        "copy-route",
        "no key is given for the copy in Region us-east-1",
        wish(copy_route="two-hops"),
        lambda at: at.wish(hop_kms_key_id=at.facts["hop_key_arn"]),
    ),
    Fault(
        "default key without another",
        "copy-route",
        "is under the default key aws/rds, which cannot be shared",
        default_key_snapshot,
        lambda at: at.wish(source_kms_key_id=at.facts["source_key_arn"]),
    ),
    Fault(
        "attributes denied",
        "copy-route",
        "Grant rds:DescribeDBClusterSnapshotAttributes to role",
        fail("rds", "DescribeDBClusterSnapshotAttributes"),
        clear,
    ),
    Fault(
        "shared with twenty already",
        "copy-route",
        "it is shared with 20 accounts already",
        lambda at: at.source.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=at.facts["snapshot"],
            AttributeName="restore",
            ValuesToAdd=[f"2222222222{number}" for number in range(10, 30)],
        ),
        lambda at: at.source.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=at.facts["snapshot"],
            AttributeName="restore",
            ValuesToRemove=["222222222210"],
        ),
    ),
]

KEY_FAULTS = [
    Fault(
        "source key disabled",
        "source-key",
        "its state is Disabled",
        disable("source", "source_key_arn"),
        enable("source", "source_key_arn"),
    ),
    Fault(
        "source key being deleted",
        "source-key",
        "it is pending deletion",
        schedule("source", "source_key_arn"),
        unschedule("source", "source_key_arn"),
    ),
    Fault(
        "source key closed to the target",
        "source-key",
        "account 987654321098 may not use it",
        lambda at: at.policy("source", at.facts["source_key_arn"], "123456789012"),
        lambda at: at.put_policy_back("source", at.facts["source_key_arn"]),
    ),
    Fault(
        "no such key",
        "target-key",
        "no such KMS key in Region us-west-2",
        wish(kms_key_id="alias/none"),
        unwish("kms_key_id"),
    ),
    Fault(
        "target key disabled",
        "target-key",
        "its state is Disabled",
        disable("target", "target_key_arn"),
        enable("target", "target_key_arn"),
    ),
    Fault(
        "target key being deleted",
        "target-key",
        "it is pending deletion",
        schedule("target", "target_key_arn"),
        unschedule("target", "target_key_arn"),
    ),
    Fault(
        "target key closed to the role",
        "target-key",
        "Let role aurora-restore-task use it",
        lambda at: at.policy("target", at.facts["target_key_arn"], FOREIGN),
        lambda at: at.put_policy_back("target", at.facts["target_key_arn"]),
    ),
    Fault(
        "key for signing",
        "target-key",
        "it is a key of kind RSA_2048 for SIGN_VERIFY",
        signing_key,
        unwish("kms_key_id"),
    ),
    Fault(
        "key of another Region",
        "target-key",
        "no such KMS key in Region us-west-2",
        lambda at: at.wish(kms_key_id=at.facts["hop_key_arn"]),
        unwish("kms_key_id"),
    ),
    Fault(
        "key of another account",
        "target-key",
        "it is of account 123456789012, Region us-west-2",
        foreign_key,
        unwish("kms_key_id"),
    ),
    Fault(
        "key for a snapshot without one",
        "target-key",
        "AWS does not encrypt it by copying",
        lambda at: at.snapshot_of_new("plain"),
        wish(kms_key_id=None),
    ),
    Fault(
        "hop key disabled",
        "hop-key",
        "its state is Disabled",
        all_of(
            wish(copy_route="two-hops"),
            lambda at: at.wish(hop_kms_key_id=at.facts["hop_key_arn"]),
            disable("target", "hop_key_arn", "us-east-1"),
        ),
        enable("target", "hop_key_arn", "us-east-1"),
    ),
    Fault(
        "hop key of another Region",
        "hop-key",
        "no such KMS key in Region us-east-1",
        wish(copy_route="two-hops", hop_kms_key_id="alias/none"),
        wish(hop_kms_key_id="alias/aurora-target"),
    ),
    Fault(
        "key for sharing closed to the target",
        "source-copy-key",
        "account 987654321098 may not use it",
        all_of(
            default_key_snapshot,
            lambda at: at.wish(source_kms_key_id=at.facts["source_key_arn"]),
            lambda at: at.policy("source", at.facts["source_key_arn"], "123456789012"),
        ),
        lambda at: at.put_policy_back("source", at.facts["source_key_arn"]),
    ),
    Fault(
        "key for sharing disabled",
        "source-copy-key",
        "its state is Disabled",
        all_of(
            default_key_snapshot,
            lambda at: at.wish(source_kms_key_id=at.facts["source_key_arn"]),
            disable("source", "source_key_arn"),
        ),
        enable("source", "source_key_arn"),
    ),
    Fault(
        "key for sharing that cannot be shared",
        "source-copy-key",
        "a key that AWS manages cannot be shared",
        all_of(default_key_snapshot, lambda at: at.wish(source_kms_key_id=default_key(at))),
        lambda at: at.wish(source_kms_key_id=at.facts["source_key_arn"]),
    ),
]


ROOM_FAULTS = [
    Fault(
        "no room for snapshots",
        "snapshot-quota",
        "the quota is used up",
        plant("quota", name="ManualClusterSnapshots", limit=1),
        clear,
    ),
    Fault(
        "no room for a second cluster",
        "cluster-quota",
        "1 of 1 used, 1 more needed",
        all_of(wish(replace="swap"), plant("quota", name="DBClusters", limit=1)),
        clear,
    ),
    Fault(
        "no room even in the old place",
        "cluster-quota",
        "1 of 0 used, 0 more needed",
        plant("quota", name="DBClusters", limit=0),
        clear,
    ),
    Fault(
        "no room for more instances",
        "instance-quota",
        "2 of 3 used, 2 more needed",
        all_of(wish(replace="swap"), plant("quota", name="DBInstances", limit=3)),
        clear,
    ),
    Fault(
        "target taken",
        "identifiers",
        "a cluster of this name exists, and `replaces` names another",
        wish(replaces="another"),
        wish(replaces="staging"),
    ),
    Fault(
        "temporary name taken",
        "identifiers",
        "cluster staging-new-op001",
        all_of(wish(replace="swap"), lambda at: at.cluster("staging-new-op001")),
        delete("staging-new-op001"),
    ),
    Fault(
        "name for the old cluster taken",
        "identifiers",
        "cluster staging-old-op001",
        all_of(wish(replace="swap"), lambda at: at.cluster("staging-old-op001")),
        delete("staging-old-op001"),
    ),
    Fault(
        "instance's name taken",
        "identifiers",
        "instance fresh-1: it exists as one of cluster other",
        taken_instance,
        delete_instance("fresh-1"),
    ),
    Fault(
        "copy's name taken",
        "identifiers",
        "target_snapshot mine: it exists",
        all_of(lambda at: at.snapshot("mine", "staging", "target"), wish(target_snapshot="mine")),
        delete_snapshot("mine"),
    ),
    Fault(
        "final snapshot's name taken",
        "identifiers",
        "final snapshot staging-final-op001",
        lambda at: at.snapshot("staging-final-op001", "staging", "target"),
        delete_snapshot("staging-final-op001"),
    ),
    Fault(
        "snapshots of the target denied",
        "identifiers",
        "Grant rds:DescribeDBClusterSnapshots to role aurora-restore-task",
        lambda at: at.fail("rds", "DescribeDBClusterSnapshots", account="987654321098"),
        clear,
    ),
]

CLUSTER_FAULTS = [
    Fault(
        "no such subnet group",
        "subnet-group",
        "no such DB subnet group",
        wish(db_subnet_group_name="nowhere"),
        unwish("db_subnet_group_name"),
    ),
    Fault(
        "subnet group of one zone",
        "subnet-group",
        "its subnets lie in 1 availability zone",
        one_zone,
        unwish("db_subnet_group_name"),
    ),
    Fault(
        "no such security group",
        "security-groups",
        "no such security group",
        wish(security_group_ids=["sg-0123456789abcdef0"]),
        unwish("security_group_ids"),
    ),
    Fault(
        "security group of another VPC",
        "security-groups",
        "the subnet group aurora-restore is of vpc-",
        strange_network,
        unwish("security_group_ids"),
    ),
    Fault(
        "no such cluster parameter group",
        "cluster-parameter-group",
        "no such DB cluster parameter group",
        wish(cluster_parameter_group="none"),
        unwish("cluster_parameter_group"),
    ),
    Fault(
        "cluster parameter group of another version",
        "cluster-parameter-group",
        "it is of family aurora-postgresql18",
        cluster_group_of_18,
        wish(cluster_parameter_group="default.aurora-postgresql16"),
    ),
    Fault(
        "no such parameter group",
        "instance-parameter-group",
        "no such DB parameter group",
        wish(instance_parameter_group="none"),
        unwish("instance_parameter_group"),
    ),
    Fault(
        "parameter group of another version",
        "instance-parameter-group",
        "it is of family aurora-postgresql18",
        group_of_18,
        wish(instance_parameter_group="default.aurora-postgresql16"),
    ),
    Fault(
        "default of another version",
        "cluster-parameter-group",
        "it is of family aurora-postgresql18",
        wish(cluster_parameter_group="default.aurora-postgresql18"),
        wish(cluster_parameter_group="default.aurora-postgresql16"),
    ),
    Fault(
        "class not offered any more",
        "instance-class",
        "Region us-west-2 does not offer it for version 16.14",
        plant("class-withdrawn", instance_class="db.r6g.large"),
        wish(instance_class="db.r6g.xlarge"),
    ),
    Fault(
        "class that never was",
        "instance-class",
        "Region us-west-2 does not offer it",
        wish(instance_class="db.r99.large"),
        unwish("instance_class"),
    ),
]

OLD_CLUSTER_FAULTS = [
    Fault("no consent", "old-cluster", "it lacks the tag aurora-restore:managed", untag, tag),
    Fault(
        "no consent for an instance",
        "old-cluster",
        "instance staging-2: it lacks the tag aurora-restore:managed",
        untag_instance,
        tag_instance,
    ),
    Fault(
        "deletion protection",
        "old-cluster",
        "deletion protection is on",
        lambda at: at.modify(DeletionProtection=True),
        wish(lift_deletion_protection=True),
    ),
    Fault("stopped", "old-cluster", "its status is 'stopped'", stop, start),
    Fault(
        "member of a global cluster",
        "old-cluster",
        "it is a member of the global cluster world",
        make_global,
        free_of_global,
    ),
    Fault(
        "read by a replica",
        "old-cluster",
        "it has read replicas",
        replicate,
        delete("replica"),
    ),
    Fault(
        "of another engine",
        "old-cluster",
        "its engine is 'aurora-mysql'",
        mysql_cluster,
        unwish("target_cluster_id", "replaces"),
    ),
    Fault(
        "being deleted by somebody",
        "old-cluster",
        "somebody is deleting it already",
        being_deleted,
        deleted,
    ),
    Fault(
        "clusters denied",
        "old-cluster",
        "Grant rds:DescribeDBClusters to role aurora-restore-task",
        fail("rds", "DescribeDBClusters"),
        clear,
    ),
    Fault(
        "nothing to inherit from",
        "inheritance",
        "db_subnet_group_name, security_group_ids: not given, and there is no cluster 'fresh'",
        wish(target_cluster_id="fresh", db_subnet_group_name=None, security_group_ids=None),
        unwish("db_subnet_group_name", "security_group_ids"),
    ),
    Fault(
        "no class to inherit",
        "inheritance",
        "instance_class: not given, and cluster 'empty' has none to inherit",
        empty_cluster,
        unwish("instance_class"),
    ),
]


FAULTS = [
    *DATABASE_FAULTS,
    *ACCOUNT_FAULTS,
    *SNAPSHOT_FAULTS,
    *KEY_FAULTS,
    *ROOM_FAULTS,
    *CLUSTER_FAULTS,
    *OLD_CLUSTER_FAULTS,
]
