"""The shape of what machines read, and the look of what people read, kept by files.

`UPDATE_GOLDEN=1` writes the files of tests/golden anew.
"""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_world import DEPLOYMENT, ERROR, TARGET, outcome
from examples import request
from plans import ONE_STEP, ROLES, STAGING, plan

from aurora_restore.announcements import TopicUnavailable
from aurora_restore.cli import announcing, doctor, history, resuming, status
from aurora_restore.cli.answers import Answer, failure
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.planning import answer
from aurora_restore.cli.prefect_run import Run
from aurora_restore.cli.screen import Screen
from aurora_restore.details import Step
from aurora_restore.duration import Estimate
from aurora_restore.errors import RecordsDamaged, RecordsUnavailable
from aurora_restore.preflight import Check, Examination
from aurora_restore.records import Operation, Page, StepRecord

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
HASH = "0a1b2c3d4e5f6071"
FINE = Check(name="topic", status="ok", resource="topic arn:aws:sns:x", problem="it is there")
BAD = Check(
    name="old-cluster",
    status="failed",
    resource="cluster staging",
    problem="deletion protection is on",
    remedy="Turn it off, or set lift_deletion_protection.",
)
OPEN = Check(
    name="capacity",
    status="unchecked",
    resource="Region us-west-2",
    problem="AWS tells it only when it is asked for it",
)
ESTIMATE = Estimate(seconds=2520, refreshes=5, text="about 42 min (median of the last 5)")


def clean() -> Answer:
    asked = request(replace="swap", roles=ROLES)
    old = STAGING.model_copy(update={"port": 5433})
    examined = Examination([FINE, OPEN], plan(asked, old=old, route=ONE_STEP), HASH)
    return answer(asked, "op-1", examined, ESTIMATE, "aurora-restore plan request.yaml")


def findings() -> Answer:
    examined = Examination([FINE, BAD, OPEN], None, None)
    return answer(request(), "op-1", examined, None, "aurora-restore plan request.yaml")


NOW = datetime(2024, 3, 20, 1, tzinfo=UTC)
RUN_ID = "9f0c2c4e-6d1f-4d0a-8f11-0c8f8e3b7a55"
RUN = Run(RUN_ID, f"http://127.0.0.1:4200/runs/flow-run/{RUN_ID}")
NOTES = {"flow_run_id": RUN_ID, "deployment": "restore-aurora-cluster/refresh"}


def record(step: str, state: Any, first: int, last: int | None = None, **more: Any) -> StepRecord:
    """Return a record of operation op-1 that began and ended so many minutes past midnight."""
    moments = [("IN_PROGRESS", first)] + ([(state, last)] if last is not None else [])
    history = [{"status": s, "at": f"2024-03-20T00:{m:02}:00.000+00:00"} for s, m in moments]
    stamp = f"2024-03-20 00:{moments[-1][1]:02}:00"
    return StepRecord("op-1", step, state, stamp, history=history, **more)


def operation(state: Any, last: int | None = None, **notes: Any) -> Operation:
    """Return operation op-1: its first step is done, its second one is as the whole."""
    details = {"error": ERROR} if state == "FAILED" else {}
    asked = {"request": request().model_dump(mode="json")}
    steps = [
        record("snapshot-check", "SUCCESS", 0, 2),
        record("copy-snapshot", state, 2, last, details=details, percent=40),
    ]
    head = record("operation", state, 0, last, details=asked, notes=NOTES | notes)
    return Operation("op-1", head, {Step(each.step): each for each in steps})


FAILED = operation(
    "FAILED",
    42,
    target=TARGET,
    outcome=outcome("op-1"),
    announced="m-1",
    data_from="2024-03-19 23:00:00+00:00",
)
DONE = record(
    "operation",
    "SUCCESS",
    0,
    42,
    notes={"target": TARGET, "data_from": "2024-03-19 23:00:00+00:00"},
)
UNREADABLE = RecordsDamaged("record operation of operation op-0", "its history cannot be read")
UNTOLD = TopicUnavailable("topic arn:aws:sns:x", "Publish was refused (AuthorizationError)")


def listed() -> Answer:
    assert FAILED.head is not None
    page = Page([FAILED.head, DONE], [UNREADABLE], 3)
    return history.answer(history.Query(limit=3, target=TARGET, since=NOW), page)


def announced() -> Answer:
    told = [
        announcing.Sent(operation_id="op-1", result="FAILED", message_id="m-1"),
        announcing.Sent(operation_id="op-2", result="CRASHED", message_id="m-2", lost=True),
    ]
    return announcing.answer(told, ["op-3"], UNTOLD)


HEALTHY = [
    Check(name="settings", status="ok", resource="environment", problem="AURORA_RESTORE_* are set"),
    Check(name="topic", status="ok", resource="topic arn:aws:sns:x", problem="it is there"),
]
UNHEALTHY = [
    HEALTHY[0],
    Check(
        name="records-table",
        status="failed",
        resource="DynamoDB table aurora-restore-state",
        problem="it has no index target-timestamp",
        remedy="Add it, on target and timestamp, all attributes.",
    ),
    Check(name="topic", status="unchecked", resource="AWS", problem="it cannot be asked"),
]
ANSWERS = {
    "doctor-clean": lambda: doctor.answer(HEALTHY, "aurora-restore doctor"),
    "doctor-findings": lambda: doctor.answer(UNHEALTHY, "aurora-restore doctor --pool ecs"),
    "status-running": lambda: status.answer(operation("IN_PROGRESS", usual_seconds=2520), NOW),
    "status-failed": lambda: status.answer(FAILED, NOW),
    "history": listed,
    "resume": lambda: resuming.answer(FAILED, request(), DEPLOYMENT, RUN),
    "announce": announced,
}
DOCUMENTS = {
    "plan-clean": lambda: clean().envelope("plan"),
    "plan-findings": lambda: findings().envelope("plan"),
    **{name: lambda m=m, n=name: m().envelope(n.partition("-")[0]) for name, m in ANSWERS.items()},
    "bad-usage": lambda: failure("plan", BadUsage("arguments", "Unknown option: --jsn")),
    "unreachable": lambda: failure("plan", RecordsUnavailable("DynamoDB table t", "is away")),
}


def kept(name: str, text: str) -> str:
    """Return what the file has; write it first if that is asked for."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    return file.read_text()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_as_its_file(name: str) -> None:
    """
    What --json prints has the fields, the order and the types that programs rely on.
    """
    text = json.dumps(DOCUMENTS[name]().model_dump(mode="json"), indent=2) + "\n"

    assert text == kept(f"{name}.json", text)


@pytest.mark.parametrize("width", [40, 120])
@pytest.mark.parametrize(
    ("name", "made"), [("plan-clean", clean), ("plan-findings", findings), *ANSWERS.items()]
)
def test_text_is_as_its_file(name: str, made: Any, width: int) -> None:
    """
    What people read is laid out as a table where there is room, and as lines where there is none.
    """
    stream = io.StringIO()
    made().show(Screen(stream, {"COLUMNS": str(width)}))

    assert stream.getvalue() == kept(f"{name}-{width}.txt", stream.getvalue())
