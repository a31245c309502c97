"""The database's step: its roles."""

from aurora_restore import roles
from aurora_restore.details import RestoreAvailable, Step, UsersSetUp
from aurora_restore.postgres import Endpoint
from aurora_restore.rds import clusters
from aurora_restore.sessions import target_client
from tasks.step import step


@step(Step.SETUP_DB_USERS)
def setup_db_users(restored: RestoreAvailable) -> UsersSetUp:
    """Return once each role of the request has logged in with its password."""
    request = restored.request
    cluster = clusters.get_cluster(
        target_client("rds", restored.target_region), restored.new_cluster_id
    )
    secret_id = request.master_secret_id or str(cluster.master_secret_arn)
    roles.set_up(
        target_client("secretsmanager", restored.target_region),
        request.roles,
        Endpoint(restored.cluster_endpoint, restored.cluster_port, request.database),
        roles.Master(cluster.master_username, secret_id),
    )
    return restored.then(
        UsersSetUp,
        master_secret_arn=secret_id,
        db_users=[role.name for role in request.roles],
    )
