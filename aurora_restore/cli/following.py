"""`status --follow`: looks again until the operation has ended. Only reads, one query a look."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.live import Live
from rich.text import Text

from aurora_restore.cli import status
from aurora_restore.cli.answers import Answer, Fault
from aurora_restore.cli.environment import find_operation, known_settings, open_records
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.screen import Screen
from aurora_restore.cli.status import ENDED, StatusResult
from aurora_restore.cli.status_view import changes, show_status
from aurora_restore.records import Operation

SHORTEST_SECONDS = 1.0


def follow(operation_id: str, every: float, *, quiet: bool) -> Answer:
    """Return how an operation has ended; meanwhile show how it is, unless `quiet`.

    A live table on a terminal, elsewhere a line for each change. A table that does not answer is
    waited for as long as a run would.

    Raises:
        BadUsage: looks at shorter intervals than a second; the environment is not valid.
        NotFound, RecordsDamaged, RecordsUnavailable: as `status`.
    """
    if not every >= SHORTEST_SECONDS:
        raise BadUsage(f"--every {every:g}", "too often", "Write a number of seconds from 1 on.")
    looks = _looks(operation_id, every)
    screen = Screen(sys.stdout)
    if quiet:
        last = _last(looks)
    elif screen.console.is_terminal:
        last = _live(screen, looks)
    else:
        last = _lines(screen, looks)
    return status.answer(last, datetime.now(UTC), _fault(last))


def _looks(operation_id: str, every: float) -> Iterator[Operation]:
    records = open_records(known_settings().records_patience)
    while True:
        operation = find_operation(records, operation_id)
        yield operation
        if operation.head is not None and operation.head.status in ENDED:
            return
        time.sleep(every)


def _last(looks: Iterator[Operation]) -> Operation:
    *_, last = looks
    return last


def _live(screen: Screen, looks: Iterator[Operation]) -> Operation:
    # Drawn by the same hand as the answer, which stands there in the end.
    paper = Screen(sys.stdout)
    with Live(console=screen.console, transient=True, vertical_overflow="visible") as live:
        for each in looks:
            with paper.console.capture() as drawn:
                show_status(paper, status.status_of(each, datetime.now(UTC)))
            live.update(Text.from_ansi(drawn.get()), refresh=True)
    return each


def _lines(screen: Screen, looks: Iterator[Operation]) -> Operation:
    before: StatusResult | None = None
    for each in looks:
        after = status.status_of(each, datetime.now(UTC))
        for line in changes(before, after):
            screen.verbatim(line, indented=True)
        before = after
    screen.verbatim("")
    return each


def _fault(operation: Operation) -> Fault | None:
    if operation.has_succeeded or operation.head is None:
        return None
    name, ending = operation.operation_id, operation.head.status
    following = status.next_command(operation)
    remedy = f"Next: {following}" if following else "Start another one."
    return Fault(
        type="OperationFailed", message=f"operation {name}: it has ended {ending}. {remedy}"
    )
