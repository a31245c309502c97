"""The sandbox's RDS: deleting instances and clusters, final snapshots, planted endings."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import TARGET, World

from sandbox import rds
from sandbox.rds import durations


def delete_instances(aurora: World, *names: str) -> None:
    for name in names or ("staging-2", "staging-1"):
        aurora.client("rds").delete_db_instance(DBInstanceIdentifier=name)


def delete(aurora: World, **wish: Any) -> Any:
    wish = wish or {"SkipFinalSnapshot": True}
    return aurora.client("rds").delete_db_cluster(DBClusterIdentifier="staging", **wish)


def test_cluster_with_instances_cannot_be_deleted(aurora: World) -> None:
    """
    One instance that is not `deleting` is enough to refuse; all deleting is enough to accept.
    """
    delete_instances(aurora, "staging-2")
    with pytest.raises(ClientError, match="still contains DB instances in non-deleting") as refused:
        delete(aurora)
    delete_instances(aurora, "staging-1")

    assert refused.value.response["Error"]["Code"] == "InvalidDBClusterStateFault"
    assert delete(aurora)["DBCluster"]["Status"] == "available"


def test_protected_cluster_cannot_be_deleted_but_its_instances_can(aurora: World) -> None:
    """
    Deletion protection does not protect the instances.
    """
    aurora.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging", DeletionProtection=True, ApplyImmediately=True
    )
    delete_instances(aurora)

    with pytest.raises(ClientError, match="disable deletion protection") as refused:
        delete(aurora)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterCombination"
    assert aurora.get_instance("staging-1")["DBInstanceStatus"] == "deleting"


def test_stopped_cluster_cannot_be_deleted(aurora: World) -> None:
    """
    It has to be started first, its instances too.
    """
    aurora.cluster("empty", TARGET)
    client = aurora.client("rds")
    for name in ("empty", "staging"):
        client.stop_db_cluster(DBClusterIdentifier=name)
    aurora.clock.advance(durations.CLUSTER_STOP)

    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        client.delete_db_cluster(DBClusterIdentifier="empty", SkipFinalSnapshot=True)
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*stopped"):
        delete_instances(aurora)


@pytest.mark.parametrize(
    "wish",
    [
        {"SkipFinalSnapshot": False},
        {"SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "final"},
    ],
)
def test_final_snapshot_is_either_named_or_skipped(aurora: World, wish: dict[str, Any]) -> None:
    """
    Neither and both are errors.
    """
    delete_instances(aurora)

    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*SkipFinalSnapshot"):
        delete(aurora, **wish)
    assert aurora.get_cluster("staging")["Status"] == "available"


def test_final_snapshot_must_have_a_free_and_valid_name(aurora: World) -> None:
    """
    An existing snapshot is not overwritten, a malformed name is refused; nothing is deleted.
    """
    delete_instances(aurora)

    with pytest.raises(ClientError) as refused:
        delete(aurora, FinalDBSnapshotIdentifier="own")
    assert refused.value.response["Error"]["Code"] == "DBClusterSnapshotAlreadyExistsFault"
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        delete(aurora, FinalDBSnapshotIdentifier="final--1")
    assert aurora.get_cluster("staging")["Status"] == "available"


def test_final_snapshot_is_taken_and_survives_the_cluster(aurora: World) -> None:
    """
    It is a manual snapshot of the cluster's data; the cluster goes after it.
    """
    delete_instances(aurora)
    delete(aurora, FinalDBSnapshotIdentifier="Final-1")
    aurora.clock.advance(durations.SNAPSHOT)
    found = aurora.get_snapshot("final-1")
    during = aurora.get_cluster("staging")["Status"]
    aurora.clock.advance(durations.CLUSTER_DELETE)

    assert (found["Status"], found["SnapshotType"]) == ("available", "manual")
    assert during == "deleting"
    assert aurora.statuses("cluster:staging") == ["deleting", "deleted"]
    assert aurora.restore("final-1", "again")["Status"] == "creating"
    assert [call[0] for call in aurora.postgres.calls[:3]] == ["snapshot", "drop", "drop_snapshot"]


@pytest.mark.parametrize(("wish", "left"), [({}, 0), ({"DeleteAutomatedBackups": False}, 1)])
def test_automated_snapshots_follow_the_cluster_unless_kept(
    aurora: World, wish: dict[str, Any], left: int
) -> None:
    """
    The default is to lose the automated backups with the cluster.
    """
    delete_instances(aurora)
    delete(aurora, SkipFinalSnapshot=True, **wish)
    aurora.clock.advance(durations.CLUSTER_DELETE)
    found = aurora.client("rds").describe_db_cluster_snapshots(SnapshotType="automated")

    assert len(found["DBClusterSnapshots"]) == left
    assert aurora.get_snapshot("own")["Status"] == "available"


def test_what_is_being_deleted_cannot_be_deleted_again(aurora: World) -> None:
    """
    The second call is told so; an unknown name is not found.
    """
    delete_instances(aurora)
    with pytest.raises(ClientError, match="already being deleted") as again:
        delete_instances(aurora, "staging-1")
    delete(aurora)

    assert again.value.response["Error"]["Code"] == "InvalidDBInstanceState"
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*already being deleted"):
        delete(aurora)
    with pytest.raises(ClientError) as unknown:
        delete_instances(aurora, "none")
    assert unknown.value.response["Error"]["Code"] == "DBInstanceNotFound"
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        aurora.client("rds").delete_db_cluster(DBClusterIdentifier="none", SkipFinalSnapshot=True)


def test_cluster_being_created_cannot_be_deleted(aurora: World) -> None:
    """
    It has to become available first.
    """
    aurora.restore("own", "new")

    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        aurora.client("rds").delete_db_cluster(DBClusterIdentifier="new", SkipFinalSnapshot=True)


def test_member_has_no_final_snapshot_of_its_own(aurora: World) -> None:
    """
    FinalDBSnapshotIdentifier is for instances without a cluster.
    """
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        aurora.client("rds").delete_db_instance(
            DBInstanceIdentifier="staging-1", FinalDBSnapshotIdentifier="final"
        )


def test_reader_takes_the_place_of_a_deleted_writer(aurora: World) -> None:
    """
    The cluster goes on serving while it has another instance.
    """
    key = aurora.get_cluster("staging")["DbClusterResourceId"]
    delete_instances(aurora, "staging-1")
    members = {
        m["DBInstanceIdentifier"]: m["IsClusterWriter"]
        for m in aurora.get_cluster("staging")["DBClusterMembers"]
    }

    assert members == {"staging-1": False, "staging-2": True}
    assert key in aurora.postgres.running
    assert not any(name.startswith("staging-1.") for name in aurora.postgres.routes[key])


def test_last_instance_closes_the_endpoint_and_the_cluster_drops_the_data(aurora: World) -> None:
    """
    Without instances nothing answers; without cluster there is no data.
    """
    key = aurora.get_cluster("staging")["DbClusterResourceId"]
    delete_instances(aurora)
    running, routes = key in aurora.postgres.running, aurora.postgres.routes[key]
    delete(aurora)
    aurora.clock.advance(durations.CLUSTER_DELETE)
    rds.tick()

    assert (running, routes) == (False, [])
    assert aurora.postgres.named("drop") == [(key,)]


# planted endings


@pytest.mark.parametrize(
    ("ending", "statuses", "percent"),
    [
        ("copy-failed", ["copying", "failed"], 60),
        ("copy-vanished", ["copying", "deleted"], 50),
        ("copy-stuck", ["copying"], 0),
    ],
)
def test_copy_can_end_badly(aurora: World, ending: str, statuses: list[str], percent: int) -> None:
    """
    A planted copy fails, vanishes or never ends.
    """
    rds.plant(ending)
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.clock.advance(durations.COPY * 2)

    assert aurora.statuses("snapshot:copy-1") == statuses
    log = [e for e in aurora.events.entries() if e["resource"] == "snapshot:copy-1"]
    assert log[-1]["percent"] == percent


def test_stuck_copy_stays_at_nothing_and_can_be_cancelled(aurora: World) -> None:
    """
    Hours later it still shows 0 %; deleting it ends it.
    """
    rds.plant("copy-stuck")
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.clock.advance(36_000)
    found = aurora.get_snapshot("copy-1")
    aurora.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="copy-1")

    assert (found["Status"], found["PercentProgress"]) == ("copying", 0)
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.get_snapshot("copy-1")


def test_failed_copy_cannot_be_restored(aurora: World) -> None:
    """
    `failed` is not available; the failed copy can be deleted and its name used again.
    """
    rds.plant("copy-failed")
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.clock.advance(durations.COPY)

    with pytest.raises(ClientError, match="InvalidDBClusterSnapshotStateFault"):
        aurora.restore("copy-1", "new")
    aurora.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="copy-1")
    assert aurora.copy(aurora.facts["daily"], "copy-1")["Status"] == "copying"


@pytest.mark.parametrize(
    ("ending", "statuses"),
    [
        ("restore-failed", ["creating", "incompatible-restore"]),
        ("restore-stuck", ["creating"]),
    ],
)
def test_restore_can_end_badly(aurora: World, ending: str, statuses: list[str]) -> None:
    """
    A planted restore fails or never ends; a failed cluster takes no instances.
    """
    rds.plant(ending)
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE * 3)

    assert aurora.statuses("cluster:new") == statuses
    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        aurora.instance("new-1", "new")


def test_failed_restore_can_be_deleted_without_a_final_snapshot(aurora: World) -> None:
    """
    There is nothing to back up; the name gets free.
    """
    rds.plant("restore-failed")
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    client = aurora.client("rds")

    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        client.delete_db_cluster(DBClusterIdentifier="new", FinalDBSnapshotIdentifier="final")
    client.delete_db_cluster(DBClusterIdentifier="new", SkipFinalSnapshot=True)
    aurora.clock.advance(durations.CLUSTER_DELETE)
    assert aurora.restore("own", "new")["Status"] == "creating"


@pytest.mark.parametrize(
    ("ending", "status"),
    [("capacity", "insufficient-capacity"), ("instance-failed", "incompatible-network")],
)
def test_instance_can_end_badly_and_the_next_one_takes_over(
    aurora: World, ending: str, status: str
) -> None:
    """
    The planted writer never serves; another instance becomes the writer.
    """
    rds.plant(ending)
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    aurora.instance("new-1", "new")
    aurora.clock.advance(durations.INSTANCE_CREATE)
    found = aurora.get_instance("new-1")
    key = aurora.get_cluster("new")["DbClusterResourceId"]
    running = key in aurora.postgres.running
    aurora.client("rds").delete_db_instance(DBInstanceIdentifier="new-1", SkipFinalSnapshot=True)
    aurora.instance("new-2", "new", DBInstanceClass="db.r6g.xlarge")
    aurora.clock.advance(durations.INSTANCE_CREATE)

    assert (found["DBInstanceStatus"], "Endpoint" in found, running) == (status, False, False)
    assert aurora.get_instance("new-2")["DBInstanceStatus"] == "available"
    assert aurora.get_cluster("new")["DBClusterMembers"] == [
        {
            "DBInstanceIdentifier": "new-2",
            "IsClusterWriter": True,
            "DBClusterParameterGroupStatus": "in-sync",
            "PromotionTier": 1,
        }
    ]


def test_capacity_is_short_for_a_writer_only(aurora: World) -> None:
    """
    `capacity` waits for a writer; a reader is not touched by it.
    """
    rds.plant("capacity")
    aurora.instance("staging-3", "staging")
    aurora.clock.advance(durations.INSTANCE_CREATE)

    assert aurora.get_instance("staging-3")["DBInstanceStatus"] == "available"


def test_deletion_can_get_stuck(aurora: World) -> None:
    """
    A planted cluster stays `deleting`, and holds its name.
    """
    rds.plant("delete-stuck")
    delete_instances(aurora)
    delete(aurora)
    aurora.clock.advance(36_000)

    assert aurora.get_cluster("staging")["Status"] == "deleting"
    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        aurora.restore("own", "staging")


def test_snapshot_can_fail(aurora: World) -> None:
    """
    A planted manual or final snapshot ends as `failed`; automated ones are not touched.
    """
    rds.plant("snapshot-failed", times=2)
    aurora.cluster("other", TARGET)
    aurora.client("rds").create_db_cluster_snapshot(
        DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="manual"
    )
    delete_instances(aurora)
    delete(aurora, FinalDBSnapshotIdentifier="final")
    aurora.clock.advance(durations.SNAPSHOT)

    assert aurora.get_snapshot("manual")["Status"] == "failed"
    assert aurora.get_snapshot("final")["Status"] == "failed"


def test_ending_is_for_one_resource_that_matches(aurora: World) -> None:
    """
    By default one resource of any name; `identifier` takes a pattern, `times` a number or None.
    """
    rds.plant("copy-stuck", identifier="bad-*", times=2)
    names = ["good", "bad-1", "bad-2", "bad-3"]
    for name in names:
        aurora.copy(aurora.facts["daily"], name)
    aurora.clock.advance(durations.COPY)

    found = [aurora.get_snapshot(name)["Status"] for name in names]
    assert found == ["available", "copying", "copying", "available"]


def test_endings_can_be_taken_back(aurora: World) -> None:
    """
    After `clear` nothing ends badly; an unknown name is refused.
    """
    rds.plant("copy-stuck")
    rds.clear()
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.clock.advance(durations.COPY)

    assert aurora.get_snapshot("copy-1")["Status"] == "available"
    with pytest.raises(ValueError, match=r"^no ending 'flood'; there are: copy-failed, "):
        rds.plant("flood")
