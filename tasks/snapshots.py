"""The snapshot's steps: check, copy, wait for the copy, archive it."""

from typing import TypeVar

from aurora_restore import ledger, preflight
from aurora_restore.details import (
    Between,
    CopyAvailable,
    CopyStarted,
    OperationBegun,
    SnapshotArchived,
    SnapshotFound,
    Step,
    UsersSetUp,
)
from aurora_restore.plan import require_agreed
from aurora_restore.rds import archiving, copying, deleting, tags
from aurora_restore.rds.hopping import SharedNoMore
from aurora_restore.rds.snapshots import Snapshot
from aurora_restore.sessions import rds_clients, target_client
from tasks.step import step

P = TypeVar("P", bound=Between)


@step(Step.CHECK_SNAPSHOT)
def check_snapshot(begun: OperationBegun) -> SnapshotFound:
    """Return once preflight finds nothing in the way. Changes nothing."""
    request = begun.request
    examined = preflight.examine(request, begun.operation_id)
    plan = examined.require_clean()
    require_agreed(examined.fingerprint, begun.plan_hash)
    ledger.keep_plan(begun.operation_id, plan)
    return begun.then(
        SnapshotFound,
        plan=plan,
        data_from=plan.data_from,
        snapshot_name=plan.snapshot_id,
        snapshot_arn=plan.snapshot_arn,
        source_account_id=request.source_account_id,
        target_account_id=request.target_account_id,
        source_region=request.source_region,
        target_region=request.target_region,
    )


@step(Step.COPY_SNAPSHOT)
def copy_snapshot(found: SnapshotFound) -> CopyStarted:
    """Return once a copy in the target account and Region is requested."""
    found, copy = _follow(found)
    return found.then(
        CopyStarted,
        source_snapshot=found.snapshot_name,
        target_snapshot=copy.id,
        copy_status=copy.status,
        copy_snapshot_id=copy.id,
    )


@step(Step.CHECK_COPY_STATUS)
def check_copy_status(started: CopyStarted) -> CopyAvailable:
    """Return once the copy is available, and what was needed only for it is taken back."""
    copy_id = started.copy_snapshot_id
    if ledger.is_of_earlier_run(started.operation_id, Step.COPY_SNAPSHOT):
        # One that failed may have been removed since, as its error asks for: then it is made anew.
        started, copy = _follow(started)
        copy_id = copy.id
    copy = copying.require_copied(target_client("rds", started.target_region), copy_id)
    copying.tidy(started.plan.route, rds_clients(started.request), _marks(started))
    return started.then(
        CopyAvailable,
        target_snapshot=copy.id,
        copy_snapshot_id=copy.id,
        copy_status=copy.status,
        snapshot_arn=copy.arn,
    )


def _follow(planned: P) -> tuple[P, Snapshot]:
    """Return the copy, and the plan in force: one that shares anew is kept before it does."""
    clients, marks = rds_clients(planned.request), _marks(planned)
    try:
        return planned, copying.follow(planned.plan.route, clients, marks)
    except SharedNoMore:
        plan = planned.plan.model_copy(update={"route": planned.plan.route.sharing_anew()})
    ledger.keep_plan(planned.operation_id, plan)
    anew = planned.then(type(planned), plan=plan)
    return anew, copying.follow(plan.route, clients, marks)


def _marks(planned: Between) -> dict[str, str]:
    return tags.marks(planned.operation_id, planned.plan.target_cluster_id)


@step(Step.ARCHIVE_SNAPSHOT)
def archive_snapshot(ready: UsersSetUp) -> SnapshotArchived:
    """Return once the copy is tagged or deleted, and what is older than wanted is pruned."""
    request, rds = ready.request, target_client("rds", ready.target_region)
    keep = request.archive == "keep"
    archiving.archive(rds, ready.copy_snapshot_id, keep=keep)
    deleting.remove_kept(rds, request.target_cluster_id, may_lift=request.lift_deletion_protection)
    finals = archiving.prune_final_snapshots(
        rds, request.replaced_cluster_id, request.final_snapshots_keep_newest, ready.operation_id
    )
    copies = archiving.prune_archives(rds, request.target_cluster_id, request.archive_keep_newest)
    return ready.then(
        SnapshotArchived,
        archive_status="kept" if keep else "deleted",
        pruned_snapshot_ids=[*copies, *finals],
    )
