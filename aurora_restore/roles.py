"""The logins of the restored database: created or altered, granted, and tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, encrypt_password
from pydantic import SecretStr

from aurora_restore.errors import DatabaseSetupError
from aurora_restore.postgres import Endpoint, connected
from aurora_restore.request import DatabaseRole
from aurora_restore.secrets import get_password

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_TABLE_PRIVILEGES = {
    "read_only": sql.SQL("SELECT"),
    "read_write": sql.SQL("SELECT, INSERT, UPDATE, DELETE"),
}
_SEQUENCE_PRIVILEGES = {"read_only": sql.SQL("SELECT"), "read_write": sql.SQL("SELECT, USAGE")}


@dataclass(frozen=True)
class Master:
    """Who sets the roles up, and the secret that holds its password."""

    username: str
    secret_id: str


def set_up(
    secrets: "SecretsManagerClient",
    roles: Sequence[DatabaseRole],
    endpoint: Endpoint,
    master: Master,
) -> None:
    """Return once each role has its grants and has logged in. Safe to repeat.

    All roles are made in one transaction. The master logs in even when there are none, which
    shows that the endpoint serves.

    Raises:
        NotReady: the server does not accept a login (yet).
        DatabaseSetupError: PostgreSQL refused a role or a grant; no role was changed.
    """
    passwords = [get_password(secrets, role.secret_id, role.name) for role in roles]
    master_password = get_password(secrets, master.secret_id, "master secret")
    with connected(endpoint, master.username, master_password) as database:
        for role, password in zip(roles, passwords, strict=True):
            ensure_role(database, role, password)
    for role, password in zip(roles, passwords, strict=True):
        require_login(endpoint, role, password)


def verify(
    secrets: "SecretsManagerClient",
    roles: Sequence[DatabaseRole],
    endpoint: Endpoint,
    master: Master,
) -> None:
    """Return once the master and each role have logged in. Changes nothing.

    Raises:
        NotReady: the server does not accept a login (yet).
        DatabaseSetupError: a role lacks a schema privilege.
    """
    with connected(
        endpoint, master.username, get_password(secrets, master.secret_id, "master secret")
    ):
        pass
    for role in roles:
        require_login(endpoint, role, get_password(secrets, role.secret_id, role.name))


def ensure_role(database: connection, role: DatabaseRole, password: SecretStr) -> None:
    """Give the role its login, password and grants. Safe to repeat.

    The caller owns the transaction. The server sees a SCRAM verifier, never the password. Future
    tables are covered where the connected role creates them.

    Raises:
        DatabaseSetupError: PostgreSQL refused a statement.

    Source: PostgreSQL, CREATE ROLE, GRANT, ALTER DEFAULT PRIVILEGES.
    """
    verifier = encrypt_password(
        password.get_secret_value(), role.name, scope=database, algorithm="scram-sha-256"
    )
    try:
        with database.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role.name,))
            verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
            cursor.execute(
                sql.SQL("{verb} ROLE {role} LOGIN PASSWORD {verifier}").format(
                    verb=verb, role=sql.Identifier(role.name), verifier=sql.Literal(verifier)
                )
            )
            for schema in role.schemas:
                _grant_schema(database, role, schema)
    except psycopg2.Error as error:
        raise DatabaseSetupError(f"role {role.name}", _reason(error)) from None


def _grant_schema(database: connection, role: DatabaseRole, schema: str) -> None:
    names = {
        "role": sql.Identifier(role.name),
        "schema": sql.Identifier(schema),
        "tables": _TABLE_PRIVILEGES[role.access],
        "sequences": _SEQUENCE_PRIVILEGES[role.access],
    }
    with database.cursor() as cursor:
        for statement in (
            "GRANT USAGE ON SCHEMA {schema} TO {role}",
            "GRANT {tables} ON ALL TABLES IN SCHEMA {schema} TO {role}",
            "GRANT {sequences} ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {tables} ON TABLES TO {role}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {sequences} ON SEQUENCES TO {role}",
        ):
            cursor.execute(sql.SQL(statement).format(**names))


def require_login(endpoint: Endpoint, role: DatabaseRole, password: SecretStr) -> None:
    """Return if the role can log in and use each of its schemas.

    Raises:
        NotReady: it cannot log in (yet).
        DatabaseSetupError: it lacks a schema privilege.
    """
    with (
        connected(endpoint, role.name, password) as session,
        session.cursor() as cursor,
    ):
        for schema in role.schemas:
            cursor.execute("SELECT has_schema_privilege(%s, 'USAGE')", (schema,))
            if cursor.fetchone() != (True,):
                raise DatabaseSetupError(f"role {role.name}", f"it may not use schema {schema}")


def _reason(error: psycopg2.Error) -> str:
    """PostgreSQL's own sentence, without the statement, which holds the verifier."""
    text = error.diag.message_primary or type(error).__name__
    return f"{text} (SQLSTATE {error.pgcode})"
