"""The shape of what machines read, and the look of what people read, kept by files.

`UPDATE_GOLDEN=1` writes the files of tests/golden anew.
"""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from examples import request
from plans import ONE_STEP, ROLES, STAGING, plan

from aurora_restore.cli.answers import Answer, failure
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.planning import answer
from aurora_restore.cli.screen import Screen
from aurora_restore.duration import Estimate
from aurora_restore.errors import RecordsUnavailable
from aurora_restore.preflight import Check, Examination

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


DOCUMENTS = {
    "plan-clean": lambda: clean().envelope("plan"),
    "plan-findings": lambda: findings().envelope("plan"),
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
@pytest.mark.parametrize(("name", "made"), [("clean", clean), ("findings", findings)])
def test_text_is_as_its_file(name: str, made: Any, width: int) -> None:
    """
    What people read is laid out as a table where there is room, and as lines where there is none.
    """
    stream = io.StringIO()
    made().show(Screen(stream, {"COLUMNS": str(width)}))

    assert stream.getvalue() == kept(f"plan-{name}-{width}.txt", stream.getvalue())
