"""The snapshot's steps: check, copy, wait for the copy, archive it."""

from aurora_restore import preflight
from aurora_restore.details import (
    CopyAvailable,
    CopyStarted,
    OperationBegun,
    SnapshotArchived,
    SnapshotFound,
    Step,
    UsersSetUp,
)
from aurora_restore.ledger import store
from aurora_restore.rds import archiving, copying, names, tags
from aurora_restore.sessions import owns_source, source_client, target_client
from tasks.step import step


@step(Step.CHECK_SNAPSHOT)
def check_snapshot(begun: OperationBegun) -> SnapshotFound:
    """Return once what preflight checks is in order. Changes nothing."""
    found = preflight.check(begun)
    store().note(begun.operation_id, data_from=found.data_from and str(found.data_from))
    return found


@step(Step.COPY_SNAPSHOT)
def copy_snapshot(found: SnapshotFound) -> CopyStarted:
    """Return once a copy in the target account and Region is requested."""
    request = found.request
    marks = tags.marks(found.operation_id, request.target_cluster_id)
    if owns_source(request) and request.source_account_id != request.target_account_id:
        source = source_client("rds", request)
        copying.ensure_shared(source, found.snapshot_name, request.target_account_id)
    copy = copying.start_copy(
        target_client("rds", request.target_region),
        found.snapshot_arn,
        request,
        names.copy_names(request, found.operation_id, found.snapshot_name),
        marks,
    )
    return found.then(
        CopyStarted,
        source_snapshot=found.snapshot_name,
        target_snapshot=copy.id,
        copy_status=copy.status,
        copy_snapshot_id=copy.id,
    )


@step(Step.CHECK_COPY_STATUS)
def check_copy_status(started: CopyStarted) -> CopyAvailable:
    """Return once the copy is available. Raises NotReady (retried), EndedBadly."""
    rds = target_client("rds", started.target_region)
    copy = copying.require_copied(rds, started.copy_snapshot_id)
    return started.then(CopyAvailable, copy_status=copy.status, snapshot_arn=copy.arn)


@step(Step.ARCHIVE_SNAPSHOT)
def archive_snapshot(ready: UsersSetUp) -> SnapshotArchived:
    """Return once the copy is tagged or deleted, and older archived ones are pruned."""
    rds = target_client("rds", ready.target_region)
    keep = ready.request.archive == "keep"
    archiving.archive(rds, ready.copy_snapshot_id, keep=keep)
    return ready.then(
        SnapshotArchived,
        archive_status="kept" if keep else "deleted",
        pruned_snapshot_ids=archiving.prune_archives(
            rds, ready.request.target_cluster_id, ready.request.archive_keep_newest
        ),
    )
