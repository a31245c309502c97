"""The copy of a snapshot along its route: requested, awaited, and what led there removed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.rds import tags
from aurora_restore.rds.archiving import delete_snapshot
from aurora_restore.rds.hopping import (
    ClientOf,
    SingleStepRefused,
    ensure_requested,
    find_own,
    is_own,
)
from aurora_restore.rds.route import Hop, Route
from aurora_restore.rds.sharing import withdraw
from aurora_restore.rds.snapshots import Snapshot, find_snapshot
from aurora_restore.rds.status import require_available

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterSnapshotTypeDef


def follow(route: Route, client_of: ClientOf, marks: dict[str, str]) -> Snapshot:
    """Return the last copy of the route: found by the operation's tag, or requested now.

    Each copy is requested once the one before it is available. Safe to repeat: which copies exist
    tells how far it has come, and whether AWS has refused the single step.

    Raises:
        NotReady: an intermediate copy is under way (carries how much of them is done), five
            copies into the Region are in flight, or a source is busy.
        Refused: a name is somebody else's, a quota is used up, a key cannot be used, or AWS
            refuses the single step and the route knows no other way.
        EndedBadly: an intermediate copy failed.
        SharedNoMore: the snapshot is not shared any more. `Route.sharing_anew` is the way then, to
            be kept before it is gone: what we share is taken back by it.
    """
    last, operation_id = route.hops[-1], marks[tags.OPERATION]
    copy = find_own(last, client_of, operation_id)
    if copy is not None:
        return copy
    if route.otherwise and find_own(route.otherwise[0], client_of, operation_id) is not None:
        return _walk(route.otherwise, client_of, marks)
    try:
        return _walk(route.hops, client_of, marks)
    except SingleStepRefused as refused:
        if not route.otherwise:
            raise Refused(
                f"cluster snapshot {last.names[0]}",
                "AWS refuses to copy it across account and Region in a single step",
                f"Give hop_kms_key_id, a KMS key of account {last.account} in Region "
                f"{last.source_region}, for a copy in two hops.",
            ) from refused.__cause__
    return _walk(route.otherwise, client_of, marks)


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


def tidy(route: Route, client_of: ClientOf, marks: dict[str, str]) -> list[str]:
    """Delete the operation's intermediate copies, take back what was shared; return their ids.

    For when the last copy is available. Safe to repeat.

    Raises:
        NotReady: a copy is still being made from one of them, or from what was shared; the rest
            is done.

    Source: Aurora User Guide, "Copying a DB cluster snapshot": a copy whose source is deleted
    may fail.
    """
    hops = [*route.hops, *route.otherwise]
    places = dict.fromkeys((hop.account, hop.region) for hop in hops)
    found = {place: _manual_snapshots(client_of(*place)) for place in places}
    busy = {
        each.get("SourceDBClusterSnapshotArn")
        for snapshots in found.values()
        for each in snapshots
        if each["Status"] == "copying"
    }
    removed, held = [], []
    for place, snapshots in found.items():
        for copy in map(Snapshot.from_api, snapshots):
            if not is_own(copy, marks[tags.OPERATION]) or tags.INTERMEDIATE not in copy.tags:
                continue
            if copy.arn in busy:
                held.append(copy.id)
            else:
                delete_snapshot(client_of(*place), copy.id)
                removed.append(copy.id)
    for hop in {hop.source_arn: hop for hop in hops if hop.withdraw}.values():
        if hop.source_arn in busy:
            held.append(hop.source_name)
        elif hop.source_name not in removed:
            source = client_of(hop.source_account, hop.source_region)
            withdraw(source, hop.source_name, hop.account)
    if held:
        raise NotReady(f"cluster snapshot {held[0]}", "a copy is still being made from it")
    return removed


def _walk(hops: Sequence[Hop], client_of: ClientOf, marks: dict[str, str]) -> Snapshot:
    """Return the last copy once it is requested, the others before it being available."""
    *before, last = hops
    for done, hop in enumerate(before):
        copy = ensure_requested(hop, client_of, marks | {tags.INTERMEDIATE: "true"})
        percent = (100 * done + copy.percent) // len(before)
        require_available(f"cluster snapshot {copy.id}", copy.status, percent)
    return ensure_requested(last, client_of, marks)


def _manual_snapshots(rds: "RDSClient") -> "list[DBClusterSnapshotTypeDef]":
    pages = rds.get_paginator("describe_db_cluster_snapshots").paginate(SnapshotType="manual")
    return [each for page in pages for each in page["DBClusterSnapshots"]]
