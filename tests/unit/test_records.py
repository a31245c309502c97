"""Records as they were read: what follows from them without another look."""

from datetime import UTC, datetime
from typing import Any

import pytest
from examples import request

from aurora_restore.details import Step
from aurora_restore.records import HEAD, Operation, StepRecord, request_digest

BEGAN, AGAIN = "2024-03-20T00:05:00.000+00:00", "2024-03-20T03:00:00.000+00:00"


def record(step: str, status: Any = "SUCCESS", **more: Any) -> StepRecord:
    return StepRecord("op-001", step, status, "2024-03-20 00:05:00", {}, **more)


def operation(*steps: StepRecord, **notes: Any) -> Operation:
    head = record(HEAD, "IN_PROGRESS", notes=notes)
    return Operation("op-001", head, {Step(each.step): each for each in steps})


def test_attempt_began_when_its_latest_start_was_noted() -> None:
    """
    A step that failed and is tried again counts its time from the second start.
    """
    tried_twice = record(
        Step.DELETE_CLUSTER,
        history=[
            {"status": "IN_PROGRESS", "at": BEGAN},
            {"status": "FAILED", "at": "2024-03-20T01:00:00.000+00:00"},
            {"status": "IN_PROGRESS", "at": AGAIN},
            {"status": "SUCCESS", "at": "2024-03-20T04:00:00.000+00:00"},
        ],
    )

    assert tried_twice.started_at == datetime(2024, 3, 20, 3, tzinfo=UTC)
    assert record(Step.DELETE_CLUSTER).started_at is None


def test_only_success_counts_as_done() -> None:
    """
    A step that works, or failed, has not succeeded.
    """
    known = operation(
        record(Step.CHECK_SNAPSHOT),
        record(Step.COPY_SNAPSHOT, "FAILED"),
        record(Step.CHECK_COPY_STATUS, "IN_PROGRESS"),
    )

    assert [step for step in Step if known.succeeded(step)] == [Step.CHECK_SNAPSHOT]


def test_first_unfinished_step_follows_the_diagram() -> None:
    """
    Where to go on is decided by the order of the steps, never by a sort of their names.
    """
    first_four = [record(step) for step in list(Step)[:4]]

    assert operation().first_unfinished == Step.CHECK_SNAPSHOT
    assert operation(*first_four).first_unfinished == Step.RESTORE_SNAPSHOT
    assert operation(*first_four[1:]).first_unfinished == Step.CHECK_SNAPSHOT
    assert operation(*map(record, Step)).first_unfinished is None


def test_note_that_was_not_made_is_none() -> None:
    """
    A fact that nobody noted, or an operation without a head item, gives None.
    """
    assert operation(announced="m-1").note("announced") == "m-1"
    assert operation().note("announced") is None
    assert Operation("op-001", None, {}).note("announced") is None


def test_digest_is_of_what_is_asked_for_not_of_its_name() -> None:
    """
    The same request under another operation's name has the same digest.
    """
    assert request_digest(request()) == request_digest(request(operation_id="op-9"))


@pytest.mark.parametrize(
    "changes",
    [
        {"target_cluster_id": "other"},
        {"replaces": "old"},
        {"final_snapshot": False},
        {"reader_count": 1},
        {"security_group_ids": ["sg-1"]},
        {"roles": [{"name": "app", "secret_id": "s"}]},
    ],
)
def test_digest_changes_with_every_wish(changes: dict[str, Any]) -> None:
    """
    A request that asks for anything else has another digest.
    """
    assert request_digest(request(**changes)) != request_digest(request())


@pytest.mark.parametrize(("one", "other"), [(0, 0.0), (-3, -3.0), (10**15, 1e15)])
def test_whole_bound_is_one_request_however_it_is_written(one: int, other: float) -> None:
    """
    A browser's form and JSON in a database say 0 for 0.0: the request stays the same.
    """
    asked = [
        request(verify=[{"name": "n", "sql": "SELECT 1", "at_least": each}])
        for each in (one, other)
    ]

    assert request_digest(asked[0]) == request_digest(asked[1])
