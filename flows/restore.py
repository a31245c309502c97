"""The flow: one call for each box of the diagram."""

from typing import Any

from prefect import flow, runtime

from aurora_restore import ledger
from aurora_restore.details import NotificationSent
from aurora_restore.endings import conclude
from aurora_restore.request import RestoreRequest
from flows.display import date_run, name_run, show_operation
from flows.hooks import announce_failure, failure_announced, operation_id_of
from tasks.clusters import check_restore_status, delete_cluster, restore_snapshot
from tasks.database import setup_db_users
from tasks.hooks import remember
from tasks.notifications import send_notification
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
def restore_aurora_cluster(request: RestoreRequest) -> dict[str, Any]:
    """Replace an Aurora PostgreSQL cluster by a snapshot of another account.

    **Deletes the replaced cluster**, after a final snapshot of it has become available and only
    when what is checked beforehand is in order: both accounts, the snapshot, the replaced cluster,
    the DB subnet group, the secrets, the topic.

    1. *snapshot-check*: the source snapshot and all that the run needs
    2. *copy-snapshot*, *check-copy-status*: a copy in the target account and Region
    3. *delete-rds*: final snapshot, then readers, writer, cluster
    4. *restore-snapshot*, *check-restore-status*: cluster, instances, master password
    5. *setup-db-users*: the roles of the request, each tried by logging in
    6. *archive-snapshot*: the copy is kept or deleted, older ones are pruned
    7. *send-notification*: SNS

    Each step's record is in DynamoDB. Running the same flow run again (`prefect flow-run retry`)
    continues where it stopped. Returns the facts of the finished operation.
    """
    with failure_announced(request):
        operation_id = operation_id_of(runtime.flow_run.id, request.model_dump())
        begun = ledger.begin(request, operation_id)
        remember(runtime.flow_run.id, begun)

        found = check_snapshot(begun)
        date_run(found)
        copied = polled(check_copy_status)(polled(copy_snapshot)(found))
        cleared = polled(delete_cluster)(copied)
        restored = polled(check_restore_status)(polled(restore_snapshot)(cleared))
        ready = polled(setup_db_users)(restored)
        sent: NotificationSent = send_notification(polled(archive_snapshot)(ready))

        show_operation(conclude(sent))
        return sent.facts()
