"""The rules between records and steps: what must be recorded before anything is done."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aurora_restore.announcements import duration_text
from aurora_restore.details import Details, OperationBegun, Step
from aurora_restore.errors import NotReady, Refused, TimedOut
from aurora_restore.rds.clusters import Cluster
from aurora_restore.records import RecordStore, StepRecord
from aurora_restore.sessions import target_client
from aurora_restore.settings import Poll, settings

if TYPE_CHECKING:
    from aurora_restore.request import RestoreRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A step's permission to act: when its wait began, and what it found if it is done already."""

    started_at: datetime
    done: StepRecord | None = None
    percent: int | None = None

    def deadline_passed(self, poll: Poll) -> bool:
        """Whether the wait has lasted longer than it may."""
        return self.waited_seconds > poll.give_up_after

    @property
    def waited_seconds(self) -> float:
        """Seconds since this attempt of the step began."""
        return (datetime.now(UTC) - self.started_at).total_seconds()


def store() -> RecordStore:
    """Return the records of the account this runs in."""
    return RecordStore(target_client("dynamodb"), settings().state_table)


def begin(request: "RestoreRequest", operation_id: str) -> OperationBegun:
    """Put the operation's head item; nothing is done before that.

    Safe to repeat by the same request: that is how an operation is resumed.

    Raises:
        Refused: the operation is another request's, or has already succeeded.
        RecordsUnavailable: the table cannot be used.
    """
    records = store()
    records.begin(operation_id, request)
    records.note(operation_id, outcome=None, announced=None)
    data_from = records.read(operation_id).note("data_from")
    return OperationBegun(operation_id=operation_id, request=request, data_from=data_from)


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
    own = operation.steps.get(step)
    if own is not None and own.status == "SUCCESS":
        return Entry(own.started_at or datetime.now(UTC), own)
    if own is None or own.status != "IN_PROGRESS" or own.started_at is None:
        records.start(known.operation_id, step, known.facts())
        return Entry(datetime.now(UTC))
    return Entry(own.started_at, percent=own.percent)


def still_waiting(entry: Entry, poll: Poll, waiting: NotReady) -> NotReady | TimedOut:
    """Return the error to raise for a goal not reached yet: wait on, or give up.

    The deadline is counted from the record's start, since a retry counter dies with its process.
    """
    if not entry.deadline_passed(poll):
        return waiting
    waited = duration_text(entry.waited_seconds)
    return TimedOut(waiting.resource, f"gave up after {waited}: {waiting.problem}")


def intend_deletion(
    operation_id: str, cluster: Cluster, final_snapshot_id: str | None = None
) -> None:
    """Record which cluster is about to be deleted, before the first call that does so.

    Raises:
        Refused: the cluster of that name is another one than when the deletion began.
    """
    records = store()
    noted = records.read(operation_id).note("deletion")
    if noted is None:
        deletion = {
            "cluster_id": cluster.id,
            "resource_id": cluster.resource_id,
            "final_snapshot_id": final_snapshot_id,
        }
        records.note(operation_id, deletion=deletion)
    elif noted["resource_id"] != cluster.resource_id:
        raise Refused(
            f"cluster {cluster.id}",
            f"it is not the one whose deletion was begun ({noted['resource_id']})",
            "Somebody made another cluster of this name meanwhile; start another operation.",
        )


def deleted_cluster_id(operation_id: str) -> str | None:
    """Return the cluster this operation has deleted, or None if there was none."""
    noted = store().read(operation_id).note("deletion")
    return str(noted["cluster_id"]) if noted else None
