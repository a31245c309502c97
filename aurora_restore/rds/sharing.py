"""Who may copy a manual snapshot: let in, taken back."""

from typing import TYPE_CHECKING

from aurora_restore.errors import NotReady, Refused

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def ensure_shared(rds: "RDSClient", snapshot_id: str, account: str) -> bool:
    """Let `account` copy the snapshot; return whether that had to be added. Safe to repeat.

    Raises:
        NotReady: the snapshot is busy.
        Refused: it is shared with as many accounts as AWS permits.

    Source: RDS API, ModifyDBClusterSnapshotAttribute, attribute `restore`.
    """
    if _shared_with(rds, snapshot_id) & {account, "all"}:
        return False
    try:
        rds.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=snapshot_id, AttributeName="restore", ValuesToAdd=[account]
        )
    except rds.exceptions.InvalidDBClusterSnapshotStateFault as fault:
        raise NotReady(f"cluster snapshot {snapshot_id}", "it is busy; not shared yet") from fault
    except rds.exceptions.SharedSnapshotQuotaExceededFault as fault:
        raise Refused(
            f"cluster snapshot {snapshot_id}",
            f"it is shared with too many accounts to be shared with {account} as well",
            "Take back one that does not need it.",
        ) from fault
    return True


def withdraw(rds: "RDSClient", snapshot_id: str, account: str) -> bool:
    """Let `account` copy the snapshot no more; return whether it was shared. Safe to repeat.

    Raises:
        NotReady: the snapshot is busy.

    Source: RDS API, ModifyDBClusterSnapshotAttribute, attribute `restore`.
    """
    try:
        if account not in _shared_with(rds, snapshot_id):
            return False
        rds.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=snapshot_id,
            AttributeName="restore",
            ValuesToRemove=[account],
        )
    except rds.exceptions.DBClusterSnapshotNotFoundFault:
        return False
    except rds.exceptions.InvalidDBClusterSnapshotStateFault as fault:
        raise NotReady(f"cluster snapshot {snapshot_id}", "it is busy; still shared") from fault
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
