"""Leftovers removed under their targets' leases, each judged anew before each call."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from aurora_restore import ledger
from aurora_restore.details import Step
from aurora_restore.errors import LeaseHeld, NotReady, RestoreError, TimedOut
from aurora_restore.faults import Act, verdict, waiting
from aurora_restore.guarding import hold_for, read_all
from aurora_restore.leftovers import Kept, Leftover, judge
from aurora_restore.rds import deleting, inventory, tags
from aurora_restore.rds.archiving import delete_snapshot
from aurora_restore.rds.inventory import Resource
from aurora_restore.settings import settings
from aurora_restore.survey import Found, Survey, known_facts, recent

Pause = Callable[[str, float], None]
"""What is waited for, seconds -> returns after them."""


@dataclass(frozen=True)
class Outcome:
    """What has become of a leftover."""

    found: Found
    result: Literal["removed", "kept", "failed"]
    problem: str = ""


def remove(made: Survey, pause: Pause) -> Iterator[Outcome]:
    """Remove the leftovers, and give each one's outcome. Safe to repeat.

    Each operation's are removed while its target's lease is held, and judged anew before each call.
    What cannot be removed does not keep the others from it.

    Source: RDS API, DeleteDBInstance, DeleteDBCluster, DeleteDBClusterSnapshot.
    """
    leftovers = sorted(
        (each for each in made.found if isinstance(each.verdict, Leftover)), key=in_charge
    )
    for operation_id, group in groupby(leftovers, key=in_charge):
        # Copies first: a cluster takes minutes.
        listed = sorted(group, key=lambda each: (each.resource.kind == "cluster", each.resource.id))
        resources = [each.resource for each in listed]
        try:
            with hold_for(operation_id, resources, made.scope.older_than):
                for each in listed:
                    yield _outcome(made, each, operation_id, pause)
                    listed = listed[1:]
        except LeaseHeld as held:
            yield from (Outcome(each, "kept", held.problem) for each in listed)
        except RestoreError as problem:
            yield from (Outcome(each, "failed", str(problem)) for each in listed)


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
    operations = {each.operation_id: each for each in recent(None)}
    operations |= read_all({now.tags.get(tags.OPERATION, ""), in_charge(found)})
    copied: list[Resource] = []
    if cluster is None:
        copied = [each for rds in made.clients.values() for each in inventory.list_snapshots(rds)]
    known = known_facts(made.scope, operations, made.clients, inventory.being_copied(copied))
    judged = judge(now, operations.get(now.tags.get(tags.OPERATION, "")), known)
    if isinstance(judged, Kept):
        return judged
    if judged.ends_resuming:
        # Before the first call: whoever reads the records later must not go on with what is gone.
        _note_cleaned(judged.operation_id, now)
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
    if any(each["arn"] == resource.arn for each in before):
        return
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    records.note(operation_id, cleaned=[*before, {"arn": resource.arn, "at": moment}])


def in_charge(found: Found) -> str:
    return found.verdict.operation_id if isinstance(found.verdict, Leftover) else ""
