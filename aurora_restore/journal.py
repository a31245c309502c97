"""What an operation has done in a restored database, noted there in the same transaction.

A note is committed with what it tells of or not at all, so a run that goes on can skip it.
"""

from dataclasses import dataclass

from psycopg2.extensions import connection

from aurora_restore.errors import Refused
from aurora_restore.postgres import trust_catalogue

SCHEMA = "aurora_restore"
_LOCK = 0x41525354  # any number, but always the same
_MAKE = (
    "CREATE SCHEMA IF NOT EXISTS aurora_restore",
    "REVOKE ALL ON SCHEMA aurora_restore FROM PUBLIC",
    """
    CREATE TABLE IF NOT EXISTS aurora_restore.done (
        operation_id text NOT NULL,
        kind text NOT NULL,
        name text NOT NULL,
        digest text NOT NULL,
        rows bigint NOT NULL,
        seconds double precision NOT NULL,
        at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
        PRIMARY KEY (operation_id, kind, name)
    )
    """,
    "REVOKE ALL ON TABLE aurora_restore.done FROM PUBLIC",
)
# Whoever owns the schema or the table could let the master run what they want (a trigger).
_STRANGERS = """
    SELECT pg_catalog.pg_get_userbyid(owner) FROM (
        SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'aurora_restore'
        UNION ALL
        SELECT relowner FROM pg_catalog.pg_class
        WHERE relname = 'done' AND relnamespace =
            (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'aurora_restore')
    ) AS owners (owner)
    WHERE pg_catalog.pg_get_userbyid(owner) <> current_user
"""


@dataclass(frozen=True)
class Note:
    """One thing that was done: which text (SHA-256), how many rows it affected, in what time."""

    digest: str
    rows: int
    seconds: float


def open_journal(database: connection) -> None:
    """Make the journal if there is none, and keep other runs out until the transaction's end.

    Safe to repeat. Another run's transaction is waited for a minute (SQLSTATE 55P03). Names without
    a schema mean PostgreSQL's own from here on, until the caller sets another search_path.

    Raises:
        Refused: the schema or the table is somebody else's.
        psycopg2.Error: PostgreSQL refused to make it.
    """
    trust_catalogue(database)
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '60s'")
        cursor.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
        cursor.execute(_STRANGERS)
        if strangers := cursor.fetchall():
            raise Refused(
                f"schema {SCHEMA} of database {database.info.dbname}",
                f"it belongs to role {strangers[0][0]}, not to the master",
                "Rename it in the source database; this tool needs the name.",
            )
        cursor.execute("SELECT pg_catalog.to_regclass('aurora_restore.done') IS NULL")
        if cursor.fetchone() == (True,):
            for statement in _MAKE:
                cursor.execute(statement)


def find_note(database: connection, operation_id: str, kind: str, name: str) -> Note | None:
    """Return what is noted, or None. Comes after `open_journal`."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT digest, rows, seconds FROM aurora_restore.done"
            " WHERE operation_id = %s AND kind = %s AND name = %s",
            (operation_id, kind, name),
        )
        row = cursor.fetchone()
    return None if row is None else Note(*row)


def find_names(database: connection, operation_id: str, kind: str) -> list[str]:
    """Return the names of all notes of a kind, sorted."""
    trust_catalogue(database)
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM aurora_restore.done WHERE operation_id = %s AND kind = %s ORDER BY 1",
            (operation_id, kind),
        )
        return [name for (name,) in cursor.fetchall()]


def put_note(database: connection, operation_id: str, kind: str, name: str, note: Note) -> None:
    """Note what this transaction has done; what was noted under that name before is replaced."""
    trust_catalogue(database)
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO aurora_restore.done (operation_id, kind, name, digest, rows, seconds)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (operation_id, kind, name)"
            " DO UPDATE SET digest = EXCLUDED.digest, at = EXCLUDED.at",
            (operation_id, kind, name, note.digest, note.rows, note.seconds),
        )
