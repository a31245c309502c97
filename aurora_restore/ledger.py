"""The rules between records and steps: what must be recorded before anything is done."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from aurora_restore import leases
from aurora_restore.announcements import duration_text
from aurora_restore.details import Details, OperationBegun, RefreshFailed, Step
from aurora_restore.duration import expected_duration
from aurora_restore.errors import NotReady, Refused, TimedOut
from aurora_restore.plan import OldCluster, Plan
from aurora_restore.rds.clusters import Cluster
from aurora_restore.records import Operation, RecordStore, StepRecord, another_request
from aurora_restore.sessions import target_client
from aurora_restore.settings import Poll, settings
from aurora_restore.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from aurora_restore.request import RestoreRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A step's permission to act: when its wait began, and what it found if it is done already.

    `plan` is the one in force: the details in hand were made before another was kept.
    """

    started_at: datetime
    plan: Plan | None = None
    done: StepRecord | None = None
    percent: int | None = None

    def deadline_passed(self, poll: Poll) -> bool:
        """Whether the wait has lasted longer than it may."""
        return self.waited_seconds > poll.give_up_after

    @property
    def waited_seconds(self) -> float:
        """Seconds since this attempt of the step began."""
        return (datetime.now(UTC) - self.started_at).total_seconds()


def table() -> Table:
    """Return the table of the account this runs in."""
    known = settings()
    return _table(target_client("dynamodb"), known.state_table, known.records_patience)


def store() -> RecordStore:
    """Return the records of the account this runs in, written under the leases of this process."""
    known = settings()
    return RecordStore(
        table(), known.state_index, known.target_index, fence=leases.fence_of, lost=leases.lose
    )


# One for each process: what has waited for the table in vain tells the next not to.
@cache
def _table(client: "DynamoDBClient", name: str, patience: float) -> Table:
    return Table(client, name, patience)


@dataclass(frozen=True)
class Run:
    """The flow run that works on an operation, and its deployment's full name if it has one."""

    flow_run_id: str = ""
    deployment: str | None = None


@dataclass(frozen=True)
class Times:
    """When an operation began, and when its cluster was restored (None: it is not)."""

    began_at: datetime
    restored_at: datetime | None


def times(operation_id: str) -> Times:
    """Return the times of an operation that has begun.

    Raises:
        RecordsUnavailable: the table cannot be used.
    """
    operation = store().read(operation_id)
    head, restored = operation.head, operation.steps.get(Step.CHECK_RESTORE_STATUS)
    moments = [
        [datetime.fromisoformat(each["at"]) for each in (record.history if record else [])]
        for record in (head, restored)
    ]
    return Times(
        moments[0][0] if moments[0] else datetime.now(UTC), moments[1][-1] if moments[1] else None
    )


def find_finished(request: "RestoreRequest", operation_id: str) -> Operation | None:
    """Return the operation if it has already succeeded: then there is nothing to do.

    Raises:
        Refused: the operation is another request's.
        RecordsUnavailable: the table cannot be used.
    """
    operation = store().read(operation_id)
    if operation.is_anothers(request):
        raise another_request(operation_id)
    return operation if operation.has_succeeded else None


def begin(
    request: "RestoreRequest",
    operation_id: str,
    plan_hash: str | None = None,
    run: Run | None = None,
) -> OperationBegun:
    """Put the operation's head item; nothing is done before that.

    Safe to repeat by the same request: that is how an operation is resumed. The hash that a person
    has agreed to is kept: it holds for every later run that is given none.

    Raises:
        Refused: the operation is another request's, has already succeeded, or has gone back.
        RecordsUnavailable: the table cannot be used.
        LeaseLost: another run has taken the target over.
    """
    records, run = store(), run or Run()
    operation = records.read(operation_id)
    # Before anything is written: how it has ended stays on record.
    if operation.note("going_back") and not operation.is_anothers(request):
        done = operation.succeeded(Step.BRING_BACK)
        raise Refused(
            f"operation_id {operation_id}",
            "this operation failed and "
            + ("has brought" if done else "is bringing")
            + " the old cluster back",
            "Start another one: leave operation_id out.",
        )
    if operation.note("cleaned") is not None and not operation.is_anothers(request):
        raise Refused(
            f"operation_id {operation_id}",
            "what it had made was removed by cleanup, so it cannot go on",
            "Start another one: leave operation_id out.",
        )
    plan_hash = plan_hash or operation.note("plan_hash")
    records.begin(operation_id, request, plan_hash)
    usual = operation.note("usual_seconds") or expected_duration(records, request).seconds
    # A success that was told is not told again by a run that only has to record it.
    told = (operation.note("outcome") or {}).get("result") == "SUCCESS"
    records.note(
        operation_id,
        **({} if told else {"outcome": None, "announced": None}),
        flow_run_id=run.flow_run_id,
        deployment=run.deployment,
        usual_seconds=usual,
    )
    plan = operation.note("plan")
    return OperationBegun(
        operation_id=operation_id,
        request=request,
        data_from=operation.note("data_from"),
        plan=None if plan is None else Plan.model_validate(plan),
        plan_hash=plan_hash,
    )


def enter(records: RecordStore, known: Details, step: Step) -> Entry:
    """Return the step's permission to act, after one consistent read.

    Prefect logs and drops what a hook raises. So what a hook did not write, the predecessor's
    SUCCESS or this step's IN_PROGRESS, is written here from the details in hand.

    Raises:
        RecordsUnavailable: the records cannot be read or mended, so nothing may be done.
    """
    operation = records.read(known.operation_id)
    if known.step is not None and not operation.succeeded(known.step):
        logger.warning("The record of %s was missing and is written now", known.step)
        records.succeed(known)
    noted = operation.note("plan")
    plan = None if noted is None else Plan.model_validate(noted)
    own = operation.steps.get(step)
    fence = leases.fence_of(known.operation_id) or 0
    if own is not None and own.status == "SUCCESS":
        return Entry(own.started_at or datetime.now(UTC), done=own)
    # A wait that another run began lasts anew: that run may have been gone for days.
    of_this_run = own is not None and own.status == "IN_PROGRESS" and own.fence >= fence
    if own is None or not of_this_run or own.started_at is None:
        records.start(known.operation_id, step, known.facts())
        return Entry(datetime.now(UTC), plan)
    return Entry(own.started_at, plan, percent=own.percent)


def began(operation_id: str, step: Step) -> datetime:
    """Return when this run's attempt of a step began, by its record; now if it has none."""
    own = store().read(operation_id).steps.get(step)
    return (own and own.started_at) or datetime.now(UTC)


def is_of_earlier_run(operation_id: str, step: Step) -> bool:
    """Whether a step's record was written by a run before this one."""
    own = store().read(operation_id).steps.get(step)
    return own is not None and own.fence < (leases.fence_of(operation_id) or 0)


def still_waiting(entry: Entry, poll: Poll, waiting: NotReady) -> NotReady | TimedOut:
    """Return the error to raise for a goal not reached yet: wait on, or give up.

    The deadline is counted from the record's start, since a retry counter dies with its process.
    """
    if not entry.deadline_passed(poll):
        return waiting
    waited = duration_text(entry.waited_seconds)
    return TimedOut(waiting.resource, f"gave up after {waited}: {waiting.problem}")


def keep_plan(operation_id: str, plan: Plan) -> None:
    """Keep what is going to be done, before anything is: a resumed run follows the same plan."""
    data_from = plan.data_from and str(plan.data_from)
    # As text: it is read with every record, and hundreds of nested attributes take their time.
    store().note(operation_id, plan=plan.model_dump_json(), data_from=data_from)


def keep_restored(operation_id: str, cluster: Cluster) -> None:
    """Keep which cluster this operation has restored, whatever it will be called."""
    store().note(
        operation_id, restored={"cluster_id": cluster.id, "resource_id": cluster.resource_id}
    )


def restored_resource_id(operation_id: str) -> str:
    """Return the resource id of the cluster this operation has restored."""
    return str(store().read(operation_id).note("restored")["resource_id"])


def intend_deletion(operation_id: str, old: OldCluster, final_snapshot_id: str | None) -> None:
    """Record which cluster is about to be deleted, before the first call that does so."""
    records = store()
    if records.read(operation_id).note("deletion") is not None:
        return
    records.note(
        operation_id,
        deletion={
            "cluster_id": old.blueprint.cluster_id,
            "resource_id": old.resource_id,
            "final_snapshot_id": final_snapshot_id,
        },
    )


def keep_old(operation_id: str, cluster_id: str, until: datetime) -> None:
    """Record under which identifier the old cluster is kept, and until when."""
    moment = until.isoformat(timespec="minutes")
    store().note(operation_id, kept={"cluster_id": cluster_id, "until": moment})


def deleted_cluster_id(operation_id: str) -> str | None:
    """Return the cluster this operation has deleted, or None if there was none."""
    noted = store().read(operation_id).note("deletion")
    return str(noted["cluster_id"]) if noted else None


def final_snapshot_id(operation_id: str) -> str | None:
    """Return the final snapshot this operation has taken or asked for, or None."""
    noted = store().read(operation_id).note("deletion") or {}
    return noted.get("final_snapshot_id")


def begin_way_back(request: "RestoreRequest", operation_id: str) -> RefreshFailed | None:
    """Record that the operation goes back, never forward again; None if it need not.

    Raises:
        RecordsUnavailable: the table cannot be used, so nothing may be done.
    """
    records = store()
    operation = records.read(operation_id)
    if operation.succeeded(Step.BRING_BACK) or operation.is_anothers(request):
        return None
    if not operation.note("going_back") and not must_go_back(operation):
        return None
    # What a later attempt brings about is announced anew.
    records.note(operation_id, going_back=True, outcome=None, announced=None)
    return RefreshFailed(
        operation_id=operation_id,
        request=request,
        plan=Plan.model_validate(operation.note("plan")),
        failing_step=operation.first_unfinished,
        source_account_id=request.source_account_id,
        target_account_id=request.target_account_id,
        source_region=request.source_region,
        target_region=request.target_region,
    )


def unfinished_copy(request: "RestoreRequest", operation_id: str) -> Plan | None:
    """Return the plan of an operation whose copy was begun and not finished; None otherwise."""
    operation = store().read(operation_id)
    begun = {Step.COPY_SNAPSHOT, Step.CHECK_COPY_STATUS}
    if operation.first_unfinished not in begun or operation.is_anothers(request):
        return None
    return Plan.model_validate(operation.note("plan"))


def must_go_back(operation: Operation) -> bool:
    """Whether a failure now leaves the target without its old cluster serving under its name.

    In delete-first from the deletion until the new database is set up; in a swap while the names
    are exchanged. Before, the old cluster is untouched; after, the new one serves. Where there was
    no old cluster there is no way back.
    """
    if (operation.note("plan") or {}).get("old") is None:
        return False
    failed = operation.first_unfinished
    if operation.replace == "swap":
        return failed is Step.SWAP_CLUSTERS and operation.note("restored") is not None
    since = operation.order[operation.order.index(Step.DELETE_CLUSTER) :]
    until = since[: since.index(Step.SETUP_DB_USERS) + 1]
    return failed in until and operation.note("deletion") is not None
