"""Waiting: a step that is not ready is retried by Prefect until its deadline."""

from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from aurora_restore.details import Step
from aurora_restore.errors import NotReady
from aurora_restore.settings import settings

P = ParamSpec("P")
R = TypeVar("R")


def polled(check: Task[P, R]) -> Task[P, R]:
    """Return the step for this one run, looking again while it is not ready.

    The retries outlast the deadline: it is the step's record that ends the wait, not the counter.
    """
    poll = settings().poll(Step(check.name))
    return check.with_options(retries=poll.retries, retry_delay_seconds=poll.at_least)


def is_not_ready(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Look again only while AWS or PostgreSQL is still working, after as long as the error says.

    A plain function, since Prefect takes a partial or a method to mean "never retry". Prefect
    reads the task's delay after this; the task is the copy that `polled` made for this one run.
    """
    error = state.result(raise_on_failure=False)
    if not isinstance(error, NotReady):
        return False
    task.retry_delay_seconds = [error.look_again_in]
    return True
