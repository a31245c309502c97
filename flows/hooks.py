"""HandleFailure: whatever ends a run without success is recorded and announced."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Flow, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import TerminationSignal
from prefect.logging import get_logger
from pydantic import ValidationError

from aurora_restore import leases, ledger, takeover
from aurora_restore.announcements import Result
from aurora_restore.details import Details
from aurora_restore.endings import Ending, is_told, say_nothing
from aurora_restore.endings import announce_failure as announce
from aurora_restore.errors import LeaseHeld, LeaseLost, RestoreError, describe
from aurora_restore.request import RestoreRequest, one_line
from flows.way_back import go_back, tidy_copy
from tasks.artifacts import optional
from tasks.hooks import recall

logger = get_logger(__name__)


def operation_id_of(flow_run_id: object, parameters: dict[str, Any]) -> str:
    """Return the operation a flow run works on: the request's, or one named after the run."""
    return str(parameters.get("operation_id") or f"op-{flow_run_id}")


def this_run() -> ledger.Run:
    """Return the flow run, with its deployment as far as Prefect's API tells it."""
    name = None
    with optional():
        name = runtime.deployment.name
    return ledger.Run(
        str(runtime.flow_run.id), None if name is None else f"restore-aurora-cluster/{name}"
    )


@contextmanager
def end_told(request: RestoreRequest, operation_id: str) -> Iterator[None]:
    """Let the target go when the run ends; undo, record and announce an error of the flow's body.

    That comes before Prefect hears of it. A hook alone would not do: when Prefect's API is gone at
    the end of a run, none is called. A run that is told to stop leaves everything to be resumed;
    any other BaseException passes: Prefect's own control flow travels there.
    """
    run_id, parameters = runtime.flow_run.id, request.model_dump(mode="json")
    try:
        yield
    except LeaseLost:
        say_nothing(str(run_id))
        raise
    except LeaseHeld as held:
        if held.operation_id == operation_id:
            say_nothing(str(run_id))
        else:
            _announce(run_id, "FAILED", describe(held), parameters)
        raise
    except Exception as error:
        go_back(request, operation_id, error)
        tidy_copy(request, operation_id)
        _announce(run_id, "FAILED", describe(error), parameters)
        raise
    except (TerminationSignal, KeyboardInterrupt):
        takeover.interrupt(operation_id)
        raise
    else:
        takeover.release(operation_id)


def announce_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Flow hook for failed, crashed and cancelled runs. The names are those Prefect calls it by.

    Does nothing for a dry run, nor for a run that has announced its end itself.
    """
    if flow_run.parameters.get("dry_run") or is_told(str(flow_run.id)):
        return
    parameters = dict(flow_run.parameters.get("request") or {})
    result: Result = "FAILED"
    if state.is_cancelled() or state.is_cancelling():
        result = "CANCELLED"
    elif state.is_crashed():
        result = "CRASHED"
    error = _error_of(state, parameters)
    if error["type"] != "InvalidRequest" and not _take(flow_run, parameters):
        return
    _announce(flow_run.id, result, error, parameters)


def _take(flow_run: FlowRun, parameters: dict[str, Any]) -> bool:
    """Take the lease of a run that was killed or cancelled; whether its end is for us to tell.

    It is not if the operation goes on in another run.
    """
    operation_id = operation_id_of(flow_run.id, parameters)
    lease = leases.held(operation_id)
    if lease is not None and not lease.is_given_up:
        return True
    try:
        takeover.take(RestoreRequest.model_validate(parameters), operation_id, str(flow_run.id))
    except LeaseHeld as held:
        logger.info("Not told here: %s", held)
        return held.operation_id != operation_id
    except RestoreError as problem:
        logger.warning("Told without the lease: %s", problem)
    return True


def _error_of(state: State[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        RestoreRequest.model_validate(parameters)
    except ValidationError as invalid:
        return {"type": "InvalidRequest", "message": f"request: {one_line(invalid)}"}
    return {"type": state.name or state.type.value, "message": (state.message or "")[:2000]}


def _deployment() -> str:
    """The deployment's full name, as far as Prefect's API tells it: that is a request."""
    return this_run().deployment or "restore-aurora-cluster/<deployment>"


def _announce(
    flow_run_id: object, result: Result, error: dict[str, Any], parameters: dict[str, Any]
) -> None:
    known: Details | None = recall(flow_run_id)
    ending = Ending(
        flow_run_id=str(flow_run_id),
        operation_id=operation_id_of(flow_run_id, parameters),
        result=result,
        error=error,
        parameters=parameters,
        next_command=f"prefect flow-run retry {flow_run_id}",
        run_again=f"prefect deployment run {_deployment()}",
        known=known,
    )
    try:
        announce(ending)
    except RestoreError as failed:
        # What is noted is told by the watchdog, or by the next run of the target.
        logger.error("%s Not announced: %s", failed, ending)  # noqa: TRY400 - one line
        takeover.leave(ending.operation_id)
    else:
        takeover.release(ending.operation_id)
