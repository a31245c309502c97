"""A list of operations as people read it."""

from typing import TYPE_CHECKING

from aurora_restore.cli.screen import Row, Screen
from aurora_restore.cli.status_view import STYLES, took

if TYPE_CHECKING:
    from aurora_restore.cli.history import Entry, HistoryResult

MINUTE = 16  # characters of a moment up to its minutes


def show_history(screen: Screen, result: "HistoryResult") -> None:
    """Print it: an operation a row, then what could not be read and whether there may be more."""
    which = "failed operations" if result.failed_only else "operations"
    of_what = f" of {result.target}" if result.target else ""
    since = f" since {_minute(result.since)} UTC" if result.since else ""
    if result.operations:
        screen.paragraph(f"The newest {which}{of_what}{since}", style="bold")
    else:
        screen.paragraph(f"No {which}{of_what}{since}", style="bold")
    screen.rows([_row(each) for each in result.operations])
    for each in result.unreadable:
        screen.paragraph(each, style="yellow")
    if result.may_have_more:
        looked = f"the newest {result.looked_at} were looked at; " if result.failed_only else ""
        screen.heading(f"There may be more: {looked}--limit, --target and --since choose others.")


def _row(entry: "Entry") -> Row:
    return Row(
        [
            entry.status,
            entry.operation_id,
            entry.target or "target unknown",
            f"{_minute(entry.started)} UTC" if entry.started else "",
            f"took {took(entry.seconds)}" if entry.seconds is not None else "",
            f"data from {_minute(entry.data_from)}" if entry.data_from else "",
            _short(entry),
        ],
        STYLES.get(entry.status, ""),
    )


def _short(entry: "Entry") -> str:
    """Where and why in a few words; `status` tells all of it."""
    if entry.error is None:
        return ""
    why = entry.error.message.partition(". ")[0].rstrip(".")
    return f"{entry.failed_at or '?'}: {why}"


def _minute(moment: str) -> str:
    return moment[:MINUTE].replace("T", " ")
