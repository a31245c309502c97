"""Many targets at once through one ECS pool, Prefect's server on PostgreSQL and Redis."""

import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ecs_site import AUTH, Site, open_for_runs, quietly, wait_until
from image_steps import Image
from test_success import shared_with
from test_worker import head

from demo.facts import request
from demo.stack import PrefectStack, free_port, prefect_command
from sandbox import Sandbox
from sandbox.installation import get_identity, make_home
from tests.conftest import SPEED

SIZE = int(os.environ.get("FLEET", "20"))
PATIENCE_SECONDS = 60 * SIZE + 300
WAITS = ("COPY", "DELETE", "RESTORE", "DATABASE")
PATIENT = {f"AURORA_RESTORE_{wait}_POLL__GIVE_UP_AFTER": "3600" for wait in WAITS}
PATIENT |= {f"AURORA_RESTORE_{wait}_POLL__AT_MOST": "2" for wait in WAITS}
PATIENT |= {"AURORA_RESTORE_LEASE_SECONDS": "120"}

pytestmark = [pytest.mark.long, pytest.mark.timeout(PATIENCE_SECONDS + 600)]


class ScaledStack(PrefectStack):
    """The layout of docs/scaling.md: PostgreSQL, Redis, an API server, and the services apart."""

    def start_server(self) -> None:
        """Make the database's tables, then start both parts."""
        self.prefect("server", "database", "upgrade", "-y")
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        self._start("server", "start", "--no-services", *where)
        self._spawn("services", prefect_command("server", "services", "start"))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Redis server; its port."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("the fleet does NOT run here: redis-server is not installed")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with started([*command, "--save", "", "--appendonly", "no"]):
        yield port


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A PostgreSQL server for Prefect; its port."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not installed:
        pytest.skip("the fleet does NOT run here: Debian's postgresql is not installed")
    # The sandbox's own servers would not do: Prefect needs the extension pg_trgm.
    folder, identity = installed[-1].parent, get_identity()
    home = make_home(tmp_path_factory.mktemp("postgres"), identity)
    data, port = home / "prefect", free_port()
    data.mkdir()
    if identity:
        os.chown(data, identity["user"], identity["group"])
    make = [str(folder / "initdb"), "-D", str(data), "-U", "prefect", "--auth=trust", "-N"]
    subprocess.run(make, cwd="/", check=True, capture_output=True, **identity)  # noqa: S603
    command = [str(folder / "postgres"), "-D", str(data), "-p", str(port), "-k", ""]
    options = ("fsync=off", "listen_addresses=127.0.0.1", "max_connections=200")
    with started([*command, *(f"--{each}" for each in options)], **identity):
        deadline = time.monotonic() + 30
        while "accept" not in _ready(folder, port):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield port
    shutil.rmtree(home, ignore_errors=True)


def _ready(folder: Path, port: int) -> str:
    command = [str(folder / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout


class started:  # noqa: N801 - a context manager
    """A process that does not outlive the block."""

    def __init__(self, command: Sequence[str], **more: Any) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **more
        )

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)  # for PostgreSQL: whoever is connected or not
        self._process.wait(timeout=30)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    image: Image,
    postgres: int,
    redis: int,
) -> Iterator[Site]:
    """An account with an ECS pool, Prefect in the layout for many."""
    word = ":".join(AUTH)
    environment = {
        "PREFECT_SERVER_API_AUTH_STRING": word,
        "PREFECT_API_AUTH_STRING": word,
        "PREFECT_API_DATABASE_CONNECTION_URL": (
            f"postgresql+asyncpg://prefect@127.0.0.1:{postgres}/postgres"
        ),
        "PREFECT_API_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1",
        "PREFECT_REDIS_MESSAGING_PORT": str(redis),
    }
    with Sandbox(speed=SPEED, lasting_sessions=True) as aws, ScaledStack(environment) as prefect:
        prefect.start_server()
        prefect.wait_until_ready()
        made = Site(aws, prefect, dict(PATIENT))
        with open_for_runs(made, image, tmp_path_factory.mktemp("worker")):
            yield made


def test_fleet(site: Site, record_property: Any) -> None:
    """
    So many targets are restored at once, each from the same snapshot by a run of its own: every
    operation ends in success, and every one is told once.
    """
    began, started = time.monotonic(), time.time()
    names = [f"fleet-{number:02}" for number in range(1, SIZE + 1)]
    wish = request(site.aws, reader_count=0, roles=[], source_cluster_id=None)

    runs = {
        name: site.start(f"op-{name}", **(wish | {"target_cluster_id": name})) for name in names
    }

    ended = until_all_ended(site, names)
    states = {name: final_state(site, runs[name]) for name in names}
    record_property("cases", SIZE)
    record_property("wrong", sum(status != "SUCCESS" for status in ended.values()))
    table = f"{SIZE} at once, {time.monotonic() - began:.0f} s\n"
    table += "target    operation  flow run   began   ended\n"
    for name, status in ended.items():
        first, last = (each - started for each in span(site, name))
        row = f"{name:9} {status:10} {states[name]:10} {first:4.0f} s  {last:4.0f} s"
        table += f"{row}  {errors(site, name)}".rstrip() + "\n"
    record_property("table", table)
    assert set(ended.values()) == {"SUCCESS"}
    assert set(states.values()) == {"Completed"}
    told = [each["MessageAttributes"] for each in site.aws.messages()]
    assert len(told) == SIZE
    clusters = site.aws.client("rds").describe_db_clusters()["DBClusters"]
    assert set(names) <= {each["DBClusterIdentifier"] for each in clusters}
    # Twenty operations have shared one snapshot, and taken that back from under one another.
    assert shared_with(site.aws, site.aws.facts["snapshot"]) == []


def final_state(site: Site, flow_run: str) -> str:
    """Return the state of a flow run, once it is final if it ever is."""
    with suppress(AssertionError):
        wait_until(lambda: site.state(flow_run) in {"Completed", "Failed", "Crashed"}, seconds=60)
    return site.state(flow_run)


def span(site: Site, name: str) -> tuple[float, float]:
    """Return when the operation began and ended by its record, in seconds of the epoch."""
    if not site.aws.items(f"op-{name}"):
        return math.nan, math.nan
    history = head(site.aws, f"op-{name}")["history"]
    first, last = (datetime.fromisoformat(history[each]["at"]).timestamp() for each in (0, -1))
    return first, last


def errors(site: Site, name: str) -> str:
    """Return the errors on record."""
    details = (each.get("details", {}) for each in site.aws.items(f"op-{name}"))
    return " ".join(str(each["error"]) for each in details if "error" in each)


def until_all_ended(site: Site, names: Sequence[str]) -> dict[str, str]:
    """Return how each operation has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = {name: quietly(lambda n=name: status(site, n)) or "?" for name in names}
        if not set(found.values()) & {"?", "IN_PROGRESS"} or time.monotonic() > deadline:
            return found
        time.sleep(2)


def status(site: Site, name: str) -> str:
    operation = f"op-{name}"
    return str(head(site.aws, operation)["status"]) if site.aws.items(operation) else "?"
