"""One operation for each target: who gets the lease, and what becomes of one that is lost."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from examples import request
from product_fixtures import changes

from aurora_restore import leases, ledger
from aurora_restore.details import Step
from aurora_restore.errors import LeaseHeld, LeaseLost, RecordsDamaged, RecordsUnavailable
from aurora_restore.leases import Holder, Lease, acquire, acquire_own
from aurora_restore.table import Table
from sandbox import Sandbox

LONG, SHORT = 600.0, 0.3


@pytest.fixture
def table(account: Sandbox) -> Table:
    return ledger.table()


@pytest.fixture
def target() -> str:
    """A cluster of this test alone."""
    return f"987654321098/us-west-2/{uuid4()}"


def holder(operation_id: str = "op-1", process: str = "elsewhere/pid:[1]/1/1") -> Holder:
    return Holder(operation_id, f"run of {operation_id}", process, "2024-03-20T00:05:00+00:00")


def take(table: Table, *targets: str, by: str = "op-1", seconds: float = LONG) -> Lease:
    return acquire(table, targets, holder(by), seconds)[0]


def test_second_operation_is_refused_and_told_who_works(table: Table, target: str) -> None:
    """
    It stops at once; the message names the operation, its run, and what to do.
    """
    take(table, target)

    with pytest.raises(LeaseHeld) as refused:
        acquire_own(table, [target], holder("op-2"), LONG)

    assert refused.value.operation_id == "op-1"
    assert str(refused.value).startswith(
        f"cluster {target}: operation op-1 (flow run run of op-1, since 2024-03-20T00:05:00+00:00) "
        "is at work on it; its lease runs until "
    )
    assert str(refused.value).endswith("Let it end, or cancel it; then run again.")


def test_both_clusters_of_an_operation_are_taken_or_none(table: Table, target: str) -> None:
    """
    Who cannot have the replaced cluster does not keep the target from others.
    """
    take(table, f"{target}-old")

    with pytest.raises(LeaseHeld):
        take(table, target, f"{target}-old", by="op-2")

    take(table, target, by="op-3")


def test_lease_that_ran_out_is_taken_over_with_a_greater_number(table: Table, target: str) -> None:
    """
    The number grows each time; the one before is named, for its end to be told.
    """
    first = take(table, target, seconds=0)

    second, before = acquire(table, [target], holder("op-2"), LONG)

    assert second.fence > first.fence
    assert [each.operation_id for each in before] == ["op-1"]


def test_one_that_was_taken_over_may_do_nothing(table: Table, target: str) -> None:
    """
    Whatever it asks for afterwards, its lease is lost, for good.
    """
    first = take(table, target, seconds=0)
    second = take(table, target, by="op-2")
    second.release()

    for _ in range(2):
        with pytest.raises(LeaseLost):
            first.require()


def test_run_that_was_frozen_but_not_taken_over_goes_on(table: Table, target: str) -> None:
    """
    A lease that ran out and that nobody took is renewed.
    """
    lease = take(table, target, seconds=SHORT)
    time.sleep(2 * SHORT)

    lease.require()

    with pytest.raises(LeaseHeld):
        take(table, target, by="op-2")


def test_own_earlier_run_that_is_gone_is_waited_out(table: Table, target: str) -> None:
    """
    A resumed operation gets its target as soon as the dead run's lease is over.
    """
    take(table, target, seconds=1)
    began = time.monotonic()

    lease, _ = acquire_own(table, [target], holder("op-1"), 1)

    assert 0.5 < time.monotonic() - began < 10
    lease.require()


def test_own_earlier_run_that_lives_keeps_the_target(table: Table, target: str) -> None:
    """
    The same operation twice at once: the second run sees the first one renew its lease, and stops.
    """
    alive = take(table, target, seconds=4)
    alive.keep()

    with pytest.raises(LeaseHeld) as refused:
        acquire_own(table, [target], holder("op-1"), 4)

    assert refused.value.operation_id == "op-1"
    alive.release()


def test_lease_of_a_process_that_died_here_is_open_at_once(table: Table, target: str) -> None:
    """
    On the same machine nobody waits for a process that is not there any more.
    """
    code = "from aurora_restore.leases import Holder; print(Holder.here('op-1', 'r').process)"
    gone = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout.strip()
    acquire(table, [target], holder("op-1", gone), LONG)

    _, before = acquire(table, [target], holder("op-2"), LONG)

    assert [each.process for each in before] == [gone]


def test_lease_of_a_process_that_lives_here_is_not(table: Table, target: str) -> None:
    """
    This process is there.
    """
    acquire(table, [target], Holder.here("op-1", "r"), LONG)

    with pytest.raises(LeaseHeld):
        take(table, target, by="op-2")


def test_lease_is_renewed_until_it_is_let_go(table: Table, target: str) -> None:
    """
    A step of any length keeps its target; afterwards nothing holds it.
    """
    lease = take(table, target, seconds=4)
    lease.keep()
    time.sleep(6)
    with pytest.raises(LeaseHeld):
        take(table, target, by="op-2")

    lease.release()

    _, before = acquire(table, [target], holder("op-2"), LONG)
    assert before == []


def test_only_one_of_many_gets_it(table: Table, target: str) -> None:
    """
    Twenty at the same moment: one winner, and everybody else is told so.
    """
    won: list[str] = []
    lost: list[str] = []
    start = threading.Barrier(20)

    def run(number: int) -> None:
        start.wait()
        try:
            take(table, target, f"{target}-old", by=f"op-{number}")
            won.append(f"op-{number}")
        except LeaseHeld as held:
            lost.append(held.operation_id)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(won) == 1
    assert set(lost) <= {*won, "?"}
    assert len(lost) == 19


def test_left_lease_is_found_and_a_released_one_is_not(table: Table, target: str) -> None:
    """
    The watchdog finds what has no ending, once that has lasted long enough.
    """
    take(table, target).leave()
    take(table, f"{target}-b", by="op-2").release()
    take(table, f"{target}-c", by="op-3")

    def found(since: float) -> list[str]:
        every = leases.unfinished(table, "step-timestamp", since)
        return [each.target for each in every if each.target.startswith(target)]

    assert found(since=0) == [target]
    assert found(since=60) == []


def test_lost_lease_lets_no_change_through(
    account: Sandbox, rds: Any, table: Table, target: str
) -> None:
    """
    A call that changes something is stopped before it is sent; looking is free.
    """
    leases.hold("op-1", take(table, target, seconds=0))
    take(table, target, by="op-2")

    with leases.acting("op-1"), pytest.raises(LeaseLost):
        rds.delete_db_instance(DBInstanceIdentifier="staging-1", SkipFinalSnapshot=True)
    with leases.acting("op-1"):
        rds.describe_db_clusters()

    assert changes(account) == []
    leases.forget("op-1")


def test_change_is_not_made_while_the_table_is_away(
    account: Sandbox, rds: Any, table: Table, target: str
) -> None:
    """
    Nobody can tell whose the target is, so nothing is done.
    """
    leases.hold("op-1", take(table, target))
    account.plant("dynamodb-denied", operation="TransactWriteItems", times=None)

    with leases.acting("op-1"), pytest.raises(RecordsUnavailable):
        rds.delete_db_cluster(DBClusterIdentifier="staging", SkipFinalSnapshot=True)

    assert changes(account) == []
    leases.forget("op-1")


def test_records_refuse_a_run_that_was_taken_over(account: Sandbox, table: Table) -> None:
    """
    What another run has recorded since is not overwritten, whoever has slept over it.
    """
    asked, operation_id = request(), f"op-{uuid4()}"
    late = take(table, operation_id, by=operation_id, seconds=0)
    leases.hold(operation_id, late)
    begun = ledger.begin(asked, operation_id)
    leases.hold(operation_id, take(table, operation_id, by=operation_id))
    ledger.begin(asked, operation_id)
    leases.hold(operation_id, late)

    for write in (
        lambda: ledger.begin(asked, operation_id),
        lambda: ledger.store().end(operation_id, "FAILED"),
        lambda: ledger.store().note(operation_id, announced="m"),
    ):
        with pytest.raises(LeaseLost, match="another run has taken its target over"):
            write()

    [head] = account.items(operation_id)
    assert (head["status"], head["announced"]) == ("IN_PROGRESS", None)
    leases.forget(operation_id)
    assert begun.operation_id == operation_id


def test_wait_of_an_earlier_run_begins_anew(account: Sandbox, table: Table, target: str) -> None:
    """
    A run that was gone for days does not use up the time of the one that goes on.
    """
    operation_id = f"op-{uuid4()}"
    leases.hold(operation_id, take(table, target, by=operation_id, seconds=0))
    begun = ledger.begin(request(), operation_id)
    ledger.enter(ledger.store(), begun, Step.CHECK_SNAPSHOT)
    leases.hold(operation_id, take(table, target, by=operation_id))

    for _ in range(2):
        ledger.enter(ledger.store(), begun, Step.CHECK_SNAPSHOT)

    [item] = [each for each in account.items(operation_id) if each["step"] == "snapshot-check"]
    assert [each["status"] for each in item["history"]] == ["IN_PROGRESS", "IN_PROGRESS"]
    leases.forget(operation_id)


def test_damaged_lease_is_told(account: Sandbox, table: Table, target: str) -> None:
    """
    A lease that somebody has edited stops the run, with what to do.
    """
    key = {"operation_id": {"S": f"target:{target}"}, "step": {"S": "lease"}}
    account.client("dynamodb").put_item(
        TableName=account.facts["table"], Item=key | {"status": {"S": "HELD"}}
    )

    with pytest.raises(RecordsDamaged) as damaged:
        take(table, target)

    assert str(damaged.value) == (
        f"lease of {target}: it cannot be read (KeyError: 'details'). Delete the item once no run "
        "works on this target."
    )
