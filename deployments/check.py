"""Checks, before `prefect deploy`: prefect.yaml, the environment, and Prefect's API."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from aurora_restore.cli.prefect_api import PrefectApi
from aurora_restore.cli.prefect_run import PrefectUnreachable
from aurora_restore.cli.schedules import schedule_problems
from aurora_restore.request import RestoreRequest, one_line

PLACEHOLDER = re.compile(r"\{\{ *\$([A-Z0-9_]+) *\}\}")
PREFECT_YAML = Path(__file__).resolve().parent.parent / "prefect.yaml"


def problems(text: str, environment: dict[str, str], today: date | None = None) -> list[str]:
    """Return what keeps the deployments of a prefect.yaml from being registered, a line each.

    Prefect puts an empty text in place of a variable that is not set, and goes on.
    """
    wanted = sorted(set(PLACEHOLDER.findall(text)))
    missing = [name for name in wanted if not environment.get(name)]
    if missing:
        return [f"{name}: not set; prefect.yaml needs it" for name in missing]
    filled = PLACEHOLDER.sub(lambda match: environment[match[1]], text)
    today = today or datetime.now(UTC).date()
    return [
        f"deployment {deployment['name']}: {problem}"
        for deployment in yaml.safe_load(filled)["deployments"]
        for problem in _of_deployment(deployment, today)
    ]


def _of_deployment(deployment: dict[str, Any], today: date) -> Iterator[str]:
    request: dict[str, Any] | None = deployment.get("parameters", {}).get("request")
    if request is not None:  # the watchdog takes none
        try:
            RestoreRequest.model_validate(request)
        except ValidationError as error:
            yield one_line(error)
    for schedule in deployment.get("schedules", []):
        yield from schedule_problems(schedule, today)
        if "slug" not in schedule:
            yield "a schedule has no slug: the next deploy would add it once more"
        if "active" in schedule:
            yield "a schedule has active: it would undo an operator's pause at the next deploy"


def unreachable(environment: Mapping[str, str]) -> str | None:
    """Return why Prefect's API cannot be used with these credentials; None if it can."""
    try:
        api = PrefectApi(environment)
        try:
            api.find("flows/filter", {"limit": 1})
        finally:
            api.close()
    except PrefectUnreachable as problem:
        return str(problem)
    return None


def main() -> int:
    """Print what is wrong; return 1 if anything is."""
    environment = dict(os.environ)
    found = [f"prefect.yaml: {line}" for line in problems(PREFECT_YAML.read_text(), environment)]
    if not found and (problem := unreachable(environment)):
        found = [problem]
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
