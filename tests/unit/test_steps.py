"""The tasks: each step once, with the same hooks, retry rule and caching."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

import tasks
from aurora_restore import settings as module
from aurora_restore.details import Details, OperationBegun, Step, steps_of
from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.settings import settings
from tasks.hooks import record_start, record_step
from tasks.polling import is_not_ready, polled


def exported() -> Iterator[Task[..., Any]]:
    """Give each task that a module of tasks/ defines."""
    for found in pkgutil.iter_modules(tasks.__path__):
        for each in vars(importlib.import_module(f"tasks.{found.name}")).values():
            if isinstance(each, Task):
                yield each


TASKS = {
    each.fn.__name__: each
    for each in exported()
    if each.name in set(Step)  # a dry run is no step, nor is what the watchdog does
}


@pytest.fixture
def _account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AURORA_RESTORE_STATE_TABLE", "aurora-restore-state")
    monkeypatch.setenv("AURORA_RESTORE_TOPIC_ARN", "arn:aws:sns:us-west-2:987654321098:t")
    monkeypatch.setenv("AURORA_RESTORE_COPY_POLL__AT_LEAST", "7")
    module.settings.cache_clear()
    yield
    module.settings.cache_clear()


def test_there_is_one_task_for_each_step() -> None:
    """
    Each step has its task, under its own name; deleting has one for each way to replace.
    """
    names = [each.name for each in TASKS.values()]

    assert sorted(names) == sorted([*Step, Step.DELETE_CLUSTER])


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_task_records_its_start_and_its_end(task: Task[..., Any]) -> None:
    """
    Every task carries the hooks that write its record, and no others.
    """
    assert task.on_running_hooks == [record_start]
    assert task.on_completion_hooks == [record_step]
    assert task.on_failure_hooks == [record_step]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_task_is_neither_cached_nor_persisted(task: Task[..., Any]) -> None:
    """
    Prefect keeps no result of a step: the records decide what has been done.
    """
    assert task.cache_policy == NO_CACHE
    assert task.persist_result is False
    assert task.result_storage is None


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_task_retries_by_a_plain_function(task: Task[..., Any]) -> None:
    """
    The retry rule is a plain function (Prefect never retries by a partial or a method), and no
    task retries unless the flow polls it.
    """
    assert task.retry_condition_fn is is_not_ready
    assert inspect.isfunction(task.retry_condition_fn)
    assert task.retries == 0


@pytest.mark.parametrize(
    ("replace", "deleting"), [("delete-first", "delete_cluster"), ("swap", "delete_old_cluster")]
)
def test_tasks_lead_from_one_steps_facts_to_the_next(replace: str, deleting: str) -> None:
    """
    Each task takes what the one before returns, and returns its own step's facts.
    """
    by_step = {each.name: each for each in TASKS.values()} | {"delete-rds": TASKS[deleting]}
    known: type[Details] = OperationBegun
    for step in steps_of(replace):
        [(_, takes), (_, returns)] = get_type_hints(by_step[step].fn).items()
        assert issubclass(known, takes), step
        assert returns.step == step
        known = returns


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (NotReady("cluster c", "status is 'creating'"), True),
        (EndedBadly("cluster c", "status is 'failed'"), False),
        (Refused("cluster c", "not ours"), False),
        (ValueError("no"), False),
    ],
)
def test_only_not_ready_is_worth_another_look(error: Exception, again: bool) -> None:  # noqa: FBT001
    """
    Whatever is not AWS still working ends the step at once.
    """
    task, run = TASKS["check_copy_status"], TaskRun.model_construct()

    assert is_not_ready(task, run, Failed(data=error)) is again


def test_next_look_is_as_late_as_the_step_has_decided() -> None:
    """
    Prefect waits for as long as the error says, which it reads after it has asked whether to wait.
    """
    task, waiting = TASKS["check_copy_status"].with_options(), NotReady("copy", "copying", 50)
    waiting.look_again_in = 42.0

    assert is_not_ready(task, TaskRun.model_construct(), Failed(data=waiting))

    assert task.retry_delay_seconds == [42.0]


@pytest.mark.usefixtures("_account")
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_polled_task_keeps_its_rules(task: Task[..., Any]) -> None:
    """
    A polled step looks as often as the settings say and is otherwise the same step.
    """
    again = polled(task)

    assert (again.retries, again.retry_delay_seconds) == (
        settings().poll(Step(task.name)).retries,
        settings().poll(Step(task.name)).at_least,
    )
    assert (again.name, again.retry_condition_fn) == (task.name, is_not_ready)
    assert again.on_running_hooks == [record_start]
    assert again.on_completion_hooks == again.on_failure_hooks == [record_step]
    assert (again.cache_policy, again.persist_result) == (NO_CACHE, False)
    assert task.retries == 0
