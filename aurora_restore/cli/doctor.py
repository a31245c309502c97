"""`aurora-restore doctor`: what is missing or wrong before the first run. Only reads."""

import os
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel

from aurora_restore.cli import doctor_aws, doctor_prefect, doctor_settings
from aurora_restore.cli.answers import Answer, Fault
from aurora_restore.cli.doctor_prefect import Prefect
from aurora_restore.cli.environment import known_settings
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.plan_view import check_row, count
from aurora_restore.cli.prefect_api import PrefectApi
from aurora_restore.cli.prefect_run import PrefectUnreachable
from aurora_restore.cli.screen import Screen, working
from aurora_restore.preflight.check import Check, found, ok, unchecked

POOL = "AURORA_RESTORE_WORK_POOL"
_AWS = ("account", "records-table", "topic", "source-role")
_PREFECT = ("work-pool", "worker", "deployments", "schedules", doctor_settings.NAME)
# A dry run has the role that a refresh has: the source role trusts no other.
NEXT = "prefect deployment run {} --watch --param dry_run=true"
REFRESH = "restore-aurora-cluster/refresh"


class DoctorResult(BaseModel, frozen=True):
    """What was looked at. `next` is the command to run then: this one again if anything failed."""

    checks: list[Check]
    next: str


def doctor(pool: str | None, *, quiet: bool, environment: Mapping[str, str] = os.environ) -> Answer:
    """Return what is missing or wrong, each with its remedy: settings, AWS, Prefect."""
    with working("looking at AWS and Prefect", quiet=quiet):
        known, of_prefect = _prefect(pool or environment.get(POOL), environment)
        checks = [*_settings(known), *of_prefect]
    again = "aurora-restore doctor" + (f" --pool {pool}" if pool else "")
    return answer(checks, again, _first(known))


def _prefect(
    pool: str | None, environment: Mapping[str, str]
) -> tuple[Prefect | None, list[Check]]:
    """Return what there is in Prefect, as far as it can be asked, and what of it is in order."""
    try:
        api = PrefectApi(environment)
        try:
            known = doctor_prefect.look(api, pool)
        finally:
            api.close()
    except PrefectUnreachable as problem:
        rest = [unchecked(name, "Prefect", "its API cannot be asked") for name in _PREFECT]
        return None, [*found("prefect-api", [problem]), *rest]
    checks = doctor_prefect.checks(known, datetime.now(UTC).date())
    return known, [*checks, *doctor_settings.checks(known, environment)]


def _settings(prefect: Prefect | None) -> list[Check]:
    """Return what the settings are, and what they lead to in AWS."""
    try:
        settings = known_settings()
    except BadUsage as problem:
        rest = [unchecked(name, "AWS", "the settings name nothing to look at") for name in _AWS]
        return [*found("settings", [problem]), *rest]
    requests = {} if prefect is None else prefect.requests()
    role = None if prefect is None else task_role(prefect)
    checks = doctor_aws.checks(settings, requests, role)
    told = {each.name for each in checks}
    rest = [unchecked(name, "AWS", "it cannot be asked") for name in _AWS if name not in told]
    return [ok("settings", "environment", "AURORA_RESTORE_* are valid"), *checks, *rest]


def task_role(known: Prefect) -> str | None:
    """Return the role that flow runs have, if a work pool fixes it."""
    for pool in known.pools:
        template = (pool.found or {}).get("base_job_template") or {}
        definition = (template.get("job_configuration") or {}).get("task_definition") or {}
        if role := definition.get("taskRoleArn"):
            return str(role)
    return None


def _first(known: Prefect | None) -> str:
    """Return the deployment to begin with: the one started by hand, if there is one."""
    names = {} if known is None else known.refreshes()
    return next(iter(names), REFRESH) if REFRESH not in names else REFRESH


def answer(checks: list[Check], again: str, refresh: str = REFRESH) -> Answer:
    """Return what was found out as a command's answer. Pure."""
    wrong = sum(each.status == "failed" for each in checks)
    fault, then = None, NEXT.format(shlex.quote(refresh))
    if wrong:
        message = f"setup: {wrong} of {len(checks)} checks failed. Do what each remedy says, again."
        fault, then = Fault(type="SetupIncomplete", message=message), again
    result = DoctorResult(checks=checks, next=then)
    return Answer(result, lambda screen: _show(screen, result, fine=not wrong), fault)


def _show(screen: Screen, result: DoctorResult, *, fine: bool) -> None:
    screen.heading(f"Checks: {count(result.checks)}")
    screen.rows([check_row(each) for each in result.checks])
    said = "All is there. To look at a refresh:" if fine else "Do what each remedy says; then:"
    screen.heading(said)
    screen.verbatim(result.next)
