"""How long a refresh will take, by the records of those before it."""

from datetime import datetime
from statistics import median

from pydantic import BaseModel

from aurora_restore.announcements import duration_text
from aurora_restore.errors import RecordsUnavailable
from aurora_restore.records import RecordStore, StepRecord
from aurora_restore.request import RestoreRequest

LOOKED_AT = 20  # operations of the target; older ones are not read
COUNTED = 5


class Estimate(BaseModel, frozen=True):
    """An expected duration: the median of so many refreshes, or why it is not known."""

    seconds: int | None
    refreshes: int
    text: str


def expected_duration(records: RecordStore, request: RestoreRequest) -> Estimate:
    """Return the median duration of the newest finished refreshes of the request's target.

    From the first attempt to the last one's end, as the people who wait for it see it. Never an
    error: without records there is no estimate.
    """
    target = request.target_cluster_id
    try:
        newest = records.recent(LOOKED_AT, request.target_name)
    except RecordsUnavailable as error:
        return _unknown(f"{error.resource}: its index {error.problem}")
    lasted = [_seconds(each) for each in newest if _has_lasted(each)][:COUNTED]
    if not lasted:
        return _unknown(f"no finished refresh of {target} in the records")
    seconds = round(median(lasted))
    of_what = (
        f"median of the last {len(lasted)} refreshes of {target}"
        if len(lasted) > 1
        else f"as the last refresh of {target}"
    )
    text = f"about {_minutes(seconds)} ({of_what})"
    return Estimate(seconds=seconds, refreshes=len(lasted), text=text)


def _has_lasted(head: StepRecord) -> bool:
    return head.status == "SUCCESS" and bool(head.history)


def _seconds(head: StepRecord) -> float:
    first, last = (datetime.fromisoformat(head.history[each]["at"]) for each in (0, -1))
    return (last - first).total_seconds()


def _minutes(seconds: int) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return duration_text(seconds)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours else f"{minutes} min"


def _unknown(why: str) -> Estimate:
    return Estimate(seconds=None, refreshes=0, text=f"unknown: {why}")
