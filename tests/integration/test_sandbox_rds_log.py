"""The event log of the sandbox's RDS tells which clusters served and which snapshots there were."""

from __future__ import annotations

from typing import Any

from rds_world import SOURCE, TARGET, World

from sandbox import rds
from sandbox.rds import durations


def log(aurora: World, **wanted: str) -> list[dict[str, Any]]:
    rds.tick()
    return [
        entry
        for entry in aurora.events.entries()
        if all(entry.get(name) == value for name, value in wanted.items())
    ]


def test_statuses_of_a_cluster_and_its_instances_name_its_resource(aurora: World) -> None:
    """
    The resource id outlives renames; instances say whose they are.
    """
    client = aurora.client("rds")
    resource = aurora.get_cluster("staging")["DbClusterResourceId"]
    client.modify_db_cluster(
        DBClusterIdentifier="staging", NewDBClusterIdentifier="old", ApplyImmediately=True
    )
    aurora.clock.advance(durations.LAG + durations.RENAME)
    rds.tick()
    client.delete_db_instance(DBInstanceIdentifier="staging-2", SkipFinalSnapshot=True)
    ours = log(aurora, kind="status", db_cluster_resource_id=resource)

    assert [
        (each["resource"], each["to"], each.get("renaming_to"), each.get("db_cluster_identifier"))
        for each in ours
    ] == [
        ("cluster:staging", "renaming", "old", None),
        ("cluster:staging", "available", "old", None),
        ("instance:staging-2", "deleting", None, "old"),
    ]
    client.modify_db_cluster(DBClusterIdentifier="old", PreferredBackupWindow="02:00-02:30")
    aurora.clock.advance(durations.LAG)
    [modifying] = log(aurora, kind="status", to="modifying")
    assert modifying["resource"] == "cluster:old"
    assert "renaming_to" not in modifying


def test_endpoints_are_logged_when_they_open_and_close(aurora: World) -> None:
    """
    Each change of the names that lead to the server, at the moment of what changed them.
    """
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    rds.tick()
    aurora.instance("new-1", "new")
    aurora.clock.advance(durations.INSTANCE_CREATE)
    rds.tick()
    client = aurora.client("rds")
    client.modify_db_cluster(
        DBClusterIdentifier="new", NewDBClusterIdentifier="newer", ApplyImmediately=True
    )
    aurora.clock.advance(durations.LAG + durations.RENAME)
    rds.tick()
    client.delete_db_instance(DBInstanceIdentifier="new-1", SkipFinalSnapshot=True)
    found = log(aurora, kind="endpoint")
    available = log(aurora, kind="status", resource="instance:new-1", to="available")

    assert [(each["resource"], each["open"], len(each["names"])) for each in found] == [
        ("cluster:new", True, 3),
        ("cluster:newer", True, 3),
        ("cluster:newer", False, 0),
    ]
    assert found[0]["at"] == available[0]["at"]
    assert found[0]["names"][0].startswith("new.cluster-")
    assert found[1]["names"][0].startswith("newer.cluster-")
    [resource] = {each["db_cluster_resource_id"] for each in found}
    assert resource == aurora.get_cluster("newer")["DbClusterResourceId"]


def test_snapshots_say_which_cluster_they_are_of(aurora: World) -> None:
    """
    A copy too, with its source; so does the final one; automated ones are told apart.
    """
    daily = aurora.facts["daily"]
    production = aurora.get_cluster("production", SOURCE)["DbClusterResourceId"]
    staging = aurora.get_cluster("staging")["DbClusterResourceId"]
    aurora.copy(daily, "copy-1")
    aurora.client("rds").create_db_cluster_snapshot(
        DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="manual"
    )
    aurora.cluster("other", TARGET)
    facts = (
        "snapshot_type",
        "db_cluster_identifier",
        "db_cluster_resource_id",
        "source_db_cluster_snapshot_arn",
    )
    told = {
        entry["resource"]: tuple(entry.get(name) for name in facts)
        for entry in log(aurora, kind="status")
        if entry["resource"].startswith("snapshot:")
    }
    [automated] = [name for name in told if name.startswith("snapshot:rds:other")]
    other = aurora.get_cluster("other")["DbClusterResourceId"]

    assert told == {
        "snapshot:copy-1": ("manual", "production", production, daily),
        "snapshot:manual": ("manual", "staging", staging, None),
        automated: ("automated", "other", other, None),
    }


def test_the_log_begins_with_what_there_is(aurora: World) -> None:
    """
    One entry per resource and one per cluster's endpoint, so that nothing has to be known before.
    """
    rds.take_stock()
    initial = log(aurora, kind="initial", account=TARGET)
    [endpoint] = log(aurora, kind="endpoint", account=TARGET)

    assert {each["to"] for each in initial} == {"available"}
    names = {each["resource"] for each in initial if "rds:" not in each["resource"]}
    assert names == {"cluster:staging", "instance:staging-1", "instance:staging-2", "snapshot:own"}
    assert (endpoint["resource"], endpoint["open"]) == ("cluster:staging", True)
    [resource] = {each["db_cluster_resource_id"] for each in (*initial, endpoint)}
    assert resource == aurora.get_cluster("staging")["DbClusterResourceId"]
