"""Statements sent in few round trips; a refusal told with its role, and never with a verifier."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import psycopg2
from psycopg2.extensions import connection
from psycopg2.sql import SQL, Composable

from aurora_restore.access.changes import Change
from aurora_restore.errors import DatabaseSetupError, NotReady

STATEMENTS_PER_TRIP = 100
# Connection lost, deadlock, server going down, lock not granted: another time it may work.
_PASSING = ("08", "40", "57", "55P03")
# Forbidden, objects depend on it: details that say why, and hold nothing secret.
_DETAILED = {"42501", "2BP01"}
REMEDY = (
    "Give the master user ADMIN OPTION on the role in the source (or its privileges, if it owns "
    "the object), or correct the role in the request; then run again."
)


def send(
    database: connection,
    changes: Sequence[Change],
    render: Callable[[Iterable[Change]], Iterator[Composable]],
) -> None:
    """Make the changes. If they are refused, make each by itself, to learn whose it was.

    Raises:
        DatabaseSetupError: PostgreSQL refused a change; the transaction can only be rolled back.
        NotReady: the connection or the server went away, or a lock was not granted.
    """
    if not changes:
        return
    with told(f"role {changes[0].role}"), database.cursor() as cursor:
        cursor.execute("SAVEPOINT changes")
        try:
            statements = render(changes)
            while batch := list(islice(statements, STATEMENTS_PER_TRIP)):
                cursor.execute(SQL("; ").join(batch))
        except psycopg2.Error:
            cursor.execute("ROLLBACK TO SAVEPOINT changes")
            for change in changes:
                with told(f"role {change.role}"):
                    for statement in render([change]):
                        cursor.execute(statement)
        cursor.execute("RELEASE SAVEPOINT changes")


@contextmanager
def told(resource: str) -> Iterator[None]:
    """Raise what PostgreSQL refuses inside as an error of `resource`, without the statement.

    Raises:
        DatabaseSetupError: it was refused.
        NotReady: the connection or the server went away, or a lock was not granted.
    """
    try:
        yield
    except psycopg2.Error as error:
        code = error.pgcode or ""
        problem = (error.diag.message_primary or type(error).__name__).strip()
        if code in _DETAILED and error.diag.message_detail:
            problem = f"{problem}: {error.diag.message_detail}"
        problem = f"{problem.rstrip('.')} (SQLSTATE {code or 'none'})"
        if not code or code.startswith(_PASSING):
            raise NotReady(resource, problem) from None
        raise DatabaseSetupError(resource, problem, REMEDY) from None
