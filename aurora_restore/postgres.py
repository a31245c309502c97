"""Connections to the restored cluster: TLS with the endpoint's name verified, always."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection
from pydantic import SecretStr

from aurora_restore import leases
from aurora_restore.errors import NotReady

CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Endpoint:
    """Where to connect to."""

    host: str
    port: int
    database: str


@contextmanager
def connected(endpoint: Endpoint, user: str, password: SecretStr) -> Iterator[connection]:
    """Yield a connection over TLS; commits at the end, rolls back on an error, and closes.

    What was done is committed only under the operation's lease.

    The CA comes from libpq's own PGSSLROOTCERT, an address other than the name's from PGHOSTADDR.

    Raises:
        NotReady: the server does not accept the connection (yet).

    Source: PostgreSQL, libpq connection control functions; sslmode verify-full.
    """
    try:
        opened = psycopg2.connect(
            host=endpoint.host,
            port=endpoint.port,
            dbname=endpoint.database,
            user=user,
            password=password.get_secret_value(),
            sslmode="verify-full",
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="aurora-restore",
        )
    except psycopg2.OperationalError as error:
        raise NotReady(
            f"endpoint {endpoint.host}:{endpoint.port}",
            f"no connection to database {endpoint.database!r} as {user!r}: {error}",
        ) from error
    try:
        with opened:
            yield opened
            leases.confirm()
    finally:
        opened.close()
