"""A plan as people read it."""

from typing import TYPE_CHECKING

from aurora_restore.cli.screen import Row, Screen

if TYPE_CHECKING:
    from aurora_restore.actions import Action
    from aurora_restore.cli.planning import PlanResult
    from aurora_restore.preflight import Check

_STATUS = {"ok": "OK", "failed": "FAILED", "unchecked": "unchecked"}
_STATUS_STYLE = {"ok": "green", "failed": "bold red", "unchecked": "yellow"}
_SIGN_STYLE = {"+": "green", "~": "yellow", "-": "red"}


def show_plan(screen: Screen, result: "PlanResult") -> None:
    """Print it: checks, actions, differences, duration, hash, next command."""
    screen.heading(f"Checks: {count(result.checks)}")
    screen.rows([check_row(each) for each in result.checks])
    if not result.actions:
        screen.heading("No plan: mend what failed first.")
    else:
        screen.heading(f"Plan for {result.target}: {result.totals}")
        screen.rows([_action(each) for each in result.actions])
        screen.heading("Differences from the cluster of now")
        screen.rows([Row([each.field, f"{each.old} -> {each.new}"]) for each in result.differences])
        if not result.differences:
            screen.paragraph("none")
    if result.expected_duration is not None:
        screen.heading(f"Expected duration: {result.expected_duration.text}")
    if result.plan_hash is not None:
        screen.heading(f"Plan hash: {result.plan_hash}")
    if result.parameters is None:
        screen.heading("Nothing was changed. Do what each remedy says, then run again:")
    else:
        screen.heading("Nothing was changed. To do exactly this:")
    screen.verbatim(result.next)


def count(checks: "list[Check]") -> str:
    """Return how many checks ended how."""
    statuses: list[str] = [each.status for each in checks]
    return ", ".join(f"{statuses.count(name)} {said}" for name, said in _STATUS.items())


def check_row(each: "Check") -> Row:
    """Return a check as a row."""
    text = f"{each.resource}: {each.problem}" if each.problem else each.resource
    if each.remedy:
        text = f"{text.rstrip('.')}. {each.remedy}"
    return Row([_STATUS[each.status], each.name, text], _STATUS_STYLE[each.status])


def _action(each: "Action") -> Row:
    return Row(
        [f"{each.sign} {each.kind}", each.name, each.place, each.note], _SIGN_STYLE[each.sign]
    )
