"""What is told when an operation ends: fit for SNS whatever it holds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aurora_restore.announcements import (
    Outcome,
    attributes,
    duration_text,
    message,
    subject,
)
from aurora_restore.details import Step

HOSTILE = [
    "",
    " ",
    "\n",
    "a\r\nBcc: all@example.com",
    "\x00\x07\x7f",
    "übersee-✅-" + "日本" * 40,
    "x" * 5000,
    "<script>alert(1)</script>",
    "/" * 300,
    "\ud800",
]


def outcome(**changes: Any) -> Outcome:
    given: dict[str, Any] = {
        "operation_id": "op-001",
        "result": "FAILED",
        "target": "987654321098/us-west-2/staging",
        "snapshot": "daily-backup-2024-03-20",
        "step": Step.CHECK_COPY_STATUS,
        "error": {"type": "EndedBadly", "message": "cluster snapshot c: status is 'failed'."},
        "next_command": "prefect flow-run retry 1",
    }
    return Outcome.model_construct(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"result": "SUCCESS", "step": Step.SEND_NOTIFICATION}, "staging refreshed"),
        ({}, "staging refresh FAILED at check-copy-status"),
        ({"result": "CANCELLED", "step": None}, "staging refresh was cancelled"),
        ({"result": "CRASHED", "step": "delete-rds"}, "staging refresh CRASHED at delete-rds"),
    ],
)
def test_subject_tells_cluster_and_result(changes: dict[str, Any], line: str) -> None:
    """
    Whoever sees the subject alone knows which cluster, how it ended, and where.
    """
    assert subject(outcome(**changes)) == line


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("field", ["target", "step"])
def test_subject_is_what_sns_takes(field: str, hostile: str) -> None:
    """
    The subject is 1 to 99 printable ASCII characters, none of them a line break, the first no
    space.
    """
    line = subject(outcome(**{field: hostile}))

    assert 1 <= len(line) <= 99
    assert all(" " <= character <= "~" for character in line)
    assert not line.startswith(" ")


def test_longest_real_names_leave_the_result_in_the_subject() -> None:
    """
    With a cluster identifier of 63 characters the subject still tells how it ended.
    """
    line = subject(outcome(target="1/r/" + "c" * 63, step=max(Step, key=len)))

    assert line.startswith("c" * 63 + " refresh FAILED at ")


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("field", ["target", "step", "snapshot", "next_command"])
def test_body_can_be_sent_whatever_it_holds(field: str, hostile: str) -> None:
    """
    No name makes a body that is not JSON, or that UTF-8 cannot carry.
    """
    body = message(outcome(**{field: hostile}))

    assert json.loads(body.encode())["metadata"]["threadId"] == "op-001"


@pytest.mark.parametrize("size", [0, 1000, 300_000])
@pytest.mark.parametrize("character", ["x", "✅", "\x00", '"'])
def test_body_stays_below_what_sns_carries(size: int, character: str) -> None:
    """
    An error of any length and content leaves a body of valid JSON below 256 KiB.
    """
    error = {"type": "ClientError", "message": character * size, "aws_error_code": "Boom"}

    body = message(outcome(error=error))

    assert len(body.encode()) < 262_144
    assert json.loads(body)["metadata"]["additionalContext"]["error"] == (character * size)[:1000]


def test_body_is_a_custom_notification() -> None:
    """
    The body has the fields, and only the fields, of a custom notification.
    """
    body = json.loads(message(outcome()))

    assert (body["version"], body["source"]) == ("1.0", "custom")
    assert body.keys() == {"version", "source", "id", "content", "metadata"}
    assert body["content"].keys() == {
        "textType",
        "title",
        "description",
        "nextSteps",
        "keywords",
    }
    assert body["content"]["textType"] == "client-markdown"
    assert body["metadata"].keys() == {"threadId", "summary", "eventType", "additionalContext"}
    assert body["id"] == "op-001-failed"
    assert body["metadata"]["threadId"] == "op-001"
    assert body["metadata"]["summary"] == subject(outcome())


def test_machines_find_every_fact_as_text() -> None:
    """
    The context for machines holds texts only, and nothing that is not known.
    """
    context = json.loads(message(outcome(duration_seconds=61)))["metadata"]["additionalContext"]

    assert context == {
        "result": "FAILED",
        "operation_id": "op-001",
        "target": "987654321098/us-west-2/staging",
        "snapshot": "daily-backup-2024-03-20",
        "duration_seconds": "61",
        "step": "check-copy-status",
        "error_type": "EndedBadly",
        "error": "cluster snapshot c: status is 'failed'.",
        "next_command": "prefect flow-run retry 1",
    }


def test_failure_tells_step_error_and_what_to_do() -> None:
    """
    A person reads at which step it failed, why, what became of the old cluster, what to type.
    """
    content = json.loads(message(outcome(old_cluster="untouched")))["content"]

    assert content["title"] == "❌ Aurora cluster staging refresh FAILED"
    assert content["description"].splitlines() == [
        "*Target* 987654321098/us-west-2/staging",
        "*Snapshot* daily-backup-2024-03-20",
        "*Failed at* check-copy-status",
        "*Error* cluster snapshot c: status is 'failed'.",
        "*Old cluster* untouched",
        "*Operation* op-001",
    ]
    assert content["nextSteps"] == ["prefect flow-run retry 1"]


def test_success_tells_age_duration_and_endpoint() -> None:
    """
    A person reads how old the data is, how long it took and where to connect.
    """
    moment = datetime.now(UTC) - timedelta(hours=5, minutes=30)
    told = json.loads(
        message(
            outcome(
                result="SUCCESS",
                error=None,
                data_from=moment,
                duration_seconds=3900,
                endpoint="staging.cluster-x.us-west-2.rds.amazonaws.com:5432",
            )
        )
    )

    assert told["content"]["title"] == "✅ Aurora cluster staging refreshed"
    assert told["content"]["description"].splitlines()[2:5] == [
        f"*Data from* {moment:%Y-%m-%d %H:%M} UTC",
        "*Took* 1 h 05 min",
        "*Endpoint* staging.cluster-x.us-west-2.rds.amazonaws.com:5432",
    ]
    assert told["metadata"]["additionalContext"]["data_age_hours"] == "5.5"


def test_subscriptions_can_filter() -> None:
    """
    Result, cluster, operation and step are message attributes.
    """
    assert attributes(outcome()) == {
        "result": {"DataType": "String", "StringValue": "FAILED"},
        "target_cluster": {"DataType": "String", "StringValue": "staging"},
        "operation_id": {"DataType": "String", "StringValue": "op-001"},
        "step": {"DataType": "String", "StringValue": "check-copy-status"},
    }
    assert "step" not in attributes(outcome(step=None))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (41.6, "42 s"),
        (59.7, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (43_500, "12 h 05 min"),
    ],
)
def test_duration_for_people(seconds: float, text: str) -> None:
    """
    A duration is told in its two largest units.
    """
    assert duration_text(seconds) == text
