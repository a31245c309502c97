"""Which clusters' leases guard a leftover: who works on them, and holding them oneself."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from aurora_restore import leases, ledger, takeover
from aurora_restore.errors import LeaseHeld, RecordsDamaged
from aurora_restore.leases import Holder, LeaseRecord
from aurora_restore.leftovers import last_change, replaced
from aurora_restore.rds import tags
from aurora_restore.rds.inventory import Resource
from aurora_restore.records import Operation
from aurora_restore.settings import settings

HOLDER = "cleanup"


def read_all(operation_ids: Iterable[str]) -> dict[str, Operation]:
    """Return the operations that have readable records, by consistent reads."""
    records, found = ledger.store(), dict[str, Operation]()
    for each in set(operation_ids):
        with suppress(RecordsDamaged):
            found[each] = records.read(each)
    return found


def touched(resources: Iterable[Resource], operations: Iterable[Operation]) -> list[str]:
    """Return the clusters whose leases guard these resources."""
    requests = filter(None, (each.request() for each in operations))
    names = [name for request in requests for name in request.touched]
    own = [f"{each.place}/{each.id}" for each in resources if each.kind == "cluster"]
    return list(dict.fromkeys([*names, *own]))


def find_at_work(
    ours: Sequence[Resource], operations: dict[str, Operation], older_than: timedelta
) -> dict[str, str]:
    """Return why clusters are to be left alone, by account/Region/identifier. Only reads."""
    guarded = [each for each in ours if each.tags[tags.OPERATION] in operations]
    theirs = [operations[each.tags[tags.OPERATION]] for each in guarded]
    # An old cluster that was kept is guarded by the operation that has kept it.
    kept = {each.resource_id for each in ours if tags.DELETE_AFTER in each.tags}
    theirs += [each for each in operations.values() if replaced(each) in kept]
    sentences = {each: _sentence(each, operations, older_than) for each in touched(guarded, theirs)}
    return {name: sentence for name, sentence in sentences.items() if sentence is not None}


def _sentence(target: str, operations: dict[str, Operation], older_than: timedelta) -> str | None:
    item = ledger.table().get(f"target:{target}", leases.LEASE)
    if item is None or item.get("status") != leases.HELD:
        return None
    try:
        holder = Holder(**item["details"])
        lease = LeaseRecord(target, holder, int(item["fence"]), float(item["expires"]))
    except (KeyError, TypeError, ValueError):
        return f"the lease of {target} cannot be read"
    if not lease.is_open:
        return f"operation {holder.operation_id} is at work on {target}"
    operation = operations.get(holder.operation_id) or read_all([holder.operation_id]).get(
        holder.operation_id
    )
    if operation is None or operation.head is None:
        return None
    # The watchdog finds it by this lease, tells its end, and may start it again.
    changed = last_change(operation)
    is_fresh = changed is None or datetime.now(UTC) - changed < older_than
    if operation.note("announced") is None or is_fresh:
        return f"operation {holder.operation_id} on {target} has vanished or was interrupted"
    return None


@contextmanager
def hold_for(
    operation_id: str, resources: Sequence[Resource], older_than: timedelta
) -> Iterator[None]:
    """Hold the leases that guard the resources, and act for the operation meanwhile.

    Raises:
        LeaseHeld: another run is at work on one of them.
        RecordsUnavailable: the table cannot be used.
    """
    known = read_all([operation_id])
    targets = touched(resources, known.values())
    for each in targets:
        if (sentence := _sentence(each, known, older_than)) is not None:
            raise LeaseHeld(operation_id, f"cluster {each}", sentence, "Run again later.")
    lease, before = leases.acquire(
        ledger.table(), targets, Holder.here(HOLDER, "none"), settings().lease_seconds
    )
    leases.hold(operation_id, lease)
    lease.keep()
    try:
        for holder in before:
            takeover.settle(holder.operation_id)
        with leases.acting(operation_id):
            yield
    finally:
        takeover.release(operation_id)
