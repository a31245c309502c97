"""Assertions about the restored data, on the real server: all are asked, none changes anything."""

import resource
from typing import Any

import pytest
from server_fixtures import MASTER, Database

from aurora_restore.assertions import prove
from aurora_restore.demands import Assertion
from aurora_restore.errors import DatabaseSetupError, NotReady


def assertion(sql: str, name: str = "a", **fields: Any) -> Assertion:
    return Assertion(name=name, sql=sql, **fields)


def failure(database: Database, *assertions: Assertion) -> str:
    with pytest.raises(DatabaseSetupError) as failed:
        prove(database.opened, assertions)
    assert failed.value.__cause__ is None
    text = str(failed.value)
    assert "\n" not in text
    assert text.endswith(". Look at the restored data, or correct the assertion; then run again.")
    return failed.value.problem


def test_what_holds_is_told_with_its_value(database: Database) -> None:
    """
    True, or a number within its bounds, of any of PostgreSQL's numbers.
    """
    held = prove(
        database.opened,
        [
            assertion("SELECT count(*) = 0 FROM pg_class WHERE relname = 'x';", "no-x"),
            assertion("VALUES (5::bigint)", "five", at_least=5, at_most=5),
            assertion("WITH n AS (SELECT 1.50) SELECT * FROM n", "numeric", at_most=1.5),
            assertion("SELECT 0.5::real", "real", at_least=0.5),
        ],
    )

    assert [(each.name, each.value) for each in held] == [
        ("no-x", "true"),
        ("five", "5"),
        ("numeric", "1.50"),
        ("real", "0.5"),
    ]
    assert all(each.seconds >= 0 for each in held)


def test_all_that_do_not_hold_are_told_at_once(database: Database) -> None:
    """
    One error lists each; texts of the database are not in it.
    """
    secret = "SELECT 'S3cret'"

    told = failure(
        database,
        assertion("SELECT false", "false"),
        assertion("SELECT NULL::boolean", "null"),
        assertion("SELECT true", "true"),
        assertion("SELECT 3", "three", at_least=4),
        assertion(secret, "text"),
        assertion(f"{secret}::int", "cast"),
        assertion("SELECT true FROM generate_series(1, 2)", "rows"),
        assertion("SELECT true WHERE false", "none"),
        assertion("SELECT true, true", "columns"),
        assertion("SELECT", "no-column"),
        assertion("SELECT true FROM nowhere", "nowhere"),
    )

    assert told == (
        "10 of 11 do not hold: false: it gave false; null: it gave null; three: it gave 3, which "
        "is less than 4; text: it gave no boolean; set at_least or at_most if it is a number; "
        "cast: invalid input syntax for type integer (...) (SQLSTATE 22P02); rows: it gave more "
        "than one row; none: it gave no row; columns: it gave 2 columns instead of one; no-column: "
        "it gave 0 columns instead of one; nowhere: "
        'relation "nowhere" does not exist (SQLSTATE 42P01)'
    )


@pytest.mark.parametrize(
    "sql",
    [
        "WITH n AS (INSERT INTO t VALUES (1) RETURNING true) SELECT * FROM n",
        "SELECT nextval('s') > 0",
        "SELECT writes()",
        "INSERT INTO t VALUES (1) RETURNING true",
        "SET TRANSACTION READ WRITE",
        "CREATE TABLE u ()",
    ],
)
def test_assertion_changes_nothing(database: Database, sql: str) -> None:
    """
    Not by itself, nor by a function it calls.
    """
    database.rows("CREATE TABLE t (a int); CREATE SEQUENCE s", MASTER)
    database.rows(
        "CREATE FUNCTION writes() RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO t VALUES (1); RETURN true; END $$",
        MASTER,
    )

    assert failure(database, assertion(sql)).startswith("1 of 1 do not hold: a: ")
    assert database.rows("SELECT (SELECT count(*) FROM t), is_called FROM s") == [(0, False)]


def test_setting_of_one_assertion_does_not_reach_the_next(database: Database) -> None:
    """
    Each has a connection and a transaction of its own.
    """
    held = prove(
        database.opened,
        [
            assertion("SELECT set_config('application_name', 'x', false) = 'x'", "sets"),
            assertion("SELECT current_setting('application_name') = 'aurora-restore'", "reads"),
        ],
    )

    assert len(held) == 2


def test_assertion_has_a_time(database: Database) -> None:
    """
    A query that takes too long does not hold, and the next one is asked.
    """
    told = failure(
        database, assertion("SELECT pg_sleep(30) IS NULL", timeout_seconds=1), assertion("SELECT 1")
    )

    assert told.startswith("2 of 2 do not hold: a: canceling statement due to statement timeout")


def test_rows_of_a_large_answer_are_not_fetched(database: Database) -> None:
    """
    A query of ten million rows is told as fast as one of two.
    """
    before = _memory()

    told = failure(database, assertion("SELECT generate_series(1, 10000000)"))

    assert "it gave more than one row" in told
    assert _memory() - before < 100 << 20


def _memory() -> int:
    """The most this process has used so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_assertion_is_asked_in_its_database(database: Database) -> None:
    """
    The request's, unless it names another.
    """
    held = prove(
        database.opened,
        [
            assertion(f"SELECT current_database() = '{database.name}'"),
            assertion("SELECT current_database() = 'postgres'", database="postgres"),
        ],
    )

    assert [each.value for each in held] == ["true", "true"]


def test_connection_that_breaks_is_waited_for(database: Database) -> None:
    """
    A server that goes away has said nothing about the data.
    """
    with pytest.raises(NotReady, match=r"^assertion a: its query: "):
        prove(database.opened, [assertion("SELECT pg_terminate_backend(pg_backend_pid())")])
