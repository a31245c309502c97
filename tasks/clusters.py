"""The cluster's steps: make room, restore, wait until it serves."""

from aurora_restore import ledger
from aurora_restore.details import (
    ClusterDeleted,
    CopyAvailable,
    RestoreAvailable,
    RestoreStarted,
    Step,
)
from aurora_restore.rds import clusters, copying, deleting, names, restoring, tags
from aurora_restore.secrets import get_master_password
from aurora_restore.sessions import target_client
from tasks.step import step


@step(Step.DELETE_CLUSTER)
def delete_cluster(copied: CopyAvailable) -> ClusterDeleted:
    """Return once the replaced cluster is gone. DELETES it, after its final snapshot."""
    request, operation_id = copied.request, copied.operation_id
    rds = target_client("rds", copied.target_region)
    old = deleting.find_replaced(rds, request, operation_id)
    if old is not None:
        deleting.require_deletable(old)
        name = names.final_snapshot_name(old.id, operation_id)
        final = name if request.final_snapshot else None
        ledger.intend_deletion(operation_id, old, final)
        deleting.remove(rds, old, final, tags.marks(operation_id, request.target_cluster_id))
    return copied.then(ClusterDeleted, deleted_cluster_id=ledger.deleted_cluster_id(operation_id))


@step(Step.RESTORE_SNAPSHOT)
def restore_snapshot(cleared: ClusterDeleted) -> RestoreStarted:
    """Return once RDS has accepted the restore, every setting explicit."""
    request = cleared.request
    rds = target_client("rds", cleared.target_region)
    copy = copying.require_copied(rds, cleared.copy_snapshot_id)
    marks = tags.marks(cleared.operation_id, request.target_cluster_id)
    started = restoring.start_restore(rds, request, copy.arn, copy.engine_version, marks)
    network = clusters.get_network(rds, request.db_subnet_group_name)
    return cleared.then(
        RestoreStarted,
        new_cluster_id=started.id,
        restore_status=started.status,
        vpc_id=network.vpc_id,
        subnet_ids=network.subnet_ids,
        security_group_ids=list(request.security_group_ids),
    )


@step(Step.CHECK_RESTORE_STATUS)
def check_restore_status(started: RestoreStarted) -> RestoreAvailable:
    """Return once the cluster, each instance and the master password are ready."""
    request = started.request
    marks = tags.marks(started.operation_id, request.target_cluster_id)
    password = None
    if request.master_secret_id is not None:
        secrets = target_client("secretsmanager", started.target_region)
        password = get_master_password(secrets, request.master_secret_id)
    cluster = restoring.complete(
        target_client("rds", started.target_region), request, marks, password
    )
    return started.then(
        RestoreAvailable,
        restore_status=cluster.status,
        cluster_endpoint=cluster.endpoint,
        cluster_port=cluster.port,
    )
