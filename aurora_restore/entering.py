"""How the restored cluster is entered: as its master, and as each of the request's logins."""

from collections.abc import Sequence

from pydantic import SecretStr

from aurora_restore.access.declared import DatabaseRole
from aurora_restore.details import RestoreAvailable
from aurora_restore.handover import Credentials, Server
from aurora_restore.plan import Plan
from aurora_restore.postgres import Endpoint
from aurora_restore.rds import tags
from aurora_restore.rds.clusters import Cluster
from aurora_restore.secrets import NewSecret, Password, ensure_password, get_password, read_password
from aurora_restore.sessions import target_client


def server(
    restored: RestoreAvailable, cluster: Cluster, secret_id: str, *, lag: bool = False
) -> Server:
    """Return the cluster as its master enters it, whose password is in a secret.

    Raises:
        NotFound, Refused: as `secrets.read_password`.
    """
    secrets = target_client("secretsmanager", restored.target_region)
    return Server(
        Endpoint(cluster.endpoint, cluster.port, restored.request.database),
        cluster.master_username,
        get_password(secrets, secret_id, "master secret"),
        lag=lag,
    )


def credentials(
    restored: RestoreAvailable, roles: Sequence[DatabaseRole], endpoint: Endpoint
) -> Credentials:
    """Return what the logins get in with; makes the secrets that are to be made. Safe to repeat.

    Raises:
        NotFound, Refused: as `secrets.ensure_password`; names the role.

    Source: RDS user guide, IAM database authentication (a token is valid for 15 minutes).
    """
    region = restored.target_region
    rds = target_client("rds", region)
    return Credentials(
        passwords={
            role.name: _password(restored, role, endpoint)
            for role in roles
            if role.secret_id is not None
        },
        token=lambda name: SecretStr(
            rds.generate_db_auth_token(
                DBHostname=endpoint.host, Port=endpoint.port, DBUsername=name, Region=region
            )
        ),
    )


def _password(restored: RestoreAvailable, role: DatabaseRole, endpoint: Endpoint) -> Password:
    secrets = target_client("secretsmanager", restored.target_region)
    secret_id, field = str(role.secret_id), f"role {role.name} secret_id"
    if not role.make_secret:
        return read_password(secrets, secret_id, field)
    marks = tags.marks(restored.operation_id, restored.plan.target_cluster_id)
    where: dict[str, str | int] = {
        "host": _final_host(restored.plan, endpoint.host),
        "port": endpoint.port,
        "dbname": endpoint.database,
    }
    new = NewSecret(restored.operation_id, role.name, where, marks)
    return ensure_password(secrets, secret_id, field, new)


def _final_host(plan: Plan, host: str) -> str:
    """Return the host that the cluster will have at the end: its first label is the identifier."""
    _, dot, zone = host.partition(".")
    return f"{plan.target_cluster_id}{dot}{zone}" if plan.swaps_names else host
