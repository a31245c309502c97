"""The shape of `cleanup --json` and the look of its text, kept by files."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_cli_golden import kept

from aurora_restore.cli.answers import Answer
from aurora_restore.cli.cleaning import answer
from aurora_restore.cli.screen import Screen
from aurora_restore.leftovers import Kept, Leftover
from aurora_restore.rds import tags
from aurora_restore.rds.inventory import Kind, Resource
from aurora_restore.records import HEAD, Operation, StepRecord
from aurora_restore.removal import Outcome
from aurora_restore.survey import Found, Scope, Survey

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
HERE, NEAR, SOURCE = "987654321098/us-west-2", "987654321098/us-east-1", "123456789012/us-east-1"


def found(kind: Kind, place: str, name: str, verdict: Leftover | Kept, **more: Any) -> Found:
    account, region = place.split("/")
    word = {"cluster": "cluster", "cluster snapshot": "cluster-snapshot"}[kind]
    resource = Resource(
        kind=kind,
        id=name,
        arn=f"arn:aws:rds:{region}:{account}:{word}:{name}",
        status="available",
        created_at=NOW - timedelta(hours=51),
        tags=tags.marks("op-1", "staging"),
        **more,
    )
    head = StepRecord("op-1", HEAD, "FAILED", "2026-01-01 10:00:00")
    return Found(resource, Operation("op-1", head, {}), verdict)


COPY = found(
    "cluster snapshot",
    HERE,
    "daily-backup-2024-03-20-copy",
    Leftover("copy; its refresh is FAILED at setup-db-users", "op-1", ends_resuming=True),
    gib=120,
)
HOP = found(
    "cluster snapshot",
    NEAR,
    "daily-backup-2024-03-20-hop-op1",
    Leftover("intermediate copy; its refresh is FAILED at setup-db-users", "op-1"),
    gib=120,
)
BESIDE = found(
    "cluster",
    HERE,
    "staging-new-op1",
    Leftover("restored beside staging; its refresh is FAILED at setup-db-users", "op-1"),
    instance_classes={"db.r6g.large": 2},
)
SERVING = found(
    "cluster",
    HERE,
    "staging",
    Kept("it has the identifier of a refresh's target"),
    instance_classes={"db.r6g.large": 2},
)
SCOPE = Scope("us-west-2", timedelta(hours=24))


def made(listed_: list[Found]) -> Survey:
    nobody: Any = None
    return Survey(SCOPE, listed_, {HERE: nobody, NEAR: nobody})


def listed() -> Answer:
    return answer(made([COPY, HOP, BESIDE, SERVING]), [], NOW, dry_run=True)


def removed() -> Answer:
    looked = made([COPY, HOP, BESIDE, SERVING])
    looked.unseen[SOURCE] = "AccessDenied: not you"
    outcomes = [
        Outcome(COPY, "removed"),
        Outcome(HOP, "kept", "operation op-2 is at work on it"),
        Outcome(BESIDE, "failed", "cluster staging-new-op1: it is being deleted. Run again later."),
    ]
    return answer(looked, outcomes, NOW, dry_run=False)


def nothing() -> Answer:
    return answer(made([]), [], NOW, dry_run=False)


ANSWERS = {"listed": listed, "removed": removed, "nothing": nothing}


@pytest.mark.parametrize("name", ANSWERS)
def test_document_is_as_its_file(name: str) -> None:
    """
    What --json prints has the fields, the order and the types that programs rely on.
    """
    text = json.dumps(ANSWERS[name]().envelope("cleanup").model_dump(mode="json"), indent=2) + "\n"

    assert text == kept(f"cleanup-{name}.json", text)


@pytest.mark.parametrize("width", [40, 120])
@pytest.mark.parametrize("name", ANSWERS)
def test_text_is_as_its_file(name: str, width: int) -> None:
    """
    What people read is whole at every width.
    """
    stream = io.StringIO()
    ANSWERS[name]().show(Screen(stream, {"COLUMNS": str(width)}))

    assert stream.getvalue() == kept(f"cleanup-{name}-{width}.txt", stream.getvalue())
