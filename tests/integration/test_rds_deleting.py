"""Deleting a cluster: what may be deleted, after which snapshot, in which order."""

from dataclasses import replace
from typing import Any

import pytest
from cluster_steps import FINAL, MARKS, OPERATION, done, found, plan, take_snapshot, waited
from product_fixtures import changes

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.rds import clusters, deleting, tags
from aurora_restore.rds.clusters import Cluster
from sandbox import Sandbox
from sandbox.faults import Fault

UNMARKED = (
    "it lacks the tag aurora-restore:managed = true, so it is not ours to delete. "
    "Set the tag if this cluster may be replaced, or name another one."
)
CLUSTER = Cluster(
    id="staging",
    arn="arn",
    status="available",
    engine="aurora-postgresql",
    resource_id="cluster-OLD",
    endpoint="",
    port=5432,
    protected=False,
    writer="staging-1",
    readers=[],
    master_username="postgres",
    master_secret_arn=None,
    master_secret_status=None,
    subnet_group="",
    security_group_ids=[],
    tags={tags.MANAGED: "true"},
)


def secure(rds: Any, cluster: Cluster) -> None:
    deleting.secure(rds, cluster, FINAL, MARKS, lift_protection=False)


def deleted(aws: Sandbox, rds: Any) -> None:
    """Delete staging, looking anew each time, as the step does."""

    def look() -> None:
        there = clusters.find_cluster(rds, "staging")
        if there is not None:
            deleting.delete_cluster(rds, there)

    waited(aws, look)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"engine": "aurora-mysql"}, "its engine is 'aurora-mysql'. Name an Aurora PostgreSQL"),
        ({"engine": ""}, "its engine is ''. Name an Aurora PostgreSQL"),
        ({"tags": {}}, UNMARKED),
        ({"tags": {tags.MANAGED: "false"}}, UNMARKED),
        (
            {"protected": True},
            "deletion protection is on. Turn it off, or set lift_deletion_protection, if this",
        ),
        ({"status": "stopped"}, "its status is 'stopped', so AWS does not delete it. Start it."),
        ({"status": "stopping"}, "its status is 'stopping', so AWS does not delete it. Start it."),
        (
            {"status": "incompatible-restore"},
            "its status is 'incompatible-restore', so no final snapshot of it can be taken. Repair",
        ),
        (
            {"global_cluster_id": "world"},
            "it is a member of the global cluster world. Remove it from the global cluster, or",
        ),
        (
            {"replica_ids": ["arn:1", "arn:2"]},
            "it has read replicas (arn:1, arn:2). Promote or delete them, or name another",
        ),
        ({"replicates": "arn:1"}, "it is a replica of arn:1. Promote it if it may be replaced,"),
    ],
)
def test_each_obstacle_is_told_with_its_remedy(changed: dict[str, Any], line: str) -> None:
    """
    Whatever forbids to delete a cluster is one line that says what to do.
    """
    [only] = deleting.obstacles(replace(CLUSTER, **changed), lift_protection=False)

    assert str(only).startswith(f"cluster staging: {line}")


def test_all_obstacles_are_told_at_once() -> None:
    """
    A cluster with several obstacles is not refused for one after the other.
    """
    worst = replace(
        CLUSTER,
        engine="docdb",
        tags={},
        protected=True,
        status="stopped",
        global_cluster_id="world",
        replica_ids=["arn:1"],
        replicates="arn:2",
    )

    assert len(deleting.obstacles(worst, lift_protection=False)) == 7


def test_protection_that_may_be_lifted_is_no_obstacle() -> None:
    """
    Nothing stands in the way of our own cluster, nor protection if the request lifts it.
    """
    protected = replace(CLUSTER, protected=True)

    assert deleting.obstacles(CLUSTER, lift_protection=False) == []
    assert deleting.obstacles(protected, lift_protection=True) == []


def test_ties_of_a_cluster_are_read_from_aws(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    A member of a global cluster with a replica is known as such, and nothing of it is changed.
    """
    arn = account.facts["target_cluster_arn"]
    admin.create_db_cluster(
        DBClusterIdentifier="replica", Engine="aurora-postgresql", ReplicationSourceIdentifier=arn
    )
    admin.create_global_cluster(GlobalClusterIdentifier="world", SourceDBClusterIdentifier=arn)
    cluster = found(rds, "staging")

    with pytest.raises(Refused, match="it is a member of the global cluster world"):
        secure(rds, cluster)

    global_, replicated = deleting.obstacles(cluster, lift_protection=False)
    assert "it is a member of" in str(global_)
    assert "it has read replicas" in str(replicated)
    assert found(rds, "replica").replicates == arn
    assert changes(account) == []


def test_replaced_cluster_is_the_one_that_was_checked(rds: Any, admin: Any) -> None:
    """
    It is found by the name it has now, and only if its resource id is the plan's.
    """
    old = plan(rds).old

    there = deleting.find_replaced(rds, "staging", old, OPERATION)

    assert there is not None
    assert there.id == "staging"
    assert deleting.find_replaced(rds, "none", old, OPERATION) is None


def test_cluster_of_this_operation_is_not_replaced(rds: Any, admin: Any) -> None:
    """
    What this operation has restored is not deleted when its steps run again.
    """
    old, cluster = plan(rds).old, found(rds, "staging")
    mark = tags.to_api({tags.OPERATION: OPERATION})
    admin.add_tags_to_resource(ResourceName=cluster.arn, Tags=mark)

    assert deleting.find_replaced(rds, "staging", old, OPERATION) is None
    assert deleting.find_replaced(rds, "staging", old, "op-002") is not None


def test_final_snapshot_is_available_before_anything_else(account: Sandbox, rds: Any) -> None:
    """
    A cluster is secured once its snapshot is available: a snapshot that tells whose it is.
    """
    waited(account, lambda: secure(rds, found(rds, "staging")))

    [snapshot] = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=FINAL)[
        "DBClusterSnapshots"
    ]
    assert snapshot["Status"] == "available"
    assert MARKS.items() <= tags.from_api(snapshot["TagList"]).items()
    assert changes(account) == ["CreateDBClusterSnapshot"]


def test_failed_final_snapshot_is_told(account: Sandbox, rds: Any) -> None:
    """
    A final snapshot that failed ends the step; nothing was deleted.
    """
    account.plant("snapshot-failed")

    with pytest.raises(EndedBadly, match=f"^cluster snapshot {FINAL}: status is 'failed'"):
        waited(account, lambda: secure(rds, found(rds, "staging")))


def test_used_up_quota_is_told(account: Sandbox, rds: Any) -> None:
    """
    No room for a manual snapshot: refused, with what to do.
    """
    account.plant("quota", name="ManualClusterSnapshots", limit=0)

    with pytest.raises(Refused) as refused:
        secure(rds, found(rds, "staging"))

    assert str(refused.value) == (
        f"cluster snapshot {FINAL}: the account's quota of manual snapshots is used up. "
        "Delete snapshots, or have the quota raised. Nothing was deleted."
    )


def test_snapshot_of_somebody_else_is_no_final_snapshot(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    A snapshot that has the name but not the operation's mark secures nothing.
    """
    take_snapshot(account, admin, FINAL)

    with pytest.raises(Refused, match=r"exists and is not this operation's\. Delete it, then run"):
        secure(rds, found(rds, "staging"))

    assert changes(account) == []


def test_busy_cluster_is_secured_later(account: Sandbox, rds: Any) -> None:
    """
    A cluster of which no snapshot can be taken just now is worth another look.
    """
    account.plant(Fault("rds", "CreateDBClusterSnapshot", "InvalidDBClusterStateFault", "busy"))

    with pytest.raises(NotReady, match="no final snapshot can be taken yet"):
        secure(rds, found(rds, "staging"))


def test_readers_go_before_the_writer_and_the_cluster_last(account: Sandbox, rds: Any) -> None:
    """
    Readers, writer, cluster; no second final snapshot, and the automated backups stay.
    """
    deleted(account, rds)

    names = ("DBInstanceIdentifier", "DBClusterIdentifier")
    assert [
        next(each[name] for name in names if name in each)
        for each in done(account, "DeleteDBInstance", "DeleteDBCluster")
    ] == ["staging-2", "staging-1", "staging"]
    assert done(account, "DeleteDBCluster") == [
        {
            "DBClusterIdentifier": "staging",
            "SkipFinalSnapshot": True,
            "DeleteAutomatedBackups": False,
        }
    ]


def test_half_done_deletion_is_finished(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    A deletion that was cut off after its first instance goes on with the rest.
    """
    admin.delete_db_instance(DBInstanceIdentifier="staging-2", SkipFinalSnapshot=True)

    deleted(account, rds)

    assert [each["DBInstanceIdentifier"] for each in done(account, "DeleteDBInstance")] == [
        "staging-1"
    ]
    assert clusters.find_cluster(rds, "staging") is None


def test_protection_switched_on_at_the_last_moment_is_told(account: Sandbox, rds: Any) -> None:
    """
    AWS's own refusal at the last call ends the step, with what to do.
    """
    account.plant("delete-refused")

    with pytest.raises(Refused, match=r"^cluster staging: AWS refuses to delete it: .* Turn"):
        deleted(account, rds)


def test_cluster_that_is_gone_meanwhile_is_done(rds: Any) -> None:
    """
    A cluster that vanished between the look and the call counts as deleted.
    """
    deleting.delete_cluster(rds, replace(CLUSTER, id="none", writer=None))


def test_protection_is_lifted_once_the_cluster_has_time(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    A busy cluster is asked again; the step is not ready before the protection is off.
    """
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)
    account.plant(Fault("rds", "ModifyDBCluster", "InvalidDBClusterStateFault", "busy"))

    with pytest.raises(NotReady, match="its protection cannot be lifted yet"):
        deleting.lift_protection(rds, found(rds, "staging"))
    with pytest.raises(NotReady, match="its deletion protection is being lifted"):
        deleting.lift_protection(rds, found(rds, "staging"))

    assert not found(rds, "staging").protected
