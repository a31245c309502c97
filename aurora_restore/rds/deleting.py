"""Making room: what may be deleted, its final snapshot, the permitted order."""

from typing import TYPE_CHECKING

from aurora_restore.errors import NotReady, Refused, aws_code
from aurora_restore.rds import tags
from aurora_restore.rds.clusters import Cluster, find_cluster, instance_statuses
from aurora_restore.rds.snapshots import Snapshot, find_snapshot
from aurora_restore.request import RestoreRequest

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def require_deletable(cluster: Cluster) -> None:
    """Return if this program may delete the cluster.

    AWS lets the instances of a protected cluster be deleted, so this comes before any of them.

    Raises:
        Refused: it is protected, stopped, of another engine, or not marked as ours to replace.
    """
    resource = f"cluster {cluster.id}"
    if cluster.engine != "aurora-postgresql":
        raise Refused(
            resource, f"its engine is {cluster.engine!r}", "Name an Aurora PostgreSQL cluster."
        )
    if cluster.tags.get(tags.MANAGED) != "true":
        raise Refused(
            resource,
            f"it lacks the tag {tags.MANAGED} = true, so it is not ours to delete",
            "Set the tag if this cluster may be replaced, or name another one.",
        )
    if cluster.protected:
        raise Refused(
            resource, "deletion protection is on", "Turn it off if this cluster may be replaced."
        )
    if cluster.status.startswith("stop"):
        raise Refused(
            resource, f"its status is {cluster.status!r}, so AWS does not delete it", "Start it."
        )


def find_replaced(rds: "RDSClient", request: RestoreRequest, operation_id: str) -> Cluster | None:
    """Return the cluster that must make room, or None when the target identifier is free.

    A cluster that this operation restored is not one to be replaced.

    Raises:
        Refused: the target identifier belongs to a cluster that is not to be replaced.
    """
    found = find_cluster(rds, request.replaced_cluster_id)
    if request.replaced_cluster_id != request.target_cluster_id:
        target = find_cluster(rds, request.target_cluster_id)
        if target is not None and target.tags.get(tags.OPERATION) != operation_id:
            raise Refused(
                f"target_cluster_id {request.target_cluster_id}",
                "a cluster of this name exists, and `replaces` names another",
                "Name it in `replaces` to have it deleted, or choose another target_cluster_id.",
            )
    if found is not None and found.tags.get(tags.OPERATION) == operation_id:
        return None
    return found


def remove(
    rds: "RDSClient", cluster: Cluster, final_snapshot_id: str | None, marks: dict[str, str]
) -> None:
    """Take the final snapshot, wait for it, then delete the cluster. Safe to repeat.

    Raises:
        NotReady: always, until the cluster is gone.
        Refused: it may not be deleted.
        EndedBadly: the final snapshot failed; nothing was deleted.
    """
    if cluster.status == "deleting":
        raise NotReady(f"cluster {cluster.id}", "it is being deleted")
    require_deletable(cluster)
    if final_snapshot_id is not None:
        ensure_final_snapshot(rds, cluster.id, final_snapshot_id, marks)
    delete_cluster(rds, cluster)


def ensure_final_snapshot(
    rds: "RDSClient", cluster_id: str, snapshot_id: str, marks: dict[str, str]
) -> Snapshot:
    """Return a manual snapshot of the cluster once it is available. Safe to repeat.

    Raises:
        NotReady: it is still being made.
        EndedBadly: it failed.
        Refused: the name belongs to somebody else.

    Source: RDS API, CreateDBClusterSnapshot.
    """
    found = find_snapshot(rds, snapshot_id)
    if found is None:
        try:
            rds.create_db_cluster_snapshot(
                DBClusterSnapshotIdentifier=snapshot_id,
                DBClusterIdentifier=cluster_id,
                Tags=tags.to_api(marks),
            )
        except rds.exceptions.InvalidDBClusterStateFault as fault:
            raise NotReady(f"cluster {cluster_id}", "it is busy; no final snapshot yet") from fault
        raise NotReady(f"cluster snapshot {snapshot_id}", "the final snapshot was requested", 0)
    if found.tags.get(tags.OPERATION) != marks[tags.OPERATION]:
        raise Refused(
            f"cluster snapshot {snapshot_id}",
            "a snapshot of this name exists and is not this operation's",
            "Delete it, then run again.",
        )
    return found.require_available()


def delete_cluster(rds: "RDSClient", cluster: Cluster) -> None:
    """Make the next permitted move of a deletion: readers, then the writer, then the cluster.

    The final snapshot is the caller's business: none is taken here. Automated backups stay until
    their retention ends. Safe to repeat.

    Raises:
        NotReady: always, until the cluster is gone.

    Source: RDS API, DeleteDBInstance and DeleteDBCluster; a cluster may go as soon as each of its
    instances is `deleting`.
    """
    resource = f"cluster {cluster.id}"
    statuses = instance_statuses(rds, cluster.id)
    staying = {each for each, status in statuses.items() if status != "deleting"}
    for instance_id in [each for each in cluster.readers if each in staying]:
        _delete_instance(rds, instance_id)
        staying.discard(instance_id)
    for instance_id in sorted(staying):
        _delete_instance(rds, instance_id)
    try:
        rds.delete_db_cluster(
            DBClusterIdentifier=cluster.id, SkipFinalSnapshot=True, DeleteAutomatedBackups=False
        )
    except rds.exceptions.DBClusterNotFoundFault:
        return
    except rds.exceptions.InvalidDBClusterStateFault as fault:
        raise NotReady(resource, "its instances are being deleted") from fault
    except rds.exceptions.ClientError as error:
        if aws_code(error) != "InvalidParameterCombination":
            raise
        raise Refused(
            resource, f"AWS refuses to delete it: {error}", "Turn deletion protection off."
        ) from error
    raise NotReady(resource, "it is being deleted")


def _delete_instance(rds: "RDSClient", instance_id: str) -> None:
    try:
        rds.delete_db_instance(DBInstanceIdentifier=instance_id, SkipFinalSnapshot=True)
    except rds.exceptions.DBInstanceNotFoundFault:
        return
    except (
        rds.exceptions.InvalidDBInstanceStateFault,
        rds.exceptions.InvalidDBClusterStateFault,
    ) as fault:
        raise NotReady(f"instance {instance_id}", "its state does not permit deletion") from fault
