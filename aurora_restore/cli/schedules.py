"""Whether a schedule means what it seems to mean: the guard of cron. Pure.

Prefect takes cron expressions of five, six and seven fields. EventBridge's `0 2 ? * FRI *` is one
of six for it, with seconds in front: it fires every second of 02:00.
"""

import re
from calendar import isleap
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

FIELDS = 5
LEAST_INTERVAL = 60
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


class _Field(NamedTuple):
    """A field of cron: its name, its bounds, the words for its values from the lower bound on."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS)),
    _Field("day of the week", 0, 7, tuple(_DAYS)),
)


def schedule_problems(schedule: Mapping[str, Any], today: date) -> list[str]:
    """Return what is wrong with a schedule, a line each: one of prefect.yaml or of Prefect's API.

    `active` belongs to neither: it would undo an operator's pause at the next deploy.
    """
    if "cron" in schedule:
        return _of_cron(schedule, today)
    if "interval" in schedule:
        interval = schedule["interval"]
        if isinstance(interval, bool) or not isinstance(interval, int | float):
            return [f"interval {interval!r}: not a number of seconds"]
        if interval < LEAST_INTERVAL:
            return [f"interval {interval:g}: runs would follow within a minute of each other"]
        return []
    return ["neither cron nor interval: when it fires cannot be told"]


def _of_cron(schedule: Mapping[str, Any], today: date) -> list[str]:
    expression, found = str(schedule["cron"]), []
    zone = schedule.get("timezone")
    if not zone:
        found.append(f"cron {expression!r}: no timezone")
    elif not _is_zone(str(zone)):
        found.append(f"cron {expression!r}: no such timezone: {zone!r}")
    fields = expression.split()
    if len(fields) != FIELDS:
        reason = f"{len(fields)} fields, not 5 (minute, hour, day, month, day of the week)"
        return [*found, f"cron {expression!r}: {reason}"]
    try:
        times = [_values(text, field) for text, field in zip(fields, _FIELDS, strict=True)]
    except ValueError as problem:
        return [*found, f"cron {expression!r}: {problem}"]
    if not any(_fires(day, fields, times) for day in _a_year_from(today)):
        found.append(f"cron {expression!r}: never fires within a year")
    return found


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, a folder, an absolute path
        return False
    return True


def _values(text: str, field: _Field) -> set[int]:
    """Return the values a field names.

    Raises:
        ValueError: it is not plain cron; says what of it.
    """
    values: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if found is None or (found["first"] == "*" and found["last"]):
            raise ValueError(f"{field.name} {text!r} is not plain cron")
        first, last = field.least, field.most
        if found["first"] != "*":
            first = _value(found["first"], field)
            last = _value(found["last"], field) if found["last"] else first
            if found["step"] and not found["last"]:
                last = field.most
        step = int(found["step"] or 1)
        if not field.least <= first <= last <= field.most or step < 1:
            raise ValueError(f"{field.name} {text!r} is out of {field.least} to {field.most}")
        values |= set(range(first, last + 1, step))
    return values


def _value(word: str, field: _Field) -> int:
    if word.isdecimal():
        return int(word)
    if word.upper() in field.words:
        return field.least + field.words.index(word.upper())
    raise ValueError(f"{field.name} {word!r} is not plain cron")


def _a_year_from(today: date) -> Iterator[date]:
    days = 366 if isleap(today.year) else 365
    return (today + timedelta(days=number) for number in range(1, days + 1))


def _fires(day: date, fields: list[str], times: list[set[int]]) -> bool:
    """Whether cron fires on a day. If both kinds of day are limited, one of them is enough."""
    _, _, days, months, weekdays = times
    if day.month not in months:
        return False
    by_month = day.day in days
    by_week = day.isoweekday() % 7 in {each % 7 for each in weekdays}
    if fields[2].startswith("*") or fields[4].startswith("*"):
        return by_month and by_week
    return by_month or by_week
