"""Who may copy a manual snapshot: let in, taken back."""

from typing import TYPE_CHECKING

from aurora_restore.errors import Refused
from aurora_restore.faults import looking_again

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def ensure_shared(rds: "RDSClient", snapshot_id: str, account: str) -> bool:
    """Let `account` copy the snapshot; return whether that had to be added. Safe to repeat.

    Raises:
        NotReady: the snapshot is busy.
        Refused: it is shared with as many accounts as AWS permits.

    Source: RDS API, ModifyDBClusterSnapshotAttribute, attribute `restore`.
    """
    if is_shared(rds, snapshot_id, account):
        return False
    resource = f"cluster snapshot {snapshot_id}"
    try:
        with looking_again(resource, "it cannot be shared yet"):
            rds.modify_db_cluster_snapshot_attribute(
                DBClusterSnapshotIdentifier=snapshot_id,
                AttributeName="restore",
                ValuesToAdd=[account],
            )
    except rds.exceptions.SharedSnapshotQuotaExceededFault as fault:
        raise Refused(
            resource,
            f"it is shared with too many accounts to be shared with {account} as well",
            "Take back one that does not need it.",
        ) from fault
    return True


def is_shared(rds: "RDSClient", snapshot_id: str, account: str) -> bool:
    """Return whether `account` may copy the snapshot.

    Source: RDS API, DescribeDBClusterSnapshotAttributes, attribute `restore`.
    """
    return bool(_shared_with(rds, snapshot_id) & {account, "all"})


def withdraw(rds: "RDSClient", snapshot_id: str, account: str) -> bool:
    """Let `account` copy the snapshot no more; return whether it was shared. Safe to repeat.

    Raises:
        NotReady: the snapshot is busy.

    Source: RDS API, ModifyDBClusterSnapshotAttribute, attribute `restore`.
    """
    try:
        if account not in _shared_with(rds, snapshot_id):
            return False
        with looking_again(f"cluster snapshot {snapshot_id}", "it is still shared"):
            rds.modify_db_cluster_snapshot_attribute(
                DBClusterSnapshotIdentifier=snapshot_id,
                AttributeName="restore",
                ValuesToRemove=[account],
            )
    except rds.exceptions.DBClusterSnapshotNotFoundFault:
        return False
    return True


def _shared_with(rds: "RDSClient", snapshot_id: str) -> set[str]:
    answer = rds.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier=snapshot_id)
    attributes = answer["DBClusterSnapshotAttributesResult"].get("DBClusterSnapshotAttributes", [])
    return {
        value
        for attribute in attributes
        if attribute.get("AttributeName") == "restore"
        for value in attribute.get("AttributeValues", [])
    }
