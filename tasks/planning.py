"""The dry run: what a refresh would do, left as an artifact."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from aurora_restore import preflight
from aurora_restore.rds.names import PLACEHOLDER
from aurora_restore.request import RestoreRequest
from tasks.artifacts import show_plan


@task(name="plan", cache_policy=NO_CACHE, persist_result=False)
def plan_refresh(request: RestoreRequest) -> dict[str, Any]:
    """Return the plan of a refresh, which is left as an artifact, findings and all.

    Changes nothing: no record, no message.

    Raises:
        PreflightFailed: something stands in the way.
    """
    examined = preflight.examine(request, request.operation_id or PLACEHOLDER)
    show_plan(plan_markdown(examined, request))
    plan = examined.require_clean()
    return {"plan_hash": examined.fingerprint, "plan": plan.model_dump(mode="json")}
