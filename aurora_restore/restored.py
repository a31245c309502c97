"""What is to take the old cluster's place: it must be there, and be this operation's own."""

from typing import TYPE_CHECKING

from aurora_restore import ledger
from aurora_restore.errors import Refused, Superseded
from aurora_restore.rds.clusters import Cluster, get_cluster
from aurora_restore.rds.snapshots import Snapshot, find_snapshot

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def restored_cluster(rds: "RDSClient", operation_id: str, cluster_id: str) -> Cluster:
    """Return the cluster that the operation has restored, by the identifier it has now.

    Raises:
        NotFound: there is none of this identifier.
        Superseded: it is another one, which a later operation has made: that is not touched.
    """
    found = get_cluster(rds, cluster_id)
    own = ledger.restored_resource_id(operation_id)
    if found.resource_id != own:
        raise Superseded(
            f"cluster {cluster_id}",
            f"it is not the one that this operation restored (resource id {found.resource_id}, "
            f"then {own})",
            "It was replaced since; start another operation.",
        )
    return found


def copy_to_restore(rds: "RDSClient", copy_id: str) -> Snapshot:
    """Return the copy that a cluster is going to be restored from.

    Raises:
        Refused: it is gone since it was made.
        EndedBadly: it is in a status that nothing can be restored from.
    """
    found = find_snapshot(rds, copy_id)
    if found is None:
        raise Refused(
            f"cluster snapshot {copy_id}",
            "the copy is gone, so there is nothing to restore; the old cluster was not deleted",
            "Start another operation.",
        )
    return found.require_available()
