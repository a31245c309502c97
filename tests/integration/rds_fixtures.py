"""The two-account world, built once; each test gets it as it was built."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest
from moto.core.base_backend import BackendDict
from moto.kms.models import kms_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.rds.models import rds_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.server import ThreadedMotoServer
from rds_world import SOURCE, TARGET, RecordingPostgres, World

from sandbox import rds
from sandbox.clock import Clock
from sandbox.events import EventLog

if TYPE_CHECKING:
    from collections.abc import Iterator


class Snapshot:
    """What RDS, KMS and Secrets Manager hold; the networks, which no test changes, stay."""

    def __init__(self) -> None:
        self._dicts: list[Any] = [rds_backends, kms_backends, secretsmanager_backends]
        self._kept = [
            backend
            for each in BackendDict._instances  # there is no other list of them
            if each not in self._dicts
            for regions in each.values()
            for backend in regions.values()
        ]
        self._state = self._copy(
            [{a: dict(regions) for a, regions in d.items()} for d in self._dicts]
        )

    def put_back(self) -> None:
        for backends, accounts in zip(self._dicts, self._copy(self._state), strict=True):
            backends.clear()
            for account, regions in accounts.items():
                backends[account].update(regions)

    def _copy(self, state: Any) -> Any:
        return copy.deepcopy(state, {id(kept): kept for kept in self._kept})


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[World, Snapshot]]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_api_backend.reset()
    clock = Clock()
    postgres, events = RecordingPostgres(), EventLog(clock)
    rds.install(clock, events, postgres)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    world = World(f"http://{host}:{port}", clock, events, postgres)
    try:
        for account in (SOURCE, TARGET):
            world.build(account)
        world.cluster("production", SOURCE, "production-1")
        world.cluster("staging", TARGET, "staging-1", "staging-2")
        world.facts["daily"] = world.snapshot("daily", "production", SOURCE, TARGET)
        world.facts["own"] = world.snapshot("own", "staging", TARGET)
        rds.settle()
        yield world, Snapshot()
    finally:
        server.stop()


@pytest.fixture
def aurora(built: tuple[World, Snapshot]) -> Iterator[World]:
    """Two accounts: `production` with snapshot `daily` in one, `staging` in the other."""
    world, snapshot = built
    snapshot.put_back()
    for account in set(world.sessions) - {SOURCE, TARGET}:
        world.forget(account)
    world.postgres.calls.clear()
    world.postgres.restore_lasts = 0.0
    world.events.clear()
    world.clock.start(1.0)
    rds.clear()
    yield world
    rds.settle()
