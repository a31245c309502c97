"""HandleFailure: whatever ends a run without success is recorded and announced."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Flow, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_logger
from pydantic import ValidationError

from aurora_restore.announcements import Result
from aurora_restore.details import Details
from aurora_restore.endings import Ending
from aurora_restore.endings import announce_failure as announce
from aurora_restore.errors import RestoreError, describe
from aurora_restore.request import RestoreRequest, one_line
from flows.way_back import go_back, tidy_copy
from tasks.artifacts import optional
from tasks.hooks import recall

logger = get_logger(__name__)


def operation_id_of(flow_run_id: object, parameters: dict[str, Any]) -> str:
    """Return the operation a flow run works on: the request's, or one named after the run."""
    return str(parameters.get("operation_id") or f"op-{flow_run_id}")


@contextmanager
def failure_announced(request: RestoreRequest) -> Iterator[None]:
    """Undo, record and announce an error of the flow's body before Prefect hears of it.

    A hook alone would not do: when Prefect's API is gone at the end of a run, none is called.
    BaseException passes: Prefect's own control flow travels there.
    """
    try:
        yield
    except Exception as error:
        run_id, parameters = runtime.flow_run.id, request.model_dump(mode="json")
        operation_id = operation_id_of(run_id, parameters)
        go_back(request, operation_id, error)
        tidy_copy(request, operation_id)
        _announce(run_id, "FAILED", describe(error), parameters)
        raise


def announce_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Flow hook for failed, crashed and cancelled runs. The names are those Prefect calls it by.

    Does nothing for a dry run, nor for a run that has announced its end itself.
    """
    if flow_run.parameters.get("dry_run"):
        return
    parameters = dict(flow_run.parameters.get("request") or {})
    result: Result = "FAILED"
    if state.is_cancelled() or state.is_cancelling():
        result = "CANCELLED"
    elif state.is_crashed():
        result = "CRASHED"
    _announce(flow_run.id, result, _error_of(state, parameters), parameters)


def _error_of(state: State[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        RestoreRequest.model_validate(parameters)
    except ValidationError as invalid:
        return {"type": "InvalidRequest", "message": f"request: {one_line(invalid)}"}
    return {"type": state.name or state.type.value, "message": (state.message or "")[:2000]}


def _deployment() -> str:
    """The deployment's full name, as far as Prefect's API tells it: that is a request."""
    name = None
    with optional():
        name = runtime.deployment.name
    return f"restore-aurora-cluster/{name or '<deployment>'}"


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
        logger.error("%s Not announced: %s", failed, ending)  # noqa: TRY400 - one line
