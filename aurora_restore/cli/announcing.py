"""`announce`: sends the endings that are noted and were not sent."""

from pydantic import BaseModel, ValidationError

from aurora_restore import endings, leases, ledger, takeover
from aurora_restore.announcements import TopicUnavailable
from aurora_restore.cli.answers import Answer, fault_of
from aurora_restore.cli.environment import find_operation, known_settings, open_table
from aurora_restore.cli.exits import ExitCode, exit_code_of
from aurora_restore.cli.screen import Row, Screen, working
from aurora_restore.errors import LeaseHeld, RecordsDamaged, Refused
from aurora_restore.records import Operation


class Sent(BaseModel, frozen=True):
    """An ending that SNS has taken. `lost`: the operation's run has vanished."""

    operation_id: str
    result: str
    message_id: str
    lost: bool = False


class AnnounceResult(BaseModel, frozen=True):
    """What was sent, and the operations whose ending SNS did not take. `said` tells it in words."""

    sent: list[Sent]
    waiting: list[str]
    said: str


def announce(operation_id: str | None, *, quiet: bool) -> Answer:
    """Return what was sent: the ending of one operation, or all that wait and all that vanished.

    Raises:
        BadUsage: this process's environment is not valid.
        NotFound: there is no such operation.
        Refused: a run is at work on it.
        TopicUnavailable: SNS did not take it.
        RecordsDamaged, RecordsUnavailable: the records cannot be used.
    """
    known_settings()
    ledger.table().hurry()  # a person waits
    with working("looking for what was not told", quiet=quiet):
        return _all() if operation_id is None else _one(operation_id)


def _one(operation_id: str) -> Answer:
    operation = find_operation(ledger.store(), operation_id)
    if operation.note("announced") is not None:
        return answer([], said=f"Operation {operation_id} is announced already.")
    if operation.note("outcome") is None:
        return answer(
            [],
            said=f"Operation {operation_id} has not ended: there is nothing to announce. If its "
            "run has vanished, `aurora-restore announce` tells that.",
        )
    _require_rest(operation)
    return answer([_deliver(operation)])


def _require_rest(operation: Operation) -> None:
    """Return unless a run works on this very operation: then it tells its end itself."""
    request = operation.request()
    try:
        leases.require_open(open_table(), () if request is None else request.touched)
    except LeaseHeld as held:
        if held.operation_id == operation.operation_id:
            raise Refused(held.resource, held.problem, "It tells its end itself.") from None


def _deliver(operation: Operation) -> Sent:
    try:
        message_id = endings.deliver(operation)
    except (ValidationError, KeyError):
        raise RecordsDamaged(
            f"operation {operation.operation_id}", "its outcome cannot be read"
        ) from None
    return _sent(operation, message_id)


def _all() -> Answer:
    records = ledger.store()
    # Also those whose lease ran out this moment: what has ended need not be waited for.
    found = leases.unfinished(ledger.table(), known_settings().state_index, since=0.0)
    names = sorted({each.holder.operation_id for each in found if each.holder is not None})
    untold = [name for name in names if records.read(name).note("announced") is None]
    lost = {each.operation_id for each in takeover.watch()}
    sent: list[Sent] = []
    problem: TopicUnavailable | None = None
    waiting: list[str] = []
    for name in untold:
        operation = records.read(name)
        if (message_id := operation.note("announced")) is not None:
            sent.append(_sent(operation, message_id, lost=name in lost))
        elif operation.note("outcome") is not None:
            try:
                sent.append(_deliver(operation))
            except TopicUnavailable as unavailable:
                problem = unavailable
                waiting.append(name)
    if problem is not None and not sent:
        raise problem
    return answer(sent, waiting, problem)


def answer(
    sent: list[Sent],
    waiting: list[str] | None = None,
    problem: TopicUnavailable | None = None,
    said: str = "There was nothing to send.",
) -> Answer:
    """Return what was sent as a command's answer. Pure."""
    if sent:
        said = f"Sent: {len(sent)}."
    result = AnnounceResult(sent=sent, waiting=waiting or [], said=said)
    code = ExitCode.FINDINGS if problem is None else exit_code_of(problem)
    fault = None if problem is None else fault_of(problem)

    def show(screen: Screen) -> None:
        screen.paragraph(said)
        screen.rows([_row(each) for each in sent])
        for each in result.waiting:
            screen.paragraph(f"Not sent: {each}. {problem}", style="bold red")

    return Answer(result, show, fault, code)


def _sent(operation: Operation, message_id: object, *, lost: bool = False) -> Sent:
    outcome = operation.note("outcome")
    result = outcome.get("result", "?") if isinstance(outcome, dict) else "?"
    return Sent(
        operation_id=operation.operation_id,
        result=str(result),
        message_id=str(message_id),
        lost=lost,
    )


def _row(sent: Sent) -> Row:
    again = f"its run has vanished: aurora-restore resume {sent.operation_id}" if sent.lost else ""
    return Row([sent.operation_id, sent.result, f"message {sent.message_id}", again])
