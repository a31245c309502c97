"""A run that outlasts its credentials."""

from collections.abc import Iterator

import pytest

from sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One whose credentials end by its compressed clock."""
    with Sandbox(speed=3000) as started:
        yield started


@pytest.mark.long
def test_a_wait_longer_than_the_credentials_last_succeeds(
    refresh, aws: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """
    The copy waits for the quota for more than six hours of AWS time; the source role's session
    ends after one hour, the task role's after six, and each refreshes by itself.
    """
    monkeypatch.setenv("AURORA_RESTORE_COPY_POLL__GIVE_UP_AFTER", "100")
    aws.plant("copies-in-flight", times=60)

    run = refresh()

    asked = [
        event["aws_seconds"]
        for event in run.events
        if event.get("operation") == "CopyDBClusterSnapshot"
    ]
    assert run.error is None
    assert asked[-1] - asked[0] > 6 * 3600
