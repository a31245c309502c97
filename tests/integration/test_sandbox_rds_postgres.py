"""The sandbox's RDS with real PostgreSQL: the data, roles and passwords a restore brings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer
from rds_world import PASSWORD, SOURCE, TARGET, World

from sandbox import rds
from sandbox.clock import Clock
from sandbox.events import EventLog
from sandbox.postgres import PostgresHost
from sandbox.rds import durations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW_PASSWORD = "brand-new-1"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A source cluster with rows and its shared snapshot, an empty target account."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_api_backend.reset()
    root: Path = tmp_path_factory.mktemp("postgres")
    host = PostgresHost(root / "host", port=0)
    clock = Clock()
    events = EventLog(clock)
    rds.install(clock, events, host)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address, port = server.get_host_and_port()
    world = World(f"http://{address}:{port}", clock, events, host)
    try:
        for account in (SOURCE, TARGET):
            world.build(account)
        world.cluster("production", SOURCE, "production-1", DatabaseName="shop")
        sql(world, "production", PASSWORD, "CREATE TABLE orders AS SELECT 42 AS id", SOURCE)
        world.facts["daily"] = world.snapshot("daily", "production", SOURCE, TARGET)
        sql(world, "production", PASSWORD, "INSERT INTO orders VALUES (43)", SOURCE)
        clock.start(1.0)
        yield world
        rds.settle()
    finally:
        server.stop()
        host.close()


def connect(world: World, endpoint: str, password: str) -> Any:
    return psycopg2.connect(
        host=endpoint,
        hostaddr=world.postgres.address,
        port=world.postgres.port,
        user="postgres",
        password=password,
        dbname="shop",
        sslmode="verify-full",
        sslrootcert=str(world.postgres.ca_file),
        connect_timeout=10,
    )


def sql(
    world: World, cluster: str, password: str, statement: str, account: str = TARGET
) -> list[tuple[Any, ...]]:
    connection = connect(world, world.get_cluster(cluster, account)["Endpoint"], password)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@pytest.fixture(scope="module")
def copied(real: World) -> World:
    """The target account with a copy of the shared snapshot."""
    real.copy(real.facts["daily"], "copy-1")
    real.clock.advance(durations.COPY)
    assert real.get_snapshot("copy-1")["Status"] == "available"
    return real


def restored(world: World, snapshot: str, name: str) -> None:
    """Restore a cluster with one instance, and let the time pass."""
    world.restore(snapshot, name)
    world.clock.advance(durations.CLUSTER_RESTORE)
    world.instance(f"{name}-1", name)
    world.clock.advance(durations.INSTANCE_CREATE)
    assert world.get_instance(f"{name}-1")["DBInstanceStatus"] == "available"


def test_restored_cluster_serves_the_snapshots_rows_with_the_snapshots_password(
    copied: World,
) -> None:
    """
    Copied across account and Region, the rows of the moment of the snapshot can be read.
    """
    restored(copied, "copy-1", "rows")

    assert sql(copied, "rows", PASSWORD, "SELECT id FROM orders") == [(42,)]
    assert sql(copied, "production", PASSWORD, "SELECT count(*) FROM orders", SOURCE) == [(2,)]


def test_new_master_password_works_and_the_old_one_does_not(copied: World) -> None:
    """
    From `resetting-master-credentials` on only the new password opens the database.
    """
    restored(copied, "copy-1", "word")
    copied.client("rds").modify_db_cluster(
        DBClusterIdentifier="word", MasterUserPassword=NEW_PASSWORD, ApplyImmediately=True
    )
    before = sql(copied, "word", PASSWORD, "SELECT 1")
    copied.clock.advance(durations.LAG + durations.RESET_CREDENTIALS)

    assert before == [(1,)]
    assert copied.get_cluster("word")["Status"] == "available"
    assert sql(copied, "word", NEW_PASSWORD, "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        sql(copied, "word", PASSWORD, "SELECT 1")


def test_managed_password_opens_the_database_under_the_new_name(copied: World) -> None:
    """
    The secret's password works, and a renamed cluster answers at its new endpoint only.
    """
    restored(copied, "copy-1", "old")
    old = copied.get_cluster("old")["Endpoint"]
    copied.client("rds").modify_db_cluster(
        DBClusterIdentifier="old",
        ManageMasterUserPassword=True,
        NewDBClusterIdentifier="renamed",
        ApplyImmediately=True,
    )
    copied.clock.advance(durations.LAG + durations.RESET_CREDENTIALS + durations.RENAME)
    found = copied.get_cluster("renamed")
    secret = copied.secret(found["MasterUserSecret"]["SecretArn"])

    assert sql(copied, "renamed", secret["password"], "SELECT id FROM orders") == [(42,)]
    with pytest.raises(psycopg2.OperationalError):
        connect(copied, old, secret["password"])


def test_deleted_instance_closes_the_endpoint_and_the_final_snapshot_keeps_the_rows(
    copied: World,
) -> None:
    """
    Nothing answers without instances; what was written last is in the final snapshot.
    """
    client = copied.client("rds")
    restored(copied, "copy-1", "gone")
    endpoint = copied.get_cluster("gone")["Endpoint"]
    sql(copied, "gone", PASSWORD, "INSERT INTO orders VALUES (44)")
    client.delete_db_instance(DBInstanceIdentifier="gone-1")
    with pytest.raises(psycopg2.OperationalError):
        connect(copied, endpoint, PASSWORD)
    client.delete_db_cluster(DBClusterIdentifier="gone", FinalDBSnapshotIdentifier="final")
    copied.clock.advance(durations.SNAPSHOT + durations.CLUSTER_DELETE)
    restored(copied, "final", "again")

    rows = sql(copied, "again", PASSWORD, "SELECT id FROM orders ORDER BY id")
    assert rows == [(42,), (44,)]


def test_failed_endings_leave_no_data_to_clean_up(copied: World) -> None:
    """
    What ended badly has no server and no data; deleting it works all the same.
    """
    client = copied.client("rds")
    for ending in ("copy-vanished", "restore-failed"):
        rds.plant(ending)
    copied.copy(copied.facts["daily"], "vanishing")
    copied.restore("copy-1", "failing")
    copied.clock.advance(durations.CLUSTER_RESTORE)
    client.delete_db_cluster(DBClusterIdentifier="failing", SkipFinalSnapshot=True)
    copied.clock.advance(durations.CLUSTER_DELETE)
    rds.clear()

    assert copied.statuses("cluster:failing")[-1] == "deleted"
    assert copied.statuses("snapshot:vanishing")[-1] == "deleted"
    rds.settle()
