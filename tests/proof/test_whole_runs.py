"""The faults of the catalogue in whole runs of the flow: stopped in time, then cured."""

from collections.abc import Callable
from typing import Any

import pytest
from catalogue import FAULTS, Fault
from stage import Stage, is_change

RECORDS = {"dynamodb", "sns"}  # a run that is stopped is recorded and announced


EVERY = 4  # that each cure is one, `test_preflight` shows; a run to its end takes long


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "goes_on"),
    [pytest.param(each, n % EVERY == 0, id=each.name) for n, each in enumerate(FAULTS)],
)
def test_fault_stops_a_run_before_its_first_change(
    running: Stage, refresh: Callable[..., Any], fault: Fault, *, goes_on: bool
) -> None:
    """
    The run fails before it changes anything in AWS; after the cure the next run succeeds (seen for
    some of them).
    """
    fault.plant(running)
    running.aws.advance(3600)

    stopped = refresh("op-001", **running.wishes)

    assert stopped.error is not None
    assert changes(running) == []
    if not goes_on:
        return
    fault.cure(running)
    assert refresh("op-002", **running.wishes).error is None


def changes(running: Stage) -> list[str]:
    """Return what the runs have changed in AWS."""
    return [
        event["operation"]
        for event in running.aws.events(kind="call")
        if "user/admin" not in event["caller"]
        and event["service"] not in RECORDS
        and is_change(event)
    ]
