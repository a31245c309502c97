"""Facts of the account: what a wrong environment is told."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import ValidationError

from aurora_restore import settings as module
from aurora_restore.details import Step
from aurora_restore.errors import Refused
from aurora_restore.settings import Poll, Settings, settings

TOPIC = "arn:aws:sns:us-west-2:987654321098:aurora-restore"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment with the required settings and no other."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AURORA_RESTORE_{name.upper()}", raising=False)
    monkeypatch.setenv("AURORA_RESTORE_STATE_TABLE", "aurora-restore-state")
    monkeypatch.setenv("AURORA_RESTORE_TOPIC_ARN", TOPIC)
    module.settings.cache_clear()
    yield monkeypatch
    module.settings.cache_clear()


def refusal() -> str:
    with pytest.raises(Refused) as refused:
        settings()
    return str(refused.value)


def test_two_settings_are_enough() -> None:
    """
    Table and topic must be given; everything else has a default.
    """
    known = settings()

    assert (known.state_table, known.topic_arn) == ("aurora-restore-state", TOPIC)
    assert (known.source_role_arn, known.allowed_target_accounts) == (None, [])


def test_missing_settings_are_named(environment: pytest.MonkeyPatch) -> None:
    """
    What is not set is named, with how to set it, in one line.
    """
    environment.delenv("AURORA_RESTORE_STATE_TABLE")
    environment.delenv("AURORA_RESTORE_TOPIC_ARN")

    assert refusal() == (
        "environment: state_table: missing; give a value; topic_arn: missing; give a value. "
        "Set AURORA_RESTORE_<NAME> for each name above."
    )


def test_empty_setting_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    """
    A template that leaves a variable empty means the default, not an empty role.
    """
    environment.setenv("AURORA_RESTORE_SOURCE_ROLE_ARN", "")
    environment.setenv("AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS", "")
    environment.setenv("AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS", "")

    known = settings()

    assert known.source_role_arn is None
    assert known.allowed_target_clusters.pattern == ".*"
    assert known.allowed_target_accounts == []


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("STATE_TABLE", "ab", "state_table: String should have at least 3 characters"),
        ("TOPIC_ARN", "aurora", "topic_arn: malformed; it must match ^arn:aws[a-z-]*:sns:"),
        ("COPY_POLL__AT_LEAST", "0", "copy_poll.at_least: Input should be greater than 0"),
        ("DELETE_POLL__AT_LEAST", "11", "delete_poll: at_least: greater than at_most; exchange"),
        (
            "ALLOWED_TARGET_ACCOUNTS",
            "987654321098",
            "allowed_target_accounts: Input should be a valid list",
        ),
        (
            "ALLOWED_TARGET_ACCOUNTS",
            "a,b",
            'error parsing value for field "allowed_target_accounts"',
        ),
    ],
)
def test_malformed_setting_is_refused_in_one_line(
    environment: pytest.MonkeyPatch, name: str, text: str, line: str
) -> None:
    """
    A setting that cannot be read is named before anything is done.
    """
    environment.setenv(f"AURORA_RESTORE_{name}", text)

    told = refusal()

    assert told.startswith(f"environment: {line}")
    assert told.endswith("Set AURORA_RESTORE_<NAME> for each name above.")
    assert "\n" not in told


def test_lists_and_polls_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    """
    Lists are JSON, a poll's numbers have a variable each.
    """
    environment.setenv("AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS", '["987654321098"]')
    environment.setenv("AURORA_RESTORE_COPY_POLL__AT_LEAST", "0.5")
    environment.setenv("AURORA_RESTORE_COPY_POLL__AT_MOST", "60")
    environment.setenv("AURORA_RESTORE_COPY_POLL__GIVE_UP_AFTER", "60")

    known = settings()

    assert known.allowed_target_accounts == ["987654321098"]
    assert known.copy_poll == Poll(at_least=0.5, at_most=60, give_up_after=60)


@pytest.mark.parametrize("step", Step)
def test_every_step_has_a_pace(step: Step) -> None:
    """
    Each step is paced by one of the four polls; the copy may take longest.
    """
    known = settings()

    assert known.poll(step) in (
        known.copy_poll,
        known.delete_poll,
        known.restore_poll,
        known.database_poll,
    )
    assert known.poll(Step.CHECK_COPY_STATUS).give_up_after >= known.poll(step).give_up_after


@pytest.mark.parametrize(
    ("every", "give_up_after"), [(30, 43_200), (0.05, 2), (60, 1), (7, 900), (600, 601)]
)
def test_retries_outlast_the_deadline(every: float, give_up_after: float) -> None:
    """
    There are more looks than fit before the deadline: it is the deadline that ends a wait.
    """
    poll = Poll(at_least=every, at_most=every, give_up_after=give_up_after)

    assert poll.retries * poll.at_least > poll.give_up_after


@pytest.mark.parametrize(
    ("waited", "percent", "seconds"),
    [
        (0, None, 60),
        (600, None, 60),
        (600, 0, 60),
        (60, 50, 15),
        (30, 75, 10),
        (300, 25, 60),
        (3600, 95, 47),
        (600, 100, 60),
    ],
)
def test_next_look_comes_after_a_quarter_of_what_is_left(
    waited: float, percent: int | None, seconds: float
) -> None:
    """
    The rest is taken to go as what is done; without a percentage the look is as late as it may be.
    """
    poll = Poll(at_least=10, at_most=60)

    assert round(poll.look_again_in(waited, percent)) == seconds


@pytest.mark.parametrize("percent", [None, 0, 20, 80])
def test_waits_that_tell_no_time_have_a_fixed_pace(percent: int | None) -> None:
    """
    The parts of a restore that are ready say nothing of when the rest will be.
    """
    known = settings()

    paces = {
        known.poll(step).look_again_in(1800, percent)
        for step in Step
        if known.poll(step) is not known.copy_poll
    }
    assert paces == {10}


def test_settings_cannot_be_changed_afterwards() -> None:
    """
    Nothing in a run can widen what the platform team allows.
    """
    with pytest.raises(ValidationError, match="Instance is frozen"):
        settings().allowed_target_clusters = "prod.*"  # type: ignore[misc]


def test_longest_refresh_is_all_its_waits(environment: pytest.MonkeyPatch) -> None:
    """
    Copy, deletion, restore and database may each take until their limit.
    """
    assert settings().longest_refresh == timedelta(hours=19, minutes=15)
