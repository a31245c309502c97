"""The library: starts a sandbox as a child process, or joins a running one."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import boto3
from botocore.config import Config

from sandbox.environment import environment
from sandbox.faults import Fault
from sandbox.keys import admin_keys

READY_SECONDS = 60.0
END_SECONDS = 30.0  # half a second, but on a very busy machine
FOREIGN = ("AWS_", "PG", "MOTO_")  # what the caller's environment must not bring in


class SandboxError(Exception):
    """The sandbox could not do what was asked."""


class SandboxSession(boto3.Session):
    """A boto3 session whose clients talk to the sandbox."""

    def __init__(self, endpoint: str, account: str, region: str) -> None:
        key, secret = admin_keys(account)
        super().__init__(key, secret, region_name=region)
        self._endpoint = endpoint

    def client(self, *arguments: Any, **options: Any) -> Any:
        """Return a client; `endpoint_url` need not be given."""
        return super().client(*arguments, **self._here(options))

    def resource(self, *arguments: Any, **options: Any) -> Any:
        """Return a resource; `endpoint_url` need not be given."""
        return super().resource(*arguments, **self._here(options))

    def _here(self, options: dict[str, Any]) -> dict[str, Any]:
        config = Config(proxies={}).merge(options.get("config") or Config())
        return {"endpoint_url": self._endpoint} | options | {"config": config}


class Sandbox:
    """AWS on this machine. A context manager: entering starts it, leaving ends it."""

    def __init__(
        self, speed: float = 300, *, port: int = 0, lasting_sessions: bool = False
    ) -> None:
        """`speed`: AWS seconds per second here. `port`: of the API; 0 is a free one.

        `lasting_sessions`: credentials are not compressed; else nearly every call renews them.
        """
        self.facts: dict[str, Any] = {}
        self._arguments = ["--speed", str(speed), "--port", str(port)]
        self._arguments += ["--lasting-sessions"] if lasting_sessions else []
        self._child: subprocess.Popen[bytes] | None = None
        # Each costs a tenth of a second: AWS's models are read anew.
        self._sessions: dict[tuple[str, str], SandboxSession] = {}
        self._clients: dict[tuple[SandboxSession, str], Any] = {}
        self._opener = build_opener(ProxyHandler({}))

    @classmethod
    def attach(cls, url: str) -> Self:
        """Return the library for a sandbox that runs already; leaving it does not end that."""
        joined = cls()
        joined.facts = {"url": url}
        joined.facts = joined._ask("facts")
        return joined

    def __enter__(self) -> Self:
        if not self.facts:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the child process and return when the world is built.

        Raises:
            SandboxError: it ended or was not ready in time; with what it wrote to stderr.
        """
        environ = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
        here = [str(Path(__file__).resolve().parent.parent)]
        environ["PYTHONPATH"] = os.pathsep.join(
            here + list(filter(None, [environ.get("PYTHONPATH")]))
        )
        ready, ready_end = os.pipe()
        command = [sys.executable, "-m", "sandbox", *self._arguments, "--ready-fd", str(ready_end)]
        with tempfile.TemporaryFile() as errors:
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,  # it ends when this closes
                    stdout=errors,
                    stderr=errors,
                    pass_fds=[ready_end],
                    env=environ,
                    start_new_session=True,  # Ctrl-C is for this process, which ends the child
                )
            finally:
                os.close(ready_end)
            try:
                self.facts = json.loads(_read_line(ready))
            except (TimeoutError, ValueError) as problem:
                self.close()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise SandboxError(f"The sandbox did not start ({problem}):\n{said}") from None
            finally:
                os.close(ready)

    def close(self) -> None:
        """End the child process, if there is one. Safe to repeat."""
        child, self._child = self._child, None
        if child is None:
            return
        self.facts = {}
        self._sessions.clear()
        self._clients.clear()
        child.terminate()
        with suppress(BrokenPipeError):
            if child.stdin is not None:
                child.stdin.close()
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    @property
    def pid(self) -> int | None:
        """The child's process id; None for one that was joined."""
        return None if self._child is None else self._child.pid

    @property
    def url(self) -> str:
        """The endpoint."""
        return str(self.facts["url"])

    @property
    def env(self) -> dict[str, str]:
        """What a program's environment needs in order to run in the sandbox."""
        return environment(self.facts)

    def session(self, account: str = "target", region: str | None = None) -> SandboxSession:
        """Return an administrator's session; `account` is "target", "source" or any number."""
        number = str(self.facts.get(f"{account}_account", account))
        default = self.facts.get(f"{account}_region", self.facts["target_region"])
        place = (number, region or str(default))
        if place not in self._sessions:
            self._sessions[place] = SandboxSession(self.url, *place)
        return self._sessions[place]

    def client(self, service: str, account: str = "target", region: str | None = None) -> Any:
        """Return an administrator's client."""
        session = self.session(account, region)
        if (session, service) not in self._clients:
            self._clients[session, service] = session.client(service)
        return self._clients[session, service]

    def plant(self, failure: str | Fault, /, **options: Any) -> None:
        """Plant a failure, by name with options, or one described in full.

        Raises:
            SandboxError: there is no such failure or option.
        """
        if isinstance(failure, Fault):
            self._ask("plant", {"fault": failure.document()})
        else:
            self._ask("plant", {"name": failure, "options": options})

    def set_durations(self, **aws_seconds: float) -> None:
        """Let what RDS begins from now on last so long: `COPY=3600`; until `clear` or `reset`.

        The names are those of `sandbox/rds/durations.py`.

        Raises:
            SandboxError: there is no such duration, or one is not positive.
        """
        self._ask("durations", aws_seconds)

    def clear(self) -> None:
        """Take back all planted failures and changed durations."""
        self._ask("clear", {})

    def reset(self) -> None:
        """Make the world pristine again: nothing that happened since the start is left."""
        self._ask("reset", {})

    def advance(self, aws_seconds: float) -> None:
        """Move the clock ahead."""
        self._ask("advance", {"aws_seconds": aws_seconds})

    def events(self, kind: str | None = None, **facts: Any) -> list[dict[str, Any]]:
        """Return the event log, oldest first; only entries of this kind and with these facts."""
        wanted = facts | ({"kind": kind} if kind else {})
        return [
            event
            for event in self._ask("events")
            if all(event.get(name) == value for name, value in wanted.items())
        ]

    def messages(self) -> list[dict[str, Any]]:
        """Return what SNS has delivered: Subject, Message, MessageAttributes and so on."""
        found: list[dict[str, Any]] = self._ask("messages")
        return found

    def items(self, operation_id: str | None = None) -> list[dict[str, Any]]:
        """Return the table's items in plain Python, of one operation or of all."""
        query = "" if operation_id is None else f"?operation_id={operation_id}"
        found: list[dict[str, Any]] = self._ask(f"items{query}")
        return found

    def add_image(self, name: str, folder: str, environment: Mapping[str, str]) -> None:
        """Let a folder of this machine stand for a container image, until `reset`.

        `environment` is the image's own ENV; a task's command is looked for in its PATH.
        """
        self._ask("image", {"name": name, "folder": folder, "environment": dict(environment)})

    def tasks(self) -> list[dict[str, Any]]:
        """Return the ECS tasks in the order they were started: environment, log, how they end."""
        found: list[dict[str, Any]] = self._ask("tasks")
        return found

    def failures(self) -> dict[str, str]:
        """Return what can be planted by name: name and one line of what happens."""
        known: dict[str, str] = self._ask("failures")["known"]
        return known

    def planted(self) -> list[dict[str, Any]]:
        """Return the planted faults of API calls, each with how often it has struck."""
        found: list[dict[str, Any]] = self._ask("failures")["planted"]
        return found

    def _ask(self, what: str, wish: Mapping[str, Any] | None = None) -> Any:
        body = None if wish is None else json.dumps(wish).encode()
        request = Request(f"{self.url}/sandbox/{what}", body)  # noqa: S310  our own http
        try:
            with self._opener.open(request, timeout=60) as reply:
                return json.load(reply)
        except HTTPError as problem:
            raise SandboxError(json.load(problem)["problem"]) from None


def _read_line(pipe: int) -> bytes:
    """Return what comes before the first line break; an incomplete line if the pipe closes."""
    line, until = b"", time.monotonic() + READY_SECONDS
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError(f"not ready within {READY_SECONDS:g} s")
        part = os.read(pipe, 65536)
        if not part:
            raise ValueError("it ended")
        line += part
    return line
