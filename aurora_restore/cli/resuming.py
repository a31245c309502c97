"""`resume`: starts the deployment again with the recorded request of an unfinished operation."""

from typing import Any

from pydantic import BaseModel

from aurora_restore import leases
from aurora_restore.cli import prefect_run
from aurora_restore.cli.answers import Answer, Fault
from aurora_restore.cli.environment import find_operation, open_records, open_table
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.screen import Row, Screen, working
from aurora_restore.cli.status import why_over
from aurora_restore.details import Step
from aurora_restore.errors import RecordsDamaged, Refused
from aurora_restore.records import Operation
from aurora_restore.request import RestoreRequest


class ResumeResult(BaseModel, frozen=True):
    """The flow run that goes on with the operation, `step` first. `url` as Prefect prints it.

    `state` is how the run has ended if it was watched, else null.
    """

    operation_id: str
    target: str
    step: Step | None
    deployment: str
    flow_run_id: str
    url: str | None
    state: str | None
    next: str


def resume(operation_id: str, deployment: str | None, *, watch: bool, quiet: bool) -> Answer:
    """Return the flow run that was started to go on with an operation.

    Raises:
        BadUsage: no deployment is known; the environment is not valid.
        NotFound: there is no such operation.
        Refused: there is nothing to resume; LeaseHeld: a run is at work on its target.
        RunNotStarted: Prefect did not make the run.
        RecordsDamaged, RecordsUnavailable: its records cannot be read.
    """
    records = open_records()
    with working("reading the records", quiet=quiet):
        operation = find_operation(records, operation_id)
        request = resumable(operation)
        leases.require_open(open_table(), request.touched)
    name = deployment or operation.note("deployment")
    if not name:
        raise BadUsage(
            f"operation {operation_id}",
            "the records do not name its deployment",
            f"Run `aurora-restore resume {operation_id} --deployment FLOW/DEPLOYMENT`.",
        )
    asked = request.model_dump(mode="json") | {"operation_id": operation_id}
    with working("asking Prefect", quiet=quiet or watch):
        run = prefect_run.start(str(name), {"request": asked}, watch=watch)
    return answer(operation, request, str(name), run)


def resumable(operation: Operation) -> RestoreRequest:
    """Return the request to go on with.

    An operation that is bringing the old cluster back, and has not, may go on with that.

    Raises:
        Refused: it has succeeded, has brought the old cluster back, or was cleaned up.
        RecordsDamaged: its request cannot be read.
    """
    resource = f"operation {operation.operation_id}"
    if operation.has_succeeded:
        raise Refused(resource, "it has succeeded: nothing to do", "")
    request = operation.request()
    if request is None:
        raise RecordsDamaged(
            resource, "its request is not on record, or is not valid any more", "Start another one."
        )
    if (over := why_over(operation)) is not None:
        raise Refused(
            resource,
            over,
            f"Start another one: `aurora-restore status {operation.operation_id}` has the command.",
        )
    return request


def answer(
    operation: Operation, request: RestoreRequest, deployment: str, run: prefect_run.Run
) -> Answer:
    """Return what was started as a command's answer. Pure."""
    name = operation.operation_id
    result = ResumeResult(
        operation_id=name,
        target=request.target_name,
        step=Step.BRING_BACK if operation.note("going_back") else operation.first_unfinished,
        deployment=deployment,
        flow_run_id=run.flow_run_id,
        url=run.url,
        state=run.state,
        next=f"aurora-restore status {name}",
    )
    fault = None
    if run.failed:
        message = f"flow run {run.flow_run_id}: {run.said}. Run `aurora-restore status {name}`."
        fault = Fault(type="RunFailed", message=message)
    return Answer(result, lambda screen: _show(screen, result), fault)


def _show(screen: Screen, result: ResumeResult) -> None:
    screen.paragraph(f"Operation {result.operation_id} goes on", style="bold")
    facts: dict[str, Any] = {
        "Target": result.target,
        "From": result.step,
        "Deployment": result.deployment,
        "Flow run": result.flow_run_id,
        "URL": result.url,
        "Ended": result.state,
    }
    screen.rows([Row([name, str(text)]) for name, text in facts.items() if text])
    screen.heading("Next:")
    screen.verbatim(result.next)
