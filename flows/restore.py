"""The flow: one call for each box of the diagram."""

from typing import Any

from prefect import flow, runtime

from aurora_restore import ledger, takeover
from aurora_restore.details import NotificationSent, UsersSetUp
from aurora_restore.endings import conclude
from aurora_restore.request import RestoreRequest
from flows.display import date_run, name_run, show_finished, show_operation
from flows.hooks import announce_failure, end_told, operation_id_of, this_run
from tasks.clusters import (
    check_restore_status,
    delete_cluster,
    delete_old_cluster,
    restore_snapshot,
    swap_clusters,
)
from tasks.database import setup_db_users
from tasks.hooks import remember
from tasks.notifications import send_notification
from tasks.planning import plan_refresh
from tasks.polling import polled
from tasks.snapshots import archive_snapshot, check_copy_status, check_snapshot, copy_snapshot


@flow(
    name="restore-aurora-cluster",
    flow_run_name=name_run,
    retries=0,
    persist_result=False,
    on_failure=[announce_failure],
    on_crashed=[announce_failure],
    on_cancellation=[announce_failure],
)
def restore_aurora_cluster(
    request: RestoreRequest, *, dry_run: bool = False, plan_hash: str | None = None
) -> dict[str, Any]:
    """Replace an Aurora PostgreSQL cluster by a snapshot of another account.

    **Deletes the replaced cluster**, after a final snapshot of it has become available, and only
    when preflight has found nothing in the way. If a later step fails, the old cluster is brought
    back.

    1. *snapshot-check*: the source snapshot and all that the run needs
    2. *copy-snapshot*, *check-copy-status*: a copy in the target account and Region
    3. *delete-rds*: final snapshot, then readers, writer, cluster
    4. *restore-snapshot*, *check-restore-status*: cluster, instances, master password
    5. *setup-db-users*: the roles of the request, each tried by logging in
    6. *archive-snapshot*: the copy is kept or deleted, older ones are pruned
    7. *send-notification*: SNS

    With `replace` = `swap` the new cluster is restored beside the old one; *swap-clusters*
    exchanges their names once it is set up, and *delete-rds* comes after that.

    Each step's record is in DynamoDB. Running the same flow run again (`prefect flow-run retry`),
    or another one with the same `operation_id`, continues where it stopped; a finished operation is
    left alone. One operation at a time has the target. Returns the facts of the finished operation.

    Args:
        request: Which snapshot becomes which cluster, and how.
        dry_run: Only look: preflight's findings and the plan become an artifact, nothing changes.
        plan_hash: Refuse if the plan is no longer the one that was shown with this hash.
    """
    if dry_run:
        return plan_refresh(request)
    operation_id = operation_id_of(runtime.flow_run.id, request.model_dump())
    with end_told(request, operation_id):
        finished = ledger.find_finished(request, operation_id)
        if finished is not None:
            return show_finished(finished)
        takeover.take(request, operation_id, str(runtime.flow_run.id))
        begun = ledger.begin(request, operation_id, plan_hash, this_run())
        remember(runtime.flow_run.id, begun)

        found = polled(check_snapshot)(begun)
        date_run(found)
        copied = polled(check_copy_status)(polled(copy_snapshot)(found))
        if request.replace == "swap":
            restored = polled(check_restore_status)(polled(restore_snapshot)(copied))
            swapped = polled(swap_clusters)(polled(setup_db_users)(restored))
            ready: UsersSetUp = polled(delete_old_cluster)(swapped)
        else:
            cleared = polled(delete_cluster)(copied)
            restored = polled(check_restore_status)(polled(restore_snapshot)(cleared))
            ready = polled(setup_db_users)(restored)
        sent: NotificationSent = send_notification(polled(archive_snapshot)(ready))

        show_operation(conclude(sent))
        return sent.facts()
