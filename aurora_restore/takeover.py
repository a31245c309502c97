"""A target changes hands: its lease is taken, and what the run before has not told is told."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aurora_restore import endings, leases, ledger
from aurora_restore.errors import LeaseHeld, RestoreError
from aurora_restore.leases import Holder, Lease, LeaseRecord
from aurora_restore.records import Operation
from aurora_restore.request import RestoreRequest
from aurora_restore.settings import settings

logger = logging.getLogger(__name__)

MAX_RESUMES = 3


@dataclass(frozen=True)
class Lost:
    """An operation whose run has vanished: what it was, and whether it may be started again."""

    operation_id: str
    request: RestoreRequest
    deployment: str | None
    times: int

    @property
    def may_resume(self) -> bool:
        """Whether its request allows it, it has a deployment, and it has not vanished too often."""
        known = self.request.resume_if_lost and self.deployment is not None
        return known and self.times <= MAX_RESUMES

    @property
    def parameters(self) -> dict[str, Any]:
        """The request that goes on with the operation."""
        return self.request.model_dump(mode="json") | {"operation_id": self.operation_id}

    @property
    def key(self) -> str:
        """What tells this loss from the others of the same operation."""
        return f"{self.operation_id} lost {self.times}"


def take(request: RestoreRequest, operation_id: str, flow_run_id: str) -> None:
    """Hold the lease of everything the request may change, from now until the operation ends.

    If an earlier run of this operation has it, waits until that has let it go or is over. Whoever
    had it and vanished gets its ending, told before this one begins.

    Raises:
        LeaseHeld: another run is at work; names it.
        RecordsUnavailable: the table cannot be used.
    """
    lease, before = leases.acquire_own(
        ledger.table(),
        request.touched,
        Holder.here(operation_id, flow_run_id),
        settings().lease_seconds,
    )
    leases.hold(operation_id, lease)
    lease.keep()
    for each in before:
        if each.operation_id != operation_id:
            with _on_behalf_of(each.operation_id, lease):
                settle(each.operation_id)
    untold = ledger.store().read(operation_id).note("outcome") or {}
    if untold.get("result", "SUCCESS") != "SUCCESS":
        settle(operation_id)  # an earlier failure; a success is told by the step that is left


def settle(operation_id: str) -> Operation:
    """Tell the end of an operation nobody works on, unless it is told: the one it has, or that its
    run has vanished. Returns the operation as it was found. Safe to repeat.

    What SNS does not take stays to be sent: that is logged, not raised.
    """
    operation = ledger.store().read(operation_id)
    try:
        if operation.note("announced") is None:
            if operation.note("outcome") is not None:
                endings.deliver(operation)
            elif operation.head is not None and operation.request() is not None:
                endings.announce_lost(operation)
    except RestoreError as problem:
        logger.error("Not told yet: %s", problem)  # noqa: TRY400 - one line
    return operation


def watch() -> list[Lost]:
    """Return the operations whose run has vanished; each is told, and what was not told before.

    Those that may be started again keep their lease, for the run that goes on to take; so they are
    found again until it does. All others are let go. Safe to repeat, and side by side.

    Raises:
        RecordsUnavailable: the table cannot be used.
    """
    known = settings()
    lost: dict[str, Lost] = {}
    for each in leases.unfinished(ledger.table(), known.state_index, known.lost_after):
        try:
            found = _look_after(each)
        except LeaseHeld:
            continue  # it lives, or somebody else looks after it
        except RestoreError as problem:
            logger.error("%s: not looked after: %s", each.target, problem)  # noqa: TRY400
            continue
        if found is not None:
            lost[found.operation_id] = found
    return list(lost.values())


def _look_after(found: LeaseRecord) -> Lost | None:
    if found.holder is None:
        return None
    operation_id = found.holder.operation_id
    operation = ledger.store().read(operation_id)
    request = operation.request()
    targets = (found.target,) if request is None else request.touched
    watchdog = Holder.here(operation_id, "watchdog")
    lease, _ = leases.acquire(ledger.table(), targets, watchdog, settings().lease_seconds)
    with _on_behalf_of(operation_id, lease):
        settle(operation_id)
        after = ledger.store().read(operation_id)
        lost = None
        if request is not None and after.head is not None and after.head.status == "CRASHED":
            deployment = after.note("deployment")
            lost = Lost(operation_id, request, deployment, after.times("CRASHED"))
        untold = after.note("outcome") is not None and after.note("announced") is None
        if untold or (lost is not None and lost.may_resume):
            lease.leave()
        else:
            lease.release()
    return lost


def interrupt(operation_id: str) -> None:
    """Leave an operation as it is, to be resumed at once: this process is told to stop.

    Takes no longer than two writes; what cannot be written is found by the watchdog.
    """
    ledger.table().hurry()
    lease = leases.held(operation_id)
    if lease is None:
        return
    try:
        ledger.store().remark(operation_id, "INTERRUPTED")
    except RestoreError as problem:
        logger.error("%s", problem)  # noqa: TRY400 - one line
    leave(operation_id)


def leave(operation_id: str) -> None:
    """Let others have the target, as that of an operation whose end is still to be told."""
    lease = leases.held(operation_id)
    if lease is not None:
        try:
            lease.leave()
        except RestoreError as problem:
            logger.warning("The lease was not given up, it runs out: %s", problem)


def release(operation_id: str) -> None:
    """Let others have the target: the operation has ended and is told. Safe to repeat."""
    lease = leases.held(operation_id)
    if lease is not None:
        try:
            lease.release()
        except RestoreError as problem:
            logger.warning("The lease was not released, it runs out: %s", problem)
        leases.forget(operation_id)


@contextmanager
def _on_behalf_of(operation_id: str, lease: Lease) -> Iterator[None]:
    """Let records of another operation be written under this lease: its run has none any more."""
    leases.hold(operation_id, lease)
    try:
        yield
    finally:
        leases.forget(operation_id)
