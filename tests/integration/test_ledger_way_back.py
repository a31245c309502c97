"""When a failed operation goes back, and that it never goes forward again."""

from typing import Any
from uuid import uuid4

import pytest
from examples import plan, request, state_flow

from aurora_restore import ledger
from aurora_restore.details import BroughtBack, OperationBegun, SnapshotFound, Step, steps_of
from aurora_restore.errors import RecordsUnavailable, Refused
from aurora_restore.ledger import must_go_back
from aurora_restore.plan import OldCluster
from aurora_restore.records import HEAD, Operation, RecordStore, StepRecord
from sandbox import Sandbox

DELETION = {"cluster_id": "staging", "resource_id": "cluster-OLD", "final_snapshot_id": "final"}
RESTORED = {"cluster_id": "staging-new-1", "resource_id": "cluster-NEW"}
PLAN = plan().model_dump(mode="json")
OLD = plan().old or OldCluster(arn="", resource_id="", blueprint=plan().new)


def operation(replace: str, failed: Step, **notes: Any) -> Operation:
    """Return an operation whose steps before `failed` have succeeded."""
    order = steps_of(replace)
    done = order[: order.index(failed)]
    head = StepRecord(
        "op-001", HEAD, details={"request": {"replace": replace}}, notes={"plan": PLAN} | notes
    )
    steps = {each: StepRecord("op-001", each, "SUCCESS") for each in done}
    return Operation("op-001", head, steps)


@pytest.mark.parametrize("failed", steps_of("delete-first"))
def test_delete_first_goes_back_from_the_deletion_until_the_set_up(failed: Step) -> None:
    """
    Once its deletion was begun the old cluster comes back, unless the new database is set up.
    """
    within = {
        Step.DELETE_CLUSTER,
        Step.RESTORE_SNAPSHOT,
        Step.CHECK_RESTORE_STATUS,
        Step.SETUP_DB_USERS,
    }

    assert must_go_back(operation("delete-first", failed, deletion=DELETION)) == (failed in within)
    assert not must_go_back(operation("delete-first", failed))


@pytest.mark.parametrize("failed", steps_of("swap"))
def test_swap_goes_back_only_while_the_names_are_exchanged(failed: Step) -> None:
    """
    Before, the old cluster serves; after, the new one does, also while the old one is deleted.
    """
    swap = operation("swap", failed, restored=RESTORED, deletion=DELETION)

    assert must_go_back(swap) == (failed is Step.SWAP_CLUSTERS)
    assert not must_go_back(operation("swap", failed))


@pytest.mark.parametrize("replace", ["delete-first", "swap"])
def test_where_there_was_no_cluster_there_is_no_way_back(replace: str) -> None:
    """
    A first refresh that fails leaves what it has made.
    """
    first = plan(old=None).model_dump(mode="json")
    notes = {"plan": first, "deletion": DELETION, "restored": RESTORED}

    assert not any(must_go_back(operation(replace, each, **notes)) for each in steps_of(replace))
    assert not must_go_back(operation(replace, steps_of(replace)[0], **notes | {"plan": None}))


@pytest.mark.parametrize("replace", ["delete-first", "swap"])
def test_finished_operation_does_not_go_back(replace: str) -> None:
    """
    A run that fails after its last step undoes nothing.
    """
    last = steps_of(replace)[-1]
    known = operation(replace, last, deletion=DELETION, restored=RESTORED)
    done = {**known.steps, last: StepRecord("op-001", last, "SUCCESS")}

    assert not must_go_back(Operation("op-001", known.head, done))


@pytest.fixture
def begun(account: Sandbox) -> OperationBegun:
    """An operation that has a plan."""
    known = ledger.begin(request(), f"op-{uuid4()}")
    ledger.keep_plan(known.operation_id, plan())
    return known


@pytest.fixture
def records(account: Sandbox) -> RecordStore:
    return ledger.store()


def deletes(begun: OperationBegun) -> None:
    """Let the operation be in the middle of its deletion."""
    records, order = ledger.store(), steps_of("delete-first")
    facts = state_flow()[0]["details"]
    records.succeed(begun.then(SnapshotFound, plan=plan(), **facts))
    for step in order[1 : order.index(Step.DELETE_CLUSTER)]:
        records.complete(begun.operation_id, step, {})
    ledger.intend_deletion(begun.operation_id, OLD, "final")


def snapshot_of(records: RecordStore, begun: OperationBegun) -> Operation:
    return records.read(begun.operation_id)


def test_failure_before_the_deletion_needs_no_way_back(
    begun: OperationBegun, records: RecordStore
) -> None:
    """
    An operation that has deleted nothing may still be resumed.
    """
    before = snapshot_of(records, begun)

    assert ledger.begin_way_back(begun.request, begun.operation_id) is None

    assert snapshot_of(records, begun) == before


def test_way_back_is_recorded_before_it_begins(begun: OperationBegun, records: RecordStore) -> None:
    """
    What the way back needs to know comes from the records: plan, failing step, accounts.
    """
    deletes(begun)

    failed = ledger.begin_way_back(begun.request, begun.operation_id)

    assert failed is not None
    assert (failed.plan, failed.failing_step) == (plan(), Step.DELETE_CLUSTER)
    assert (failed.target_region, failed.aside) == ("us-west-2", False)
    assert snapshot_of(records, begun).note("going_back") is True


def test_way_back_that_cannot_be_recorded_does_not_begin(
    account: Sandbox, begun: OperationBegun
) -> None:
    """
    Without the record nothing is restored in the place of the old cluster.
    """
    deletes(begun)
    account.plant("dynamodb-denied", step=HEAD, times=None)

    with pytest.raises(RecordsUnavailable):
        ledger.begin_way_back(begun.request, begun.operation_id)


@pytest.mark.parametrize(("done", "word"), [(False, "is bringing"), (True, "has brought")])
def test_operation_that_goes_back_never_goes_forward(
    begun: OperationBegun, records: RecordStore, *, done: bool, word: str
) -> None:
    """
    Resuming it is refused, and its records stay as the failure left them.
    """
    deletes(begun)
    failed = ledger.begin_way_back(begun.request, begun.operation_id)
    assert failed is not None
    if done:
        records.succeed(brought(failed))
    records.end(begun.operation_id, "FAILED")
    records.note(begun.operation_id, announced="m-1")
    before = snapshot_of(records, begun)

    with pytest.raises(Refused) as refused:
        ledger.begin(begun.request, begun.operation_id)

    assert str(refused.value) == (
        f"operation_id {begun.operation_id}: this operation failed and {word} the old cluster "
        "back. Start another one: leave operation_id out."
    )
    assert snapshot_of(records, begun) == before


def brought(failed: Any) -> BroughtBack:
    back: BroughtBack = failed.then(
        BroughtBack,
        brought_back_cluster_id="staging",
        brought_back_from="final",
        cluster_endpoint="e",
        cluster_port=5432,
    )
    return back


def test_way_back_that_was_cut_off_goes_on_and_is_announced_anew(
    begun: OperationBegun, records: RecordStore
) -> None:
    """
    A second attempt continues wherever the operation is, and its result is told as well.
    """
    deletes(begun)
    ledger.begin_way_back(begun.request, begun.operation_id)
    records.note(begun.operation_id, announced="m-1")

    again = ledger.begin_way_back(begun.request, begun.operation_id)

    assert again is not None
    assert snapshot_of(records, begun).note("announced") is None


def test_way_back_that_is_done_is_not_begun_again(
    begun: OperationBegun, records: RecordStore
) -> None:
    """
    The old cluster is brought back once.
    """
    deletes(begun)
    failed = ledger.begin_way_back(begun.request, begun.operation_id)
    records.succeed(brought(failed))
    records.note(begun.operation_id, announced="m-1")

    assert ledger.begin_way_back(begun.request, begun.operation_id) is None

    assert snapshot_of(records, begun).note("announced") == "m-1"


def test_another_requests_operation_is_not_written(
    begun: OperationBegun, records: RecordStore
) -> None:
    """
    A run that took the name of somebody else's operation neither goes back in it nor begins it.
    """
    deletes(begun)
    other = request(final_snapshot=False)
    before = snapshot_of(records, begun)

    assert ledger.begin_way_back(other, begun.operation_id) is None
    with pytest.raises(Refused, match="this operation was begun with another request"):
        ledger.begin(other, begun.operation_id)

    assert snapshot_of(records, begun) == before


def test_another_requests_way_back_is_told_as_such(
    begun: OperationBegun, records: RecordStore
) -> None:
    """
    Of an operation that goes back, another request learns only that it is not its own.
    """
    deletes(begun)
    ledger.begin_way_back(begun.request, begun.operation_id)

    with pytest.raises(Refused, match="this operation was begun with another request"):
        ledger.begin(request(final_snapshot=False), begun.operation_id)
