"""One PostgreSQL server without the rest of AWS, and for each test a database of its own in it."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from product_fixtures import FOREIGN
from pydantic import SecretStr

from aurora_restore.postgres import Endpoint, connected
from sandbox.postgres import PostgresHost

HOST = "restored.cluster-c1.us-west-2.rds.amazonaws.com"
MASTER, PASSWORD = "postgres", SecretStr("of-the-master")


@dataclass(frozen=True)
class Database:
    """A database of a test: as the product sees it, and as the superuser does."""

    server: PostgresHost
    name: str
    key: str = "restored"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(HOST, self.server.port, self.name)

    def opened(self, name: str | None = None) -> Any:
        """A connection of the master, as the steps make it."""
        return connected(Endpoint(HOST, self.server.port, name or self.name), MASTER, PASSWORD)

    def rows(self, query: str, user: str | None = None) -> list[tuple[Any, ...]]:
        """What a query gives, or what the server does, as the superuser or as `user`."""
        return self.server.run_sql(self.key, query, self.name, user)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresHost]:
    """A running server of PostgreSQL 16."""
    with closing(PostgresHost(tmp_path_factory.mktemp("server"), 0)) as host:
        host.create(
            "restored",
            master_username=MASTER,
            master_password=PASSWORD.get_secret_value(),
            database=None,
        )
        host.start("restored")
        host.route("restored", [HOST])
        yield host


@pytest.fixture
def database(server: PostgresHost, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database of the master."""
    for name in [each for each in os.environ if each.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGHOSTADDR", server.address)
    monkeypatch.setenv("PGSSLROOTCERT", str(server.ca_file))
    name = f"d{uuid4().hex}"
    server.run_sql("restored", f"CREATE DATABASE {name} OWNER {MASTER}")
    return Database(server, name)
