"""The database's step: masked, proven, opened to its roles."""

from datetime import UTC, datetime

from aurora_restore import entering, handover, ledger
from aurora_restore.access.declared import Declared
from aurora_restore.details import RestoreAvailable, Step, UsersSetUp
from aurora_restore.planned_files import reread
from aurora_restore.postgres import lags
from aurora_restore.restored import restored_cluster
from aurora_restore.sessions import target_client
from aurora_restore.settings import settings
from tasks.step import step


@step(Step.SETUP_DB_USERS)
def setup_db_users(restored: RestoreAvailable) -> UsersSetUp:
    """Return once the database is masked and proven, and each declared login was tried."""
    request, roles = restored.request, restored.plan.roles
    now, times = datetime.now(UTC), ledger.times(restored.operation_id)
    cluster = restored_cluster(
        target_client("rds", restored.target_region),
        restored.operation_id,
        restored.new_cluster_id,
    )
    secret_id = request.master_secret_id or str(cluster.master_secret_arn)
    lag = lags(times.restored_at, now, settings().authentication_lag)
    server = entering.server(restored, cluster, secret_id, lag=lag)
    handed = handover.hand_over(
        server,
        handover.Wanted(
            restored.operation_id,
            Declared(request.database, roles, request.undeclared_logins),
            reread(request, restored.plan),
            request.verify,
        ),
        entering.credentials(restored, roles, server.endpoint),
    )
    data_from = restored.plan.data_from
    return restored.then(
        UsersSetUp,
        master_secret_arn=secret_id,
        db_users=[role.name for role in roles],
        server_version=handed.server_version,
        databases=handed.databases,
        roles_made=handed.made,
        roles_locked=handed.locked,
        roles_dropped=handed.dropped,
        scripts_run=handed.scripts,
        assertions_held=handed.held,
        logins_tried=handed.tried,
        data_age_seconds=None if data_from is None else int((now - data_from).total_seconds()),
        restore_seconds=int((now - times.began_at).total_seconds()),
    )
