"""A run that is told to stop, or killed with all its processes, and what goes on with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
from test_worker import announced, head, statuses, told, wait_until

from aurora_restore import takeover
from aurora_restore.details import Step, steps_of
from demo.facts import request
from demo.stack import REPOSITORY, PrefectStack, prefect_command
from flows.watchdog import watch_operations
from sandbox import Sandbox

BY_HAND = "by-hand"


@pytest.fixture(autouse=True)
def _no_run_is_left() -> Iterator[None]:
    """No run outlives its test, however that ends."""
    yield
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "execute" in each.cmdline() or "prefect.engine" in each.cmdline():
                each.kill()


@pytest.fixture
def held_up(aws: Sandbox) -> Sandbox:
    """A sandbox in which a run waits in copy-snapshot until that is cleared."""
    aws.plant("copies-in-flight", times=None)
    return aws


@pytest.fixture
def queue(worker: PrefectStack) -> Any:
    """A queue that the worker looks at only once it is resumed; returns what does that."""
    pool = "work_pools/aurora-restore/queues"
    known = worker.ask("POST", f"{pool}/filter", json={}).json()
    if BY_HAND not in [each["name"] for each in known]:
        worker.ask("POST", pool, json={"name": BY_HAND})
    worker.ask("PATCH", f"{pool}/{BY_HAND}", json={"is_paused": True})
    return lambda: worker.ask("PATCH", f"{pool}/{BY_HAND}", json={"is_paused": False})


def scheduled(aws: Sandbox, worker: PrefectStack, name: str) -> str:
    """Make a flow run of the deployment that the worker does not take up; return its id."""
    deployment = worker.ask("GET", "deployments/name/restore-aurora-cluster/refresh").json()
    made = worker.ask(
        "POST",
        f"deployments/{deployment['id']}/create_flow_run",
        json={
            "parameters": {"request": request(aws, operation_id=name)},
            "work_queue_name": BY_HAND,
            "state": {"type": "SCHEDULED"},
        },
    )
    return str(made.json()["id"])


def executed(aws: Sandbox, worker: PrefectStack, name: str) -> "subprocess.Popen[bytes]":
    """Run it as ECS does, in a process of its own, up to where it is held up."""
    run = subprocess.Popen(  # noqa: S603
        prefect_command("flow-run", "execute", scheduled(aws, worker, name)),
        env=worker.environment | {"PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "reschedule"},
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: Step.COPY_SNAPSHOT in statuses(aws, name))
    return run


@pytest.mark.long
def test_stopped_run_is_resumed_by_prefect_itself(
    held_up: Sandbox, worker: PrefectStack, operation: str, queue: Any
) -> None:
    """
    On SIGTERM the run leaves its operation to be resumed, and tells nobody, since it has not
    ended; the worker starts it again, and it goes on where it was.
    """
    run = executed(held_up, worker, operation)

    run.send_signal(signal.SIGTERM)

    assert run.wait(timeout=60) == 0
    assert head(held_up, operation)["status"] == "INTERRUPTED"
    assert statuses(held_up, operation)[Step.COPY_SNAPSHOT] == "IN_PROGRESS"
    assert told(held_up, operation) == []
    held_up.clear()
    queue()
    assert announced(held_up, operation)["metadata"]["additionalContext"]["result"] == "SUCCESS"
    wait_until(lambda: head(held_up, operation)["status"] == "SUCCESS")
    assert [each["status"] for each in head(held_up, operation)["history"]] == [
        "IN_PROGRESS",
        "INTERRUPTED",
        "IN_PROGRESS",
        "SUCCESS",
    ]


def killed(aws: Sandbox, worker: PrefectStack, operation: str) -> None:
    """Start a run, and kill all its processes while it waits in copy-snapshot.

    It has no worker above it that could tell its end.
    """
    run = executed(aws, worker, operation)
    processes = [*psutil.Process(run.pid).children(recursive=True), psutil.Process(run.pid)]
    # Stopped first, or one of them would tell the end of the other.
    for each in processes:
        each.suspend()
    for each in processes:
        each.kill()
    run.wait(timeout=10)


def copies(aws: Sandbox) -> list[str]:
    """The copies that were made."""
    calls = aws.events(kind="call", operation="CopyDBClusterSnapshot", result="ok")
    return [each["parameters"]["TargetDBClusterSnapshotIdentifier"] for each in calls]


def test_killed_run_is_resumed_by_command(
    held_up: Sandbox, worker: PrefectStack, operation: str, queue: Any
) -> None:
    """
    `kill -9` of everything, then `aurora-restore resume`: the operation ends in success, with one
    copy and one announcement.
    """
    killed(held_up, worker, operation)
    held_up.clear()

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "aurora_restore", "resume", operation, "--watch"],
        env=worker.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(held_up, operation) == {
        step.value: "SUCCESS" for step in steps_of("delete-first")
    }
    assert len(copies(held_up)) == 1
    assert announced(held_up, operation)["metadata"]["additionalContext"]["result"] == "SUCCESS"


@pytest.mark.long
def test_vanished_run_is_told_and_started_again_by_the_watchdog(
    held_up: Sandbox,
    account: None,
    worker: PrefectStack,
    operation: str,
    queue: Any,
) -> None:
    """
    Nothing is left that could call a hook: the watchdog finds the lease that ran out, tells, and
    starts the deployment again, once however often it looks.
    """
    killed(held_up, worker, operation)
    wait_until(lambda: takeover.watch() != [])
    held_up.clear()

    with pointed_at(worker):
        again = [watch_operations() for _ in range(2)]

    assert again[0] == [operation]
    wait_until(lambda: head(held_up, operation)["status"] == "SUCCESS")
    contexts = [each["metadata"]["additionalContext"] for each in told(held_up, operation)]
    assert [each["result"] for each in contexts] == ["CRASHED", "SUCCESS"]
    assert len(copies(held_up)) == 1
    wait_until(lambda: takeover.watch() == [])


def pointed_at(worker: PrefectStack) -> Any:
    """Let flows of this process talk to the worker's server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_ENABLED", "false")
    return temporary_settings({PREFECT_API_URL: f"{worker.url}/api"})
