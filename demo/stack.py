"""A Prefect server with its UI, a process work pool and a worker: real ones, on this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

REPOSITORY = Path(__file__).resolve().parent.parent
WORK_POOL = "aurora-restore"
START_TIMEOUT_SECONDS = 120
BUSY_TRIES = 30


class PrefectStack:
    """Prefect on this machine, listening on 127.0.0.1 only; gone when the block ends.

    `environment` is what flow runs see beside this process's own variables.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="aurora-restore-prefect-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = self._own_environment() | dict(environment)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def start_server(self) -> None:
        """Start the server; `wait_until_ready` tells when it answers."""
        self._start("server", "start", "--host", "127.0.0.1", "--port", str(self.port))

    def wait_until_ready(self) -> None:
        """Return once the server answers.

        Raises:
            RuntimeError: it has ended, or does not answer for two minutes.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self._processes):
                break
            try:
                if httpx.get(f"{self.url}/api/health", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise RuntimeError("the Prefect server did not start:\n" + self.log("server")[-2000:])

    def start_worker(self) -> None:
        """Make the process work pool, and start a worker that takes its runs up at once."""
        self.prefect("work-pool", "create", WORK_POOL, "--type", "process", "--overwrite")
        self._start("worker", "start", "--pool", WORK_POOL, "--name", "sandbox")

    def deploy(self) -> None:
        """Register every deployment of prefect.yaml; those with a schedule stay paused."""
        self.prefect("--no-prompt", "deploy", "--all")
        for deployment in ("restore-aurora-cluster/nightly", "watch-operations/watchdog"):
            for schedule in self.active_schedules(deployment):
                self.prefect("deployment", "schedule", "pause", deployment, schedule)

    def active_schedules(self, deployment: str) -> list[str]:
        """Return the ids of a deployment's schedules that are not paused."""
        schedules = self.ask("GET", f"deployments/name/{deployment}").json()["schedules"]
        return [schedule["id"] for schedule in schedules if schedule["active"]]

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Return what the server's API answers, asked again while its database is busy (503).

        Raises:
            httpx.HTTPStatusError: another error, or one that does not pass.
        """
        for _ in range(BUSY_TRIES):
            answer = httpx.request(method, f"{self.url}/api/{path}", timeout=30, **more)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        return answer.raise_for_status()

    def prefect(self, *arguments: str) -> str:
        """Run Prefect's command line; return what it printed.

        Raises:
            RuntimeError: it failed; holds what it said.
        """
        done = subprocess.run(  # noqa: S603
            prefect_command(*arguments),
            env=self.environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-1500:]
            raise RuntimeError(f"prefect {' '.join(arguments)} failed:\n{said}")
        return done.stdout

    def log(self, name: str) -> str:
        """Return what the server or the worker printed."""
        file = self.home / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def worker_pid(self) -> int:
        """The worker's process id; its descendants are the flow runs."""
        return self._processes[-1].pid

    def close(self) -> None:
        """End every process and remove every file."""
        _end(self._processes)
        self._processes.clear()
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self, name: str, *arguments: str) -> None:
        self._spawn(name, prefect_command(name, *arguments))

    def _spawn(self, name: str, command: Sequence[str]) -> None:
        with (self.home / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(  # noqa: S603
                    command,
                    env=self.environment,
                    cwd=REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _own_environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not _is_foreign(name)}
        return inherited | {
            "PREFECT_HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_CLI_COLORS": "false",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "aurora_restore",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "AURORA_RESTORE_WORK_POOL": WORK_POOL,
            "AURORA_RESTORE_CODE": str(REPOSITORY),
            "ECS_TASK_CPU": "256",  # a process pool has no use for these two
            "ECS_TASK_MEMORY": "512",
        }


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prefect_command(*arguments: str) -> Sequence[str]:
    """Return the command line of the Prefect that this Python has."""
    return [sys.executable, "-m", "prefect", *arguments]


def _is_foreign(variable: str) -> bool:
    """What would lead Prefect or AWS away from this machine."""
    return variable.startswith(("PREFECT_", "AWS_ACCESS", "AWS_SECRET", "AWS_SESSION", "AWS_PROF"))


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End processes and whatever they have started, together: first asked, then forced."""
    for ending, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, ending)
        deadline = time.monotonic() + patience
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
