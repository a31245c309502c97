"""`history`: the operations that changed last, by one query of an index. Only reads."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from aurora_restore.cli.answers import Answer, Fault
from aurora_restore.cli.environment import known_settings, open_records
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.history_view import show_history
from aurora_restore.cli.screen import working
from aurora_restore.cli.status import error_of, mapping, target_of, text_or_none
from aurora_restore.duration import seconds_between
from aurora_restore.records import Page, StepRecord
from aurora_restore.sessions import target_client

MOST = 100  # operations that one call reads: 7 KB each, and DynamoDB gives 1 MB in one page
FAILED = ("FAILED", "CRASHED", "CANCELLED")
_CLUSTER = re.compile(r"[a-z](-?[a-z0-9])*")
_TARGET = re.compile(r"\d{12}/[a-z]{2}(-[a-z]+)+-\d/" + _CLUSTER.pattern)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Entry(BaseModel, frozen=True):
    """An operation. `seconds`: from its first attempt to the last one's end, null while it runs.

    `changed` is the moment of its last change, by which the list is sorted; `error` is that of
    `failed_at`.
    """

    operation_id: str
    target: str | None
    status: str
    started: str | None
    changed: str
    seconds: float | None
    data_from: str | None
    failed_at: str | None
    error: Fault | None


class HistoryResult(BaseModel, frozen=True):
    """What `history` found. `looked_at`: how many operations; `may_have_more`: there may be older
    ones. `unreadable` are those whose records are damaged, a line each.
    """

    target: str | None
    since: str | None
    failed_only: bool
    operations: list[Entry]
    unreadable: list[str]
    looked_at: int
    may_have_more: bool


@dataclass(frozen=True)
class Query:
    """What is asked for. `target` is account/Region/cluster."""

    limit: int
    target: str | None = None
    since: datetime | None = None
    failed: bool = False

    @property
    def evaluated(self) -> int:
        """How many operations are read at most."""
        return MOST if self.failed else self.limit


def history(
    target: str | None, since: str | None, limit: int, *, failed: bool, quiet: bool
) -> Answer:
    """Return the operations that changed last, newest first.

    What it reads does not grow with the table: `limit` items, with `failed` the newest `MOST`.

    Raises:
        BadUsage: target, since, limit or this process's environment is not valid.
        RecordsUnavailable: the table or its index cannot be used.
    """
    if not 1 <= limit <= MOST:
        raise BadUsage(f"--limit {limit}", "out of range", f"Write a number from 1 to {MOST}.")
    moment = None if since is None else moment_of(since, datetime.now(UTC))
    accounts = known_settings().allowed_target_accounts
    place = None if target is None else target_name(target, accounts, own_region)
    query = Query(limit, place, moment, failed)
    with working("reading the records", quiet=quiet):
        page = open_records().page(query.evaluated, place, moment)
    return answer(query, page)


def answer(query: Query, page: Page) -> Answer:
    """Return the operations of a page as a command's answer. Pure."""
    wanted = [each for each in page.heads if not query.failed or each.status in FAILED]
    result = HistoryResult(
        target=query.target,
        since=None if query.since is None else query.since.isoformat(timespec="seconds"),
        failed_only=query.failed,
        operations=[_entry(each) for each in wanted[: query.limit]],
        unreadable=[str(each) for each in page.unreadable],
        looked_at=page.evaluated,
        may_have_more=page.evaluated >= query.evaluated or len(wanted) > query.limit,
    )
    return Answer(result, lambda screen: show_history(screen, result))


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment that `--since` means: so long ago, or a date (UTC unless it says else).

    Raises:
        BadUsage: it is neither.
    """
    try:
        if found := re.fullmatch(r"(\d+)([mhdw])", text):
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        raise BadUsage(
            f"--since {text}", "no such moment", "Write e.g. 90m, 12h, 7d, 2w or 2026-11-01."
        ) from None


def own_region() -> str:
    """Return the Region this process works in."""
    return str(target_client("dynamodb").meta.region_name)


def target_name(text: str, accounts: Sequence[str], region: Callable[[], str]) -> str:
    """Return the target as the records name it: account/Region/cluster.

    A cluster alone is of the one account that may be restored into, in this shell's Region.

    Raises:
        BadUsage: it is malformed, or its account is not known.
    """
    name, full = text.lower(), "account/Region/cluster"
    if _CLUSTER.fullmatch(name):
        if len(accounts) != 1:
            raise BadUsage(
                f"--target {text}",
                "its account is not known",
                f"Write {full}, or let AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS name one account.",
            )
        name = f"{accounts[0]}/{region()}/{name}"
    if not _TARGET.fullmatch(name):
        example = "987654321098/us-west-2/staging"
        raise BadUsage(f"--target {text}", "malformed", f"Write {full}, e.g. {example}.")
    return name


def _entry(head: StepRecord) -> Entry:
    outcome = mapping(head.notes.get("outcome"))
    failed = head.status in FAILED
    return Entry(
        operation_id=head.operation_id,
        target=target_of(head),
        status=head.status,
        started=head.history[0]["at"] if head.history else None,
        changed=head.timestamp,
        seconds=None if head.status == "IN_PROGRESS" else seconds_between(head),
        data_from=text_or_none(head.notes.get("data_from")),
        failed_at=text_or_none(outcome.get("step")) if failed else None,
        error=error_of(outcome.get("error")) if failed else None,
    )
