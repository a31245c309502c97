"""SQL scripts run in the restored database before anybody logs in: each once, or not at all."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import psycopg2
from psycopg2.extensions import connection

from aurora_restore.demands import Script
from aurora_restore.errors import DatabaseSetupError, Refused
from aurora_restore.evidence import ScriptRun
from aurora_restore.files import TextFile
from aurora_restore.journal import Note, find_note, open_journal, put_note
from aurora_restore.postgres import failed
from aurora_restore.statements import NotPlainSql, Statement, split

KIND = "script"
_REMEDY = "Correct the script, then run again."
_CHANGING = ("INSERT", "UPDATE", "DELETE", "MERGE")
_TIMEOUT = "57014"  # query_canceled
# Before each statement: the time that is left, strings read as `split` reads them; whose
# transaction this is comes back.
_PREPARE = """
    SELECT pg_catalog.set_config('statement_timeout', %s, true),
        pg_catalog.set_config('standard_conforming_strings', 'on', true),
        pg_catalog.pg_current_xact_id()::pg_catalog.text
"""


def check(file: TextFile) -> list[Statement]:
    """Return the statements of a script, once all can be run in one transaction. No I/O.

    Raises:
        Refused: there is none; or a quotation does not end, a transaction is begun or ended, data
            are copied from the client, or it is psql's language: names the line.
    """
    resource = f"script {file.name}"
    try:
        statements = split(file.text)
    except NotPlainSql as error:
        remedy = f"{error.remedy[:1].upper()}{error.remedy[1:]}."
        raise Refused(resource, f"line {error.line}: {error.problem}", remedy) from None
    if not statements:
        raise Refused(resource, "there is no statement in it", "Remove it, or correct its name.")
    return statements


def run(
    connect: Callable[[str | None], AbstractContextManager[connection]],
    operation_id: str,
    scripts: Sequence[tuple[Script, TextFile]],
) -> list[ScriptRun]:
    """Run scripts one after the other, each in a connection and a transaction of its own.

    `connect`: opens one as the master, to a database (None: the request's); it commits at its end,
    as `postgres.connected` does. Safe to repeat: what is committed is not run again.

    Raises:
        as `run_one`; the scripts before the one that failed stay done.
    """
    for _, file in scripts:
        check(file)
    done = []
    for script, file in scripts:
        with connect(script.database) as database:
            done.append(run_one(database, operation_id, script, file))
    return done


def run_one(database: connection, operation_id: str, script: Script, file: TextFile) -> ScriptRun:
    """Run one script in the caller's transaction, which then holds the note of it as well.

    Safe to repeat.

    Raises:
        Refused: as `check`; or this operation has run the script with another text.
        DatabaseSetupError: PostgreSQL refused a statement (names its line), or the time was over.
        NotReady: the connection broke, or a deadlock was ended.

    Source: PostgreSQL, SET, statement_timeout, SET CONSTRAINTS, System Information Functions.
    """
    statements = check(file)
    resource = f"script {file.name}"
    try:
        open_journal(database)
        earlier = find_note(database, operation_id, KIND, file.name)
        with database.cursor() as cursor:  # the script shall have that of its database and role
            cursor.execute("SET LOCAL search_path TO DEFAULT")
    except psycopg2.Error as error:
        remedy = "Let the master create the schema aurora_restore in that database."
        raise failed(error, resource, "its journal", remedy) from None
    if earlier is not None and earlier.digest != file.sha256:
        raise Refused(
            resource,
            f"this operation has run it with another text (SHA-256 {earlier.digest[:12]}..., now "
            f"{file.sha256[:12]}...)",
            "Put that text back, or start another operation.",
        )
    note = earlier or _execute(database, script, file, statements)
    if earlier is None:
        try:
            put_note(database, operation_id, KIND, file.name, note)
        except psycopg2.Error as error:
            raise failed(error, resource, "its note", _REMEDY) from None
    name = database.info.dbname
    return ScriptRun(
        name=file.name,
        database=name,
        sha256=note.digest,
        rows=note.rows,
        seconds=note.seconds,
        is_earlier=earlier is not None,
    )


def _execute(
    database: connection, script: Script, file: TextFile, statements: Sequence[Statement]
) -> Note:
    clock = _Clock(script.timeout_seconds)
    resource = f"script {file.name}"
    rows, transaction, before = 0, "", ""
    for statement in statements:
        where = f"line {statement.line}"
        try:
            with database.cursor() as cursor:
                cursor.execute(_PREPARE, (clock.left(),))
                [(_, _, now)] = cursor.fetchall()
                transaction = transaction or now
                if now != transaction:
                    raise _ended(resource, before)
                cursor.execute(statement.text)
                rows += _affected(cursor)
        except psycopg2.Error as error:
            if error.pgcode == _TIMEOUT and clock.is_over():
                problem = f"{where}: it is not done after {script.timeout_seconds} seconds"
                raise DatabaseSetupError(resource, problem, "Allow more, or do less.") from None
            position = int(error.diag.statement_position or 0)
            what = f"line {statement.line_of(position)}"
            raise failed(error, resource, what, _REMEDY) from None
        before = where
    if _close(database, resource) != transaction:
        raise _ended(resource, before)
    return Note(file.sha256, rows, round(clock.passed(), 3))


def _close(database: connection, resource: str) -> str:
    """Check what PostgreSQL has put off until the commit, be the master again.

    Returns whose transaction this is.
    """
    try:
        with database.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("RESET ROLE")
            cursor.execute("SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text")
            [(now,)] = cursor.fetchall()
    except psycopg2.Error as error:
        raise failed(error, resource, "what is checked at its end", _REMEDY) from None
    return str(now)


def _ended(resource: str, where: str) -> DatabaseSetupError:
    return DatabaseSetupError(
        resource,
        f"{where}: the script has ended its transaction, so what came before is committed and the "
        "rest is not",
        "Remove that from the script, then restore again with another operation.",
    )


def _affected(cursor: psycopg2.extensions.cursor) -> int:
    """Return the rows that a statement has changed; those that a query returns are none."""
    changing = cursor.description is None or str(cursor.statusmessage).startswith(_CHANGING)
    return max(cursor.rowcount, 0) if changing else 0


class _Clock:
    def __init__(self, seconds: float) -> None:
        self._began, self._seconds = time.monotonic(), seconds

    def passed(self) -> float:
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        return self.passed() >= self._seconds

    def left(self) -> str:
        """Milliseconds, at least one: none would be no limit."""
        return str(max(int((self._seconds - self.passed()) * 1000) + 1, 1))
