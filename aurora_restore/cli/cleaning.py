"""`aurora-restore cleanup`: what refreshes have left behind is listed, and removed."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel

from aurora_restore import removal
from aurora_restore.cli.answers import Answer, Fault
from aurora_restore.cli.cleaning_view import show_cleanup
from aurora_restore.cli.environment import known_settings
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.screen import working
from aurora_restore.leftovers import Leftover
from aurora_restore.removal import Outcome
from aurora_restore.sessions import target_client
from aurora_restore.survey import Found, Scope, Survey, survey

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Item(BaseModel, frozen=True):
    """A resource with this program's tags.

    `gib` is a snapshot's storage, `instances` how many of which class a cluster has: what their
    prices depend on. `result` is `leftover` if nothing was to be removed; `reason` why it is one,
    or is kept. `ends_resuming`: its operation cannot be resumed any more once it is removed.
    """

    kind: str
    name: str
    arn: str
    place: str
    status: str
    created_at: datetime | None
    age_seconds: int | None
    gib: int | None
    instances: dict[str, int]
    operation_id: str
    operation_status: str | None
    result: Literal["leftover", "removed", "failed", "kept"]
    reason: str
    ends_resuming: bool
    problem: str | None


class Unseen(BaseModel, frozen=True):
    """A place that could not be looked at."""

    place: str
    problem: str


class CleanupResult(BaseModel, frozen=True):
    """What was found, and what became of it. `gib` and `instances` sum up the leftovers."""

    dry_run: bool
    places: list[str]
    unseen: list[Unseen]
    leftovers: list[Item]
    kept: list[Item]
    gib: int
    instances: dict[str, int]


def clean(
    target: str | None, older_than: str, region: str | None, *, dry_run: bool, quiet: bool
) -> Answer:
    """Return what refreshes have left behind, removed unless `dry_run`.

    Raises:
        BadUsage: an argument or this process's environment is not valid.
        RecordsUnavailable: the table cannot be used.
    """
    known_settings()
    scope = _scope(target, older_than, region)
    with working("looking for what refreshes have left behind", quiet=quiet):
        found = survey(scope)
    outcomes: list[Outcome] = []
    if not dry_run:

        def pause(what: str, seconds: float) -> None:
            with working(what, quiet=quiet):
                time.sleep(seconds)

        outcomes = list(removal.remove(found, pause))
    return answer(found, outcomes, datetime.now(UTC), dry_run=dry_run)


def answer(made: Survey, outcomes: list[Outcome], now: datetime, *, dry_run: bool) -> Answer:
    """Return what was found and done as a command's answer. Pure."""
    ended = {each.found.resource.arn: each for each in outcomes}
    items = [_item(each, ended.get(each.resource.arn), now) for each in made.found]
    items.sort(key=lambda each: (each.operation_id, each.kind, each.place, each.name))
    leftovers = [each for each in items if each.result != "kept"]
    instances: dict[str, int] = {}
    for each in leftovers:
        for name, count in each.instances.items():
            instances[name] = instances.get(name, 0) + count
    result = CleanupResult(
        dry_run=dry_run,
        places=sorted(made.clients),
        unseen=[Unseen(place=place, problem=said) for place, said in made.unseen.items()],
        leftovers=leftovers,
        kept=[each for each in items if each.result == "kept"],
        gib=sum(each.gib or 0 for each in leftovers),
        instances=instances,
    )
    return Answer(result, lambda screen: show_cleanup(screen, result), _fault(result))


def _fault(result: CleanupResult) -> Fault | None:
    failed = [each for each in result.leftovers if each.result == "failed"]
    said = [f"{each.place} could not be looked at ({each.problem})" for each in result.unseen]
    if failed:
        name, problem = failed[0].name, str(failed[0].problem)
        first = problem if name in problem else f"{failed[0].kind} {name}: {problem}"
        count = f"{len(failed)} of {len(result.leftovers)} could not be removed"
        said.insert(0, f"{count} ({first.rstrip('.')})")
    if not said:
        return None
    message = "; ".join(each.rstrip(".") for each in said)
    return Fault(
        type="CleanupIncomplete",
        message=f"cleanup: {message}. Mend that, then run again: a repeat is safe.",
    )


def _item(found: Found, outcome: Outcome | None, now: datetime) -> Item:
    resource, verdict = found.resource, found.verdict
    is_leftover = isinstance(verdict, Leftover)
    head = found.operation.head if found.operation else None
    reason, problem = verdict.reason, None
    result: Literal["leftover", "removed", "failed", "kept"]
    result = "leftover" if is_leftover else "kept"
    if outcome is not None:
        result = outcome.result
        if outcome.result == "kept":
            reason = outcome.problem
        problem = outcome.problem if outcome.result == "failed" else None
    age = None
    if resource.created_at is not None:
        age = max(0, round((now - resource.created_at).total_seconds()))
    return Item(
        kind=resource.kind,
        name=resource.id,
        arn=resource.arn,
        place=resource.place,
        status=resource.status,
        created_at=resource.created_at,
        age_seconds=age,
        gib=resource.gib,
        instances=dict(resource.instance_classes),
        operation_id=found.tagged,
        operation_status=None if head is None else head.status,
        result=result,
        reason=reason,
        ends_resuming=isinstance(verdict, Leftover) and verdict.ends_resuming,
        problem=problem,
    )


def _scope(target: str | None, older_than: str, region: str | None) -> Scope:
    """Return what to look for; raises BadUsage."""
    here = target_client("dynamodb").meta.region_name
    if target is not None:
        account, *rest = target.split("/")
        if len(rest) != 2 or not all(rest):  # noqa: PLR2004 - account/Region/cluster
            raise BadUsage(f"--target {target}", "it is no target", "Write account/Region/cluster.")
        mine = target_client("sts", here).get_caller_identity()["Account"]
        if account != mine:
            raise BadUsage(
                f"--target {target}",
                f"the credentials of this shell are of account {mine}",
                "Run in the target's account.",
            )
        if region is not None and region != rest[0]:
            raise BadUsage(
                f"--region {region}", f"the target is in {rest[0]}", "Leave one of the two out."
            )
        here = rest[0]
    return Scope(region or here, _duration(older_than), target)


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if found is None:
        raise BadUsage(
            f"--older-than {text}",
            "it is no duration",
            "Write minutes, hours or days: 90m, 24h, 7d.",
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
