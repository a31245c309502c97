"""The cluster's steps: make room, restore, wait, exchange names, and the way back."""

from aurora_restore import entering, handover, ledger, replacing, restored
from aurora_restore.access.declared import Declared
from aurora_restore.details import (
    BroughtBack,
    ClusterDeleted,
    ClustersSwapped,
    CopyAvailable,
    OldClusterDeleted,
    RefreshFailed,
    RestoreAvailable,
    RestoreStarted,
    Step,
    UsersSetUp,
)
from aurora_restore.rds import (
    bringing_back,
    copying,
    names,
    restoring,
    swapping,
    tags,
)
from aurora_restore.secrets import get_master_password
from aurora_restore.sessions import target_client
from tasks.step import step


@step(Step.DELETE_CLUSTER)
def delete_cluster(copied: CopyAvailable) -> ClusterDeleted:
    """Return once the replaced cluster is gone. DELETES it, after its final snapshot."""
    rds = target_client("rds", copied.target_region)
    deleted = replacing.remove_old(
        copied,
        copied.request.replaced_cluster_id,
        lambda: restored.copy_to_restore(rds, copied.copy_snapshot_id),
    )
    return copied.then(ClusterDeleted, deleted_cluster_id=deleted)


@step(Step.RESTORE_SNAPSHOT)
def restore_snapshot(cleared: CopyAvailable) -> RestoreStarted:
    """Return once RDS has accepted the restore, every setting explicit."""
    plan = cleared.plan
    rds = target_client("rds", cleared.target_region)
    copy = copying.require_copied(rds, cleared.copy_snapshot_id)
    marks = tags.marks(cleared.operation_id, plan.target_cluster_id)
    started = restoring.start_restore(rds, plan.new, copy.arn, marks)
    ledger.keep_restored(cleared.operation_id, started)
    return cleared.then(
        RestoreStarted,
        new_cluster_id=started.id,
        restore_status=started.status,
        vpc_id=plan.vpc_id,
        subnet_ids=plan.subnet_ids,
        security_group_ids=plan.new.security_group_ids,
    )


@step(Step.CHECK_RESTORE_STATUS)
def check_restore_status(started: RestoreStarted) -> RestoreAvailable:
    """Return once the cluster, each instance and the master password are ready."""
    request, plan = started.request, started.plan
    password = None
    if request.master_secret_id is not None:
        secrets = target_client("secretsmanager", started.target_region)
        password = get_master_password(secrets, request.master_secret_id)
    rds = target_client("rds", started.target_region)
    marks = tags.marks(started.operation_id, plan.target_cluster_id)
    found = restored.restored_cluster(rds, started.operation_id, plan.new.cluster_id)
    cluster = restoring.complete(rds, found, plan.new, marks, password)
    return started.then(
        RestoreAvailable,
        restore_status=cluster.status,
        cluster_endpoint=cluster.endpoint,
        cluster_port=cluster.port,
    )


@step(Step.SWAP_CLUSTERS)
def swap_clusters(ready: UsersSetUp) -> ClustersSwapped:
    """Return once the new cluster serves under the target's identifier. Deletes nothing."""
    plan = ready.plan
    rds = target_client("rds", ready.target_region)
    if plan.old is not None and plan.swaps_names:
        cluster = swapping.exchange(
            rds,
            plan.old.resource_id,
            ledger.restored_resource_id(ready.operation_id),
            plan.target_cluster_id,
            names.old_cluster_name(ready.request, ready.operation_id),
        )
    else:
        cluster = restored.restored_cluster(rds, ready.operation_id, plan.target_cluster_id)
    server = entering.server(ready, cluster, ready.master_secret_arn)
    handover.try_logins(
        server,
        Declared(ready.request.database, plan.roles),
        entering.credentials(ready, plan.roles, server.endpoint),
    )
    return ready.then(
        ClustersSwapped,
        new_cluster_id=cluster.id,
        cluster_endpoint=cluster.endpoint,
        cluster_port=cluster.port,
    )


@step(Step.DELETE_CLUSTER)
def delete_old_cluster(swapped: ClustersSwapped) -> OldClusterDeleted:
    """Return once the old cluster is gone, or marked to be kept. DELETES it, after its snapshot."""
    request = swapped.request
    now_called = request.replaced_cluster_id
    if swapped.plan.swaps_names:
        now_called = names.old_cluster_name(request, swapped.operation_id)
    rds = target_client("rds", swapped.target_region)
    deleted = replacing.remove_old(
        swapped,
        now_called,
        lambda: restored.restored_cluster(rds, swapped.operation_id, swapped.new_cluster_id),
        keep_hours=request.keep_old_hours,
    )
    return swapped.then(OldClusterDeleted, deleted_cluster_id=deleted)


@step(Step.BRING_BACK)
def bring_back_old(failed: RefreshFailed) -> BroughtBack:
    """Return once the old cluster serves again; what was restored in its place is removed."""
    final = ledger.final_snapshot_id(failed.operation_id)
    cluster = bringing_back.bring_back(
        target_client("rds", failed.target_region),
        failed.plan,
        final,
        tags.marks(failed.operation_id, failed.plan.target_cluster_id),
        aside=failed.aside,
    )
    from_snapshot = tags.BROUGHT_BACK in cluster.tags
    return failed.then(
        BroughtBack,
        brought_back_cluster_id=cluster.id,
        brought_back_from=final if from_snapshot else None,
        cluster_endpoint=cluster.endpoint,
        cluster_port=cluster.port,
    )
