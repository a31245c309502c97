"""Runs by the road of a user: deployment, work pool, worker, a process of their own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from aurora_restore.details import Step
from demo.facts import deployment_values, request, settings
from demo.footprint import Footprint
from demo.stack import REPOSITORY, PrefectStack, prefect_command
from sandbox import Sandbox

PATIENCE_SECONDS = 90


@pytest.fixture(scope="module")
def worker(sandbox: Sandbox, prefect: PrefectStack) -> Iterator[PrefectStack]:
    """The Prefect server with a worker, and the deployments of prefect.yaml."""
    prefect.environment |= settings(sandbox) | deployment_values(sandbox)
    prefect.start_worker()
    prefect.deploy()
    return prefect


def test_a_deployed_run_succeeds_within_its_size(aws: Sandbox, worker: PrefectStack):
    """
    `prefect deployment run --watch` ends with 0 and nine records; the run's processes together
    stay below 300 MiB.
    """
    footprint = Footprint(worker.worker_pid)

    ended = start(aws, worker).wait(timeout=PATIENCE_SECONDS)

    footprint.stop()
    assert ended == 0
    assert statuses(aws) == {step.value: "SUCCESS" for step in Step}
    assert 50 < footprint.peak_mib < 300


def test_the_cron_deployment_is_registered_and_paused(worker: PrefectStack):
    """
    The nightly deployment has its schedule, which waits for somebody to switch it on.
    """
    nightly = httpx.get(f"{worker.url}/api/deployments/name/restore-aurora-cluster/nightly").json()

    [schedule] = nightly["schedules"]
    assert schedule["active"] is False
    assert schedule["schedule"]["cron"] == "30 1 * * *"
    assert nightly["parameters"]["request"]["target_cluster_id"] == "staging"


def test_a_killed_run_is_announced_as_crashed(aws: Sandbox, worker: PrefectStack):
    """
    The process is killed with -9 in the middle of the copy: the worker's hook records and tells.
    """
    aws.plant("copy-stuck")
    start(aws, worker)
    wait_until(lambda: Step.CHECK_COPY_STATUS in statuses(aws))

    [engine] = [
        child
        for child in psutil.Process(worker.worker_pid).children(recursive=True)
        if not child.children()
    ]
    engine.send_signal(signal.SIGKILL)

    message = announced(aws)
    assert message["metadata"]["additionalContext"]["result"] == "CRASHED"
    assert message["metadata"]["additionalContext"]["step"] == Step.CHECK_COPY_STATUS
    assert statuses(aws)[Step.CHECK_COPY_STATUS] == "FAILED"
    assert head(aws)["status"] == "CRASHED"


def test_a_cancelled_run_is_announced_as_cancelled(aws: Sandbox, worker: PrefectStack):
    """
    A run that somebody cancels in the UI ends within seconds; the hook records and tells.
    """
    aws.plant("copy-stuck")
    start(aws, worker)
    wait_until(lambda: Step.CHECK_COPY_STATUS in statuses(aws))
    [run] = httpx.post(
        f"{worker.url}/api/flow_runs/filter",
        json={"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}, "limit": 1},
    ).json()

    worker.prefect("flow-run", "cancel", run["id"])

    message = announced(aws)
    assert message["metadata"]["additionalContext"]["result"] == "CANCELLED"
    assert head(aws)["status"] == "CANCELLED"
    assert statuses(aws)[Step.CHECK_COPY_STATUS] == "FAILED"


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"snapshotid": "x"}, "snapshotid"),
        ({"target_cluster_id": "-bad-"}, "target_cluster_id"),
    ],
)
def test_an_invalid_request_is_refused_where_it_is_typed(
    aws: Sandbox, worker: PrefectStack, wishes: dict[str, Any], words: str
):
    """
    The command line names the field and ends non-zero, and no run is made.
    """
    done = subprocess.run(  # noqa: S603
        command(aws, **wishes),
        env=worker.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert statuses(aws) == {}


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


def command(aws: Sandbox, **wishes: Any) -> list[str]:
    wish = request(aws, operation_id="op-001", **wishes)
    return [
        *prefect_command("deployment", "run", "restore-aurora-cluster/refresh", "--watch"),
        "--param",
        f"request={json.dumps(wish)}",
    ]


def start(aws: Sandbox, worker: PrefectStack) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603
        command(aws),
        env=worker.environment,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def statuses(aws: Sandbox) -> dict[str, str]:
    items = {item["step"]: item["status"] for item in aws.items("op-001")}
    return {step.value: items[step] for step in Step if step in items}


def head(aws: Sandbox) -> dict[str, Any]:
    return next(item for item in aws.items("op-001") if item["step"] == "operation")


def announced(aws: Sandbox) -> dict[str, Any]:
    wait_until(aws.messages)
    [message] = aws.messages()
    return json.loads(message["Message"])


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.2)
