"""The exchange of names: the old cluster's for another one, the new cluster's for the old one's."""

from typing import TYPE_CHECKING, NoReturn

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.faults import looking_again
from aurora_restore.rds.clusters import Cluster, find_by_resource_id, find_cluster
from aurora_restore.rds.status import require_available

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def exchange(
    rds: "RDSClient", old_resource_id: str, new_resource_id: str, name: str, old_name: str
) -> Cluster:
    """Return the new cluster once it has the identifier `name`, the old one having `old_name`.

    Clusters are told by their resource ids, which a rename leaves as they are. Makes the next
    permitted move: the old one steps aside first. Safe to repeat at any moment.

    Raises:
        NotReady: a rename is under way.
        EndedBadly: the new one is gone, or one of the two is in a status it never leaves.
        Refused: a name belongs to a third cluster.

    Source: RDS API, ModifyDBCluster, NewDBClusterIdentifier.
    """
    found = find_by_resource_id(rds, old_resource_id, new_resource_id)
    new = found.get(new_resource_id)
    if new is None:
        raise EndedBadly(f"cluster {name}", f"the restored cluster ({new_resource_id}) is gone")
    if new.id != name:
        old = found.get(old_resource_id)
        if old is not None and old.id == name:
            rename(rds, old, old_name)
        if old is not None:
            require_available(f"cluster {old.id}", old.status)
        rename(rds, new, name)
    require_available(f"cluster {new.id}", new.status)
    return new


def rename(rds: "RDSClient", cluster: Cluster, name: str) -> NoReturn:
    """Ask for another identifier of an available cluster. Safe to repeat.

    Raises:
        NotReady: always, until the cluster has the name.
        EndedBadly: the cluster's status is one it never leaves.
        Refused: the name belongs to another cluster.

    Source: RDS API, ModifyDBCluster; while it is done, the cluster is `renaming`.
    """
    resource = f"cluster {cluster.id}"
    require_available(resource, cluster.status)
    try:
        with looking_again(resource, f"it cannot be renamed to {name} yet"):
            rds.modify_db_cluster(
                DBClusterIdentifier=cluster.id, NewDBClusterIdentifier=name, ApplyImmediately=True
            )
    except rds.exceptions.DBClusterAlreadyExistsFault as fault:
        holder = find_cluster(rds, name)
        if holder is None or holder.resource_id == cluster.resource_id:
            # Taken since a rename to it was asked for: by a request whose reply was lost, maybe.
            raise NotReady(resource, f"the name {name} is being given") from fault
        raise Refused(
            resource,
            f"it cannot be renamed: a cluster {name!r} exists",
            "Rename or delete that one, then start another operation.",
        ) from fault
    raise NotReady(resource, f"it is being renamed to {name}")
