"""What Prefect calls when a step starts or ends: its record goes to DynamoDB."""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from aurora_restore.details import Details, Step
from aurora_restore.errors import RecordsUnavailable, describe
from aurora_restore.ledger import store

# What is known in each flow run of this process. Prefect does not tell an on_running hook its
# task's parameters. Only a hand-over between hooks: every decision is made from the records.
_known: dict[str, Details] = {}


def remember(flow_run_id: object, known: Details) -> None:
    """Keep what the next step will begin with."""
    _known[str(flow_run_id)] = known


def recall(flow_run_id: object) -> Details | None:
    """Return what the last finished step of a flow run of this process knew."""
    return _known.get(str(flow_run_id))


def record_start(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> None:
    """Put the record of a step that starts: IN_PROGRESS, with its predecessor's facts."""
    if task.retries:
        # Prefect would call this, and log it twice, at each retry of a wait of hours. A task
        # with retries is the copy that `polled` made for this one run.
        task.on_running_hooks = []
    known = recall(task_run.flow_run_id)
    if known is not None and state.name == "Running":
        store().start(known.operation_id, Step(task.name), known.facts())


def record_step(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> None:
    """Put the record of a step that ended: SUCCESS with its facts, or FAILED with the error.

    Prefect logs and then drops whatever this raises: the next step looks, and mends.
    """
    if state.is_completed():
        reached: Details = state.result()
        if task.name != Step.BRING_BACK:
            remember(task_run.flow_run_id, reached)
        store().succeed(reached)
        return
    error = state.result(raise_on_failure=False)
    known = recall(task_run.flow_run_id)
    if known is not None and not isinstance(error, RecordsUnavailable):
        store().fail(known.operation_id, Step(task.name), known.facts(), describe(error))
