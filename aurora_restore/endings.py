"""How an operation ends: its last records, its outcome, its announcement."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from aurora_restore.announcements import Outcome, Result, publish
from aurora_restore.details import Details, NotificationSent, SnapshotArchived, Step, steps_of
from aurora_restore.errors import RecordsDamaged, RecordsUnavailable, RestoreError
from aurora_restore.leases import acting
from aurora_restore.ledger import store
from aurora_restore.records import Operation, RecordStore
from aurora_restore.request import RestoreRequest
from aurora_restore.sessions import target_client
from aurora_restore.settings import settings

logger = logging.getLogger(__name__)

MAX_NAME = 255  # of a parameter that may not be valid; SNS limits what is announced


class RecordsIncomplete(RestoreError):
    """The operation is done, but its records do not say so."""

    remedy = "The restored cluster serves. Check the DynamoDB table; run again to mend the records."


def announce_success(archived: SnapshotArchived) -> str:
    """Send the announcement of success; return its message id. Sends it once.

    Raises:
        TopicUnavailable: SNS did not take it.
    """
    records = store()
    operation = records.read(archived.operation_id)
    if operation.note("announced") is not None:
        return str(operation.note("announced"))
    outcome = Outcome(
        operation_id=archived.operation_id,
        result="SUCCESS",
        target=archived.request.target_name,
        snapshot=archived.source_snapshot,
        data_from=archived.data_from,
        duration_seconds=_duration(operation),
        step=Step.SEND_NOTIFICATION,
        endpoint=f"{archived.cluster_endpoint}:{archived.cluster_port}",
        old_cluster=_old_cluster(operation),
        next_command=f'psql "host={archived.cluster_endpoint} port={archived.cluster_port} '
        f'dbname={archived.request.database} sslmode=verify-full"',
    )
    message_id = _announce(records, outcome)
    _sent.add(archived.operation_id)
    return message_id


@dataclass(frozen=True)
class Ending:
    """How a run ended that did not succeed.

    `known` is what the last finished step knew, None in a process that did not run the steps;
    `parameters` is the request as it came, valid or not; `next_command` resumes the operation, or
    its way back; `run_again` starts another one.
    """

    flow_run_id: str
    operation_id: str
    result: Result
    error: dict[str, Any]
    parameters: dict[str, Any]
    next_command: str
    run_again: str
    known: Details | None = None


def announce_failure(ending: Ending) -> str | None:
    """Record and announce an ending; return the message id.

    Sent once, and sent even when the records cannot be reached. A success that SNS did not take
    stays to be told as such: only its notification has failed.

    Raises:
        TopicUnavailable: SNS did not take it; it stays noted, and is sent by the next run of the
            target or by the watchdog.
        LeaseLost: another run has taken the target over, and tells.
    """
    operation_id, known, parameters = ending.operation_id, ending.known, ending.parameters
    table = store()
    records: RecordStore | None = table
    operation = Operation(operation_id, None, {})
    try:
        operation = table.read(operation_id)
    except (RecordsUnavailable, RecordsDamaged) as unavailable:
        # What cannot be recorded is told all the same.
        logger.error("%s", unavailable)  # noqa: TRY400 - one line
        records = None
    if operation.is_anothers(_valid(parameters)):
        # A run that took another operation's name: that operation's records are not its to write.
        operation, records, known = Operation(operation_id, None, {}), None, None
    elif operation.note("announced") is not None:
        return str(operation.note("announced"))
    elif operation_id in _sent:
        return None
    if ending.flow_run_id in _sent:
        return None
    step = _failed_step(operation, known)
    facts = known.facts() if known is not None else _last_facts(operation, parameters)
    pending = step is Step.SEND_NOTIFICATION and operation.note("outcome") is not None
    outcome = Outcome(
        operation_id=operation_id,
        result=ending.result,
        target="/".join(
            _text(parameters.get(name))
            for name in ("target_account_id", "target_region", "target_cluster_id")
        ),
        snapshot=_text(parameters.get("snapshot_id") or parameters.get("source_cluster_id")),
        data_from=known.data_from if known is not None else None,
        duration_seconds=_duration(operation),
        step=step,
        error=ending.error,
        old_cluster=_old_cluster(operation),
        next_command=ending.run_again
        if operation.note("going_back") and operation.succeeded(Step.BRING_BACK)
        else ending.next_command,
    )
    try:
        if records is not None:
            records.fail(operation_id, step, facts, ending.error)
            records.end(operation_id, ending.result)
    except RecordsUnavailable as unavailable:
        logger.error("%s", unavailable)  # noqa: TRY400 - one line
        records = None
    if pending and records is not None:
        return deliver(operation)
    message_id = _announce(records, outcome)
    _sent.add(ending.flow_run_id)
    return message_id


def announce_lost(operation: Operation) -> str:
    """Record and announce that an operation's run has vanished; return the message id.

    For whoever has taken its lease over. Safe to repeat.

    Raises:
        TopicUnavailable: SNS did not take it; it stays noted.
    """
    request = operation.request()
    parameters = {} if request is None else request.model_dump(mode="json")
    flow_run_id = str(operation.note("flow_run_id"))
    lost = {
        "type": "RunLost",
        "message": f"flow run {flow_run_id}: it has vanished without an ending; its machine or its "
        "task is gone, or it was stopped and not started again.",
    }
    again = f"aurora-restore resume {operation.operation_id}"
    ending = Ending(
        flow_run_id=f"{operation.operation_id} lost",
        operation_id=operation.operation_id,
        result="CRASHED",
        error=lost,
        parameters=parameters,
        next_command=again,
        run_again=again,
    )
    _sent.discard(ending.flow_run_id)
    _sent.discard(operation.operation_id)
    return str(announce_failure(ending))


def deliver(operation: Operation) -> str:
    """Send an outcome that is noted and was not sent; return the message id.

    A success that is told at last is recorded as such. Safe to repeat.

    Raises:
        TopicUnavailable: SNS does not take it yet.
    """
    records = store()
    outcome = Outcome.model_validate(operation.note("outcome"))
    message_id = _announce(records, outcome)
    if outcome.result == "SUCCESS":
        facts = operation.steps[Step.ARCHIVE_SNAPSHOT].details | {"message_id": message_id}
        records.complete(operation.operation_id, Step.SEND_NOTIFICATION, facts)
        records.end(operation.operation_id, "SUCCESS")
    return message_id


def is_told(flow_run_id: str) -> bool:
    """Whether this process has told a run's end, or need not."""
    return flow_run_id in _sent


def say_nothing(flow_run_id: str) -> None:
    """Leave what becomes of a run untold: the operation is another run's."""
    _sent.add(flow_run_id)


def conclude(sent: NotificationSent) -> Operation:
    """Return the operation with all its records, mending what the last hook did not write.

    Raises:
        RecordsUnavailable: the table cannot be used.
        RecordsIncomplete: a step's SUCCESS record is missing for good.
    """
    records = store()
    if not records.read(sent.operation_id).succeeded(Step.SEND_NOTIFICATION):
        records.succeed(sent)
    operation = records.read(sent.operation_id)
    if operation.first_unfinished is not None:
        raise RecordsIncomplete(
            f"operation {sent.operation_id}", f"no SUCCESS record of {operation.first_unfinished}"
        )
    records.end(sent.operation_id, "SUCCESS")
    return operation


# Operations whose success, and flow runs whose failure, this process has announced: what tells
# once from twice when the table cannot.
_sent: set[str] = set()


def _announce(records: RecordStore | None, outcome: Outcome) -> str:
    """Write the outcome, send it, write that it was sent.

    Raises:
        LeaseLost: another run has taken the target over since, and tells.
    """
    topic = settings().topic_arn
    sns = target_client("sns", topic.split(":")[3])
    if records is None:
        return publish(sns, topic, outcome)
    records.note(outcome.operation_id, outcome=outcome.model_dump(mode="json"))
    with acting(outcome.operation_id):
        message_id = publish(sns, topic, outcome)
    try:
        records.note(outcome.operation_id, announced=message_id)
    except RecordsUnavailable as unavailable:
        logger.error("%s", unavailable)  # noqa: TRY400 - it is announced all the same
    return message_id


def _valid(parameters: dict[str, Any]) -> RestoreRequest | None:
    try:
        return RestoreRequest.model_validate(parameters)
    except ValidationError:
        return None


def _text(parameter: object) -> str:
    """A parameter that may not be valid, as a message can carry it."""
    return str(parameter or "?").encode(errors="replace").decode()[:MAX_NAME]


def _failed_step(operation: Operation, known: Details | None) -> Step:
    if known is None:
        return operation.first_unfinished or Step.SEND_NOTIFICATION
    steps = steps_of(known.request.replace)
    return steps[0] if known.step is None else [*steps, steps[-1]][steps.index(known.step) + 1]


def _last_facts(operation: Operation, parameters: dict[str, Any]) -> dict[str, Any]:
    done = [each for each in operation.order if operation.succeeded(each)]
    if done:
        return operation.steps[done[-1]].details
    names = ("source_account_id", "target_account_id", "source_region", "target_region")
    return {name: parameters[name] for name in names if name in parameters}


def _duration(operation: Operation) -> int | None:
    started = operation.head.started_at if operation.head else None
    return None if started is None else round((datetime.now(UTC) - started).total_seconds())


def _old_cluster(operation: Operation) -> str | None:
    """What has become of the cluster that was to be replaced, in one line."""
    if operation.head is None:
        return None
    final = (operation.note("deletion") or {}).get("final_snapshot_id")
    back = operation.steps.get(Step.BRING_BACK)
    if back is not None and back.status == "SUCCESS":
        source = back.details.get("brought_back_from")
        how = f"brought back from {source}" if source else "still serves"
        return f"{back.details['brought_back_cluster_id']}: {how}"
    if operation.note("going_back"):
        return f"NOT brought back; final snapshot {final or 'not asked for'}"
    if kept := operation.note("kept"):
        return f"{kept['cluster_id']}: kept until {kept['until']}"
    deletion = operation.note("deletion")
    if deletion is None:
        return _undeleted(operation.note("plan"), swapped=operation.succeeded(Step.SWAP_CLUSTERS))
    done = "deleted" if operation.succeeded(Step.DELETE_CLUSTER) else "its deletion was begun"
    return f"{deletion['cluster_id']}: {done}; final snapshot {final or 'not asked for'}"


def _undeleted(plan: dict[str, Any] | None, *, swapped: bool) -> str:
    if plan is None:
        return "untouched"
    if plan["old"] is None:
        return "there was none"
    name = plan["old"]["blueprint"]["cluster_id"]
    if swapped and plan["new"]["cluster_id"] != plan["target_cluster_id"]:
        return f"{name}: has made room under another identifier, not deleted"
    return "untouched"
