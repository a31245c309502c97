"""Leftovers found in every place that refreshes use, and removed under their targets' leases."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from aurora_restore import leases, ledger, takeover
from aurora_restore.details import Step
from aurora_restore.errors import LeaseHeld, NotReady, RecordsDamaged, RestoreError, TimedOut
from aurora_restore.faults import Act, verdict, waiting
from aurora_restore.leases import Holder, LeaseRecord
from aurora_restore.leftovers import Kept, Known, Leftover, judge, last_change, replaced
from aurora_restore.rds import deleting, inventory, tags
from aurora_restore.rds.archiving import delete_snapshot
from aurora_restore.rds.inventory import Resource
from aurora_restore.records import Operation
from aurora_restore.request import RestoreRequest
from aurora_restore.sessions import source_client, target_client
from aurora_restore.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

RECENT = 500  # head items that are read to know the targets, the old clusters and the source places
HOLDER = "cleanup"
Pause = Callable[[str, float], None]
"""What is waited for, seconds -> returns after them."""


@dataclass(frozen=True)
class Scope:
    """Where to look, for what: a Region, one target (account/Region/cluster) or every one."""

    region: str
    older_than: timedelta
    target: str | None = None


@dataclass(frozen=True)
class Found:
    """A resource with this program's tags, its operation, and what is to become of it."""

    resource: Resource
    operation: Operation | None
    verdict: Leftover | Kept

    @property
    def tagged(self) -> str:
        """The operation in its tag."""
        return self.resource.tags.get(tags.OPERATION, "")


@dataclass(frozen=True)
class Outcome:
    """What has become of a leftover."""

    found: Found
    result: Literal["removed", "kept", "failed"]
    problem: str = ""


@dataclass(frozen=True)
class Survey:
    """What was found in which places (account/Region), and why others could not be looked at."""

    scope: Scope
    found: list[Found]
    clients: "dict[str, RDSClient]"
    unseen: dict[str, str] = field(default_factory=dict)


def survey(scope: Scope) -> Survey:
    """Return everything that carries this program's tags, each judged. Only reads.

    Clusters are sought in the scope's Region only; in the source Regions, and by the source role in
    the source account, only intermediate copies.

    Raises:
        RecordsUnavailable: the table cannot be used.
        ClientError, BotoCoreError: the Region itself cannot be looked at.

    Source: RDS API, DescribeDBClusters, DescribeDBInstances, DescribeDBClusterSnapshots.
    """
    rds = target_client("rds", scope.region)
    account = target_client("sts", scope.region).get_caller_identity()["Account"]
    clusters, snapshots = inventory.list_clusters(rds), inventory.list_snapshots(rds)
    ours = [each for each in [*clusters, *snapshots] if each.is_ours]
    operations = {each.operation_id: each for each in _recent(scope.target)}
    operations |= _read(each.tags[tags.OPERATION] for each in ours)
    clients, unseen = {f"{account}/{scope.region}": rds}, dict[str, str]()
    for request in filter(None, (each.request() for each in operations.values())):
        for place, client_of in _source_places(request, account).items():
            if place in clients or place in unseen:
                continue
            try:
                client = client_of()
                there = inventory.list_snapshots(client)
            except (ClientError, BotoCoreError) as problem:
                unseen[place] = " ".join(str(problem).split())
                continue
            clients[place] = client
            snapshots += there
            ours += [each for each in there if each.is_ours and tags.INTERMEDIATE in each.tags]
    operations |= _read({each.tags[tags.OPERATION] for each in ours} - operations.keys())
    known = _known(scope, operations, clients.keys(), inventory.being_copied(snapshots))
    known = replace(known, at_work=_at_work(ours, operations, scope.older_than))
    found = [
        Found(each, operation, judge(each, operation, known))
        for each in ours
        for operation in [operations.get(each.tags[tags.OPERATION])]
        if _is_meant(each, operation, scope.target)
    ]
    return Survey(scope, found, clients, unseen)


def remove(made: Survey, pause: Pause) -> Iterator[Outcome]:
    """Remove the leftovers, and give each one's outcome. Safe to repeat.

    Each operation's are removed while its target's lease is held, and judged anew before each call.
    What cannot be removed does not keep the others from it.

    Source: RDS API, DeleteDBInstance, DeleteDBCluster, DeleteDBClusterSnapshot.
    """
    leftovers = sorted(
        (each for each in made.found if isinstance(each.verdict, Leftover)), key=_operation_of
    )
    for operation_id, group in groupby(leftovers, key=_operation_of):
        # Copies first: a cluster takes minutes.
        listed = sorted(group, key=lambda each: (each.resource.kind == "cluster", each.resource.id))
        try:
            with _held(made.scope, operation_id, [each.resource for each in listed]):
                for each in listed:
                    yield _outcome(made, each, operation_id, pause)
                    listed = listed[1:]
        except LeaseHeld as held:
            yield from (Outcome(each, "kept", held.problem) for each in listed)
        except RestoreError as problem:
            yield from (Outcome(each, "failed", str(problem)) for each in listed)


# ── finding ──────────────────────────────────────────────────────────────────


def _recent(target: str | None) -> list[Operation]:
    records = ledger.store()
    heads = records.recent(RECENT)
    if target is not None:
        heads += records.recent(RECENT, target)
    return [Operation(each.operation_id, each, {}) for each in heads]


def _read(operation_ids: Iterable[str]) -> dict[str, Operation]:
    """Return the operations that have readable records, by consistent reads."""
    records, found = ledger.store(), dict[str, Operation]()
    for each in set(operation_ids):
        with suppress(RecordsDamaged):
            found[each] = records.read(each)
    return found


def _source_places(request: RestoreRequest, account: str) -> "dict[str, Callable[[], RDSClient]]":
    """Return the places where intermediate copies of an operation may be, with their clients."""
    if request.target_account_id != account:
        return {}
    region = request.source_region
    places: dict[str, Callable[[], RDSClient]] = {
        f"{account}/{region}": partial(target_client, "rds", region)
    }
    role = settings().source_role_arn
    if role is not None and role.split(":")[4] == request.source_account_id != account:
        places[f"{request.source_account_id}/{region}"] = lambda: source_client("rds", request)
    return places


def _known(
    scope: Scope, operations: dict[str, Operation], places: Iterable[str], copied: Iterable[str]
) -> Known:
    allowed = settings()
    return Known(
        now=datetime.now(UTC),
        older_than=scope.older_than,
        operations=list(operations.values()),
        places=frozenset(places),
        copied=frozenset(copied),
        allowed_accounts=allowed.allowed_target_accounts,
        allowed_clusters=allowed.allowed_target_clusters,
    )


def _is_meant(resource: Resource, operation: Operation | None, target: str | None) -> bool:
    """Whether it belongs to the target; of an unknown operation the tag tells, and its place."""
    request = None if operation is None else operation.request()
    if target is None or request is not None:
        return target is None or request is None or request.target_name == target
    return f"{resource.place}/{resource.tags.get(tags.TARGET)}" == target


def _operation_of(found: Found) -> str:
    return found.verdict.operation_id if isinstance(found.verdict, Leftover) else ""


# ── who works on what ────────────────────────────────────────────────────────


def _touched(resources: Iterable[Resource], operations: Iterable[Operation]) -> list[str]:
    """Return the clusters whose leases guard these resources."""
    requests = filter(None, (each.request() for each in operations))
    names = [name for request in requests for name in request.touched]
    own = [f"{each.place}/{each.id}" for each in resources if each.kind == "cluster"]
    return list(dict.fromkeys([*names, *own]))


def _at_work(
    ours: Sequence[Resource], operations: dict[str, Operation], older_than: timedelta
) -> dict[str, str]:
    """Return why clusters are to be left alone, by account/Region/identifier. Only reads."""
    guarded = [each for each in ours if each.tags[tags.OPERATION] in operations]
    theirs = [operations[each.tags[tags.OPERATION]] for each in guarded]
    # An old cluster that was kept is guarded by the operation that has kept it.
    kept = {each.resource_id for each in ours if tags.DELETE_AFTER in each.tags}
    theirs += [each for each in operations.values() if replaced(each) in kept]
    sentences = {
        each: _sentence(each, operations, older_than) for each in _touched(guarded, theirs)
    }
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
    operation = operations.get(holder.operation_id) or _read([holder.operation_id]).get(
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
def _held(scope: Scope, operation_id: str, resources: Sequence[Resource]) -> Iterator[None]:
    """Hold the leases that guard the resources, and act for the operation meanwhile.

    Raises:
        LeaseHeld: another run is at work on one of them.
        RecordsUnavailable: the table cannot be used.
    """
    known = _read([operation_id])
    targets = _touched(resources, known.values())
    for each in targets:
        if (sentence := _sentence(each, known, scope.older_than)) is not None:
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


# ── removing ─────────────────────────────────────────────────────────────────


def _outcome(made: Survey, found: Found, operation_id: str, pause: Pause) -> Outcome:
    try:
        stays = _removed(made, found, pause)
        if stays is not None:
            return Outcome(found, "kept", stays.reason)
        if isinstance(found.verdict, Leftover) and found.verdict.ends_resuming:
            _note_cleaned(operation_id, found.resource)
    except (RestoreError, ClientError, BotoCoreError) as problem:
        return Outcome(found, "failed", " ".join(str(problem).split()))
    return Outcome(found, "removed")


def _removed(made: Survey, found: Found, pause: Pause) -> Kept | None:
    """Return None once the resource is gone, or why it stays after all.

    Raises:
        TimedOut: it is not gone when the deletion's deadline has passed.
    """
    poll, began = settings().poll(Step.DELETE_CLUSTER), time.monotonic()
    while True:
        try:
            try:
                return _move(made, found)
            except (ClientError, BotoCoreError) as error:
                if verdict(error) is not Act.WAIT:
                    raise
                raise waiting(error) from error
        except NotReady as unready:
            waited = time.monotonic() - began
            if waited > poll.give_up_after:
                raise TimedOut(unready.resource, unready.problem, "Run again later.") from unready
            what = f"{found.resource.kind} {found.resource.id}: {unready.problem}"
            pause(what, poll.look_again_in(waited, None))


def _move(made: Survey, found: Found) -> Kept | None:
    """Make the next permitted move of a removal, judged by what is true now.

    Raises:
        NotReady: it is not gone yet.
    """
    seen, resource = found.resource, f"{found.resource.kind} {found.resource.id}"
    rds = made.clients[seen.place]
    again = inventory.find_again(rds, seen)
    if again is None:
        return None
    now, cluster = again
    if now.status == "deleting":
        raise NotReady(resource, "it is being deleted")
    operations = {each.operation_id: each for each in _recent(None)}
    operations |= _read({now.tags.get(tags.OPERATION, ""), _operation_of(found)})
    copied: list[Resource] = []
    if cluster is None:
        copied = [each for rds in made.clients.values() for each in inventory.list_snapshots(rds)]
    known = _known(made.scope, operations, made.clients, inventory.being_copied(copied))
    judged = judge(now, operations.get(now.tags.get(tags.OPERATION, "")), known)
    if isinstance(judged, Kept):
        return judged
    if cluster is None:
        delete_snapshot(rds, now.id)
        if inventory.find_again(rds, seen) is not None:
            raise NotReady(resource, "it is being deleted")
        return None
    if cluster.protected:
        deleting.lift_protection(rds, cluster)
    deleting.delete_cluster(rds, cluster)
    return None


def _note_cleaned(operation_id: str, resource: Resource) -> None:
    records = ledger.store()
    before = records.read(operation_id).note("cleaned") or []
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    records.note(operation_id, cleaned=[*before, {"arn": resource.arn, "at": moment}])
