"""The watchdog's tasks."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment
from prefect.logging import get_run_logger

from aurora_restore import takeover
from aurora_restore.takeover import Lost


@task(name="find-lost", cache_policy=NO_CACHE, persist_result=False)
def find_lost() -> list[Lost]:
    """Return the operations whose run has vanished; each end, and each untold one, is told."""
    lost = takeover.watch()
    for each in lost:
        again = "is started again" if each.may_resume else "is left as it is"
        get_run_logger().warning("Operation %s has lost its run and %s", each.operation_id, again)
    return lost


@task(name="start-again", cache_policy=NO_CACHE, persist_result=False)
def start_again(lost: Lost) -> str:
    """Start the deployment of a lost operation; return the operation's name.

    Safe to repeat: as long as no run has taken the operation up, it is the same flow run.
    """
    run: Any = run_deployment(
        str(lost.deployment),
        parameters={"request": lost.parameters},
        timeout=0,
        as_subflow=False,
        idempotency_key=lost.key,
    )
    get_run_logger().info("Flow run %s goes on with operation %s", run.id, lost.operation_id)
    return lost.operation_id
