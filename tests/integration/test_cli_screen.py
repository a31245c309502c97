"""Output for people: nothing is cut at any width, and no escape sequence where none is wanted."""

import io
from typing import Any

import pytest
from examples import request
from plans import ROLES, STAGING, TWO_HOPS, plan
from test_cli_golden import ESTIMATE, HASH, clean

from aurora_restore.cli.planning import PlanResult, answer, start_command
from aurora_restore.cli.screen import Row, Screen
from aurora_restore.preflight import Check, Examination

LONG = "a" * 55 + "-copy"
ARN = "arn:aws:kms:us-west-2:987654321098:key/5a4926dd-ae70-4f34-a1d6-4e550395ff49"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(made: Any, width: int) -> str:
    stream = io.StringIO()
    made.show(Screen(stream, {"COLUMNS": str(width)}))
    return stream.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 160, 250])
def test_every_name_is_complete_at_every_width(width: int) -> None:
    """
    Parsed back, the output has each check and each action word for word, names in one piece.
    """
    asked = request(replace="swap", roles=ROLES, target_cluster_id=LONG)
    check = Check(
        name="target-key", status="failed", resource=f"key {ARN}", problem="off", remedy="Mend."
    )
    made = plan(asked, old=STAGING.model_copy(update={"cluster_id": LONG}), route=TWO_HOPS)
    told = answer(asked, "op-1", Examination([check], made, HASH), ESTIMATE, "again")

    text = shown(told, width)

    words = " ".join(text.split())
    assert isinstance(told.result, PlanResult)
    assert f"FAILED target-key key {ARN}: off. Mend." in words
    for each in told.result.actions:
        assert f"{each.sign} {each.kind} {each.name} {each.place} {each.note}" in words
        assert each.name in text.split()
    assert f"{told.result.totals}" in words
    assert HASH in text.split()
    assert "\u2026" not in text


def test_only_an_overlong_word_goes_beyond_the_width() -> None:
    """
    At 40 columns a line is longer only if it is one word, or the command that is to be copied.
    """
    lines = shown(clean(), 40).splitlines()

    overlong = [line for line in lines if len(line) > 40]
    assert [line for line in overlong if len(line.split()) > 1] == [lines[-1]]
    assert lines[-1].startswith("prefect deployment run ")


def test_table_is_used_where_there_is_room() -> None:
    """
    In a wide terminal an action is one line with its columns below each other.
    """
    lines = [line for line in shown(clean(), 160).splitlines() if line.startswith(("+ ", "- "))]

    assert len({line.index("987654321098/us-west-2") for line in lines}) == 1
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("stream", "environment", "escapes"),
    [
        (Terminal(), {"TERM": "xterm-256color"}, True),
        (Terminal(), {"TERM": "xterm-256color", "NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {}, False),
        (io.StringIO(), {"TERM": "xterm-256color"}, False),
        (io.StringIO(), {"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False),
        (io.StringIO(), {"TERM": "xterm-256color", "COLORTERM": "truecolor"}, False),
    ],
)
def test_escapes_are_written_to_a_willing_terminal_only(
    stream: io.StringIO, environment: dict[str, str], *, escapes: bool
) -> None:
    """
    A pipe, NO_COLOR and a dumb terminal get no escape byte.
    """
    clean().show(Screen(stream, environment | {"COLUMNS": "100"}))

    assert ("\x1b" in stream.getvalue()) is escapes


def test_what_a_terminal_would_obey_is_left_out() -> None:
    """
    An escape sequence inside a name does nothing.
    """
    stream = io.StringIO()
    Screen(stream, {}).rows([Row(["+ role", "a\x1b[2Jb", "c\nd"])])

    assert stream.getvalue().split() == ["+", "role", "a[2Jb", "c", "d"]


@pytest.mark.parametrize(
    ("hashed", "given"),
    [
        (HASH, f"plan_hash={HASH}"),
        ("1234567890123456", "'plan_hash=\"1234567890123456\"'"),
        ("12e4567890123456", "'plan_hash=\"12e4567890123456\"'"),
    ],
)
def test_hash_reaches_prefect_as_text(hashed: str, given: str) -> None:
    """
    Prefect reads a parameter as JSON if it can, so a hash that looks like a number is quoted.
    """
    command = start_command({"request": {"a": "it's"}, "plan_hash": hashed})

    assert command == (
        "prefect deployment run 'restore-aurora-cluster/refresh' "
        '--param \'request={"a":"it\'"\'"\'s"}\' --param ' + given
    )
