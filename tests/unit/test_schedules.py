"""The guard of schedules: cron that means something else than it seems to is told."""

from datetime import date
from typing import Any

import pytest

from aurora_restore.cli.schedules import schedule_problems

TODAY = date(2026, 11, 26)


def problems(expression: str, **more: Any) -> list[str]:
    return schedule_problems({"cron": expression, "timezone": "UTC"} | more, TODAY)


@pytest.mark.parametrize(
    "expression",
    [
        "30 1 * * *",
        "0 2 * * FRI",
        "*/15 8-18 * * mon-fri",
        "5,35 0 1 jan,jul *",
        "0 2 29 11 *",
        "0 2 * * 7",
        "0 2 31 4 SUN",  # no 31 April, but Sundays in April
        "0 0-23/6 1-7 * *",
        "7/20 * * * *",
    ],
)
def test_plain_cron_with_a_time_zone_is_fine(expression: str) -> None:
    """
    Numbers, names, ranges, lists and steps in five fields, in a time zone that exists.
    """
    assert problems(expression) == []
    assert problems(expression, timezone="Europe/Berlin") == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("0 2 ? * FRI *", "6 fields, not 5 (minute, hour, day, month, day of the week)"),
        ("30 0 2 * * *", "6 fields, not 5 (minute, hour, day, month, day of the week)"),
        ("0 2 * *", "4 fields, not 5 (minute, hour, day, month, day of the week)"),
        ("@daily", "1 fields, not 5 (minute, hour, day, month, day of the week)"),
        ("0 2 ? * FRI", "day of the month '?' is not plain cron"),
        ("0 2 L * *", "day of the month 'L' is not plain cron"),
        ("0 2 * * FRI#2", "day of the week 'FRI#2' is not plain cron"),
        ("0 24 * * *", "hour '24' is out of 0 to 23"),
        ("60 2 * * *", "minute '60' is out of 0 to 59"),
        ("0 5-2 * * *", "hour '5-2' is out of 0 to 23"),
        ("0 2 0 * *", "day of the month '0' is out of 1 to 31"),
        ("*/0 2 * * *", "minute '*/0' is out of 0 to 59"),
        ("0 2 30 2 *", "never fires within a year"),
        ("0 2 29 FEB *", "never fires within a year"),
    ],
)
def test_cron_that_is_not_what_it_seems_is_told(expression: str, problem: str) -> None:
    """
    What Prefect takes and reads otherwise, or never fires, is named with the field.
    """
    assert problems(expression) == [f"cron {expression!r}: {problem}"]


def test_leap_day_is_fine_in_the_year_before_one() -> None:
    """
    A year is looked ahead, with the 29 February that may be in it.
    """
    assert schedule_problems({"cron": "0 2 29 2 *", "timezone": "UTC"}, date(2028, 1, 1)) == []


@pytest.mark.parametrize("zone", [None, ""])
def test_cron_without_a_time_zone_is_told(zone: str | None) -> None:
    """
    Without one Prefect takes UTC, and nobody knows whether that was meant.
    """
    assert problems("0 2 * * *", timezone=zone) == ["cron '0 2 * * *': no timezone"]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "/etc/passwd", "Europe"])
def test_time_zone_that_does_not_exist_is_told(zone: str) -> None:
    """
    Neither a name that is not known nor a path is a time zone.
    """
    told = problems("0 2 * * *", timezone=zone)

    assert told == [f"cron '0 2 * * *': no such timezone: {zone!r}"]


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ({"interval": 300}, []),
        ({"interval": 300.0}, []),
        ({"interval": 5}, ["interval 5: runs would follow within a minute of each other"]),
        ({"interval": "5m"}, ["interval '5m': not a number of seconds"]),
        ({"interval": True}, ["interval True: not a number of seconds"]),
        ({"rrule": "FREQ=DAILY"}, ["neither cron nor interval: when it fires cannot be told"]),
        ({}, ["neither cron nor interval: when it fires cannot be told"]),
    ],
)
def test_other_schedules(schedule: dict[str, Any], told: list[str]) -> None:
    """
    An interval is at least a minute; other kinds are not looked into.
    """
    assert schedule_problems(schedule, TODAY) == told
