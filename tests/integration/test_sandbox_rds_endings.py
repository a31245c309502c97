"""The sandbox's RDS: what gets stuck, and what can still be done about it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from rds_world import TARGET, World

from sandbox import rds
from sandbox.rds import durations

LONG = 36_000


def test_an_instance_can_stay_in_creating_and_be_deleted(aurora: World) -> None:
    """
    The writer never serves; once it is gone, another one does.
    """
    rds.plant("instance-stuck")
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    aurora.instance("new-1", "new")
    aurora.clock.advance(LONG)
    stuck = aurora.get_instance("new-1")
    key = aurora.get_cluster("new")["DbClusterResourceId"]
    running = key in aurora.postgres.running
    aurora.client("rds").delete_db_instance(DBInstanceIdentifier="new-1", SkipFinalSnapshot=True)
    aurora.instance("new-2", "new")
    aurora.clock.advance(durations.INSTANCE_CREATE)

    assert (stuck["DBInstanceStatus"], "Endpoint" in stuck, running) == ("creating", False, False)
    members = aurora.get_cluster("new")["DBClusterMembers"]
    assert [(m["DBInstanceIdentifier"], m["IsClusterWriter"]) for m in members] == [("new-2", True)]
    assert aurora.statuses("instance:new-1") == ["creating", "deleting", "deleted"]


@pytest.mark.parametrize("ending", ["capacity", "instance-failed", "instance-stuck"])
def test_a_cluster_goes_after_its_failed_instance(aurora: World, ending: str) -> None:
    """
    An instance that ended badly, or not at all, can be deleted, and then its cluster.
    """
    rds.plant(ending, identifier="new-*")
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    aurora.instance("new-1", "new")
    aurora.clock.advance(LONG)
    client = aurora.client("rds")
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*non-deleting"):
        client.delete_db_cluster(DBClusterIdentifier="new", SkipFinalSnapshot=True)
    client.delete_db_instance(DBInstanceIdentifier="new-1", SkipFinalSnapshot=True)
    client.delete_db_cluster(DBClusterIdentifier="new", SkipFinalSnapshot=True)
    aurora.clock.advance(durations.CLUSTER_DELETE)

    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        aurora.get_cluster("new")


def test_a_stuck_restore_keeps_its_name(aurora: World) -> None:
    """
    It is neither replaced nor deleted nor renamed, however long it stays in `creating`.
    """
    rds.plant("restore-stuck", identifier="new")
    aurora.restore("own", "new")
    aurora.clock.advance(LONG)
    client = aurora.client("rds")

    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        aurora.restore("own", "new")
    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        client.delete_db_cluster(DBClusterIdentifier="new", SkipFinalSnapshot=True)
    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        client.modify_db_cluster(
            DBClusterIdentifier="new", NewDBClusterIdentifier="other", ApplyImmediately=True
        )
    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        client.modify_db_cluster(
            DBClusterIdentifier="staging", NewDBClusterIdentifier="new", ApplyImmediately=True
        )


def test_a_failed_restore_cannot_be_renamed(aurora: World) -> None:
    """
    Under `incompatible-restore` it can only be deleted.
    """
    rds.plant("restore-failed")
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    client = aurora.client("rds")

    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*incompatible-restore"):
        client.modify_db_cluster(
            DBClusterIdentifier="new", NewDBClusterIdentifier="other", ApplyImmediately=True
        )
    client.delete_db_cluster(DBClusterIdentifier="new", SkipFinalSnapshot=True)


def test_a_rename_can_get_stuck(aurora: World) -> None:
    """
    The cluster stays `renaming` under its old name and serves; both names are taken.
    """
    rds.plant("rename-stuck", identifier="staging")
    client = aurora.client("rds")
    client.modify_db_cluster(
        DBClusterIdentifier="staging", NewDBClusterIdentifier="old", ApplyImmediately=True
    )
    aurora.clock.advance(LONG)
    found = aurora.get_cluster("staging")

    assert found["Status"] == "renaming"
    assert found["Endpoint"] in aurora.postgres.routes[found["DbClusterResourceId"]]
    for name in ("staging", "old"):
        with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
            aurora.restore("own", name)
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        aurora.get_cluster("old")
    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        client.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)


def test_a_password_can_get_stuck(aurora: World) -> None:
    """
    The cluster stays `resetting-master-credentials`; another cluster's reset is not touched.
    """
    rds.plant("password-stuck", identifier="staging")
    aurora.cluster("other", TARGET)
    for name in ("other", "staging"):
        aurora.client("rds").modify_db_cluster(
            DBClusterIdentifier=name, ManageMasterUserPassword=True, ApplyImmediately=True
        )
    aurora.clock.advance(LONG)

    assert aurora.get_cluster("staging")["Status"] == "resetting-master-credentials"
    assert aurora.get_cluster("other")["Status"] == "available"
