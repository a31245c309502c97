"""An operation as people read it, whole and change by change."""

from typing import TYPE_CHECKING

from aurora_restore.announcements import duration_text
from aurora_restore.cli.screen import Row, Screen

if TYPE_CHECKING:
    from aurora_restore.cli.status import StatusResult, StepStatus

STYLES = {
    "SUCCESS": "green",
    "FAILED": "bold red",
    "CRASHED": "bold red",
    "CANCELLED": "bold red",
    "IN_PROGRESS": "yellow",
    "INTERRUPTED": "yellow",
}
TIMESTAMP = 19  # characters
SHORT_SECONDS = 60


def show_status(screen: Screen, result: "StatusResult") -> None:
    """Print it: the operation, its steps, what failed, whether it was told, the next command."""
    screen.paragraph(
        f"Operation {result.operation_id}: {result.status}", style=STYLES.get(result.status, "")
    )
    facts = {
        "Target": result.target,
        "Started": result.started and f"{result.started[:TIMESTAMP].replace('T', ' ')} UTC",
        "Elapsed": _elapsed(result),
        "Flow run": result.flow_run_id,
        "Deployment": result.deployment,
        "Announced": _announced(result),
    }
    screen.rows([Row([name, text]) for name, text in facts.items() if text])
    screen.heading("Steps")
    screen.rows([_row(each) for each in result.steps], readable=TIMESTAMP)
    for each in result.steps:
        if each.error is not None:
            screen.heading(f"{each.step}: {each.error.type}")
            screen.paragraph(each.error.message)
    if result.next is not None:
        screen.heading("Next:")
        screen.verbatim(result.next)


def changes(before: "StatusResult | None", after: "StatusResult") -> list[str]:
    """Return a line for each thing that is not as it was. Pure."""
    told = {} if before is None else {each.step: _state(each) for each in before.steps}
    lines = [
        f"{took(each.seconds):>12}  {each.step:<22}{_state(each)}"
        for each in after.steps
        if each.seconds is not None and told.get(each.step) != _state(each)
    ]
    if before is None or before.status != after.status:
        lines.append(f"{took(after.seconds):>12}  {'operation':<22}{after.status}")
    return lines


def took(seconds: float | None) -> str:
    """Return a duration, with a tenth of a second where that matters."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < SHORT_SECONDS else duration_text(seconds)


def _state(step: "StepStatus") -> str:
    waits = step.status == "IN_PROGRESS" and step.percent is not None
    return f"{step.status} {step.percent} %" if waits else step.status


def _row(step: "StepStatus") -> Row:
    percent = "" if step.percent is None else f"{step.percent} %"
    cells = [step.step, step.status, percent, took(step.seconds), step.timestamp or ""]
    return Row(cells, STYLES.get(step.status, ""))


def _elapsed(result: "StatusResult") -> str | None:
    if result.seconds is None:
        return None
    usual = result.usual_seconds
    known = f"usually {took(usual)}" if usual is not None else "how long is usual is not known"
    return f"{took(result.seconds)} ({known})"


def _announced(result: "StatusResult") -> str:
    if result.message_id is not None:
        return f"{result.outcome or 'yes'}, message {result.message_id}"
    return "not yet" if result.outcome is None else f"NOT YET: {result.outcome} is to be told"
