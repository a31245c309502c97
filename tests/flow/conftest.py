"""Whole runs: the real flow, a real Prefect server, the sandbox. One server for all tests."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import clients
import psutil
import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from safety import unsafe_moments

from aurora_restore import endings
from aurora_restore import settings as settings_module
from aurora_restore.details import steps_of
from demo.facts import deployment_values, request, settings
from demo.stack import PrefectStack
from flows.restore import restore_aurora_cluster
from sandbox import Sandbox
from tests.flow.image_steps import Image, build

POLLS = {
    f"AURORA_RESTORE_{wait}_POLL__{name}": value
    for wait in ("COPY", "DELETE", "RESTORE", "DATABASE")
    for name, value in (("AT_LEAST", "0.05"), ("AT_MOST", "0.05"), ("GIVE_UP_AFTER", "20"))
}

QUICK = {
    "AURORA_RESTORE_LEASE_SECONDS": "3",
    "AURORA_RESTORE_LOST_AFTER": "0",
    "AURORA_RESTORE_RECORDS_PATIENCE": "0",
}


RUN_HERE = {
    PREFECT_LOGGING_TO_API_ENABLED: False,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # its thread sleeps a second before it ends
}


@pytest.fixture(scope="session")
def sandbox(quick_sandbox: Sandbox) -> Sandbox:
    """The quick one: these are whole runs."""
    return quick_sandbox


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image's own Python and code: the Dockerfile's steps in a folder, and its ENV.

    The workers of a run share it.
    """
    temporary = tmp_path_factory.getbasetemp()
    return build((temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary) / "image")


@pytest.fixture
def account(aws: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a flow run of the target account: environment, credentials, settings."""
    for name in [each for each in os.environ if each.startswith(("AWS_", "AURORA_RESTORE_"))]:
        monkeypatch.delenv(name)
    for name, value in (settings(aws) | POLLS | QUICK).items():
        monkeypatch.setenv(name, value)
    forget()
    clients.are_of(aws.url)
    yield
    forget()


def forget() -> None:
    """Make the process know nothing of an earlier run.

    But for its clients: they talk to the same sandbox, and making them takes a second or two.
    """
    settings_module.settings.cache_clear()
    endings._sent.clear()


@dataclass
class Run:
    """What a run has left: its error, the records by step, the messages, the calls."""

    error: BaseException | None
    items: dict[str, dict[str, Any]]
    messages: list[dict[str, Any]]
    events: list[dict[str, Any]]

    def statuses(self) -> dict[str, str]:
        """The status of each step of the refresh that has a record, in order."""
        request = json.loads(self.items["operation"].get("details", {}).get("request", "{}"))
        order = steps_of(request.get("replace", ""))
        return {step.value: self.items[step]["status"] for step in order if step in self.items}

    def context(self) -> dict[str, str]:
        """What the one message says to machines."""
        [message] = self.messages
        return json.loads(message["Message"])["metadata"]["additionalContext"]

    def changes(self) -> list[str]:
        """The RDS operations that change something, in the order of their calls."""
        return [
            event["operation"]
            for event in self.events
            if event["kind"] == "call"
            and event["service"] == "rds"
            and event["result"] == "ok"
            and not event["operation"].startswith(("Describe", "List"))
        ]


@pytest.fixture
def refresh(aws: Sandbox, account: None, prefect: PrefectStack) -> Callable[..., Run]:
    """Run the flow to its end, whatever that is; wishes change the request."""

    def run(
        operation_id: str = "op-001", api_url: str = f"{prefect.url}/api", **wishes: Any
    ) -> Run:
        error = None
        with temporary_settings(RUN_HERE | {PREFECT_API_URL: api_url}):
            try:
                restore_aurora_cluster(request(aws, operation_id=operation_id, **wishes))
            except Exception as failed:  # noqa: BLE001 - the test looks at it
                error = failed
        if wishes.get("final_snapshot", True):
            assert unsafe_moments(aws.events(), aws.facts["target_account"]) == []
        return Run(
            error,
            {item["step"]: item for item in aws.items(operation_id)},
            aws.messages(),
            aws.events(),
        )

    return run


@pytest.fixture
def during() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Do something from another thread while the flow runs; an error there fails the test."""
    threads: list[threading.Thread] = []
    errors: list[BaseException] = []

    def start(act: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - reported below
                errors.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        threads.append(thread)

    yield start
    for thread in threads:
        thread.join(timeout=60)
    assert not errors, errors


@pytest.fixture(scope="session")
def worker(sandbox: Sandbox, prefect: PrefectStack) -> PrefectStack:
    """The Prefect server with a worker, and the deployments of prefect.yaml."""
    prefect.environment |= settings(sandbox) | QUICK | deployment_values(sandbox)
    prefect.start_worker()
    prefect.deploy()
    return prefect


@pytest.fixture
def operation(worker: PrefectStack) -> Iterator[str]:
    """The name of an operation of this test alone; its run does not outlive the test."""
    yield f"op-{uuid4()}"
    runs = psutil.Process(worker.worker_pid).children(recursive=True)
    for run in runs:
        with suppress(psutil.NoSuchProcess):
            run.kill()
    psutil.wait_procs(runs, timeout=10)
