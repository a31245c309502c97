"""What the tests of the cluster library share: waiting, plans of real clusters, logins."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import examples
import psycopg2
import pytest
from product_fixtures import calls

from aurora_restore.errors import NotReady
from aurora_restore.plan import OldCluster, Plan
from aurora_restore.rds import restoring, tags
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint
from aurora_restore.rds.clusters import Cluster
from sandbox import Sandbox

T = TypeVar("T")
OPERATION = "op-001"
MARKS = tags.marks(OPERATION, "staging")
FINAL = "staging-final-op001"
LONG = 1e8  # AWS seconds that no test lasts


def waited(aws: Sandbox, look: Callable[[], T]) -> T:
    """Return what `look` returns once it is ready."""
    for _ in range(25):
        try:
            return look()
        except NotReady:
            aws.advance(600)
    pytest.fail("never ready")


def read(rds: Any, cluster_id: str = "staging") -> Blueprint:
    """Return what a cluster is made by, as preflight reads it."""
    [found] = rds.describe_db_clusters(DBClusterIdentifier=cluster_id)["DBClusters"]
    wanted = [{"Name": "db-cluster-id", "Values": [cluster_id]}]
    return Blueprint.from_api(found, rds.describe_db_instances(Filters=wanted)["DBInstances"])


def renamed(blueprint: Blueprint, name: str) -> Blueprint:
    """Return the same under another name, its instances too."""
    instances = [
        each.model_copy(update={"id": f"{name}-{number}"})
        for number, each in enumerate(blueprint.instances, 1)
    ]
    return blueprint.model_copy(update={"cluster_id": name, "instances": instances})


def plan(rds: Any, new: Blueprint | None = None, old: str = "staging") -> Plan:
    """Return the plan that replaces a cluster that is there; without `new` by one like it."""
    [found] = rds.describe_db_clusters(DBClusterIdentifier=old)["DBClusters"]
    blueprint = read(rds, old)
    known = OldCluster(
        arn=found["DBClusterArn"], resource_id=found["DbClusterResourceId"], blueprint=blueprint
    )
    return examples.plan(old=known, new=new or blueprint)


def writer(aws: Sandbox, cluster_id: str = "restored", **changes: Any) -> Blueprint:
    """Return the smallest cluster: a writer, nothing to set once it is available."""
    made = Blueprint(
        cluster_id=cluster_id,
        engine_version=aws.facts["engine_version"],
        port=aws.facts["postgres_port"],
        subnet_group="aurora-restore",
        security_group_ids=aws.facts["security_group_ids"],
        kms_key_id=aws.facts["target_key_arn"],
        instances=[InstanceBlueprint(id=f"{cluster_id}-1", instance_class="db.r6g.large")],
    )
    return made.model_copy(update=changes)


def restored(aws: Sandbox, rds: Any, blueprint: Blueprint, snapshot: str) -> Cluster:
    """Restore a cluster of the operation and wait until all of it is there."""
    cluster_id = blueprint.cluster_id
    restoring.start_restore(rds, blueprint, snapshot, MARKS)
    return waited(
        aws, lambda: restoring.complete(rds, found(rds, cluster_id), blueprint, MARKS, None)
    )


def found(rds: Any, cluster_id: str) -> Cluster:
    [only] = rds.describe_db_clusters(DBClusterIdentifier=cluster_id)["DBClusters"]
    return Cluster.from_api(only)


def done(aws: Sandbox, *operations: str) -> list[dict[str, Any]]:
    """Return the parameters of the calls that AWS agreed to, oldest first."""
    return [each["parameters"] for each in calls(aws, *operations) if each["result"] == "ok"]


def take_snapshot(aws: Sandbox, admin: Any, name: str, cluster_id: str = "staging") -> str:
    """Return the ARN of a new snapshot, available."""
    made = admin.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=name, DBClusterIdentifier=cluster_id
    )
    aws.advance(3600)
    return str(made["DBClusterSnapshot"]["DBClusterSnapshotArn"])


def delete(aws: Sandbox, admin: Any, cluster_id: str = "staging") -> None:
    """Delete a cluster as the program does, and wait until all of it is gone."""
    wanted = [{"Name": "db-cluster-id", "Values": [cluster_id]}]
    for each in admin.describe_db_instances(Filters=wanted)["DBInstances"]:
        admin.delete_db_instance(
            DBInstanceIdentifier=each["DBInstanceIdentifier"], SkipFinalSnapshot=True
        )
    admin.delete_db_cluster(DBClusterIdentifier=cluster_id, SkipFinalSnapshot=True)
    aws.advance(3600)


def rename(aws: Sandbox, admin: Any, cluster_id: str, name: str) -> None:
    """Give a cluster another identifier and wait until it has it."""
    admin.modify_db_cluster(
        DBClusterIdentifier=cluster_id, NewDBClusterIdentifier=name, ApplyImmediately=True
    )
    aws.advance(3600)


def secret(aws: Sandbox, secret_id: str | None) -> str:
    """Return the password that a secret holds."""
    kept = aws.client("secretsmanager").get_secret_value(SecretId=secret_id)
    return str(json.loads(kept["SecretString"])["password"])


def rows(aws: Sandbox, cluster: Cluster, password: str) -> int:
    """Log in as the master and return how many rows staging's own table has."""
    opened = psycopg2.connect(
        host=cluster.endpoint,
        hostaddr="127.0.0.1",
        port=cluster.port,
        user=cluster.master_username,
        password=password,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=aws.facts["ca_file"],
    )
    try:
        with opened.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM public.old_marker")
            return int(cursor.fetchall()[0][0])
    finally:
        opened.close()
