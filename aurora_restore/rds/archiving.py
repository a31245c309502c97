"""What becomes of snapshots after the restore: the copy kept or deleted, older ones pruned."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aurora_restore.errors import NotFound
from aurora_restore.faults import looking_again
from aurora_restore.rds import tags
from aurora_restore.rds.snapshots import Snapshot, find_snapshot
from aurora_restore.rds.status import AVAILABLE

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def archive(rds: "RDSClient", copy_id: str, *, keep: bool) -> None:
    """Mark the copy as archived, or delete it. Safe to repeat.

    Raises:
        NotReady: it cannot be deleted yet.

    Source: RDS API, AddTagsToResource, DeleteDBClusterSnapshot.
    """
    copy = find_snapshot(rds, copy_id)
    if copy is None:
        if keep:
            raise NotFound(f"cluster snapshot {copy_id}", "the copy to archive is gone", "")
        return
    if not keep:
        delete_snapshot(rds, copy_id)
    elif tags.ARCHIVED not in copy.tags:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rds.add_tags_to_resource(ResourceName=copy.arn, Tags=tags.to_api({tags.ARCHIVED: moment}))


def prune_archives(rds: "RDSClient", target_cluster_id: str, keep_newest: int) -> list[str]:
    """Delete the archived copies of a target cluster beyond the newest; return their ids."""
    archived = [
        snapshot
        for snapshot in _managed_snapshots(rds)
        if snapshot.tags.get(tags.TARGET) == target_cluster_id and tags.ARCHIVED in snapshot.tags
    ]
    archived.sort(key=lambda each: (each.tags[tags.ARCHIVED], each.id), reverse=True)
    return _delete(rds, archived[keep_newest:])


def prune_final_snapshots(
    rds: "RDSClient", cluster_id: str, keep_newest: int, operation_id: str
) -> list[str]:
    """Delete the final snapshots of a cluster beyond the newest; return their ids.

    Only available ones count and are deleted: the others are no way back, or not yet. Never this
    operation's own.
    """
    finals = [
        (snapshot.created_at, snapshot.id, snapshot)
        for snapshot in _managed_snapshots(rds)
        if snapshot.tags.get(tags.FINAL_OF) == cluster_id
        and snapshot.status == AVAILABLE
        and snapshot.created_at is not None
    ]
    finals.sort(reverse=True)
    return _delete(
        rds,
        [
            snapshot
            for _, _, snapshot in finals[keep_newest:]
            if snapshot.tags.get(tags.OPERATION) != operation_id
        ],
    )


def delete_snapshot(rds: "RDSClient", snapshot_id: str) -> None:
    """Delete a manual snapshot. Safe to repeat.

    Raises:
        NotReady: its state does not permit it yet.

    Source: RDS API, DeleteDBClusterSnapshot.
    """
    resource, gone = (
        f"cluster snapshot {snapshot_id}",
        rds.exceptions.DBClusterSnapshotNotFoundFault,
    )
    with looking_again(resource, "it cannot be deleted yet"), suppress(gone):
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot_id)


def _delete(rds: "RDSClient", snapshots: list[Snapshot]) -> list[str]:
    for snapshot in snapshots:
        delete_snapshot(rds, snapshot.id)
    return [snapshot.id for snapshot in snapshots]


def _managed_snapshots(rds: "RDSClient") -> Iterator[Snapshot]:
    pages = rds.get_paginator("describe_db_cluster_snapshots").paginate(SnapshotType="manual")
    for page in pages:
        for snapshot in map(Snapshot.from_api, page["DBClusterSnapshots"]):
            if snapshot.tags.get(tags.MANAGED) == "true":
                yield snapshot
