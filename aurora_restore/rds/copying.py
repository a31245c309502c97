"""The copy of a snapshot: shared, requested, awaited."""

from typing import TYPE_CHECKING

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.rds import tags
from aurora_restore.rds.snapshots import Snapshot, find_snapshot
from aurora_restore.request import RestoreRequest

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def ensure_shared(rds: "RDSClient", snapshot_id: str, account: str) -> bool:
    """Let `account` copy the snapshot; return whether that had to be added. Safe to repeat.

    Source: RDS API, ModifyDBClusterSnapshotAttribute, attribute `restore`.
    """
    answer = rds.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier=snapshot_id)
    attributes = answer["DBClusterSnapshotAttributesResult"].get("DBClusterSnapshotAttributes", [])
    shared_with = {
        value
        for attribute in attributes
        if attribute.get("AttributeName") == "restore"
        for value in attribute.get("AttributeValues", [])
    }
    if shared_with & {account, "all"}:
        return False
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=snapshot_id, AttributeName="restore", ValuesToAdd=[account]
    )
    return True


def start_copy(
    rds: "RDSClient",
    source_arn: str,
    request: RestoreRequest,
    names: list[str],
    marks: dict[str, str],
) -> Snapshot:
    """Return the copy of this operation: found by its tag, or requested now. Safe to repeat.

    `rds` is a client of the target account and Region; the source is named by its full ARN.

    Raises:
        NotReady: five copies into the Region are in flight already, or the source is busy.
        Refused: every permitted name belongs to somebody else, or the key cannot be used.

    Source: RDS API, CopyDBClusterSnapshot.
    """
    existing = {name: find_snapshot(rds, name) for name in names}
    for copy in existing.values():
        if copy is not None and copy.tags.get(tags.OPERATION) == marks[tags.OPERATION]:
            return copy
    free = next((name for name in names if existing[name] is None), None)
    if free is None:
        raise Refused(
            f"cluster snapshot {names[0]}",
            "a snapshot of this name exists and is not this operation's",
            "Delete it, or give another target_snapshot.",
        )
    key = {"KmsKeyId": request.kms_key_id} if request.kms_key_id is not None else {}
    try:
        answer = rds.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=source_arn,
            TargetDBClusterSnapshotIdentifier=free,
            CopyTags=False,
            Tags=tags.to_api(marks),
            **key,
        )
    except rds.exceptions.DBClusterSnapshotAlreadyExistsFault:
        # botocore resends after a lost reply: the one that exists may be ours.
        copy = find_snapshot(rds, free)
        if copy is not None and copy.tags.get(tags.OPERATION) == marks[tags.OPERATION]:
            return copy
        raise
    except rds.exceptions.SnapshotQuotaExceededFault as fault:
        # One code, two meanings, told apart by the message alone.
        if "across regions" in str(fault):
            raise NotReady(f"cluster snapshot {free}", "five copies are in flight") from fault
        raise Refused(
            f"cluster snapshot {free}",
            "the account's quota of manual snapshots is used up",
            "Delete snapshots, or have the quota raised.",
        ) from fault
    except (
        rds.exceptions.InvalidDBClusterSnapshotStateFault,
        rds.exceptions.InvalidDBClusterStateFault,
    ) as fault:
        raise NotReady(f"cluster snapshot {free}", "its source is busy; no copy yet") from fault
    except rds.exceptions.KMSKeyNotAccessibleFault as fault:
        raise Refused(
            f"kms_key_id {request.kms_key_id}",
            "the key cannot be used for the copy (KMSKeyNotAccessibleFault)",
            "Check that it exists and is enabled in the target Region, and that the policies of "
            "this key and of the source's key admit the task role.",
        ) from fault
    return Snapshot.from_api(answer["DBClusterSnapshot"])


def require_copied(rds: "RDSClient", copy_id: str) -> Snapshot:
    """Return the copy once it is available.

    Raises:
        NotReady: it is still being copied; carries AWS's PercentProgress.
        EndedBadly: it failed, or it has vanished.
    """
    copy = find_snapshot(rds, copy_id)
    if copy is None:
        raise EndedBadly(f"cluster snapshot {copy_id}", "the copy has vanished while it was made")
    return copy.require_available()
