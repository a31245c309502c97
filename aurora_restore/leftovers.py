"""What a refresh has left behind and nobody needs any more: decided from tags and records."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from aurora_restore.details import Step
from aurora_restore.ledger import must_go_back
from aurora_restore.plan import Plan
from aurora_restore.rds import tags
from aurora_restore.rds.inventory import Resource
from aurora_restore.rds.route import Hop
from aurora_restore.rds.status import AVAILABLE, is_terminal
from aurora_restore.records import MOMENT, Operation
from aurora_restore.request import RestoreRequest

# How an operation stands that the watchdog, or whoever stopped it, may be about to start again.
_WITHOUT_END = frozenset({"IN_PROGRESS", "INTERRUPTED", "CRASHED"})


@dataclass(frozen=True)
class Leftover:
    """It may be removed, under the lease of `operation_id`'s clusters.

    `ends_resuming`: that operation could still have been resumed, and cannot be any more then.
    """

    reason: str
    operation_id: str
    ends_resuming: bool = False


@dataclass(frozen=True)
class Kept:
    """It stays."""

    reason: str


@dataclass(frozen=True)
class Known:
    """What a judgement rests on beside the resource and its operation.

    `operations`: all that are known, their head items at least. `at_work`: why a cluster
    (account/Region/identifier) is to be left alone. `places`: where snapshots were looked for
    (account/Region); `copied`: the ARNs from which copies are being made there.
    """

    now: datetime
    older_than: timedelta
    operations: Sequence[Operation] = ()
    at_work: Mapping[str, str] = field(default_factory=dict)
    places: frozenset[str] = frozenset()
    copied: frozenset[str] = frozenset()
    allowed_accounts: Sequence[str] = ()
    allowed_clusters: re.Pattern[str] = re.compile(".*")


@dataclass(frozen=True)
class _Refresh:
    """An operation whose request and plan are on record and can be read."""

    operation: Operation
    request: RestoreRequest
    plan: Plan

    @property
    def status(self) -> str:
        return self.operation.head.status if self.operation.head else "unknown"

    @property
    def ended(self) -> str:
        if self.operation.has_succeeded:
            return "its refresh has succeeded"
        return f"its refresh is {self.status} at {self.operation.first_unfinished}"

    @property
    def is_resumable(self) -> bool:
        return not self.operation.has_succeeded and not self.operation.note("going_back")

    @property
    def old_is_away(self) -> bool:
        """Whether the way back is needed, or has begun, and is not finished."""
        if self.operation.has_succeeded or self.operation.succeeded(Step.BRING_BACK):
            return False
        return bool(self.operation.note("going_back")) or must_go_back(self.operation)


def judge(resource: Resource, operation: Operation | None, known: Known) -> Leftover | Kept:
    """Return whether a resource is a leftover, and why. Pure; whatever is not certain is kept.

    `operation` is the one in the resource's tag, None if it has no records.
    """
    if not resource.is_ours:
        return Kept("it does not carry both tags of this program")
    refresh = _refresh(operation)
    if refresh is None or refresh.operation.operation_id != resource.tags[tags.OPERATION]:
        return Kept("unknown operation: no request and plan of it are on record")
    if resource.kind == "cluster":
        return _judge_cluster(resource, refresh, known)
    return _judge_snapshot(resource, refresh, known)


def last_change(operation: Operation) -> datetime | None:
    """Return when the operation's records last changed, None if that cannot be told."""
    heads = [] if operation.head is None else [operation.head]
    try:
        moments = [
            datetime.strptime(each.timestamp, MOMENT).replace(tzinfo=UTC)
            for each in [*heads, *operation.steps.values()]
        ]
    except ValueError:
        return None
    return max(moments, default=None)


def replaced(operation: Operation) -> object:
    """Return the resource id of the cluster an operation replaces, None if there is none."""
    return _fact(operation.note("plan"), "old", "resource_id")


def _judge_cluster(resource: Resource, refresh: _Refresh, known: Known) -> Leftover | Kept:
    replacing = _unfinished_replacing(resource, known)
    named = f"{resource.place}/{resource.id}"
    why = _first(
        (
            named in _targets([refresh.operation, *known.operations]),
            "it has the identifier of a refresh's target",
        ),
        (tags.BROUGHT_BACK in resource.tags, "it is the old cluster, brought back"),
        (replacing is not None, f"it is the old cluster of operation {replacing}, not succeeded"),
        (bool(resource.ties), next(iter(resource.ties), "")),
    )
    if why is not None:
        return Kept(why)
    if tags.DELETE_AFTER in resource.tags:
        return _judge_old(resource, known)
    restored = _fact(refresh.operation.note("restored"), "resource_id")
    home = f"{refresh.request.target_account_id}/{refresh.request.target_region}"
    # In delete-first that is the target's, which was looked at above.
    beside = named == f"{home}/{refresh.plan.new.cluster_id}"
    why = _first(
        (refresh.operation.has_succeeded, "its refresh has succeeded"),
        (
            restored != resource.resource_id,
            "it is not the cluster that its operation has restored",
        ),
        (not beside, "it has not the temporary identifier under which it was restored"),
    )
    if why is not None:
        return Kept(why)
    reason = f"restored beside {refresh.plan.target_cluster_id}; {refresh.ended}"
    return _unless_needed(resource, refresh, known, reason, waits=refresh.is_resumable)


def _judge_old(resource: Resource, known: Known) -> Leftover | Kept:
    """Judge a cluster that a swap has kept for some hours, by the records of that swap."""
    moment = resource.tags[tags.DELETE_AFTER]
    try:
        until = datetime.strptime(moment, tags.MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return Kept(f"its tag {tags.DELETE_AFTER} cannot be read")
    if known.now <= until:
        return Kept(f"it is an old cluster that is kept until {moment}")
    keepers = [each for each in known.operations if replaced(each) == resource.resource_id]
    keeper = _refresh(keepers[0]) if len(keepers) == 1 else None
    if keeper is None:
        return Kept("unknown operation: none that has kept it is on record")
    if _fact(keeper.operation.note("kept"), "cluster_id") != resource.id:
        return Kept("it has not the identifier under which it was kept")
    reason = f"the old {keeper.plan.target_cluster_id}; it was kept until {moment}"
    return _unless_needed(resource, keeper, known, reason, waits=False)


def _judge_snapshot(resource: Resource, refresh: _Refresh, known: Known) -> Leftover | Kept:
    is_between = tags.INTERMEDIATE in resource.tags
    last, between = _made_by(refresh.plan)
    unseen = sorted(_places(refresh.plan) - known.places) if is_between else []
    by_refreshes = "are pruned by the refreshes of their target"
    why = _first(
        (tags.FINAL_OF in resource.tags, f"final snapshots {by_refreshes}"),
        (tags.ARCHIVED in resource.tags, f"archived copies {by_refreshes}"),
        (
            resource.arn not in (between if is_between else last),
            "it has not the name and the place of a copy of its operation",
        ),
        (resource.arn in known.copied, "a copy is being made from it"),
        (bool(unseen), f"nobody has looked whether it is copied to {' and '.join(unseen)}"),
        (not is_between and refresh.operation.has_succeeded, "its refresh has succeeded"),
    )
    if why is not None:
        return Kept(why)
    # What has ended is not resumed from an intermediate copy, which the run itself removes then,
    # nor from a copy that has failed.
    has_ended = refresh.status not in _WITHOUT_END
    useless = has_ended and (is_between or is_terminal(resource.status))
    waits = refresh.is_resumable and not useless
    reason = f"{'intermediate copy' if is_between else 'copy'}; {refresh.ended}"
    return _unless_needed(resource, refresh, known, reason, waits=waits)


def _unless_needed(
    resource: Resource, refresh: _Refresh, known: Known, reason: str, *, waits: bool
) -> Leftover | Kept:
    """Return it as a leftover, unless somebody works on it or still may.

    `waits`: the operation may be resumed with it, until that has been left undone for long enough.
    """
    request, operation = refresh.request, refresh.operation
    clusters = {*request.touched, f"{resource.place}/{resource.id}"}
    at_work = [known.at_work[each] for each in sorted(clusters) if each in known.at_work]
    ids = {request.target_cluster_id, request.replaced_cluster_id}
    changed = last_change(operation)
    is_fresh = changed is None or known.now - changed < known.older_than
    is_settled = resource.status == AVAILABLE or is_terminal(resource.status)
    why = _first(
        (bool(at_work), next(iter(at_work), "")),
        (
            bool(known.allowed_accounts)
            and request.target_account_id not in known.allowed_accounts,
            "its target account is not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS",
        ),
        (
            not all(map(known.allowed_clusters.fullmatch, ids)),
            "its target does not match AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS",
        ),
        (
            refresh.old_is_away,
            f"the old cluster of operation {operation.operation_id} is not brought back",
        ),
        (not is_settled, f"its status is {resource.status!r}"),
        (
            waits and is_fresh,
            f"operation {operation.operation_id} may be resumed; it last changed {_text(changed)}",
        ),
    )
    if why is not None:
        return Kept(why)
    is_needed = tags.INTERMEDIATE not in resource.tags
    return Leftover(reason, operation.operation_id, refresh.is_resumable and is_needed)


def _first(*rules: tuple[bool, str]) -> str | None:
    """Return the reason of the first rule that holds."""
    return next((reason for holds, reason in rules if holds), None)


def _text(moment: datetime | None) -> str:
    return "at an unknown moment" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _refresh(operation: Operation | None) -> _Refresh | None:
    if operation is None or (request := operation.request()) is None:
        return None
    try:
        return _Refresh(operation, request, Plan.model_validate(operation.note("plan")))
    except ValidationError:
        return None


def _made_by(plan: Plan) -> tuple[set[str], set[str]]:
    """Return the ARNs that the plan's last copy may have, and those of its intermediate ones."""
    ways = [each for each in (plan.route.hops, plan.route.otherwise) if each]
    last = {arn for way in ways for arn in _arns(way[-1])}
    return last, {arn for way in ways for hop in way[:-1] for arn in _arns(hop)}


def _arns(hop: Hop) -> list[str]:
    return [hop.model_copy(update={"names": [name]}).arn for name in hop.names]


def _places(plan: Plan) -> set[str]:
    return {f"{hop.account}/{hop.region}" for hop in [*plan.route.hops, *plan.route.otherwise]}


def _unfinished_replacing(resource: Resource, known: Known) -> str | None:
    """Return the operation that was to replace this cluster and has not succeeded, or None."""
    found = (
        each.operation_id
        for each in known.operations
        if not each.has_succeeded and replaced(each) == resource.resource_id
    )
    return next(found, None)


def _targets(operations: Sequence[Operation]) -> set[str]:
    requests = filter(None, (each.request() for each in operations))
    return {name for request in requests for name in request.touched}


def _fact(noted: Any, *path: str) -> Any:
    """Return what stands at a path of a note, None if it does not lead anywhere."""
    for name in path:
        noted = noted.get(name) if isinstance(noted, dict) else None
    return noted
