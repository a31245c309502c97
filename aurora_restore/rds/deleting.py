"""Deleting a cluster: what may be deleted, its final snapshot, the permitted order."""

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from botocore.exceptions import ClientError

from aurora_restore.errors import NotReady, Refused, aws_code
from aurora_restore.faults import Act, looking_again, verdict
from aurora_restore.rds import tags
from aurora_restore.rds.archiving import delete_snapshot
from aurora_restore.rds.clusters import Cluster, find_cluster, instance_statuses
from aurora_restore.rds.snapshots import Snapshot, find_snapshot
from aurora_restore.rds.status import is_terminal

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

    from aurora_restore.plan import OldCluster

logger = logging.getLogger(__name__)


def obstacles(cluster: Cluster, *, lift_protection: bool) -> list[Refused]:
    """Return every reason why this program may not delete the cluster, none if it may.

    AWS lets the instances of a protected cluster be deleted, and so those of a member of a global
    cluster: this comes before any of them.
    """
    resource = f"cluster {cluster.id}"
    found = []
    if cluster.engine != "aurora-postgresql":
        found.append((f"its engine is {cluster.engine!r}", "Name an Aurora PostgreSQL cluster."))
    if cluster.tags.get(tags.MANAGED) != "true":
        found.append(
            (
                f"it lacks the tag {tags.MANAGED} = true, so it is not ours to delete",
                "Set the tag if this cluster may be replaced, or name another one.",
            )
        )
    if cluster.protected and not lift_protection:
        found.append(
            (
                "deletion protection is on",
                "Turn it off, or set lift_deletion_protection, if this cluster may be replaced.",
            )
        )
    if cluster.status.startswith("stop"):
        found.append((f"its status is {cluster.status!r}, so AWS does not delete it", "Start it."))
    if is_terminal(cluster.status):
        found.append(
            (
                f"its status is {cluster.status!r}, so no final snapshot of it can be taken",
                "Repair it, or delete it by hand.",
            )
        )
    if cluster.global_cluster_id is not None:
        found.append(
            (
                f"it is a member of the global cluster {cluster.global_cluster_id}",
                "Remove it from the global cluster, or name another one.",
            )
        )
    if cluster.replica_ids:
        found.append(
            (
                f"it has read replicas ({', '.join(cluster.replica_ids)})",
                "Promote or delete them, or name another cluster.",
            )
        )
    if cluster.replicates is not None:
        found.append(
            (
                f"it is a replica of {cluster.replicates}",
                "Promote it if it may be replaced, or name another one.",
            )
        )
    return [Refused(resource, problem, remedy) for problem, remedy in found]


def find_replaced(
    rds: "RDSClient", cluster_id: str, planned: "OldCluster | None", operation_id: str
) -> Cluster | None:
    """Return the cluster that the plan replaces, by the identifier it has now; None if it is gone.

    Raises:
        Refused: the cluster of that name is another one than preflight saw.
    """
    found = find_cluster(rds, cluster_id)
    if found is None or found.tags.get(tags.OPERATION) == operation_id:
        return None
    if planned is None or found.resource_id != planned.resource_id:
        seen = planned.resource_id if planned else "none"
        raise Refused(
            f"cluster {found.id}",
            f"it is not the one that was checked (resource id {found.resource_id}, then {seen})",
            "Somebody made another cluster of this name meanwhile; start another operation.",
        )
    return found


def secure(  # noqa: PLR0913 - what is secured, by which snapshot, under which guard
    rds: "RDSClient",
    cluster: Cluster,
    final_snapshot_id: str | None,
    marks: dict[str, str],
    *,
    lift_protection: bool,
    not_before: datetime | None = None,
) -> None:
    """Return once the cluster may be deleted, its final snapshot available. Safe to repeat.

    A final snapshot from before that moment is taken anew.

    Raises:
        NotReady: the final snapshot is being made.
        Refused: the cluster may not be deleted.
        EndedBadly: the final snapshot failed.
    """
    for obstacle in obstacles(cluster, lift_protection=lift_protection):
        raise obstacle
    if final_snapshot_id is not None:
        ensure_final_snapshot(rds, cluster.id, final_snapshot_id, marks, not_before)


def ensure_final_snapshot(
    rds: "RDSClient",
    cluster_id: str,
    snapshot_id: str,
    marks: dict[str, str],
    not_before: datetime | None = None,
) -> Snapshot:
    """Return a manual snapshot of the cluster once it is available. Safe to repeat.

    One from before that moment is deleted and taken anew: it lacks what was written since.

    Raises:
        NotReady: it is still being made.
        EndedBadly: it failed.
        Refused: the name belongs to somebody else, or the quota of manual snapshots is used up.

    Source: RDS API, CreateDBClusterSnapshot.
    """
    found = find_snapshot(rds, snapshot_id)
    if found is None:
        try:
            # One that exists by now is this one if only a reply was lost: the next look tells.
            with (
                looking_again(f"cluster {cluster_id}", "no final snapshot can be taken yet"),
                suppress(rds.exceptions.DBClusterSnapshotAlreadyExistsFault),
            ):
                rds.create_db_cluster_snapshot(
                    DBClusterSnapshotIdentifier=snapshot_id,
                    DBClusterIdentifier=cluster_id,
                    Tags=tags.to_api(marks),
                )
        except rds.exceptions.SnapshotQuotaExceededFault as fault:
            raise Refused(
                f"cluster snapshot {snapshot_id}",
                "the account's quota of manual snapshots is used up",
                "Delete snapshots, or have the quota raised. Nothing was deleted.",
            ) from fault
        raise NotReady(f"cluster snapshot {snapshot_id}", "the final snapshot was requested", 0)
    if found.tags.get(tags.OPERATION) != marks[tags.OPERATION]:
        raise Refused(
            f"cluster snapshot {snapshot_id}",
            "a snapshot of this name exists and is not this operation's",
            "Delete it, then run again.",
        )
    found.require_available()
    if not_before is not None and found.created_at is not None and found.created_at < not_before:
        delete_snapshot(rds, snapshot_id)
        raise NotReady(f"cluster snapshot {snapshot_id}", "an earlier run's is taken anew", 0)
    return found


def lift_protection(rds: "RDSClient", cluster: Cluster) -> NoReturn:
    """Turn deletion protection off. Safe to repeat.

    Raises:
        NotReady: always, until it is off.

    Source: RDS API, ModifyDBCluster, DeletionProtection.
    """
    resource = f"cluster {cluster.id}"
    with looking_again(resource, "its protection cannot be lifted yet"):
        rds.modify_db_cluster(
            DBClusterIdentifier=cluster.id, DeletionProtection=False, ApplyImmediately=True
        )
    raise NotReady(resource, "its deletion protection is being lifted")


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
        with looking_again(resource, "it cannot be deleted yet"):
            rds.delete_db_cluster(
                DBClusterIdentifier=cluster.id, SkipFinalSnapshot=True, DeleteAutomatedBackups=False
            )
    except rds.exceptions.DBClusterNotFoundFault:
        return
    except ClientError as error:
        if aws_code(error) != "InvalidParameterCombination":
            raise
        raise Refused(
            resource, f"AWS refuses to delete it: {error}", "Turn deletion protection off."
        ) from error
    raise NotReady(resource, "it is being deleted")


def _delete_instance(rds: "RDSClient", instance_id: str) -> None:
    try:
        with looking_again(f"instance {instance_id}", "it cannot be deleted yet"):
            rds.delete_db_instance(DBInstanceIdentifier=instance_id, SkipFinalSnapshot=True)
    except ClientError as error:
        if verdict(error) is not Act.ADOPT:
            raise


def remove_kept(rds: "RDSClient", target_cluster_id: str, *, may_lift: bool) -> None:
    """Delete the old clusters that swaps of this target left for a time that is over.

    One that may not be deleted, for it was stopped, tied to others or protected since, is left as
    it is.

    Raises:
        NotReady: one is being deleted.

    Source: RDS API, DescribeDBClusters.
    """
    now = datetime.now(UTC).strftime(tags.MOMENT)
    for page in rds.get_paginator("describe_db_clusters").paginate():
        for cluster in map(Cluster.from_api, page["DBClusters"]):
            ours = cluster.tags.get(tags.MANAGED) == "true"
            of_target = cluster.tags.get(tags.TARGET) == target_cluster_id
            if not (ours and of_target and cluster.tags.get(tags.DELETE_AFTER, "9") < now):
                continue
            if blocked := obstacles(cluster, lift_protection=may_lift):
                logger.warning("Not deleted although its time is over: %s", blocked[0])
                continue
            if cluster.protected:
                lift_protection(rds, cluster)
            delete_cluster(rds, cluster)
