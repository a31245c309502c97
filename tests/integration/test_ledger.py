"""The rules between records and steps: what is written before anything is done."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from examples import plan, request, state_flow

from aurora_restore import ledger
from aurora_restore.details import CopyStarted, OperationBegun, SnapshotFound, Step
from aurora_restore.errors import NotReady, RecordsUnavailable, Refused, TimedOut
from aurora_restore.ledger import Entry, enter, still_waiting
from aurora_restore.plan import OldCluster
from aurora_restore.records import HEAD, RecordStore
from aurora_restore.settings import Poll
from sandbox import Sandbox

FACTS = [example["details"] for example in state_flow()]
WAITING = NotReady("cluster staging", "status is 'creating'", 20)


@pytest.fixture
def begun(account: Sandbox) -> OperationBegun:
    """An operation that has begun."""
    return ledger.begin(request(), f"op-{uuid4()}")


@pytest.fixture
def records(account: Sandbox) -> RecordStore:
    return ledger.store()


@pytest.fixture
def found(begun: OperationBegun) -> SnapshotFound:
    return begun.then(SnapshotFound, plan=plan(), **FACTS[0])


def history(account: Sandbox, known: OperationBegun | SnapshotFound) -> dict[str, list[str]]:
    """Return the statuses each item of an operation has had."""
    return {
        item["step"]: [entry["status"] for entry in item["history"]]
        for item in account.items(known.operation_id)
    }


def test_operation_begins_with_its_head_item(account: Sandbox, begun: OperationBegun) -> None:
    """
    Before anything is done there is a record of the operation.
    """
    assert history(account, begun) == {HEAD: ["IN_PROGRESS"]}
    assert begun.data_from is None


def test_resumed_operation_knows_its_datas_age_and_may_be_announced_again(
    begun: OperationBegun, records: RecordStore
) -> None:
    """
    What an earlier attempt noted of the data is kept; that its failure was announced is not.
    """
    moment = datetime(2024, 3, 20, tzinfo=UTC)
    records.note(begun.operation_id, announced="m-1", outcome={}, data_from=str(moment))

    again = ledger.begin(request(), begun.operation_id)

    assert again.data_from == moment
    operation = records.read(begun.operation_id)
    assert (operation.note("announced"), operation.note("outcome")) == (None, None)


def test_first_step_records_its_start(
    account: Sandbox, begun: OperationBegun, records: RecordStore
) -> None:
    """
    A step whose hook did not write its start writes it before it acts.
    """
    entry = enter(records, begun, Step.CHECK_SNAPSHOT)

    assert history(account, begun)[Step.CHECK_SNAPSHOT] == ["IN_PROGRESS"]
    assert entry.done is None
    assert entry.waited_seconds < 30


def test_missing_record_of_the_step_before_is_mended(
    account: Sandbox,
    found: SnapshotFound,
    records: RecordStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    What the hook of the step before did not write is written from the details in hand, and told.
    """
    enter(records, found, Step.COPY_SNAPSHOT)

    assert records.read(found.operation_id).steps[Step.CHECK_SNAPSHOT].details == FACTS[0]
    assert history(account, found)[Step.CHECK_SNAPSHOT] == ["SUCCESS"]
    assert "The record of snapshot-check was missing and is written now" in caplog.messages


def test_start_that_is_recorded_is_not_recorded_again(
    account: Sandbox, found: SnapshotFound, records: RecordStore
) -> None:
    """
    Each look of a wait enters anew: the wait counts from its first look, the record stays.
    """
    first = enter(records, found, Step.COPY_SNAPSHOT)
    records.note_progress(found.operation_id, Step.COPY_SNAPSHOT, 40)
    second = enter(records, found, Step.COPY_SNAPSHOT)

    assert abs(second.started_at - first.started_at) < timedelta(seconds=5)
    assert second.percent == 40
    assert history(account, found)[Step.COPY_SNAPSHOT] == ["IN_PROGRESS"]


def test_failed_step_starts_anew(
    account: Sandbox, found: SnapshotFound, records: RecordStore
) -> None:
    """
    A step that failed gets a new start, and with it its whole time.
    """
    enter(records, found, Step.COPY_SNAPSHOT)
    records.fail(found.operation_id, Step.COPY_SNAPSHOT, FACTS[0], {"type": "E", "message": "m"})

    entry = enter(records, found, Step.COPY_SNAPSHOT)

    assert entry.waited_seconds < 30
    assert history(account, found)[Step.COPY_SNAPSHOT] == ["IN_PROGRESS", "FAILED", "IN_PROGRESS"]


def test_step_that_is_done_gives_what_it_recorded(
    account: Sandbox, found: SnapshotFound, records: RecordStore
) -> None:
    """
    A step that has already succeeded is not done again: its record is the answer.
    """
    copied = found.then(CopyStarted, **FACTS[1])
    records.succeed(copied)

    entry = enter(records, found, Step.COPY_SNAPSHOT)

    assert entry.done is not None
    assert found.then(CopyStarted, **entry.done.details) == copied
    assert history(account, found)[Step.COPY_SNAPSHOT] == ["SUCCESS"]


@pytest.mark.parametrize(
    ("step", "status"),
    [(Step.CHECK_SNAPSHOT, "SUCCESS"), (Step.COPY_SNAPSHOT, "IN_PROGRESS")],
)
def test_step_that_cannot_be_recorded_may_not_act(
    account: Sandbox, found: SnapshotFound, records: RecordStore, step: Step, status: str
) -> None:
    """
    When the record of the step before cannot be mended, or the start not written, the step stops.
    """
    account.plant("dynamodb-denied", step=step, status=status, times=None)

    with pytest.raises(RecordsUnavailable, match="AccessDeniedException"):
        enter(records, found, Step.COPY_SNAPSHOT)


def test_step_that_cannot_read_the_records_may_not_act(
    account: Sandbox, found: SnapshotFound, records: RecordStore
) -> None:
    """
    Without an answer from the table nothing is permitted.
    """
    account.plant("dynamodb-denied", operation="Query", times=None)

    with pytest.raises(RecordsUnavailable, match="AccessDeniedException"):
        enter(records, found, Step.COPY_SNAPSHOT)


def test_wait_goes_on_before_its_deadline() -> None:
    """
    Until the deadline the step stays not ready.
    """
    entry = Entry(datetime.now(UTC) - timedelta(seconds=50))

    assert still_waiting(entry, Poll(at_least=1, give_up_after=60), WAITING) is WAITING


def test_wait_ends_at_its_deadline() -> None:
    """
    After the deadline the error tells how long it waited, for what, and how to go on.
    """
    entry = Entry(datetime.now(UTC) - timedelta(hours=2, minutes=5))

    timed_out = still_waiting(entry, Poll(at_least=1, give_up_after=7200), WAITING)

    assert isinstance(timed_out, TimedOut)
    assert str(timed_out) == (
        "cluster staging: gave up after 2 h 05 min: status is 'creating'. Look at the resource's "
        "RDS events; run again with the same operation_id to go on waiting."
    )


def old() -> OldCluster:
    found = plan().old
    assert found is not None
    return found


def test_deletion_is_intended_once(begun: OperationBegun, records: RecordStore) -> None:
    """
    Which cluster is deleted after which final snapshot is noted before the first call, and stays.
    """
    assert ledger.deleted_cluster_id(begun.operation_id) is None
    assert ledger.final_snapshot_id(begun.operation_id) is None

    ledger.intend_deletion(begun.operation_id, old(), "final")
    ledger.intend_deletion(begun.operation_id, old(), None)

    assert ledger.deleted_cluster_id(begun.operation_id) == "staging"
    assert ledger.final_snapshot_id(begun.operation_id) == "final"
    assert records.read(begun.operation_id).note("deletion") == {
        "cluster_id": "staging",
        "resource_id": "cluster-OLD",
        "final_snapshot_id": "final",
    }


def test_deletion_is_not_begun_without_its_note(account: Sandbox, begun: OperationBegun) -> None:
    """
    When the intent cannot be written the deletion is not permitted.
    """
    account.plant("dynamodb-denied", step=HEAD, times=None)

    with pytest.raises(RecordsUnavailable):
        ledger.intend_deletion(begun.operation_id, old(), None)


def test_operation_that_was_cleaned_up_after_is_not_gone_on_with(
    begun: OperationBegun, records: RecordStore
) -> None:
    """
    What it had made is gone: going on would only fail later.
    """
    records.note(begun.operation_id, cleaned={"at": "2026-11-25"})

    with pytest.raises(Refused, match="removed by cleanup, so it cannot go on"):
        ledger.begin(request(), begun.operation_id)


def test_resumed_operation_follows_the_plan_it_has(begun: OperationBegun) -> None:
    """
    What was decided is kept before anything is done, and comes back as it was.
    """
    ledger.keep_plan(begun.operation_id, plan())

    again = ledger.begin(request(), begun.operation_id, "hash")

    assert (begun.plan, again.plan, again.plan_hash) == (None, plan(), "hash")
    assert again.data_from == plan().data_from


def test_agreement_holds_for_every_later_run(account: Sandbox) -> None:
    """
    The hash that the first run was given is asked of the runs that go on without one, until a run
    is given another; an operation that was begun without one has none.
    """
    agreed, free = f"op-{uuid4()}", f"op-{uuid4()}"

    begun = [
        ledger.begin(request(), agreed, given).plan_hash for given in ("hash", None, "other", None)
    ]

    assert begun == ["hash", "hash", "other", "other"]
    assert ledger.begin(request(), free).plan_hash is None
