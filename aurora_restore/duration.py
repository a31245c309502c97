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
    ended = [each for each in newest if each.status == "SUCCESS"]
    lasted = [each for each in map(seconds_between, ended) if each is not None][:COUNTED]
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


def seconds_between(
    record: StepRecord, now: datetime | None = None, since: datetime | None = None
) -> float | None:
    """Return how long a record's attempts took together, until `now` if it is in progress.

    `since`: from another moment than the first one. None if that is not recorded.
    """
    if not record.history:
        return None
    first, last = (datetime.fromisoformat(record.history[each]["at"]) for each in (0, -1))
    if record.status == "IN_PROGRESS" and now is not None:
        last = now
    return max(0.0, (last - (since or first)).total_seconds())


def _minutes(seconds: int) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return duration_text(seconds)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours else f"{minutes} min"


def _unknown(why: str) -> Estimate:
    return Estimate(seconds=None, refreshes=0, text=f"unknown: {why}")
