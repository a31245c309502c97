"""What the RDS of the sandbox works with: the clock, the log, PostgreSQL and its worker.

Resources keep plain data only, so that the emulator's state can be copied; whatever cannot be
copied lives here, once per process.
"""

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Protocol

from sandbox.clock import Clock
from sandbox.events import EventLog


class Postgres(Protocol):
    """The PostgreSQL side of a cluster: servers and copies of their data, by key."""

    @property
    def versions(self) -> Mapping[str, Path]: ...

    def version(self, major: str) -> str: ...

    def create(
        self,
        key: str,
        *,
        master_username: str,
        master_password: str,
        database: str | None,
        major: str = "16",
    ) -> None: ...

    def start(self, key: str) -> None: ...

    def stop(self, key: str) -> None: ...

    def route(self, key: str, hostnames: Sequence[str]) -> None: ...

    def snapshot(self, key: str, snapshot_key: str) -> None: ...

    def copy_snapshot(self, source_key: str, target_key: str) -> None: ...

    def restore(self, snapshot_key: str, key: str) -> None: ...

    def set_password(self, key: str, user: str, password: str) -> None: ...

    def drop(self, key: str) -> None: ...

    def drop_snapshot(self, snapshot_key: str) -> None: ...


class Jobs:
    """One worker for PostgreSQL: its work is done in the order in which it was asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-postgres")
        self._running: defaultdict[str, list[Future[float]]] = defaultdict(list)

    def start(self, owner: str, work: Callable[[], None]) -> None:
        """Do `work` for `owner` soon; at once while time does not pass."""

        def timed() -> float:
            work()
            return self._clock.now()

        self._running[owner].append(self._pool.submit(timed))
        if math.isinf(self._clock.speed):
            self.finish(owner)

    def do(self, work: Callable[[], None]) -> None:
        """Do `work` after all that was asked for before, and wait for it."""
        self._pool.submit(work).result()

    def finish(self, owner: str) -> float:
        """Wait for all work of `owner`; return the moment at which the last of it ended, or 0."""
        return max((done.result() for done in self._running.pop(owner, [])), default=0.0)

    def settle(self) -> None:
        """Wait for all work of everybody."""
        for owner in list(self._running):
            self.finish(owner)


class Runtime:
    """The one set of collaborators of the sandbox's RDS."""

    def __init__(self, clock: Clock, events: EventLog, postgres: Postgres) -> None:
        self.clock = clock
        self.events = events
        self.postgres = postgres
        self.jobs = Jobs(clock)
        self.lock = threading.RLock()

    @cached_property
    def versions(self) -> dict[str, str]:
        """Return the full version of each major one the servers come in, oldest first."""
        majors = sorted(self.postgres.versions, key=int)
        return {major: self.postgres.version(major) for major in majors}


_installed: list[Runtime] = []


def use(runtime: Runtime) -> None:
    """Let all of the sandbox's RDS work with `runtime` from now on."""
    _installed[:] = [runtime]


def runtime() -> Runtime:
    """Return the collaborators in use.

    Raises:
        RuntimeError: `sandbox.rds.install` was not called.
    """
    if not _installed:
        raise RuntimeError("call sandbox.rds.install() before the first request")
    return _installed[0]
