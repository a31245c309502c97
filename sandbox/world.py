"""The world at the start: two accounts with what a restore finds there, made by ordinary calls."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from boto3 import Session
from botocore.config import Config
from psycopg2.extensions import connection

from sandbox.data import SOURCE, TARGET, connect, fill
from sandbox.databases import Databases
from sandbox.keys import host_keys
from sandbox.rds.clusters import find_cluster
from sandbox.rds.runtime import runtime
from sandbox.rds.snapshot import all_snapshots, automated_backup

MANAGED = {"Key": "aurora-restore:managed", "Value": "true"}
TEAM = {"Key": "team", "Value": "payments"}
KEY_USE = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*")


@dataclass(frozen=True)
class World:
    """Every name in it; random are only the ids that AWS would make up, and the passwords."""

    source_account: str = "123456789012"
    source_region: str = "us-east-1"
    source_cluster: str = "production"
    snapshot: str = "daily-backup-2024-03-20"
    source_key_alias: str = "alias/aurora-source"
    source_role: str = "aurora-restore-source"
    external_id: str = "aurora-restore"
    target_account: str = "987654321098"
    target_region: str = "us-west-2"
    target_cluster: str = "staging"
    target_key_alias: str = "alias/aurora-target"
    task_role: str = "aurora-restore-task"
    subnet_group: str = "aurora-restore"
    cluster_parameter_group: str = "aurora-restore-cluster"
    instance_parameter_group: str = "aurora-restore-instance"
    instance_class: str = "db.r6g.large"
    master_username: str = "postgres"
    table: str = "aurora-restore-state"
    table_index: str = "step-timestamp"
    target_index: str = "target-timestamp"
    topic: str = "aurora-restore"
    queue: str = "aurora-restore-inbox"
    app_secret: str = "aurora-restore/app"  # noqa: S105  names
    reporting_secret: str = "aurora-restore/reporting"  # noqa: S105
    master_secret: str = "aurora-restore/master"  # noqa: S105

    @property
    def source_role_arn(self) -> str:
        return f"arn:aws:iam::{self.source_account}:role/{self.source_role}"

    @property
    def task_role_arn(self) -> str:
        return f"arn:aws:iam::{self.target_account}:role/{self.task_role}"


class Builder:
    """Builds a `World` behind an endpoint."""

    def __init__(self, world: World, endpoint: str) -> None:
        self._world, self._endpoint = world, endpoint
        self._session = Session()
        self._source = {
            name: self._client(name, world.source_account, world.source_region)
            for name in ("iam", "kms", "rds")
        }
        self._target = {
            name: self._client(name, world.target_account, world.target_region)
            for name in ("dynamodb", "ec2", "iam", "kms", "rds", "secretsmanager", "sns", "sqs")
        }
        self._master_password = secrets.token_urlsafe(24)
        self.facts: dict[str, Any] = asdict(world) | {
            "source_role_arn": world.source_role_arn,
            "task_role_arn": world.task_role_arn,
        }

    def build(self, databases: Databases) -> dict[str, Any]:
        """Build everything and return the facts of it."""
        self.facts |= {"postgres_port": databases.port, "ca_file": str(databases.ca_file)}
        self._keys()
        with ThreadPoolExecutor(1) as pool:
            source = pool.submit(self._source_cluster, databases)
            self._network()
            self._parameter_groups()
            self._target_cluster(databases)
            self._roles()
            self._messages()
            self._table()
            self._secrets()
            source.result()
        return self.facts

    def _client(self, service: str, account: str, region: str) -> Any:
        key, secret = host_keys(account)
        return self._session.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=self._endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=60),
        )

    def _roles(self) -> None:
        world = self._world
        trust: dict[str, Any] = {"Principal": {"Service": "ecs-tasks.amazonaws.com"}}
        self._role(self._target["iam"], world.task_role, trust)
        only = {"StringEquals": {"sts:ExternalId": world.external_id}}
        trust = {"Principal": {"AWS": world.task_role_arn}, "Condition": only}
        self._role(self._source["iam"], world.source_role, trust)

    @staticmethod
    def _role(iam: Any, name: str, trust: dict[str, Any]) -> None:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole"} | trust
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)

    def _keys(self) -> None:
        world = self._world
        own = _allow(world.source_account, "kms:*")
        of_target = _allow(world.target_account, *KEY_USE, "kms:DescribeKey", "kms:CreateGrant")
        alone = [_allow(world.target_account, "kms:*")]
        hop = self._client("kms", world.target_account, world.source_region)
        for side, kms, alias, statements in (
            ("source", self._source["kms"], world.source_key_alias, [own, of_target]),
            ("target", self._target["kms"], world.target_key_alias, alone),
            ("hop", hop, world.target_key_alias, alone),  # for a copy in two steps
        ):
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            made = kms.create_key(Policy=policy, Description=f"Aurora storage, {side}")
            kms.create_alias(AliasName=alias, TargetKeyId=made["KeyMetadata"]["KeyId"])
            self.facts[f"{side}_key_arn"] = made["KeyMetadata"]["Arn"]

    def _network(self) -> None:
        ec2, rds, name = self._target["ec2"], self._target["rds"], self._world.subnet_group
        vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(
                VpcId=vpc,
                CidrBlock=f"10.20.{number}.0/24",
                AvailabilityZone=f"{self._world.target_region}{zone}",
            )["Subnet"]["SubnetId"]
            for number, zone in enumerate("abc")
        ]
        group = ec2.create_security_group(
            GroupName=name, Description="Aurora clusters that are restored", VpcId=vpc
        )["GroupId"]
        rds.create_db_subnet_group(
            DBSubnetGroupName=name,
            DBSubnetGroupDescription="Aurora clusters that are restored",
            SubnetIds=subnets,
        )
        self.facts |= {"vpc_id": vpc, "subnet_ids": subnets, "security_group_ids": [group]}

    def _parameter_groups(self) -> None:
        rds, world, family = self._target["rds"], self._world, "aurora-postgresql16"
        rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName=world.cluster_parameter_group,
            DBParameterGroupFamily=family,
            Description="Restored clusters",
        )
        rds.create_db_parameter_group(
            DBParameterGroupName=world.instance_parameter_group,
            DBParameterGroupFamily=family,
            Description="Instances of restored clusters",
        )

    def _messages(self) -> None:
        sns, sqs = self._target["sns"], self._target["sqs"]
        topic = sns.create_topic(Name=self._world.topic)["TopicArn"]
        queue = sqs.create_queue(QueueName=self._world.queue)["QueueUrl"]
        wanted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn = wanted["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        self.facts |= {"topic_arn": topic, "queue_url": queue, "queue_arn": arn}

    def _table(self) -> None:
        text = dict.fromkeys(("operation_id", "step", "target", "timestamp"), "S")
        made = self._target["dynamodb"].create_table(
            TableName=self._world.table,
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind in text.items()
            ],
            KeySchema=_schema("operation_id", "step"),
            GlobalSecondaryIndexes=[
                {
                    "IndexName": self._world.table_index,
                    "KeySchema": _schema("step", "timestamp"),
                    "Projection": {"ProjectionType": "ALL"},
                },
                {
                    "IndexName": self._world.target_index,
                    "KeySchema": _schema("target", "timestamp"),
                    "Projection": {"ProjectionType": "ALL"},
                },
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.facts["table_arn"] = made["TableDescription"]["TableArn"]

    def _secrets(self) -> None:
        world, keeper = self._world, self._target["secretsmanager"]
        for fact, name, user in (
            ("app_secret_arn", world.app_secret, "app"),
            ("reporting_secret_arn", world.reporting_secret, "reporting"),
            ("master_secret_arn", world.master_secret, world.master_username),
        ):
            word = self._master_password if user == world.master_username else _password()
            value = {"engine": "postgres", "username": user, "password": word}
            made = keeper.create_secret(Name=name, SecretString=json.dumps(value))
            self.facts[fact] = made["ARN"]

    def _source_cluster(self, databases: Databases) -> None:
        rds, world = self._source["rds"], self._world
        word = _password()
        cluster = rds.create_db_cluster(
            DBClusterIdentifier=world.source_cluster,
            Engine="aurora-postgresql",
            MasterUsername=world.master_username,
            MasterUserPassword=word,
            StorageEncrypted=True,
            KmsKeyId=self.facts["source_key_arn"],
            Port=databases.port,
        )["DBCluster"]
        self._instance(rds, world.source_cluster, 1)
        # Aurora lets a member of rds_superuser do this; PostgreSQL does not.
        databases.run_sql(cluster["DbClusterResourceId"], "CREATE EXTENSION vector")
        with closing(self._connect(databases, cluster, word)) as database:
            fill(database, SOURCE, logins=("prod_app", "prod_reporting"))
        made = rds.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=world.snapshot, DBClusterIdentifier=world.source_cluster
        )["DBClusterSnapshot"]
        self._nightly_backup(made["DBClusterSnapshotArn"])
        databases.keep(cluster["DbClusterResourceId"])
        self.facts |= {
            "source_cluster_arn": cluster["DBClusterArn"],
            "snapshot_arn": made["DBClusterSnapshotArn"],
            "engine_version": made["EngineVersion"],
        }

    @staticmethod
    def _nightly_backup(manual_arn: str) -> None:
        """Put an automated snapshot of the filled database in the place of the empty one's.

        No call makes one; its data is the manual snapshot's.
        """
        with runtime().lock:
            found = {snapshot.db_cluster_snapshot_arn: snapshot for snapshot in all_snapshots()}
            manual = found[manual_arn]
            for snapshot in found.values():
                same = snapshot.db_cluster_resource_id == manual.db_cluster_resource_id
                if same and snapshot.snapshot_type == "automated":
                    snapshot.remove()
            cluster = find_cluster(manual.backend, manual.db_cluster_identifier)
            cluster.snapshot_key = manual.key
            automated_backup(cluster)
            cluster.snapshot_key = None

    def _target_cluster(self, databases: Databases) -> None:
        rds, world = self._target["rds"], self._world
        cluster = rds.create_db_cluster(
            DBClusterIdentifier=world.target_cluster,
            Engine="aurora-postgresql",
            MasterUsername=world.master_username,
            MasterUserPassword=self._master_password,
            StorageEncrypted=True,
            KmsKeyId=self.facts["target_key_arn"],
            DBSubnetGroupName=world.subnet_group,
            VpcSecurityGroupIds=self.facts["security_group_ids"],
            DBClusterParameterGroupName=world.cluster_parameter_group,
            Port=databases.port,
            BackupRetentionPeriod=3,
            PreferredBackupWindow="03:00-03:30",
            PreferredMaintenanceWindow="sun:05:00-sun:05:30",
            EnableCloudwatchLogsExports=["postgresql"],
            CopyTagsToSnapshot=True,
            Tags=[MANAGED, TEAM],
        )["DBCluster"]
        for number, tier in ((1, 1), (2, 5)):
            self._instance(
                rds,
                world.target_cluster,
                number,
                PromotionTier=tier,
                DBParameterGroupName=world.instance_parameter_group,
                Tags=[MANAGED],
            )
        with closing(self._connect(databases, cluster, self._master_password)) as database:
            fill(database, TARGET)
        databases.keep(cluster["DbClusterResourceId"])
        self.facts["target_cluster_arn"] = cluster["DBClusterArn"]

    def _connect(self, databases: Databases, cluster: dict[str, Any], word: str) -> connection:
        user, host = self._world.master_username, cluster["Endpoint"]
        return connect(host, databases.port, user, word, databases.ca_file)

    def _instance(self, rds: Any, cluster: str, number: int, **more: Any) -> None:
        rds.create_db_instance(
            DBInstanceIdentifier=f"{cluster}-{number}",
            DBInstanceClass=self._world.instance_class,
            Engine="aurora-postgresql",
            DBClusterIdentifier=cluster,
            **more,
        )


def _allow(account: str, *actions: str) -> dict[str, Any]:
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    return {"Effect": "Allow", "Principal": root, "Action": list(actions), "Resource": "*"}


def _schema(*names: str) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": n, "KeyType": k} for n, k in zip(names, kinds, strict=True)]


def _password() -> str:
    """Return a random password that RDS accepts (letters, digits, - and _)."""
    return secrets.token_urlsafe(24)
