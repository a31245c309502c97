"""What every step has in common: its name, its hooks, its permission to act, its deadline."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, get_type_hints

from botocore.exceptions import BotoCoreError, ClientError
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from aurora_restore.details import Details, Step
from aurora_restore.errors import NotReady
from aurora_restore.faults import Act, verdict, waiting
from aurora_restore.leases import acting
from aurora_restore.ledger import enter, still_waiting, store
from aurora_restore.settings import settings
from tasks.artifacts import show_progress
from tasks.hooks import record_start, record_step
from tasks.polling import is_not_ready

B = TypeVar("B", bound=Details)
A = TypeVar("A", bound=Details)


def step(name: Step) -> Callable[[Callable[[B], A]], Task[[B], A]]:
    """Return a decorator that makes a function the task of a step.

    Before the function runs, the records are read: a missing predecessor's record is mended or
    the step stops; a step that has already succeeded returns what it recorded. A NotReady becomes
    a TimedOut once the step's deadline has passed.
    """

    def decorate(function: Callable[[B], A]) -> Task[[B], A]:
        after: type[A] = get_type_hints(function)["return"]

        @wraps(function)
        def guarded(before: B) -> A:
            records = store()
            entry = enter(records, before, name)
            if entry.done is not None:
                return before.then(after, **entry.done.details)
            if entry.plan is not None:
                before = before.then(type(before), plan=entry.plan)
            try:
                return _attempt(function, before)
            except NotReady as waiting:
                if waiting.percent is not None and waiting.percent != entry.percent:
                    records.note_progress(before.operation_id, name, waiting.percent)
                    if (context := TaskRunContext.get()) is not None:
                        run_id = str(context.task_run.id)
                        show_progress(name, run_id, waiting.percent, waiting.problem)
                poll = settings().poll(name)
                verdict = still_waiting(entry, poll, waiting)
                if verdict is waiting:
                    waited = entry.waited_seconds
                    waiting.look_again_in = poll.look_again_in(waited, waiting.percent)
                    raise
                raise verdict from waiting

        return task(
            name=name.value,
            cache_policy=NO_CACHE,
            persist_result=False,
            retry_condition_fn=is_not_ready,
            on_running=[record_start],
            on_completion=[record_step],
            on_failure=[record_step],
        )(guarded)

    return decorate


def _attempt(function: Callable[[B], A], before: B) -> A:
    """Do the step once, under the operation's lease; what AWS does not do now is waited for."""
    try:
        with acting(before.operation_id):
            return function(before)
    except (BotoCoreError, ClientError) as error:
        if verdict(error) is Act.WAIT:
            raise waiting(error) from error
        raise
