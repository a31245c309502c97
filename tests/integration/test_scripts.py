"""Scripts in the restored database: each once per operation, in one transaction, or not at all."""

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg2.extensions import connection
from server_fixtures import MASTER, Database

from aurora_restore.demands import Script, script_conflicts
from aurora_restore.errors import DatabaseSetupError, NotReady, Refused, RestoreError
from aurora_restore.evidence import ScriptRun
from aurora_restore.files import TextFile
from aurora_restore.scripts import _execute, check, run
from aurora_restore.statements import Statement

DONE = "SELECT operation_id, kind, name, digest, rows FROM aurora_restore.done ORDER BY at"


def file(text: str, name: str = "mask.sql") -> TextFile:
    return TextFile(name, text, hashlib.sha256(text.encode()).hexdigest())


def script(text: str, name: str = "mask.sql", **fields: Any) -> tuple[Script, TextFile]:
    return Script(file=name, **fields), file(text, name)


def run_all(
    database: Database, *scripts: tuple[Script, TextFile], operation_id: str = "op-1"
) -> list[ScriptRun]:
    return run(database.opened, operation_id, scripts)


def refusal(database: Database, text: str, **fields: Any) -> RestoreError:
    with pytest.raises(RestoreError) as refused:
        run_all(database, script(text, **fields))
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert "\n" not in str(refused.value)
    return refused.value


def test_scripts_run_in_their_order_and_count_rows(database: Database) -> None:
    """
    Rows that were changed are counted, those that a query returns are not; each run is noted.
    """
    first = script(
        "CREATE TABLE t (a int);\n"
        "INSERT INTO t SELECT generate_series(1, 5) RETURNING a;\n"
        "SELECT * FROM t;",
        "1.sql",
    )
    second = script("UPDATE t SET a = -a; DELETE FROM t WHERE a = -1", "2.sql")

    done = run_all(database, first, second)

    assert [(each.name, each.rows, each.is_earlier) for each in done] == [
        ("1.sql", 5, False),
        ("2.sql", 6, False),
    ]
    assert {each.database for each in done} == {database.name}
    assert all(each.seconds > 0 for each in done)
    assert database.rows("SELECT sum(a) FROM t") == [(-14,)]
    assert database.rows(DONE) == [
        ("op-1", "script", "1.sql", first[1].sha256, 5),
        ("op-1", "script", "2.sql", second[1].sha256, 6),
    ]


def test_script_runs_once_for_an_operation(database: Database) -> None:
    """
    A resumed run tells what the earlier one did; another operation runs the script again.
    """
    count = script("CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1)")
    [first] = run_all(database, count)

    [again] = run_all(database, count)
    after = database.rows("SELECT count(*) FROM t")
    run_all(database, count, operation_id="op-2")

    assert after == [(1,)]
    assert again == first.model_copy(update={"is_earlier": True})
    assert database.rows("SELECT count(*) FROM t") == [(2,)]


def test_routines_of_every_kind_are_one_statement(database: Database) -> None:
    """
    What is between a routine's BEGIN and END goes to the server with it.
    """
    run_all(
        database,
        script(
            "CREATE TABLE t (a int);\n"
            "CREATE PROCEDURE p(n int) BEGIN ATOMIC\n"
            "  INSERT INTO t VALUES (CASE WHEN n > 0 THEN 1 ELSE 2 END);\n"
            "  INSERT INTO t VALUES (n);\n"
            "END;\n"
            "DO $$ BEGIN CALL p(5); END $$;\n"
            "CREATE RULE r AS ON DELETE TO t DO INSTEAD (UPDATE t SET a = 0; UPDATE t SET a = 7);\n"
            "DELETE FROM t"
        ),
    )

    assert database.rows("SELECT a FROM t") == [(7,), (7,)]


def test_script_that_has_changed_meanwhile_is_refused(database: Database) -> None:
    """
    Under one operation a name stands for one text; nothing is run.
    """
    run_all(database, script("CREATE TABLE t (a int)"))

    refused = refusal(database, "DROP TABLE t")

    assert isinstance(refused, Refused)
    assert "script mask.sql: this operation has run it with another text (SHA-256 " in str(refused)
    assert database.rows("SELECT * FROM t") == []


def test_failing_script_leaves_nothing(database: Database) -> None:
    """
    The transaction is undone with its note; scripts before it stay, those after it do not run.
    """
    scripts = [
        script("CREATE TABLE one ()", "1.sql"),
        script("CREATE TABLE two ();\nSELECT 1/0;", "2.sql"),
        script("CREATE TABLE three ()", "3.sql"),
    ]

    with pytest.raises(DatabaseSetupError) as failed:
        run_all(database, *scripts)

    assert str(failed.value) == (
        "script 2.sql: line 2: division by zero (SQLSTATE 22012). "
        "Correct the script, then run again."
    )
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert database.rows(tables) == [("one",)]
    assert [row[2] for row in database.rows(DONE)] == ["1.sql"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1;\n\nSELECT *\nFROM nowhere", 'line 4: relation "nowhere" does not exist'),
        ("SELECT 'S3cret'::int", "line 1: invalid input syntax for type integer (...)"),
        ("SELECT 1\n'S3cret'", "line 2: syntax error at or near (...)"),
        ("SELECT date 'S3cret'", "line 1: invalid input syntax for type date (...)"),
        ("DO $$BEGIN RAISE 'S3cret'; END$$", "line 1: an exception that the SQL raises itself"),
        (
            "DO $$BEGIN RAISE unique_violation USING MESSAGE = 'S3cret'; END$$",
            "line 1: an exception that the SQL raises itself (SQLSTATE 23505)",
        ),
        (
            "CREATE TABLE t (a text UNIQUE);\nINSERT INTO t VALUES ('S3cret'), ('S3cret')",
            'line 2: duplicate key value violates unique constraint "t_a_key" (SQLSTATE 23505)',
        ),
        ("VACUUM", "line 1: VACUUM cannot run inside a transaction block (SQLSTATE 25001)"),
        ("DO $$BEGIN COMMIT; END$$", "line 1: invalid transaction termination (SQLSTATE 2D000)"),
        ("SELECT 1;\nSELECT (1; COMMIT", "line 2: syntax error"),
    ],
)
def test_error_names_the_line_and_no_value(database: Database, text: str, said: str) -> None:
    """
    The line of the failing place, PostgreSQL's sentence and SQLSTATE; neither SQL nor values.
    """
    failed = refusal(database, text)

    assert isinstance(failed, DatabaseSetupError)
    assert str(failed).startswith(f"script mask.sql: {said}")
    assert "S3cret" not in str(failed)
    assert "SELECT" not in str(failed)


def test_constraint_that_waits_for_the_commit_is_told(database: Database) -> None:
    """
    Deferred constraints are checked while the script can still be named.
    """
    failed = refusal(
        database,
        "CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);INSERT INTO t VALUES (1), (1)",
    )

    assert str(failed).startswith(
        "script mask.sql: what is checked at its end: duplicate key value violates"
    )


def test_whole_script_has_a_time(database: Database) -> None:
    """
    The statements share the time, whatever the script sets itself.
    """
    failed = refusal(
        database,
        "SET statement_timeout = 0;\nSELECT pg_sleep(0.7);\nSELECT pg_sleep(0.7)",
        timeout_seconds=1,
    )

    assert str(failed) == (
        "script mask.sql: line 3: it is not done after 1 seconds. Allow more, or do less."
    )


def test_role_and_path_of_a_script_end_with_it(database: Database) -> None:
    """
    A script may act as another role, with a search path of its own; the note is the master's.
    """
    [done] = run_all(
        database,
        script(
            "CREATE SCHEMA hidden; CREATE FUNCTION hidden.set_config(text, text, boolean) RETURNS"
            " text LANGUAGE plpgsql AS $$ BEGIN RAISE 'mine'; END $$;"
            f"SET search_path = hidden, pg_catalog; CREATE ROLE r{database.name}; "
            f"GRANT r{database.name} TO {MASTER}; SET ROLE r{database.name}; SELECT 1"
        ),
    )

    assert done.rows == 0
    assert len(database.rows(DONE)) == 1


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "text", ["SELECT 1; COMMIT", "COMMIT; BEGIN; SELECT 1", "ROLLBACK", "COMMIT AND CHAIN"]
)
def test_transaction_that_ends_in_a_script_is_noticed(
    database: Database,
    text: str,
    last: bool,  # noqa: FBT001
) -> None:
    """
    What the check did not see is found when it has happened: no statement more, and no note.
    """
    statements = [Statement(7, text), Statement(8, "CREATE TABLE t ()")][: 1 if last else 2]

    with pytest.raises(DatabaseSetupError) as failed, database.opened() as opened:
        _execute(opened, Script(file="x"), file(""), statements)

    assert str(failed.value).startswith("script mask.sql: line 7: the script has ended its tra")
    assert database.rows("SELECT to_regclass('t')") == [(None,)]


def test_strings_are_read_as_the_check_reads_them(database: Database) -> None:
    """
    A script cannot change what a backslash means, and so hide a COMMIT.
    """
    hidden = r"SELECT '\''; COMMIT; BEGIN; --'"

    done = run_all(
        database,
        script(f"SET standard_conforming_strings = off; CREATE TABLE t (); {hidden}", "1.sql"),
    )
    database.rows(f"ALTER DATABASE {database.name} SET standard_conforming_strings = off")
    done += run_all(database, script(hidden, "2.sql"))

    assert [each.rows for each in done] == [0, 0]


def test_check_needs_no_database() -> None:
    """
    What can be told from the text is refused with its line before anything is run.
    """
    with pytest.raises(Refused) as control:
        check(file("SELECT 1;\nCOMMIT"))
    with pytest.raises(Refused) as empty:
        check(file("-- nothing"))

    assert str(control.value) == (
        "script mask.sql: line 2: COMMIT begins or ends a transaction, but this runs in one of its "
        "own. Remove it."
    )
    assert str(empty.value) == (
        "script mask.sql: there is no statement in it. Remove it, or correct its name."
    )
    assert [each.line for each in check(file("SELECT 1;\nSELECT 2"))] == [1, 2]


def test_no_script_runs_if_one_is_refused(database: Database) -> None:
    """
    All are checked before the first.
    """
    with pytest.raises(Refused):
        run_all(database, script("CREATE TABLE t ()", "1.sql"), script("COMMIT", "2.sql"))

    assert database.rows("SELECT 1 FROM pg_tables WHERE tablename = 't'") == []


def test_script_runs_in_its_database(database: Database) -> None:
    """
    The journal is where the script is: in each database its own.
    """
    other = f"{database.name}_other"
    database.server.run_sql(database.key, f"CREATE DATABASE {other} OWNER {MASTER}")

    [done] = run_all(database, script("CREATE TABLE t ()", database=other))

    assert done.database == other
    there = database.server.run_sql(database.key, "SELECT name FROM aurora_restore.done", other)
    assert there == [("mask.sql",)]
    assert database.rows("SELECT to_regnamespace('aurora_restore')") == [(None,)]


def test_journal_is_the_masters_alone(database: Database) -> None:
    """
    Nobody else may look into it, whatever defaults the database has.
    """
    database.rows(f"CREATE ROLE r{database.name}")
    database.rows("ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC", MASTER)
    database.rows("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC", MASTER)

    run_all(database, script("SELECT 1"))

    allowed = "SELECT has_schema_privilege('r{0}', 'aurora_restore', 'USAGE'), "
    allowed += "has_table_privilege('r{0}', 'aurora_restore.done', 'SELECT')"
    assert database.rows(allowed.format(database.name)) == [(False, False)]


@pytest.mark.parametrize("what", ["schema", "table"])
def test_journal_of_somebody_else_is_refused(database: Database, what: str) -> None:
    """
    Who owns the table could let the master run a trigger of theirs.
    """
    stranger = f"r{database.name}"
    database.rows(f"CREATE ROLE {stranger}")
    if what == "schema":
        database.rows(f"CREATE SCHEMA aurora_restore AUTHORIZATION {stranger}")
    else:
        database.rows(f"CREATE SCHEMA aurora_restore AUTHORIZATION {MASTER}")
        database.rows("CREATE TABLE aurora_restore.done (operation_id text)")
        database.rows(f"ALTER TABLE aurora_restore.done OWNER TO {stranger}")

    with pytest.raises(Refused) as refused:
        run_all(database, script("SELECT 1"))

    assert str(refused.value).startswith(
        f"schema aurora_restore of database {database.name}: it belongs to role {stranger}, not to"
    )


def test_master_that_may_not_make_the_journal_is_told(database: Database) -> None:
    """
    A database of somebody else's needs a grant.
    """
    database.rows(f"ALTER DATABASE {database.name} OWNER TO rdsadmin")

    assert str(refusal(database, "SELECT 1")) == (
        f"script mask.sql: its journal: permission denied for database {database.name} "
        "(SQLSTATE 42501). Let the master create the schema aurora_restore in that database."
    )


def test_runs_at_once_run_a_script_once(database: Database) -> None:
    """
    The second one waits for the first one's commit and finds its note.
    """
    begun, may_go_on = threading.Event(), threading.Event()
    text = "CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1)"

    @contextmanager
    def slow(name: str | None) -> Iterator[connection]:
        with database.opened(name) as opened:
            yield opened
            begun.set()
            assert may_go_on.wait(30)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, slow, "op-1", [script(text)])
        assert begun.wait(30)
        second = pool.submit(run_all, database, script(text))
        waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until = time.monotonic() + 10
        while not database.rows(waits) and time.monotonic() < until:
            time.sleep(0.01)
        may_go_on.set()
        [[one], [two]] = first.result(30), second.result(30)

    assert (one.is_earlier, two.is_earlier) == (False, True)
    assert database.rows("SELECT count(*) FROM t") == [(1,)]


def test_connection_that_breaks_in_a_script_is_waited_for(database: Database) -> None:
    """
    A server that goes away undoes the script; the next look runs it.
    """
    ends = script("CREATE TABLE t (); SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(NotReady, match=r"^script mask\.sql: line 1: "):
        run_all(database, ends)

    assert database.rows("SELECT to_regclass('t')") == [(None,)]


def test_script_of_a_megabyte_runs(database: Database) -> None:
    """
    Ten thousand statements are no trouble.
    """
    [done] = run_all(
        database,
        script("CREATE TABLE t (a text);\n" + "INSERT INTO t VALUES ('é;');\n" * 10_000),
    )

    assert done.rows == 10_000


def test_script_that_stands_twice_is_found() -> None:
    """
    The journal would skip the second one, so that is told.
    """
    again = Script(file="a.sql", database="app")

    assert script_conflicts([Script(file="a.sql"), again, Script(file="b.sql")], "app") == [
        "scripts: 'a.sql' stands twice for database 'app'; a script runs once: remove one"
    ]
    assert script_conflicts([Script(file="a.sql"), again], "other") == []
