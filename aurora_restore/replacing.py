"""The old cluster's end: recorded before it begins, after its final snapshot, or put off."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aurora_restore import ledger
from aurora_restore.details import CopyAvailable, Step
from aurora_restore.errors import NotReady
from aurora_restore.rds import deleting, names, tags
from aurora_restore.sessions import target_client

FRESH = timedelta(hours=1)
"""By how much a final snapshot may be older than this run's attempt of the step. An older one is
taken anew, since the cluster has served meanwhile. More than the clocks differ."""


def remove_old(
    known: CopyAvailable,
    now_called: str,
    require_successor: Callable[[], object],
    keep_hours: int = 0,
) -> str | None:
    """Return the deleted cluster's identifier once it is gone; None if there is or was none.

    `now_called` is the identifier the old cluster has at this moment. `require_successor` raises if
    nothing can take its place any more: it is asked last, before the deletion is recorded. With
    `keep_hours` the cluster is only secured by a final snapshot and marked with the hour after
    which a later refresh deletes it.

    Raises:
        NotReady: it is being secured or deleted.
        Refused: it may not be deleted, is not the cluster that preflight saw, or nothing can take
            its place (Superseded: what took its place has been replaced since).
        EndedBadly: the final snapshot failed; nothing was deleted.
    """
    request, operation_id, old = known.request, known.operation_id, known.plan.old
    rds = target_client("rds", known.target_region)
    cluster = deleting.find_replaced(rds, now_called, old, operation_id)
    if cluster is None or old is None:
        return ledger.deleted_cluster_id(operation_id)
    name = names.final_snapshot_name(old.blueprint.cluster_id, operation_id)
    final = name if request.final_snapshot else None
    marks = tags.marks(operation_id, request.target_cluster_id) | {
        tags.FINAL_OF: old.blueprint.cluster_id
    }
    if cluster.status == "deleting":
        raise NotReady(f"cluster {cluster.id}", "it is being deleted")
    lift = request.lift_deletion_protection
    intended = ledger.deleted_cluster_id(operation_id) is not None
    not_before = None if intended else ledger.began(operation_id, Step.DELETE_CLUSTER) - FRESH
    deleting.secure(rds, cluster, final, marks, lift_protection=lift, not_before=not_before)
    if keep_hours:
        until = datetime.now(UTC) + timedelta(hours=keep_hours)
        kept = {
            tags.TARGET: request.target_cluster_id,
            tags.DELETE_AFTER: until.strftime(tags.MOMENT),
        }
        tags.add(rds, cluster.arn, kept)
        ledger.keep_old(operation_id, cluster.id, until)
        return None
    if not intended:
        require_successor()
        ledger.intend_deletion(operation_id, old, final)
    if cluster.protected:
        deleting.lift_protection(rds, cluster)
    deleting.delete_cluster(rds, cluster)
    return ledger.deleted_cluster_id(operation_id)
