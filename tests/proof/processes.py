"""Starts `tests.proof.runner` and talks to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from runner import is_change

from demo.facts import request, safe_data, settings
from demo.stack import PrefectStack
from sandbox import Sandbox
from tests.flow.conftest import POLLS, QUICK

REPOSITORY = Path(__file__).resolve().parents[2]
LEASE_SECONDS = float(QUICK["AURORA_RESTORE_LEASE_SECONDS"])
_FOREIGN = ("AWS_", "PG", "AURORA_RESTORE_")


class Runner:
    """Runs of the flow in processes of their own, on one sandbox."""

    def __init__(self, aws: Sandbox, prefect: PrefectStack) -> None:
        self.aws = aws
        self._environment = settings(aws) | POLLS | QUICK
        self._api_url = f"{prefect.url}/api"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.runner"],
            cwd=REPOSITORY,
            env={name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
            | {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PYTHONPATH": "tests"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # A frozen run would draw a hang-up to its process group when the shell of that ends.
            start_new_session=True,
        )
        self._tell(dict(aws.facts) | {"environment": self._environment})

    def run(
        self,
        operation_id: str = "op-001",
        *,
        dies_at: int | None = None,
        dies_after: int | None = None,
        stops_after: str | None = None,
        environment: dict[str, str] | None = None,
        api_url: str | None = None,
        api_retries: int = 5,
        **wishes: Any,
    ) -> dict[str, Any]:
        """Run the flow to its end or its death; return its exit code, error, points, changes.

        Does not return while the run is frozen. `environment` changes the settings of this run;
        `api_url` is of Prefect's API, which is asked again so often.
        """
        self._tell(
            {
                "environment": self._environment | (environment or {}),
                "api_url": api_url or self._api_url,
                "api_retries": api_retries,
                "request": request(self.aws, operation_id=operation_id, **safe_data() | wishes),
                "dies_at": dies_at,
                "dies_after": dies_after,
                "stops_after": stops_after,
            }
        )
        if self._process.stdout is None:
            raise AssertionError("it has no standard output")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def wait_until_frozen(self, seconds: float = 120) -> psutil.Process:
        """Return the process of the run, once it has frozen itself.

        Raises:
            TimeoutError: it has not, in so many seconds.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for child in psutil.Process(self._process.pid).children():
                if child.status() == psutil.STATUS_STOPPED:
                    return child
            time.sleep(0.02)
        raise TimeoutError("the run has not frozen itself")

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def _tell(self, document: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise AssertionError("it has no standard input")
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()


class Frozen:
    """A run that has frozen itself in the middle."""

    def __init__(self, aws: Sandbox, runner: Runner, answer: Future[dict[str, Any]]) -> None:
        self._aws, self._answer = aws, answer
        self._process = runner.wait_until_frozen()
        self.says: dict[str, Any] = {}

    def wake(self) -> list[str]:
        """Let it go on to its end; return what is changed meanwhile."""
        before = len(self._aws.events())
        self._process.send_signal(signal.SIGCONT)
        self.says = self._answer.result(timeout=120)
        calls = [
            f"{each['service']} {each['operation']}"
            for each in self._aws.events()[before:]
            if each["kind"] == "call" and each["result"] == "ok"
        ]
        return [each for each in calls if is_change(each)]

    def kill(self) -> None:
        """End it as the end of its machine does. Safe to repeat."""
        if not self._answer.done():
            self._process.kill()
            self._answer.result(timeout=30)


@contextmanager
def frozen(aws: Sandbox, runner: Runner, after: str, **wishes: Any) -> Iterator[Frozen]:
    """Give a run that has frozen itself after a request that contains `after`; it does not last."""
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(runner.run, stops_after=after, **wishes)
        sleeper = Frozen(aws, runner, answer)
        try:
            yield sleeper
        finally:
            sleeper.kill()


def let_leases_run_out() -> None:
    """Return once nobody holds a lease who does not renew it."""
    time.sleep(LEASE_SECONDS + 0.5)


def told(aws: Sandbox) -> list[str]:
    """Return what was announced: operation and ending, in the alphabet's order."""
    return sorted(json.loads(each["Message"])["id"] for each in aws.messages())


def record(aws: Sandbox, operation_id: str, step: str = "operation") -> dict[str, Any]:
    """Return one record."""
    return next(each for each in aws.items(operation_id) if each["step"] == step)
