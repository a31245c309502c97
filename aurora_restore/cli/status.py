"""`status`: what the records say of one operation. Only reads, by one query."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from aurora_restore.cli.answers import Answer, Fault
from aurora_restore.cli.environment import find_operation, open_records
from aurora_restore.cli.planning import DEPLOYMENT, start_command
from aurora_restore.cli.screen import working
from aurora_restore.cli.status_view import show_status
from aurora_restore.details import Step
from aurora_restore.duration import seconds_between
from aurora_restore.records import Operation, StepRecord

ENDED = {"SUCCESS", "FAILED", "CANCELLED", "CRASHED"}
COMPLETE = 100  # per cent


class StepStatus(BaseModel, frozen=True):
    """A step: NOT_STARTED, or what its record says. `seconds` are those of its last attempt."""

    step: Step
    status: str = "NOT_STARTED"
    percent: int | None = None
    seconds: float | None = None
    timestamp: str | None = None
    error: Fault | None = None


class StatusResult(BaseModel, frozen=True):
    """What `status` found out. `seconds`: from the first attempt to now, or to the last one's end.

    `outcome` is the result that is, or is to be, announced; `message_id` is null until SNS has it.
    """

    operation_id: str
    target: str | None
    status: str
    started: str | None
    seconds: float | None
    usual_seconds: int | None
    flow_run_id: str | None
    deployment: str | None
    going_back: bool
    steps: list[StepStatus]
    outcome: str | None
    message_id: str | None
    next: str | None


def status(operation_id: str, *, quiet: bool) -> Answer:
    """Return how an operation is.

    Raises:
        BadUsage: this process's environment is not valid.
        NotFound: there is no such operation.
        RecordsDamaged, RecordsUnavailable: its records cannot be read.
    """
    records = open_records()
    with working("reading the records", quiet=quiet):
        operation = find_operation(records, operation_id)
    return answer(operation, datetime.now(UTC))


def answer(operation: Operation, now: datetime, fault: Fault | None = None) -> Answer:
    """Return how an operation is, as a command's answer. Pure."""
    result = status_of(operation, now)
    return Answer(result, lambda screen: show_status(screen, result), fault)


def status_of(operation: Operation, now: datetime) -> StatusResult:
    """Return how an operation is at this moment. Pure."""
    head = operation.head
    usual = operation.note("usual_seconds")
    steps = [*operation.order]
    if Step.BRING_BACK in operation.steps or operation.note("going_back"):
        steps.append(Step.BRING_BACK)
    return StatusResult(
        operation_id=operation.operation_id,
        target=target_of(head),
        status=head.status if head is not None else "UNKNOWN",
        started=head.history[0]["at"] if head is not None and head.history else None,
        seconds=seconds_between(head, now) if head is not None else None,
        usual_seconds=round(usual) if isinstance(usual, int | float) else None,
        flow_run_id=text_or_none(operation.note("flow_run_id")),
        deployment=text_or_none(operation.note("deployment")),
        going_back=bool(operation.note("going_back")),
        steps=[_step(step, operation.steps.get(step), now) for step in steps],
        outcome=text_or_none(mapping(operation.note("outcome")).get("result")),
        message_id=text_or_none(operation.note("announced")),
        next=next_command(operation),
    )


def next_command(operation: Operation) -> str | None:
    """Return what to do next about an operation, fit for a shell; None if nothing can be done."""
    name, outcome = operation.operation_id, mapping(operation.note("outcome"))
    if outcome and operation.note("announced") is None:
        return f"aurora-restore announce {name}"
    if operation.has_succeeded:
        return text_or_none(outcome.get("next_command"))
    if operation.head is not None and operation.head.status == "IN_PROGRESS":
        return f"aurora-restore status {name} --follow"
    request = operation.request()
    if request is None:
        return None
    if why_over(operation) is not None:
        asked = request.model_dump(mode="json", exclude_defaults=True, exclude={"operation_id"})
        deployment = text_or_none(operation.note("deployment")) or DEPLOYMENT
        return start_command({"request": asked}, deployment)
    return f"aurora-restore resume {name}"


def why_over(operation: Operation) -> str | None:
    """Return why an operation that has not succeeded cannot go on; None if it can."""
    if operation.note("going_back") and operation.succeeded(Step.BRING_BACK):
        return "it failed and has brought the old cluster back"
    if operation.note("cleaned") is not None:
        return "what it had made was removed by cleanup"
    return None


def target_of(head: StepRecord | None) -> str | None:
    """Return account/Region/cluster of an operation, as far as its head item tells it."""
    if head is None:
        return None
    if isinstance(noted := head.notes.get("target"), str):
        return noted
    request = mapping(head.details.get("request"))
    names = ("target_account_id", "target_region", "target_cluster_id")
    parts = [str(request.get(name, "?")) for name in names]
    return "/".join(parts) if set(parts) != {"?"} else None


def mapping(note: object) -> dict[str, Any]:
    """Return a note that should be a map; an empty one if it is not."""
    return note if isinstance(note, dict) else {}


def text_or_none(note: object) -> str | None:
    """Return a note that should be a text, None if there is none."""
    return str(note) if note else None


def error_of(found: object) -> Fault | None:
    """Return an error as a record or an outcome keeps it."""
    kept = mapping(found)
    if not kept:
        return None
    given = {name: str(kept[name]) for name in Fault.model_fields if kept.get(name) is not None}
    return Fault.model_validate({"type": "?", "message": "?"} | given)


def _step(step: Step, record: StepRecord | None, now: datetime) -> StepStatus:
    if record is None:
        return StepStatus(step=step)
    return StepStatus(
        step=step,
        status=record.status,
        percent=COMPLETE if record.status == "SUCCESS" else record.percent,
        seconds=seconds_between(record, now, since=record.started_at),
        timestamp=record.timestamp or None,
        error=error_of(record.details.get("error")),
    )
