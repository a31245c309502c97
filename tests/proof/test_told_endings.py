"""What a run depends on goes away, or the run itself does: each ending is told exactly once.

Whole runs in processes of their own. Afterwards the watchdog looks once more, and finds nothing
that is still to be told.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from processes import Runner, frozen, let_leases_run_out, record, told

from aurora_restore import takeover
from demo.stack import PrefectStack
from flows.watchdog import watch_operations
from sandbox import Sandbox
from sandbox.faults import Fault
from tests.flow.test_outages import relay, wait_for

pytestmark = pytest.mark.usefixtures("account")
PATIENT = {"AURORA_RESTORE_RECORDS_PATIENCE": "60"}
OUTAGE_SECONDS = 5.0  # longer than a lease lasts here
# An error that botocore does not ask again about by itself: whoever waits is the product.
UNASKED = {"code": "ExpiredTokenException", "status": 400}
NO_LEASE = Fault(
    "dynamodb",
    "TransactWriteItems",
    "InternalServerError",
    status=500,
    times=None,
    after_step="restore-snapshot",
)


def long(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.long)


def told_at_last(aws: Sandbox) -> list[str]:
    """Return what was announced, once the watchdog has had its chance, too."""
    let_leases_run_out()
    takeover.watch()
    return told(aws)


def meanwhile(
    run: Callable[[], dict[str, Any]], act: Callable[[Future[dict[str, Any]]], None]
) -> dict[str, Any]:
    """Do something while a run is at work; return the run's answer."""
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(run)
        act(answer)
        return answer.result(timeout=170)


def until_repaired(aws: Sandbox) -> Callable[[Future[dict[str, Any]]], None]:
    """Return what waits until the planted fault has struck, and clears it after a while."""

    def repair(answer: Future[dict[str, Any]]) -> None:
        while not aws.planted()[0]["struck"]:
            assert not answer.done()
            time.sleep(0.05)
        time.sleep(OUTAGE_SECONDS)
        aws.clear()

    return repair


# ── DynamoDB ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "step",
    [
        long("snapshot-check"),
        long("check-copy-status"),
        "delete-rds",
        long("check-restore-status"),
        long("setup-db-users"),
        long("send-notification"),
    ],
)
def test_run_waits_for_the_table(aws: Sandbox, runner: Runner, step: str) -> None:
    """
    DynamoDB is away for a while, longer than a lease lasts: the run waits and ends in success.
    """
    aws.plant("dynamodb-down", after_step=step, **UNASKED)

    run = meanwhile(lambda: runner.run(environment=PATIENT), until_repaired(aws))

    assert run["error"] is None
    assert record(aws, "op-001")["status"] == "SUCCESS"
    assert told_at_last(aws) == ["op-001-success"]


@pytest.mark.long
def test_run_waits_for_its_lease(aws: Sandbox, runner: Runner) -> None:
    """
    Only the lease cannot be written for a while: the run does nothing, then takes it to be its own.
    """
    aws.plant(NO_LEASE)

    run = meanwhile(lambda: runner.run(environment=PATIENT), until_repaired(aws))

    assert run["error"] is None
    assert told_at_last(aws) == ["op-001-success"]


@pytest.mark.long
def test_operation_goes_on_once_the_table_is_back(aws: Sandbox, runner: Runner) -> None:
    """
    DynamoDB stays away when the old cluster is deleted: the run fails, and says so without records;
    the same operation, run again after the outage, ends in success.
    """
    aws.plant("dynamodb-down", after_step="restore-snapshot")
    assert runner.run()["error"].startswith("RecordsUnavailable: ")
    assert told(aws) == ["op-001-failed"]
    aws.clear()

    assert runner.run()["error"] is None

    assert record(aws, "op-001")["status"] == "SUCCESS"
    assert told_at_last(aws) == ["op-001-failed", "op-001-success"]


@pytest.mark.long
def test_watchdog_finds_what_the_table_does_not_know(aws: Sandbox, runner: Runner) -> None:
    """
    After an outage that a run did not survive, its operation is found: what was told is recorded
    nowhere, so it counts as vanished, which is told once, too.
    """
    aws.plant("dynamodb-down", after_step="check-copy-status")
    runner.run()
    aws.clear()
    let_leases_run_out()

    [lost] = takeover.watch()

    assert lost.operation_id == "op-001"
    assert record(aws, "op-001")["status"] == "CRASHED"
    assert told_at_last(aws) == ["op-001-crashed", "op-001-failed"]


# ── SNS ──────────────────────────────────────────────────────────────────────


def the_watchdog(aws: Sandbox, runner: Runner, prefect: PrefectStack) -> list[str]:
    """Let the watchdog's flow look; return what else is to be told."""
    settings = {PREFECT_API_URL: f"{prefect.url}/api", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        assert watch_operations() == []
    return []


def the_next_run(aws: Sandbox, runner: Runner, prefect: PrefectStack) -> list[str]:
    """Let another operation refresh the target; return what else is to be told."""
    assert runner.run("op-002")["error"] is None
    return ["op-002-success"]


@pytest.mark.parametrize(
    "teller", [the_watchdog, long(the_next_run)], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("failure", [None, long("restore-refused")])
def test_ending_that_sns_refused_is_told_later(
    aws: Sandbox,
    runner: Runner,
    prefect: PrefectStack,
    failure: str | None,
    teller: Callable[..., list[str]],
) -> None:
    """
    SNS refuses until after the end: whoever looks next tells the success, or the failure.
    """
    ending = "SUCCESS" if failure is None else "FAILED"
    aws.plant("sns-refused")
    if failure is not None:
        aws.plant(failure)
    assert runner.run()["error"] is not None
    assert told(aws) == []
    aws.clear()

    more = teller(aws, runner, prefect)

    assert record(aws, "op-001")["status"] == ending
    assert told(aws) == [f"op-001-{ending.lower()}", *more]
    assert told_at_last(aws) == [f"op-001-{ending.lower()}", *more]


# ── Prefect's API ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("failure", [long(None), long("restore-refused")])
def test_end_without_prefect_is_told(
    aws: Sandbox, runner: Runner, prefect: PrefectStack, failure: str | None
) -> None:
    """
    Prefect's API goes away in the middle for ever: the run ends as it would have, and says so.
    """
    ending = "SUCCESS" if failure is None else "FAILED"
    if failure is not None:
        aws.plant(failure)

    with relay(prefect.port) as (url, cut):

        def end_prefect(_: object) -> None:
            wait_for(aws, "delete-rds")
            cut()

        run = meanwhile(lambda: runner.run(api_url=url, api_retries=1), end_prefect)

    assert run["error"] is not None
    assert record(aws, "op-001")["status"] == ending
    assert told_at_last(aws) == [f"op-001-{ending.lower()}"]


@pytest.mark.long
def test_run_waits_for_prefect(aws: Sandbox, runner: Runner, prefect: PrefectStack) -> None:
    """
    Prefect's API is away for a while: its client asks again, and the run ends in success.
    """
    with relay(prefect.port) as (url, cut):
        port = int(url.rpartition(":")[2].partition("/")[0])
        back = threading.Event()

        def restart_prefect(answer: Future[dict[str, Any]]) -> None:
            wait_for(aws, "delete-rds")
            cut()
            time.sleep(OUTAGE_SECONDS)
            with relay(prefect.port, port):
                back.set()
                answer.result(timeout=170)

        run = meanwhile(lambda: runner.run(api_url=url), restart_prefect)

    assert back.is_set()
    assert run["error"] is None
    assert told_at_last(aws) == ["op-001-success"]


# ── the run itself ───────────────────────────────────────────────────────────

DELETING = "Action=CreateDBClusterSnapshot"
BEFORE_TELLING = '"next_command"'


def killed(aws: Sandbox, runner: Runner, after: str) -> None:
    """Run the flow until after a request that contains this text; nothing of it is left then."""
    with frozen(aws, runner, after) as run:
        run.kill()


@pytest.mark.long
def test_next_operation_tells_of_a_killed_one(aws: Sandbox, runner: Runner) -> None:
    """
    Killed, and the target refreshed by another operation: CRASHED is told once, and SUCCESS once.
    """
    killed(aws, runner, DELETING)

    assert runner.run("op-002")["error"] is None

    error = record(aws, "op-001", "delete-rds")["details"]["error"]
    assert error["type"] == "RunLost"
    assert told_at_last(aws) == ["op-001-crashed", "op-002-success"]


@pytest.mark.long
def test_killed_operation_is_told_and_then_resumed(aws: Sandbox, runner: Runner) -> None:
    """
    Killed, found by the watchdog, resumed: CRASHED is told once, and SUCCESS once.
    """
    killed(aws, runner, DELETING)
    let_leases_run_out()
    takeover.watch()
    assert told(aws) == ["op-001-crashed"]

    assert runner.run()["error"] is None

    assert told_at_last(aws) == ["op-001-crashed", "op-001-success"]


@pytest.mark.parametrize("teller", [long(the_watchdog), long(the_next_run)])
def test_run_killed_before_it_told_its_success(
    aws: Sandbox, runner: Runner, prefect: PrefectStack, teller: Callable[..., list[str]]
) -> None:
    """
    Killed when its announcement was noted and not sent: whoever looks next sends it, once.
    """
    killed(aws, runner, BEFORE_TELLING)
    let_leases_run_out()

    more = teller(aws, runner, prefect)

    assert record(aws, "op-001")["status"] == "SUCCESS"
    assert told_at_last(aws) == ["op-001-success", *more]
