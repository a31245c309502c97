"""Connections to the restored cluster: TLS with the endpoint's name verified, always."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import as_file, files

import psycopg2
from psycopg2.extensions import connection
from pydantic import SecretStr

from aurora_restore import leases
from aurora_restore.errors import DatabaseSetupError, NotReady, RestoreError

CONNECT_TIMEOUT_SECONDS = 10
BUNDLE = files("aurora_restore") / "data" / "rds-global-bundle.pem"

# A refused login comes without an SQLSTATE: libpq shows a program the text alone. What matches
# nothing here (another language, too) counts as what may pass, and the step's deadline ends it.
_AUTHENTICATION = {
    "password": "Correct the password in the secret, or the role's in the database.",
    "PAM": "A member of rds_iam needs a fresh IAM token and rds-db:connect, not a password.",
}
_FINAL = (
    (
        r"fe_sendauth: no password supplied",
        "Give the login a password, or its IAM token.",
    ),
    (
        r"FATAL: +role .* (is not permitted to log in|does not exist)",
        "Let the role log in (ALTER ROLE ... LOGIN), or name another.",
    ),
    (
        r"FATAL: +(no pg_hba\.conf entry|pg_hba\.conf rejects)",
        "The server lets nobody in that way: name another user or database.",
    ),
    (
        r"FATAL: +database .* (does not exist|is not currently accepting connections)",
        "Correct the database's name in the request.",
    ),
    (
        r"FATAL: +permission denied for database",
        "Grant CONNECT on the database to the role.",
    ),
    (
        r"certificate verify failed|root certificate file .* does not exist",
        "Name the file with the authority of the server's certificate in PGSSLROOTCERT.",
    ),
)
_HEALING_STATES = {"57P01", "57P02", "57P03", "40001", "40P01", "53300", "55P03"}
# PostgreSQL quotes names in these classes of errors; in the others it quotes values as well.
_NAMES_ONLY = ("0A", "23", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58")
_SYNTAX_ERROR = "42601"
_RAISE = "exec_stmt_raise"  # PL/pgSQL's RAISE, which may set any SQLSTATE


@dataclass(frozen=True)
class Endpoint:
    """Where to connect to."""

    host: str
    port: int
    database: str


@contextmanager
def connected(
    endpoint: Endpoint, user: str, password: SecretStr, *, lag: bool = False
) -> Iterator[connection]:
    """Yield a connection over TLS; commits at the end, rolls back on an error, and closes.

    What was done is committed only under the operation's lease. `lag`: the server may not know
    this password yet (`lags`).

    The CAs are RDS's (`aurora_restore/data`), or those of libpq's own PGSSLROOTCERT; an address
    other than the name's comes from PGHOSTADDR.

    Raises:
        NotReady: the server does not accept the connection (yet), or it broke at the commit.
        DatabaseSetupError: waiting does not help: a wrong password, no such database, a
            certificate that cannot be verified; or the commit was refused.

    Source: PostgreSQL, libpq connection control functions; sslmode verify-full.
    """
    opened = _connect(endpoint, user, password, lag=lag)
    try:
        yield opened
        leases.confirm()
        try:
            opened.commit()
        except psycopg2.Error as error:
            raise failed(error, f"database {endpoint.database}", "the commit") from None
    finally:
        opened.close()  # without a commit that is a rollback


def trust_catalogue(database: connection) -> None:
    """Have names without a schema mean PostgreSQL's own until the end of the transaction.

    Otherwise a role of the source could have planted a function or an operator that the master
    then runs: one that fits better, or in a schema that comes first.

    Raises:
        psycopg2.Error: as any statement.

    Source: PostgreSQL, search_path; Function Type Resolution.
    """
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")


def lags(set_at: datetime | None, now: datetime, seconds: float) -> bool:
    """Whether a password set at `set_at` (None: long ago) may not be known to the server yet.

    `seconds`: the setting `authentication_lag`. RDS reports a cluster available before the
    password of ModifyDBCluster is the database's.
    """
    return set_at is not None and (now - set_at).total_seconds() < seconds


def remedy_for(message: str, *, lag: bool) -> str | None:
    """Return what to do about a refused connection, or None if waiting may help.

    `message`: what libpq said, in English or it is waited for.
    """
    if refused := re.search(r"FATAL: +(password|PAM) authentication failed", message):
        return None if lag else _AUTHENTICATION[refused[1]]
    for pattern, remedy in _FINAL:
        if re.search(pattern, message):
            return remedy
    return None


def failed(
    error: psycopg2.Error, resource: str, what: str, remedy: str | None = None
) -> RestoreError:
    """Return the error to raise for a statement that failed: NotReady if a repeat may help.

    Raise it `from None`: PostgreSQL's own error quotes the statement.
    """
    problem = f"{what}: {said(error)}"
    if may_heal(error):
        return NotReady(resource, problem)
    return DatabaseSetupError(resource, problem, remedy)


def may_heal(error: psycopg2.Error) -> bool:
    """Whether the same transaction, begun anew, may go well: a broken connection, a deadlock.

    Source: PostgreSQL, Error Codes.
    """
    if error.pgcode is None:
        return isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))
    return error.pgcode.startswith("08") or error.pgcode in _HEALING_STATES


def said(error: psycopg2.Error) -> str:
    """Return PostgreSQL's own sentence with its SQLSTATE, without statement, values and detail.

    What it quotes is left out where that may be a value: errors of data, of syntax, and those a
    script raises itself.

    Source: PostgreSQL, Error Codes; Error Message Style Guide.
    """
    if error.pgcode is None:
        return "the connection broke"
    message = error.diag.message_primary or type(error).__name__
    if error.diag.source_function == _RAISE or error.pgcode.startswith("P0"):
        message = "an exception that the SQL raises itself"
    elif not error.pgcode.startswith(_NAMES_ONLY) or error.pgcode == _SYNTAX_ERROR:
        message = re.sub(r" *([\"'].*[\"']|: .*)", " (...)", message, flags=re.DOTALL)
    return f"{message} (SQLSTATE {error.pgcode})"


def _connect(endpoint: Endpoint, user: str, password: SecretStr, *, lag: bool) -> connection:
    try:
        with as_file(BUNDLE) as bundle:
            return psycopg2.connect(
                host=endpoint.host,
                port=endpoint.port,
                dbname=endpoint.database,
                user=user,
                password=password.get_secret_value(),
                sslmode="verify-full",
                sslrootcert=os.environ.get("PGSSLROOTCERT") or str(bundle),
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                client_encoding="UTF8",
                application_name="aurora-restore",
            )
    except psycopg2.OperationalError as error:
        resource = f"endpoint {endpoint.host}:{endpoint.port}"
        problem = (
            f"no connection to database {endpoint.database!r} as {user!r}: {str(error).strip()}"
        )
        remedy = remedy_for(str(error), lag=lag)
        if remedy is None:
            raise NotReady(resource, problem) from None
        raise DatabaseSetupError(resource, problem, remedy) from None
