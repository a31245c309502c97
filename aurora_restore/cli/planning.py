"""`aurora-restore plan`: examined, then told. Only reads."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from aurora_restore import inheriting, ledger, preflight
from aurora_restore.actions import Action, Totals, actions, totals
from aurora_restore.cli.answers import Answer, Fault
from aurora_restore.cli.environment import known_settings
from aurora_restore.cli.plan_view import show_plan
from aurora_restore.cli.requests import STDIN, read_request
from aurora_restore.cli.screen import working
from aurora_restore.duration import Estimate, expected_duration
from aurora_restore.plan import Plan
from aurora_restore.preflight import Check, Examination
from aurora_restore.rds import names
from aurora_restore.request import RestoreRequest
from aurora_restore.sessions import target_client

DEPLOYMENT = "restore-aurora-cluster/refresh"


class Difference(BaseModel, frozen=True):
    """A setting of the new cluster that the old one has otherwise."""

    field: str
    old: str
    new: str


class PlanResult(BaseModel, frozen=True):
    """What `plan` found out. What depends on a plan is empty or null where none could be made.

    `parameters` are the deployment's, `next` is the command that starts it with them; with
    findings it is this command again.
    """

    operation_id: str
    target: str
    checks: list[Check]
    actions: list[Action]
    totals: Totals
    differences: list[Difference]
    expected_duration: Estimate | None
    plan_hash: str | None
    parameters: dict[str, Any] | None
    next: str


def plan(source: str, overrides: Sequence[str], operation_id: str | None, *, quiet: bool) -> Answer:
    """Return what a refresh by this request would do, and what stands in its way.

    Raises:
        BadUsage: the request or this process's environment is not valid.
    """
    request = read_request(source, overrides, operation_id)
    known_settings()
    operation = request.operation_id or names.PLACEHOLDER
    with working("looking at both accounts", quiet=quiet):
        # Without this an outage were thirty findings.
        target_client("sts", request.target_region).get_caller_identity()
        examined = preflight.examine(request, operation)
        estimate = None
        if examined.plan is not None:
            estimate = expected_duration(ledger.store(), request)
    again = ["aurora-restore", "plan", "-" if source == STDIN else source]
    again += [part for each in overrides for part in ("--set", each)]
    again += ["--operation-id", operation_id] if operation_id is not None else []
    return answer(request, operation, examined, estimate, shlex.join(again))


def answer(
    request: RestoreRequest,
    operation_id: str,
    examined: Examination,
    estimate: Estimate | None,
    again: str,
) -> Answer:
    """Return what was found out as a command's answer. Pure."""
    made = examined.plan
    listed = actions(made, request, operation_id) if made is not None else []
    fault = _findings(examined)
    parameters = None
    if fault is None:
        asked = request.model_dump(mode="json", exclude_unset=True)
        parameters = {"request": asked, "plan_hash": examined.fingerprint}
    result = PlanResult(
        operation_id=operation_id,
        target=f"{request.target_account_id}/{request.target_region}/{request.target_cluster_id}",
        checks=examined.checks,
        actions=listed,
        totals=totals(listed),
        differences=_differences(made),
        expected_duration=estimate,
        plan_hash=examined.fingerprint,
        parameters=parameters,
        next=again if parameters is None else start_command(parameters),
    )
    return Answer(result, lambda screen: show_plan(screen, result), fault)


def start_command(parameters: dict[str, Any], deployment: str = DEPLOYMENT) -> str:
    """Return the command that starts a deployment with these parameters, fit for a shell."""
    given = [f"--param {shlex.quote(f'{name}={_value(v)}')}" for name, v in parameters.items()]
    plain = "".join(each for each in deployment if each.isprintable() and each != "'")
    return " ".join([f"prefect deployment run '{plain}'", *given])


def _value(value: object) -> str:
    """As `prefect deployment run` reads it: JSON, else a text. A hash of digits is no number."""
    if not isinstance(value, str):
        return json.dumps(value, separators=(",", ":"))
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)


def _findings(examined: Examination) -> Fault | None:
    failed = len(examined.findings)
    if examined.plan is not None and not failed:
        return None
    said = f"{failed} of {len(examined.checks)} checks failed"
    if not failed:
        said = "something the plan needs could not be looked at"
    message = f"preflight: {said}, nothing was changed. Do what each remedy says, then run again."
    return Fault(type="PreflightFailed", message=message)


def _differences(made: Plan | None) -> list[Difference]:
    if made is None or made.old is None:
        return []
    return [
        Difference(field=field, old=old, new=new)
        for field, old, new in inheriting.differences(made.new, made.old.blueprint)
    ]
