"""Runs by the road of a user: deployment, work pool, worker, a process of their own."""

import json
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from aurora_restore.details import Step, steps_of
from demo.facts import request
from demo.footprint import Footprint
from demo.stack import REPOSITORY, PrefectStack, prefect_command
from sandbox import Sandbox

PATIENCE_SECONDS = 90


def test_a_deployed_run_succeeds_within_its_size(
    aws: Sandbox, worker: PrefectStack, operation: str
):
    """
    `prefect deployment run --watch` ends with 0 and nine records; the run's processes together
    stay below 300 MiB.
    """
    footprint = Footprint(worker.worker_pid)

    ended = start(aws, worker, operation).wait(timeout=PATIENCE_SECONDS)

    footprint.stop()
    assert ended == 0
    assert statuses(aws, operation) == {step.value: "SUCCESS" for step in steps_of("delete-first")}
    assert 50 < footprint.peak_mib < 300


def test_the_cron_deployment_is_registered_and_paused(worker: PrefectStack):
    """
    The nightly deployment has its schedule, which waits for somebody to switch it on.
    """
    nightly = worker.ask("GET", "deployments/name/restore-aurora-cluster/nightly").json()

    [schedule] = nightly["schedules"]
    assert schedule["active"] is False
    assert schedule["schedule"]["cron"] == "30 1 * * *"
    assert nightly["parameters"]["request"]["target_cluster_id"] == "staging"


def test_a_killed_run_is_announced_as_crashed(aws: Sandbox, worker: PrefectStack, operation: str):
    """
    The process is killed with -9 in the middle of the copy: the worker's hook records and tells.
    """
    aws.plant("copy-stuck")
    start(aws, worker, operation)
    wait_until(lambda: Step.CHECK_COPY_STATUS in statuses(aws, operation))

    [engine] = [
        child
        for child in psutil.Process(worker.worker_pid).children(recursive=True)
        if not child.children()
    ]
    engine.send_signal(signal.SIGKILL)

    message = announced(aws, operation)
    assert message["metadata"]["additionalContext"]["result"] == "CRASHED"
    assert message["metadata"]["additionalContext"]["step"] == Step.CHECK_COPY_STATUS
    assert statuses(aws, operation)[Step.CHECK_COPY_STATUS] == "FAILED"
    assert head(aws, operation)["status"] == "CRASHED"


def test_a_cancelled_run_is_announced_as_cancelled(
    aws: Sandbox, worker: PrefectStack, operation: str
):
    """
    A run that somebody cancels in the UI ends within seconds; the hook records and tells.
    """
    aws.plant("copy-stuck")
    start(aws, worker, operation)
    wait_until(lambda: Step.CHECK_COPY_STATUS in statuses(aws, operation))
    [run] = worker.ask(
        "POST",
        "flow_runs/filter",
        json={
            "flow_runs": {
                "state": {"type": {"any_": ["RUNNING"]}},
                "deployment_id": {"is_null_": False},
            },
            "sort": "START_TIME_DESC",
            "limit": 1,
        },
    ).json()

    worker.prefect("flow-run", "cancel", run["id"])

    message = announced(aws, operation)
    assert message["metadata"]["additionalContext"]["result"] == "CANCELLED"
    assert head(aws, operation)["status"] == "CANCELLED"
    assert statuses(aws, operation)[Step.CHECK_COPY_STATUS] == "FAILED"


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"snapshotid": "x"}, "snapshotid"),
        ({"target_cluster_id": "-bad-"}, "target_cluster_id"),
    ],
)
def test_an_invalid_request_is_refused_where_it_is_typed(
    aws: Sandbox, worker: PrefectStack, operation: str, wishes: dict[str, Any], words: str
):
    """
    The command line names the field and ends non-zero, and no run is made.
    """
    done = subprocess.run(  # noqa: S603
        command(aws, operation, **wishes),
        env=worker.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert statuses(aws, operation) == {}


def test_a_run_imports_nothing_of_the_sandbox_or_of_other_entry_points():
    """
    What a flow run loads is the product and what it uses.
    """
    code = "import sys, flows.restore; print(*sorted(m.split('.')[0] for m in sys.modules))"

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert {"flows", "tasks", "aurora_restore", "boto3", "psycopg2"} <= loaded
    assert not loaded & {"sandbox", "demo", "deployments", "moto", "prefect_aws", "pytest"}


def command(aws: Sandbox, operation: str, **wishes: Any) -> list[str]:
    wish = request(aws, operation_id=operation, **wishes)
    return [
        *prefect_command("deployment", "run", "restore-aurora-cluster/refresh", "--watch"),
        "--param",
        f"request={json.dumps(wish)}",
    ]


def start(aws: Sandbox, worker: PrefectStack, operation: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603
        command(aws, operation),
        env=worker.environment,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def statuses(aws: Sandbox, operation: str) -> dict[str, str]:
    items = {item["step"]: item["status"] for item in aws.items(operation)}
    return {step.value: items[step] for step in Step if step in items}


def head(aws: Sandbox, operation: str) -> dict[str, Any]:
    return next(item for item in aws.items(operation) if item["step"] == "operation")


def told(aws: Sandbox, operation: str) -> list[dict[str, Any]]:
    """Return what was announced of an operation; the worker may still tell of an earlier test's."""
    bodies = [json.loads(message["Message"]) for message in aws.messages()]
    return [body for body in bodies if body["metadata"]["threadId"] == operation]


def announced(aws: Sandbox, operation: str) -> dict[str, Any]:
    wait_until(lambda: told(aws, operation))
    [body] = told(aws, operation)
    return body


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.2)
