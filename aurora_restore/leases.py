"""One operation for each target: a lease, renewed while a run works, checked before each change.

Each cluster an operation may change has an item (`step` = "lease") with its holder, the moment at
which others may take it, and a fencing number that grows each time it is taken. Whoever has been
taken over finds a greater number and may change nothing any more: neither in AWS (`guard`) nor in
the records (they carry the number, too).
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora_restore.errors import LeaseHeld, LeaseLost, RecordsDamaged, RecordsUnavailable
from aurora_restore.table import Change, ConditionFailed, Item, Table

logger = logging.getLogger(__name__)

LEASE = "lease"
HELD, FREE = "HELD", "FREE"
READING = ("Describe", "List")
RENEWALS = 3  # in the time of one lease
_PREFIX = "target:"
_TRIES = 5
MOMENT_SECONDS = 0.05


@dataclass(frozen=True)
class Holder:
    """Who works on a target: an operation, in which flow run and process, since when (UTC)."""

    operation_id: str
    flow_run_id: str
    process: str
    since: str

    @classmethod
    def here(cls, operation_id: str, flow_run_id: str) -> "Holder":
        """Return this process as the holder, from now on."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(operation_id, flow_run_id, _this_process(), since)


@dataclass(frozen=True)
class LeaseRecord:
    """A lease as the table has it. `expires`: seconds since the epoch."""

    target: str
    holder: Holder | None
    fence: int
    expires: float

    @property
    def is_open(self) -> bool:
        """Whether it may be taken: nobody holds it, its time is over, or its holder has died."""
        return self.holder is None or self.expires <= time.time() or _is_dead(self.holder.process)

    def is_anothers(self, holder: Holder, seen: float | None) -> bool:
        """Whether another operation has it, or a run that has renewed it since it was `seen`."""
        other = self.holder is not None and self.holder.operation_id != holder.operation_id
        return other or (seen is not None and self.expires != seen)


class Lease:
    """The right of one operation to change its clusters, as long as nobody has taken it over."""

    def __init__(
        self, table: Table, targets: Sequence[str], holder: Holder, fence: int, seconds: float
    ) -> None:
        self.holder, self.fence = holder, fence
        self._table, self._targets, self._seconds = table, targets, seconds
        self._until = time.monotonic() + seconds
        self._one_at_a_time = threading.Lock()
        self._stop = threading.Event()
        self._lost = False

    @property
    def is_lost(self) -> bool:
        """Whether this run knows that another one has taken it over."""
        return self._lost

    @property
    def is_given_up(self) -> bool:
        """Whether this run has let it go itself."""
        return self._stop.is_set()

    def require(self) -> None:
        """Return if the lease is this run's at this moment, renewed.

        Raises:
            LeaseLost: another run has taken the target over, or this one was frozen again.
            RecordsUnavailable: the table cannot be used, so nobody can tell.
        """
        # Over again at once, but still ours: this run was frozen, or the table away, meanwhile.
        for _ in range(2):
            self.renew()
            if time.monotonic() < self._until:
                return
        raise LeaseLost(self._resource, "this run was stopped for longer than its lease lasts")

    def renew(self) -> None:
        """Keep others away for the lease's time from now. Safe to repeat.

        Raises:
            LeaseLost, RecordsUnavailable: as `require`.
        """
        with self._one_at_a_time:
            if self._lost or self._stop.is_set():
                raise LeaseLost(self._resource, "this run has no lease of its target any more")
            until = time.monotonic() + self._seconds
            try:
                self._write(HELD, time.time() + self._seconds)
            except ConditionFailed:
                self._lost = True
                raise LeaseLost(self._resource, "another run has taken the target over") from None
            self._until = until

    def lose(self) -> None:
        """Know that another run has taken it over: so the table has said."""
        self._lost = True

    def keep(self) -> None:
        """Renew it from time to time, in a thread of its own, until it is given up."""
        threading.Thread(target=self._keep, name="lease", daemon=True).start()

    def release(self) -> None:
        """Let others have it. Safe to repeat, and if it is lost."""
        self._give_up(FREE)

    def leave(self) -> None:
        """Let others have it, but as that of an operation without an ending."""
        self._give_up(HELD)

    def _give_up(self, status: str) -> None:
        self._stop.set()
        with self._one_at_a_time, suppress(ConditionFailed):
            self._write(status, time.time())

    def _keep(self) -> None:
        while not self._stop.wait(self._seconds / RENEWALS):
            try:
                self.renew()
            except LeaseLost as lost:
                if not self._stop.is_set():
                    logger.warning("%s", lost)
                return
            except RecordsUnavailable as unavailable:
                logger.warning("The lease was not renewed: %s", unavailable)

    def _write(self, status: str, expires: float) -> None:
        facts = {
            "status": status,
            "timestamp": _timestamp(),
            "expires": round(expires, 3),
            "fence": self.fence,
        }
        expression = "SET #status = :status, #timestamp = :timestamp, #expires = :expires"
        self._table.write_all(
            [
                Change((_PREFIX + each, LEASE), expression, facts, "#fence = :fence")
                for each in self._targets
            ]
        )

    @property
    def _resource(self) -> str:
        return f"lease of {self._targets[0]}"


def acquire(
    table: Table, targets: Sequence[str], holder: Holder, seconds: float
) -> tuple[Lease, list[Holder]]:
    """Take the lease of all the targets or of none; return it, and whose unfinished ones it was.

    Raises:
        LeaseHeld: another run works on one of them; names it.
        RecordsUnavailable: the table cannot be used.

    Source: DynamoDB API, GetItem (consistent) and TransactWriteItems.
    """
    for _ in range(_TRIES):
        found = _read_all(table, targets)
        for each in found:
            if not each.is_open:
                raise _held(each)
        fence = max(each.fence for each in found) + 1
        try:
            table.write_all([_taking(each, holder, fence, seconds) for each in found])
        except ConditionFailed:
            continue  # somebody was faster: look again
        before = {each.holder for each in found if each.holder is not None}
        return Lease(table, targets, holder, fence, seconds), sorted(before, key=str)
    raise LeaseHeld("?", f"lease of {targets[0]}", "others take it at every moment", "Run again.")


def acquire_own(
    table: Table, targets: Sequence[str], holder: Holder, seconds: float
) -> tuple[Lease, list[Holder]]:
    """Take the lease; if the operation's own earlier run has it, wait to see whether that lives.

    Lasts no longer than the lease of that run.

    Raises:
        LeaseHeld: another operation has it, or the earlier run renews it.
    """
    seen: dict[str, float] = {}
    while True:
        try:
            return acquire(table, targets, holder, seconds)
        except LeaseHeld as held:
            closed = [each for each in _read_all(table, targets) if not each.is_open]
            if any(each.is_anothers(holder, seen.get(each.target)) for each in closed):
                raise
            logger.info("Waiting to see whether it goes on: %s", held)
            seen |= {each.target: each.expires for each in closed}
            over = min((each.expires for each in closed), default=0.0) - time.time()
            time.sleep(min(seconds / RENEWALS / 2, max(over, MOMENT_SECONDS)))


def require_open(table: Table, targets: Sequence[str]) -> None:
    """Return if nobody works on any of these clusters at this moment. Only reads.

    Raises:
        LeaseHeld: somebody does; names the run.
        RecordsUnavailable, RecordsDamaged: nobody can tell.

    Source: DynamoDB API, GetItem (consistent).
    """
    for each in _read_all(table, targets):
        if not each.is_open:
            raise _held(each)


def unfinished(table: Table, index: str, since: float) -> list[LeaseRecord]:
    """Return the leases that ran out `since` seconds ago and were not released, one a target.

    The index is eventually consistent: read the lease itself before anything is done about it.

    Source: DynamoDB API, Query.
    """
    items = table.query(
        IndexName=index,
        KeyConditionExpression="#step = :lease",
        ExpressionAttributeNames={"#step": "step"},
        ExpressionAttributeValues={":lease": {"S": LEASE}},
    )
    found = [_from_item(item) for item in items if item["operation_id"].startswith(_PREFIX)]
    over = time.time() - since
    return [each for each in found if each.holder is not None and each.expires <= over]


# ── what this process holds ──────────────────────────────────────────────────

_held_here: dict[str, Lease] = {}
_acting: ContextVar[str | None] = ContextVar("acting", default=None)


def hold(operation_id: str, lease: Lease) -> None:
    """Remember which lease an operation's changes are made under, in this process."""
    _held_here[operation_id] = lease


def held(operation_id: str) -> Lease | None:
    """Return the lease this process has, or had, for an operation."""
    return _held_here.get(operation_id)


def forget(operation_id: str) -> None:
    """Forget it, once the operation is over."""
    _held_here.pop(operation_id, None)


def fence_of(operation_id: str) -> int | None:
    """Return the fencing number of an operation's writes; None if this process has no lease.

    Raises:
        LeaseLost: another run has taken it over. The table itself refuses a write only where the
            other run has written already.
    """
    lease = held(operation_id)
    if lease is not None and lease.is_lost:
        raise LeaseLost(f"operation {operation_id}", "another run has taken its target over")
    return None if lease is None else lease.fence


def lose(operation_id: str) -> None:
    """Know that an operation's lease is lost: the records have refused one of its writes."""
    lease = held(operation_id)
    if lease is not None:
        lease.lose()


@contextmanager
def acting(operation_id: str) -> Iterator[None]:
    """Let what is changed in AWS meanwhile be changed for an operation, under its lease."""
    token = _acting.set(operation_id)
    try:
        yield
    finally:
        _acting.reset(token)


def guard(event_name: str, **_: Any) -> None:
    """Return if AWS may be asked to change something: botocore calls this before each sending.

    Reading is free. The lease is renewed at the last moment, which fails if it has been taken
    over: between this and the request lie microseconds.

    Raises:
        LeaseLost, RecordsUnavailable: nothing may be changed.

    Source: botocore, event `before-send`, emitted for each attempt.
    """
    if not event_name.rpartition(".")[2].startswith(READING):
        confirm()


def guard_telling(**_: Any) -> None:
    """Return unless another run tells: botocore calls this before each sending of a message.

    What cannot be looked up is told all the same.

    Raises:
        LeaseLost: the target has been taken over.

    Source: botocore, event `before-send`.
    """
    operation_id = _acting.get()
    lease = None if operation_id is None else held(operation_id)
    if lease is not None and not lease.is_given_up:
        with suppress(RecordsUnavailable):
            lease.require()


def confirm() -> None:
    """Return if what was done for the operation may be made permanent, e.g. by a COMMIT.

    Raises:
        LeaseLost, RecordsUnavailable: it may not.
    """
    operation_id = _acting.get()
    lease = None if operation_id is None else held(operation_id)
    if lease is not None:
        lease.require()


# ── items ────────────────────────────────────────────────────────────────────


def _read_all(table: Table, targets: Sequence[str]) -> list[LeaseRecord]:
    items = {each: table.get(_PREFIX + each, LEASE) for each in targets}
    return [
        LeaseRecord(each, None, 0, 0.0) if item is None else _from_item(item)
        for each, item in items.items()
    ]


def _from_item(item: Item) -> LeaseRecord:
    target = str(item["operation_id"]).removeprefix(_PREFIX)
    try:
        holder = Holder(**item["details"]) if item["status"] == HELD else None
        return LeaseRecord(target, holder, int(item["fence"]), float(item["expires"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise RecordsDamaged(
            f"lease of {target}",
            f"it cannot be read ({type(problem).__name__}: {problem})",
            "Delete the item once no run works on this target.",
        ) from None


def _taking(found: LeaseRecord, holder: Holder, fence: int, seconds: float) -> Change:
    facts = {
        "status": HELD,
        "timestamp": _timestamp(),
        "expires": round(time.time() + seconds, 3),
        "fence": fence,
        "details": asdict(holder),
        "seen_fence": found.fence,
        "seen_expires": found.expires,
    }
    names = ("status", "timestamp", "expires", "fence", "details")
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in names)
    same = "#fence = :seen_fence AND #expires = :seen_expires"
    condition = same if found.fence else "attribute_not_exists(#fence)"
    if not found.fence:
        facts = {name: facts[name] for name in names}
    return Change((_PREFIX + found.target, LEASE), expression, facts, condition)


def _held(found: LeaseRecord) -> LeaseHeld:
    holder = found.holder
    until = datetime.fromtimestamp(found.expires, UTC)
    if holder is None:  # cannot be: only a held lease is not open
        raise AssertionError(found)
    return LeaseHeld(
        holder.operation_id,
        f"cluster {found.target}",
        f"operation {holder.operation_id} (flow run {holder.flow_run_id}, since {holder.since}) is "
        f"at work on it; its lease runs until {until:%H:%M:%S} UTC unless it is renewed",
        "Let it end, or cancel it; then run again.",
    )


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


# ── processes ────────────────────────────────────────────────────────────────


def _this_process() -> str:
    """Return what tells this process from every other one: host, PID namespace, PID, start."""
    try:
        return f"{_this_place()}/{os.getpid()}/{_started(os.getpid())}"
    except OSError:  # no /proc: only the lease's time can tell that it has died
        return f"{socket.gethostname()}/{os.getpid()}"


def _is_dead(process: str) -> bool:
    """Whether a process has certainly ended: one of this place that is not there any more."""
    try:
        *place, pid, started = process.split("/")
        return "/".join(place) == _this_place() and _started(int(pid)) != started
    except (OSError, ValueError):
        return False  # nobody can tell


def _this_place() -> str:
    return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> str:
    """Return when a process has started, in the kernel's ticks; "gone" if there is none.

    Source: proc(5), /proc/pid/stat, starttime.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return "gone"
    state, *fields = after_name.split()
    return "gone" if state in "XZ" else fields[18]
