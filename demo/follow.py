"""Follows an operation by its records: step, status, percent, elapsed."""

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from aurora_restore.details import Step, steps_of
from sandbox import Sandbox

LOOK_EVERY_SECONDS = 0.5
_MARK = {"SUCCESS": "✔", "FAILED": "✘", "IN_PROGRESS": "…"}


def follow(
    console: Console, aws: Sandbox, operation_id: str, run: "subprocess.Popen[str]"
) -> dict[str, dict[str, Any]]:
    """Show the steps until `run` ends; return the operation's items by step.

    A live table on a terminal, a line for each change elsewhere.
    """
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            for items in _watch(aws, operation_id, run):
                live.update(steps_table(items))
        return items
    told: dict[str, str] = {}
    for items in _watch(aws, operation_id, run):
        for step in steps_in(items):
            item = items[step]
            percent = item.get("percent")
            state = item["status"]
            if state == "IN_PROGRESS" and percent is not None:
                state += f" {percent} %"
            if told.get(step) != state:
                told[step] = state
                console.print(f"  {took(item):>7}  {step:<22} {state}", highlight=False)
    return items


def steps_table(items: dict[str, dict[str, Any]]) -> Table:
    """Return the table of the steps that have begun."""
    table = Table(
        "Step", "Status", "Timestamp (UTC)", "Done", "Took", box=None, header_style="bold"
    )
    for step in steps_in(items):
        item = items[step]
        percent = 100 if item["status"] == "SUCCESS" else item.get("percent")
        table.add_row(
            step.value,
            f"{_MARK.get(item['status'], '?')} {item['status']}",
            item["timestamp"],
            "" if percent is None else f"{percent} %",
            took(item),
        )
    return table


def steps_in(items: dict[str, dict[str, Any]]) -> list[Step]:
    """Return the steps that have begun, in their order; the way back last."""
    request = json.loads(items.get("operation", {}).get("details", {}).get("request", "{}"))
    order = [*steps_of(request.get("replace", "")), Step.BRING_BACK]
    return [step for step in order if step in items]


def took(item: dict[str, Any]) -> str:
    """Return how long a step took, or has been working, in real seconds."""
    moments = [datetime.fromisoformat(entry["at"]) for entry in item["history"]]
    ended = datetime.now(UTC) if item["status"] == "IN_PROGRESS" else moments[-1]
    return f"{(ended - moments[0]).total_seconds():.1f} s"


def _watch(
    aws: Sandbox, operation_id: str, run: "subprocess.Popen[str]"
) -> Iterator[dict[str, dict[str, Any]]]:
    while True:
        ended = run.poll() is not None
        yield {item["step"]: item for item in aws.items(operation_id)}
        if ended:
            return
        time.sleep(LOOK_EVERY_SECONDS)
