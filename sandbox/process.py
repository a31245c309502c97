"""The sandbox's process: it brings everything up and holds it together."""

import secrets
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from sandbox import ecs, failures, rds
from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.credentials import Credentials
from sandbox.databases import Databases
from sandbox.emulator import Snapshot
from sandbox.events import EventLog
from sandbox.faults import Faults
from sandbox.postgres import PostgresHost
from sandbox.server import Gateway, Server
from sandbox.world import Builder, World

ATTEMPTS = 20


class Process:
    """The running sandbox: what all requests work on."""

    def __init__(
        self, speed: float, port: int, host: Future[PostgresHost], *, lasting_sessions: bool = False
    ) -> None:
        """Build the world; time passes at `speed` from then on. It ends with the OS process."""
        self.world = World()
        self.facts: dict[str, Any] = {}
        self._speed = speed
        self.clock = Clock()
        self.events = EventLog(self.clock)
        self.faults = Faults(self.clock)
        self.credentials = Credentials(
            self.clock, self.world.task_role_arn, lasting=lasting_sessions
        )
        self._gateway = Gateway(self.events, self.credentials, self.faults, Control(self).answer)
        server = Server(self._gateway.answer, port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        builder = Builder(self.world, server.url)
        host.result().keys = self.credentials.secret_of
        self.databases = Databases(host.result())
        rds.install(self.clock, self.events, self.databases)
        self.agent = ecs.Agent(self.facts, self.events, lambda: self.quiet("ecs"))
        ecs.install(self.agent)
        facts = builder.build(self.databases)
        rds.tick()
        self.databases.seal()
        self._snapshot = Snapshot([])
        self.events.clear()
        self.clock.start(self._speed)
        rds.take_stock()
        self.facts |= facts | {"url": server.url, "container_token": secrets.token_urlsafe(18)}

    def quiet(self, service: str) -> Any:
        """Return a context in which no call of a service is half done."""
        return self._gateway.emulator.quiet(service)

    def reset(self) -> None:
        """Make the world what it was when it was ready: nothing of what happened since is left."""
        self.agent.forget()
        with self._gateway.emulator.all_quiet():
            self.clear()
            self._settle()
            self.databases.put_back()
            self._snapshot.put_back()
            self.events.clear()
            self.clock.start(self._speed)
            rds.take_stock()

    @staticmethod
    def _settle() -> None:
        """Let PostgreSQL finish what it was asked for; what fails of it is of no account now."""
        for _ in range(ATTEMPTS):
            with suppress(Exception):
                rds.settle()
                return

    def plant(self, name: str, /, **options: Any) -> None:
        """Plant a failure by name.

        Raises:
            ValueError: there is none of that name, or it has no such option.
        """
        if name not in rds.ENDINGS | rds.CIRCUMSTANCES:
            self.faults.plant(failures.build(name, **options))
            return
        try:
            rds.plant(name, **options)
        except TypeError as problem:
            raise ValueError(f"{name!r}: {problem}") from None

    def clear(self) -> None:
        """Take back all planted failures and changed durations."""
        self.faults.clear()
        rds.clear()
