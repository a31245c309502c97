"""Queries that must hold in the restored database: asked read-only, by the master."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal

import psycopg2
from psycopg2.extensions import connection

from aurora_restore.demands import Assertion
from aurora_restore.errors import DatabaseSetupError
from aurora_restore.evidence import Held
from aurora_restore.postgres import failed, may_heal, said
from aurora_restore.statements import split

_REMEDY = "Look at the restored data, or correct the assertion; then run again."


class _Fails(Exception):
    """What is wrong with an answer."""


def prove(
    connect: Callable[[str | None], AbstractContextManager[connection]],
    assertions: Sequence[Assertion],
) -> list[Held]:
    """Return once all hold. Changes nothing: each is asked in a read-only transaction of its own.

    `connect`: opens a connection as the master, to a database (None: the request's), as
    `postgres.connected` does. All are asked, also after one that does not hold.

    Raises:
        DatabaseSetupError: one or more do not hold: names each, with what it gave if that is a
            number or a boolean; never a text of the database.
        NotReady: the connection broke.

    Source: PostgreSQL, SET TRANSACTION, DECLARE.
    """
    held, wrong = [], []
    for assertion in assertions:
        with connect(assertion.database) as database:
            try:
                held.append(_ask(database, assertion))
            except _Fails as problem:
                wrong.append(f"{assertion.name}: {problem}")
            finally:
                if not database.closed:
                    database.rollback()
    if wrong:
        said = "; ".join(wrong)
        raise DatabaseSetupError(
            "assertions", f"{len(wrong)} of {len(assertions)} do not hold: {said}", _REMEDY
        )
    return held


def holds(assertion: Assertion, value: object) -> str:
    """Return the value as text if the assertion holds for it.

    Raises:
        _Fails: it does not; says how, without quoting a text.
    """
    if value is None:
        raise _Fails("it gave null")
    if not assertion.is_bounded:
        if not isinstance(value, bool):
            raise _Fails("it gave no boolean; set at_least or at_most if it is a number")
        if not value:
            raise _Fails("it gave false")
        return "true"
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _Fails("it gave no number")
    if value != value:  # noqa: PLR0124 - NaN
        raise _Fails("it gave NaN")
    if assertion.at_least is not None and value < assertion.at_least:
        raise _Fails(f"it gave {value}, which is less than {assertion.at_least}")
    if assertion.at_most is not None and value > assertion.at_most:
        raise _Fails(f"it gave {value}, which is more than {assertion.at_most}")
    return str(value)


def _ask(database: connection, assertion: Assertion) -> Held:
    began = time.monotonic()
    [query] = split(assertion.sql)
    try:
        with database.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(f"SET LOCAL statement_timeout = {assertion.timeout_seconds * 1000:d}")
            cursor.execute("SET LOCAL standard_conforming_strings = on")
        # A cursor of the server's, so that a query of all rows is not fetched whole.
        with database.cursor("assertion") as answer:
            answer.execute(query.text)
            rows = answer.fetchmany(2)
            columns = len(answer.description or ())
    except psycopg2.Error as error:
        if may_heal(error):
            raise failed(error, f"assertion {assertion.name}", "its query") from None
        raise _Fails(said(error)) from None
    if columns != 1:
        raise _Fails(f"it gave {columns} columns instead of one")
    if len(rows) != 1:
        raise _Fails("it gave no row" if not rows else "it gave more than one row")
    value = holds(assertion, rows[0][0])
    seconds = round(time.monotonic() - began, 3)
    return Held(name=assertion.name, value=value, seconds=seconds)
