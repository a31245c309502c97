"""`aurora-restore history` on the sandbox: the newest operations by one query of an index."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cli_world import ERROR, cli, empty, head, outcome, put
from product_fixtures import calls

from aurora_restore import settings
from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.history import moment_of
from sandbox import Sandbox

__all__ = ["cli", "empty"]

OTHER = "987654321098/us-west-2/other"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def five(empty: Sandbox) -> Sandbox:
    """Five operations of two targets, a day each; the newest has crashed, another one failed."""
    for day, (status, more) in enumerate(
        [
            ("SUCCESS", {"data_from": "2024-03-19 23:00:00+00:00"}),
            ("FAILED", {}),
            ("SUCCESS", {"target": OTHER}),
            ("IN_PROGRESS", {}),
            ("CRASHED", {"target": OTHER}),
        ],
        1,
    ):
        name = f"op-{day}"
        told = {"outcome": outcome(name, status)} if status != "IN_PROGRESS" else {}
        put(empty, **head(name, status, f"2024-03-2{day}", **told, **more))
    return empty


def names(ended: Any) -> list[str]:
    assert (ended.code, ended.err) == (0, "")
    return [each["operation_id"] for each in ended.result["operations"]]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], [5, 4, 3, 2, 1]),
        (["--limit", "2"], [5, 4]),
        (["--target", OTHER], [5, 3]),
        (["--target", OTHER.upper(), "--limit", "1"], [5]),
        (["--failed"], [5, 2]),
        (["--failed", "--limit", "1"], [5]),
        (["--failed", "--target", "987654321098/us-west-2/staging"], [2]),
        (["--since", "2024-03-24"], [5, 4]),
        (["--since", "2024-03-24T00:42:01Z"], [5]),
        (["--since", "7d"], []),
        (["--target", "987654321098/us-west-2/none"], []),
    ],
)
def test_newest_first_by_one_query(
    cli: Any, five: Sandbox, arguments: list[str], wanted: list[int]
) -> None:
    """
    What is listed is chosen by target, moment and ending, and always by one query.
    """
    before = len(calls(five))

    ended = cli("history", *arguments, "--json")

    assert names(ended) == [f"op-{each}" for each in wanted]
    [call] = calls(five)[before:]
    assert call["operation"] == "Query"
    assert call["parameters"]["IndexName"] == (
        "target-timestamp" if "--target" in arguments else "step-timestamp"
    )


def test_entry_tells_what_matters(cli: Any, five: Sandbox) -> None:
    """
    Beside its name an operation has times, the age of its data and why it failed.
    """
    found = {each["operation_id"]: each for each in cli("history", "--json").result["operations"]}

    assert found["op-1"]["seconds"] == 42 * 60
    assert found["op-1"]["data_from"] == "2024-03-19 23:00:00+00:00"
    assert found["op-4"]["seconds"] is None
    assert found["op-2"]["failed_at"] == "copy-snapshot"
    assert found["op-2"]["error"]["message"] == ERROR["message"]
    assert found["op-1"]["error"] is None
    text = cli("history").out
    assert "copy-snapshot: cluster snapshot copy-1: status is 'failed'\n" in text
    assert "took 42 min 00 s" in text


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        ([], False),
        (["--limit", "5"], True),
        (["--limit", "6"], False),
        (["--failed"], False),
        (["--failed", "--limit", "1"], True),
    ],
)
def test_that_there_may_be_more_is_said(
    cli: Any, five: Sandbox, arguments: list[str], *, more: bool
) -> None:
    """
    A list that may not be all says so.
    """
    assert cli("history", *arguments, "--json").result["may_have_more"] is more
    assert ("There may be more" in cli("history", *arguments).out) is more


def test_failed_ones_are_sought_among_a_fixed_number(cli: Any, empty: Sandbox) -> None:
    """
    However many operations there are, `--failed` looks at a hundred and says so.
    """
    for number in range(101):
        status = "SUCCESS" if number else "FAILED"
        put(empty, **head(f"op-{number}", status) | {"timestamp": f"2024-03-20 00:{number:03}"})

    ended = cli("history", "--failed", "--json")

    assert names(ended) == []
    assert (ended.result["looked_at"], ended.result["may_have_more"]) == (100, True)
    assert "the newest 100 were looked at" in " ".join(cli("history", "--failed").out.split())


def test_unreadable_and_foreign_items_stand_aside(cli: Any, five: Sandbox) -> None:
    """
    A damaged operation is named below the others; what is no operation is left out.
    """
    put(five, **head("op-8", "FAILED", "2024-03-28", history="x"))
    put(five, "op-9", "invoice", timestamp="2999", target=OTHER, status="FAILED", details={})
    put(five, "op-9", "operation-2", timestamp="2999")
    put(five, "op-9", "lease", timestamp="2999")

    ended = cli("history", "--json")

    assert names(ended) == ["op-5", "op-4", "op-3", "op-2", "op-1"]
    [unreadable] = ended.result["unreadable"]
    assert unreadable.startswith("record operation of operation op-8: its history cannot be read")
    assert names(cli("history", "--target", OTHER, "--json")) == ["op-5", "op-3"]
    assert "op-8" in cli("history").out


def test_cluster_alone_is_enough_where_there_is_one_account(
    cli: Any, five: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The account comes from the settings, the Region from the shell.
    """
    monkeypatch.setenv("AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS", '["987654321098"]')
    settings.settings.cache_clear()

    assert names(cli("history", "--target", "other", "--json")) == ["op-5", "op-3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "0"], "--limit 0: out of range. Write a number from 1 to 100."),
        (["--limit", "101"], "--limit 101: out of range. Write a number from 1 to 100."),
        (
            ["--since", "yesterday"],
            "--since yesterday: no such moment. Write e.g. 90m, 12h, 7d, 2w or 2026-11-01.",
        ),
        (
            ["--target", "staging"],
            (
                "--target staging: its account is not known. Write account/Region/cluster, or let "
                "AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS name one account."
            ),
        ),
        (
            ["--target", "us-west-2/staging"],
            (
                "--target us-west-2/staging: malformed. Write account/Region/cluster, e.g. "
                "987654321098/us-west-2/staging."
            ),
        ),
    ],
)
def test_bad_usage_says_what_to_write(
    cli: Any, account: Sandbox, arguments: list[str], message: str
) -> None:
    """
    What cannot be meant is refused before anything is asked.
    """
    ended = cli("history", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"aurora-restore history: {message}\n"
    assert calls(account) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", datetime(2026, 11, 25, 10, 30, tzinfo=UTC)),
        ("12h", datetime(2026, 11, 25, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 18, 12, tzinfo=UTC)),
        ("2w", datetime(2026, 11, 11, 12, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T02:00+02:00", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_moment_is_a_date_or_so_long_ago(text: str, moment: datetime) -> None:
    """
    `--since` takes a duration or a date, which is UTC.
    """
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "d", "7", "-1d", "9" * 30 + "d", "99999999w", "2026-13-01"])
def test_other_moments_are_bad_usage(text: str) -> None:
    """
    Whatever is neither, or before the calendar, is refused.
    """
    with pytest.raises(BadUsage, match="no such moment"):
        moment_of(text, NOW)
