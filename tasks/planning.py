"""The dry run: what a refresh would do, left as an artifact."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from aurora_restore import inheriting, preflight
from aurora_restore.actions import actions, totals
from aurora_restore.preflight import Examination
from aurora_restore.rds.names import PLACEHOLDER
from aurora_restore.request import RestoreRequest
from tasks.artifacts import show_plan


@task(name="plan", cache_policy=NO_CACHE, persist_result=False)
def plan_refresh(request: RestoreRequest) -> dict[str, Any]:
    """Return the plan of a refresh and its hash; findings and all are left as an artifact.

    Changes nothing: no record, no message.

    Raises:
        PreflightFailed: something stands in the way.
    """
    operation_id = request.operation_id or PLACEHOLDER
    examined = preflight.examine(request, operation_id)
    show_plan(_markdown(examined, request, operation_id))
    plan = examined.require_clean()
    return {"plan_hash": examined.fingerprint, "plan": plan.model_dump(mode="json")}


def _markdown(examined: Examination, request: RestoreRequest, operation_id: str) -> str:
    """Return what `aurora-restore plan` prints, as the Prefect UI shows it."""
    lines = ["| Check | | |", "|---|---|---|"]
    for check in examined.checks:
        said = ". ".join(filter(None, (check.problem.rstrip("."), check.remedy)))
        lines.append(_row(check.name, check.status, f"{check.resource}: {said}"))
    plan = examined.plan
    if plan is None:
        return "\n".join([*lines, "", "No plan: mend what failed first."])
    moves = actions(plan, request, operation_id)
    lines += ["", f"## {totals(moves)}", "", "| | | | | |", "|---|---|---|---|---|"]
    lines += [_row(f"`{each.sign}`", each.kind, each.name, each.place, each.note) for each in moves]
    if plan.old is not None:
        lines += [
            "",
            "## Differences from the cluster of now",
            "",
            "| | Now | Then |",
            "|---|---|---|",
        ]
        lines += [_row(*each) for each in inheriting.differences(plan.new, plan.old.blueprint)]
    return "\n".join([*lines, "", f"Plan hash `{examined.fingerprint}`"])


def _row(*cells: str) -> str:
    return "| " + " | ".join(each.replace("|", "\\|").replace("<", "&lt;") for each in cells) + " |"
