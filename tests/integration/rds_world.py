"""A small world of two accounts on moto's real HTTP server, with a clock the test moves."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from sandbox import rds
from sandbox.clock import Clock
from sandbox.events import EventLog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE, TARGET = "123456789012", "987654321098"
HOME = {SOURCE: "us-east-1", TARGET: "us-west-2"}
VERSION = "16.14"
PASSWORD = "first-password"


def key_policy(*accounts: str, actions: str | list[str] = "kms:*", **more: Any) -> str:
    """A key policy that lets these accounts in, or principals by their ARN."""
    roots = [a if ":" in a else f"arn:aws:iam::{a}:root" for a in accounts]
    allow = {"Effect": "Allow", "Principal": {"AWS": roots}, "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow | more]})


@dataclass
class RecordingPostgres:
    """Notes what is asked of PostgreSQL; has no servers."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    routes: dict[str, list[str]] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    restore_lasts: float = 0.0

    @property
    def versions(self) -> Mapping[str, Path]:
        return {"16": Path("/16"), "18": Path("/18")}

    def version(self, major: str) -> str:
        return {"16": VERSION, "18": "18.4"}[major]

    def create(self, key: str, **settings: Any) -> None:
        self.calls.append(("create", key, settings))

    def start(self, key: str) -> None:
        self.running.add(key)

    def stop(self, key: str) -> None:
        self.running.discard(key)

    def route(self, key: str, hostnames: Sequence[str]) -> None:
        self.routes[key] = list(hostnames)

    def snapshot(self, key: str, snapshot_key: str) -> None:
        self.calls.append(("snapshot", key, snapshot_key))

    def copy_snapshot(self, source_key: str, target_key: str) -> None:
        self.calls.append(("copy_snapshot", source_key, target_key))

    def restore(self, snapshot_key: str, key: str) -> None:
        time.sleep(self.restore_lasts)
        self.calls.append(("restore", snapshot_key, key))

    def set_password(self, key: str, user: str, password: str) -> None:
        self.calls.append(("set_password", key, user, password))

    def drop(self, key: str) -> None:
        self.calls.append(("drop", key))

    def drop_snapshot(self, snapshot_key: str) -> None:
        self.calls.append(("drop_snapshot", snapshot_key))

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]


@dataclass
class World:
    """The two accounts, with what a restore needs in each."""

    endpoint: str
    clock: Clock
    events: EventLog
    postgres: Any
    sessions: dict[str, boto3.Session] = field(default_factory=dict)
    clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str, account: str = TARGET, region: str | None = None) -> Any:
        if account not in self.sessions:
            self.sessions[account] = self._session(account)
        wanted = (service, account, region or HOME[account])
        if wanted not in self.clients:
            self.clients[wanted] = cast("Any", self.sessions[account]).client(
                service,
                region_name=wanted[2],
                endpoint_url=self.endpoint,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[wanted]

    def forget(self, account: str) -> None:
        """Drop the sessions of an account that the next test shall not know."""
        self.sessions.pop(account, None)
        for wanted in [each for each in self.clients if each[1] == account]:
            del self.clients[wanted]

    def _session(self, account: str) -> boto3.Session:
        root = boto3.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name="us-east-1")
        role = root.client("sts", endpoint_url=self.endpoint).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/admin", RoleSessionName="test"
        )["Credentials"]
        return boto3.Session(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"])

    def build(self, account: str) -> None:
        """Make key, network and parameter groups."""
        kms, ec2, rds = (self.client(name, account) for name in ("kms", "ec2", "rds"))
        key = kms.create_key(Policy=key_policy(SOURCE, TARGET))["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName="alias/aurora", TargetKeyId=key)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"{HOME[account]}{zone}"
            )["Subnet"]["SubnetId"]
            for i, zone in enumerate("abc")
        ]
        group = ec2.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]
        rds.create_db_subnet_group(
            DBSubnetGroupName="net", DBSubnetGroupDescription="net", SubnetIds=subnets
        )
        rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName="cluster-params",
            DBParameterGroupFamily="aurora-postgresql16",
            Description="x",
        )
        rds.create_db_parameter_group(
            DBParameterGroupName="params",
            DBParameterGroupFamily="aurora-postgresql16",
            Description="x",
        )
        self.facts[account] = {"key": key, "vpc": vpc, "sg": group, "subnets": subnets}

    def cluster(self, name: str, account: str = TARGET, *instances: str, **more: Any) -> None:
        """Make an encrypted cluster with instances, ready at once."""
        speed, self.clock.speed = self.clock.speed, float("inf")
        rds, facts = self.client("rds", account), self.facts[account]
        settings = {
            "Engine": "aurora-postgresql",
            "MasterUsername": "postgres",
            "MasterUserPassword": PASSWORD,
            "StorageEncrypted": True,
            "KmsKeyId": facts["key"],
            "DBSubnetGroupName": "net",
            "VpcSecurityGroupIds": [facts["sg"]],
        } | more
        settings = {name: value for name, value in settings.items() if value is not None}
        rds.create_db_cluster(DBClusterIdentifier=name, **settings)
        for instance in instances:
            self.instance(instance, name, account)
        self.clock.speed = speed

    def instance(self, name: str, cluster: str, account: str = TARGET, **more: Any) -> Any:
        settings = {"DBInstanceClass": "db.r6g.large", "Engine": "aurora-postgresql"} | more
        return self.client("rds", account).create_db_instance(
            DBInstanceIdentifier=name, DBClusterIdentifier=cluster, **settings
        )["DBInstance"]

    def snapshot(self, name: str, cluster: str, account: str, *shared_with: str) -> str:
        """Make a snapshot, ready at once; return its ARN."""
        speed, self.clock.speed = self.clock.speed, float("inf")
        rds = self.client("rds", account)
        made = rds.create_db_cluster_snapshot(
            DBClusterIdentifier=cluster, DBClusterSnapshotIdentifier=name
        )["DBClusterSnapshot"]
        if shared_with:
            rds.modify_db_cluster_snapshot_attribute(
                DBClusterSnapshotIdentifier=name,
                AttributeName="restore",
                ValuesToAdd=list(shared_with),
            )
        self.clock.speed = speed
        return str(made["DBClusterSnapshotArn"])

    def copy(self, arn: str, name: str, **more: Any) -> Any:
        settings = {"KmsKeyId": "alias/aurora"} | more
        settings = {key: value for key, value in settings.items() if value is not None}
        return self.client("rds").copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=arn,
            TargetDBClusterSnapshotIdentifier=name,
            **settings,
        )["DBClusterSnapshot"]

    def restore(self, snapshot: str, name: str, account: str = TARGET, **more: Any) -> Any:
        settings = {
            "Engine": "aurora-postgresql",
            "DBSubnetGroupName": "net",
            "VpcSecurityGroupIds": [self.facts[account]["sg"]],
        } | more
        settings = {key: value for key, value in settings.items() if value is not None}
        return self.client("rds", account).restore_db_cluster_from_snapshot(
            DBClusterIdentifier=name, SnapshotIdentifier=snapshot, **settings
        )["DBCluster"]

    def get_cluster(self, name: str, account: str = TARGET) -> Any:
        [found] = self.client("rds", account).describe_db_clusters(DBClusterIdentifier=name)[
            "DBClusters"
        ]
        return found

    def get_instance(self, name: str, account: str = TARGET) -> Any:
        [found] = self.client("rds", account).describe_db_instances(DBInstanceIdentifier=name)[
            "DBInstances"
        ]
        return found

    def get_snapshot(self, name: str, account: str = TARGET, **more: Any) -> Any:
        [found] = self.client("rds", account).describe_db_cluster_snapshots(
            DBClusterSnapshotIdentifier=name, **more
        )["DBClusterSnapshots"]
        return found

    def secret(self, arn: str, account: str = TARGET) -> Any:
        value = self.client("secretsmanager", account).get_secret_value(SecretId=arn)
        return json.loads(value["SecretString"])

    def statuses(self, resource: str) -> list[str]:
        rds.tick()
        return [
            entry["to"]
            for entry in self.events.entries()
            if entry["kind"] == "status" and entry["resource"] == resource
        ]
