"""DeleteDBCluster and DeleteDBInstance."""

from collections.abc import Mapping
from typing import Any, Final

from moto.rds.models import RDSBackend

from sandbox.rds import durations, faults
from sandbox.rds.cluster import SERVING, AuroraCluster
from sandbox.rds.clusters import find_cluster
from sandbox.rds.endings import take
from sandbox.rds.instance import AuroraInstance
from sandbox.rds.life import DELETED
from sandbox.rds.snapshot import take_snapshot
from sandbox.rds.snapshots import check_new_snapshot

Params = Mapping[str, Any]

_DELETABLE: Final = frozenset(
    {"available", "incompatible-restore", "incompatible-parameters", "failed", "cloning-failed"}
)


def delete_cluster(backend: RDSBackend, params: Params) -> AuroraCluster:
    """Begin to delete a cluster; return it as the reply shows it, still `available`.

    Source: RDS API, DeleteDBCluster; Aurora User Guide, deleting a cluster.
    """
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    name = cluster.db_cluster_identifier
    if cluster.status == "deleting":
        raise faults.cluster_state(f"DB cluster {name} is already being deleted.")
    if cluster.deletion_protection:
        raise faults.bad_combination(
            "Cannot delete protected Cluster, please disable deletion protection and try again."
        )
    _check_ties(cluster)
    final = _final_snapshot(params)
    if any(member.status != "deleting" for member in cluster.members):
        raise faults.cluster_state(
            "Cluster cannot be deleted, it still contains DB instances in non-deleting state."
        )
    if cluster.status not in _DELETABLE or not cluster.life.settled:
        raise faults.cluster_state(f"DbCluster {name} is not in available state.")
    if final is not None and cluster.status != "available":
        raise faults.cluster_state(
            f"Cannot create a final snapshot because the DB cluster is in {cluster.status} state."
        )
    if final is not None:
        final = check_new_snapshot(backend, final, "FinalDBSnapshotIdentifier", longest=255)
    picture = cluster.shown()
    cluster.delete_automated_backups = params.get("DeleteAutomatedBackups") is not False
    lasts = durations.CLUSTER_DELETE
    if final is not None:
        take_snapshot(cluster, final)
        lasts += durations.SNAPSHOT
    if take("delete-stuck", name):
        cluster.life.begin("deleting")
    else:
        cluster.life.begin("deleting", (lasts, DELETED))
    return picture


def _check_ties(cluster: AuroraCluster) -> None:
    if cluster.global_cluster_identifier:
        raise faults.cluster_state(
            "This cluster is a part of a global cluster, please remove it from globalcluster first"
        )
    if replicas := cluster.read_replica_identifiers:
        raise faults.cluster_state(
            f"Cluster {cluster.db_cluster_identifier} cannot be deleted, it still has read "
            f"replicas: {', '.join(replicas)}."
        )


def _final_snapshot(params: Params) -> str | None:
    wanted, skip = params.get("FinalDBSnapshotIdentifier"), params.get("SkipFinalSnapshot")
    if skip and wanted:
        raise faults.bad_combination(
            "FinalDBSnapshotIdentifier cannot be specified when SkipFinalSnapshot is specified."
        )
    if not skip and not wanted:
        raise faults.bad_combination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    return wanted


def delete_instance(instance: AuroraInstance, params: Params) -> AuroraInstance:
    """Begin to delete an instance, protected cluster or not; a reader takes the writer's place.

    Source: RDS API, DeleteDBInstance.
    """
    name, cluster = instance.db_instance_identifier, instance.cluster
    if params.get("FinalDBSnapshotIdentifier"):
        raise faults.bad_combination(
            "FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance."
        )
    if instance.status == "deleting":
        raise faults.instance_state(f"Instance {name} is already being deleted.")
    if cluster.status in ("stopping", "stopped", "starting"):
        raise faults.cluster_state(
            f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state "
            "but expected it to be one of available."
        )
    instance.life.begin("deleting", (durations.INSTANCE_DELETE, DELETED))
    if instance.is_cluster_writer:
        _fail_over(instance)
    cluster.serve(instance.life.since)
    return instance


def _fail_over(writer: AuroraInstance) -> None:
    readers = [
        member
        for member in writer.cluster.members
        if member is not writer and member.status in SERVING
    ]
    if readers:
        writer.cluster.failover(min(readers, key=lambda reader: reader.promotion_tier))
