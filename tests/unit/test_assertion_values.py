"""Assertions: what may be asked, and which answers hold."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from aurora_restore.assertions import _Fails, holds
from aurora_restore.demands import Assertion
from aurora_restore.request import one_line


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sql": "SELECT true; SELECT true"}, "sql: holds 2 statements; give one query"),
        ({"sql": "-- nothing"}, "sql: holds 0 statements; give one query"),
        ({"sql": "SELECT true; COMMIT"}, "sql: line 1: COMMIT begins or ends a transaction"),
        ({"sql": "SELECT 'a"}, "sql: line 1: the quotation that begins here has no end"),
        ({"sql": "SELECT '\0'"}, "sql: holds a NUL character; remove it"),
        ({"sql": "SELECT 1", "at_least": 2, "at_most": 1}, "at_least: greater than at_most"),
        ({"sql": "SELECT 1", "at_least": float("nan")}, "at_least"),
        ({"sql": "SELECT 1", "timeout_seconds": 0}, "timeout_seconds"),
        ({"sql": "SELECT 1", "name": "two\nlines"}, "name: malformed"),
    ],
)
def test_assertion_that_cannot_be_asked_is_refused(fields: dict[str, Any], said: str) -> None:
    """
    One query, with bounds that something can meet; the error does not quote it.
    """
    with pytest.raises(ValidationError) as refused:
        Assertion.model_validate({"name": "a"} | fields)

    assert said in one_line(refused.value)


@pytest.mark.parametrize(
    ("bounds", "value", "text"),
    [
        ({}, True, "true"),
        ({"at_least": 1}, 1, "1"),
        ({"at_most": 1}, 1, "1"),
        ({"at_least": 0.5, "at_most": 2}, Decimal("1.50"), "1.50"),
        ({"at_least": 0}, 1.5, "1.5"),
        ({"at_most": -1}, float("-inf"), "-inf"),
    ],
)
def test_answer_within_the_bounds_holds(bounds: dict[str, Any], value: object, text: str) -> None:
    """
    Without bounds only true holds, with bounds any number from one to the other.
    """
    assert holds(Assertion(name="a", sql="SELECT 1", **bounds), value) == text


@pytest.mark.parametrize(
    ("bounds", "value", "said"),
    [
        ({}, False, "it gave false"),
        ({}, None, "it gave null"),
        ({}, 1, "it gave no boolean; set at_least or at_most if it is a number"),
        ({}, "S3cret", "it gave no boolean; set at_least or at_most if it is a number"),
        ({"at_least": 1}, 0, "it gave 0, which is less than 1"),
        ({"at_most": 1}, Decimal("1.1"), "it gave 1.1, which is more than 1"),
        ({"at_least": 1}, True, "it gave no number"),
        ({"at_least": 1}, "S3cret", "it gave no number"),
        ({"at_least": 1}, None, "it gave null"),
        ({"at_least": 1}, float("nan"), "it gave NaN"),
        ({"at_most": 1}, Decimal("NaN"), "it gave NaN"),
    ],
)
def test_any_other_answer_does_not_hold(bounds: dict[str, Any], value: object, said: str) -> None:
    """
    What was given is told where that is a number or a boolean, never a text.
    """
    with pytest.raises(_Fails) as fails:
        holds(Assertion(name="a", sql="SELECT 1", **bounds), value)

    assert str(fails.value) == said
