"""The sandbox's RDS: clusters tied to others, by a global cluster or as source of a replica."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import SOURCE, TARGET, World

from sandbox.rds import durations


def make_member(aurora: World) -> Any:
    """Make staging the primary of the global cluster `world`; return its ARN."""
    arn = aurora.get_cluster("staging")["DBClusterArn"]
    aurora.client("rds").create_global_cluster(
        GlobalClusterIdentifier="world", SourceDBClusterIdentifier=arn
    )
    return arn


def delete_staging(aurora: World) -> None:
    """Delete staging with its instances, as far as RDS lets us."""
    client = aurora.client("rds")
    for member in aurora.get_cluster("staging")["DBClusterMembers"]:
        client.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"])
    client.delete_db_cluster(DBClusterIdentifier="staging", SkipFinalSnapshot=True)


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


def test_a_member_shows_its_global_cluster_and_the_other_way_round(aurora: World) -> None:
    """
    CreateGlobalCluster takes a cluster by its ARN; the account's Regions share global clusters.
    """
    arn = make_member(aurora)
    [found] = aurora.client("rds", TARGET, "eu-west-1").describe_global_clusters(
        GlobalClusterIdentifier="world"
    )["GlobalClusters"]

    assert aurora.get_cluster("staging")["GlobalClusterIdentifier"] == "world"
    assert (found["Engine"], found["EngineVersion"]) == ("aurora-postgresql", "16.14")
    members = [(each["DBClusterArn"], each["IsWriter"]) for each in found["GlobalClusterMembers"]]
    assert members == [(arn, True)]
    assert aurora.client("rds", SOURCE).describe_global_clusters()["GlobalClusters"] == []


def test_a_member_cannot_be_deleted_but_its_instances_can(aurora: World) -> None:
    """
    As with deletion protection, the instances are gone before the cluster says no.
    """
    make_member(aurora)

    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*part of a global cluster"):
        delete_staging(aurora)
    assert aurora.get_instance("staging-1")["DBInstanceStatus"] == "deleting"
    assert aurora.get_cluster("staging")["Status"] == "available"


def test_a_member_is_freed_and_can_be_deleted(aurora: World) -> None:
    """
    It is `promoting` for a while; the empty global cluster can be deleted.
    """
    client, arn = aurora.client("rds"), make_member(aurora)
    with pytest.raises(ClientError) as refused:
        client.delete_global_cluster(GlobalClusterIdentifier="world")
    client.remove_from_global_cluster(GlobalClusterIdentifier="world", DbClusterIdentifier=arn)
    during = aurora.get_cluster("staging")["Status"]
    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        client.delete_db_cluster(DBClusterIdentifier="staging", SkipFinalSnapshot=True)
    aurora.clock.advance(durations.PROMOTE)
    after = aurora.get_cluster("staging")
    client.delete_global_cluster(GlobalClusterIdentifier="world")
    delete_staging(aurora)

    assert code_of(refused) == "InvalidGlobalClusterStateFault"
    assert (during, after["Status"]) == ("promoting", "available")
    assert "GlobalClusterIdentifier" not in after
    assert client.describe_global_clusters()["GlobalClusters"] == []


def test_a_member_takes_no_managed_password(aurora: World) -> None:
    """
    A password of one's own it does take.
    """
    make_member(aurora)
    client = aurora.client("rds")

    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*global cluster"):
        client.modify_db_cluster(DBClusterIdentifier="staging", ManageMasterUserPassword=True)
    client.modify_db_cluster(DBClusterIdentifier="staging", MasterUserPassword="long-enough")


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"GlobalClusterIdentifier": "world"}, "GlobalClusterAlreadyExistsFault"),
        ({"SourceDBClusterIdentifier": "staging"}, "InvalidParameterValue"),
        ({"Engine": "aurora-postgresql"}, "InvalidParameterCombination"),
        ({}, "InvalidDBClusterStateFault"),
    ],
)
def test_wrong_global_clusters_are_refused(aurora: World, wish: dict[str, str], code: str) -> None:
    """
    Name, ARN and source are checked; a cluster is a member of one only.
    """
    arn = make_member(aurora)
    wish = {"GlobalClusterIdentifier": "other", "SourceDBClusterIdentifier": arn} | wish

    with pytest.raises(ClientError) as refused:
        aurora.client("rds").create_global_cluster(**wish)
    assert code_of(refused) == code


def test_what_is_no_global_cluster_or_no_member_is_not_found(aurora: World) -> None:
    """
    Removing another cluster than a member, and any unknown name, are refused.
    """
    make_member(aurora)
    aurora.cluster("other", TARGET)
    client, arn = aurora.client("rds"), aurora.get_cluster("other")["DBClusterArn"]

    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        client.remove_from_global_cluster(GlobalClusterIdentifier="world", DbClusterIdentifier=arn)
    with pytest.raises(ClientError, match="GlobalClusterNotFoundFault"):
        client.delete_global_cluster(GlobalClusterIdentifier="none")


def test_the_source_of_a_replica_lists_it_and_cannot_be_deleted(aurora: World) -> None:
    """
    The replica, in whichever Region, says what it replicates; without it the source can go.
    """
    arn = aurora.get_cluster("staging")["DBClusterArn"]
    away = aurora.client("rds", TARGET, "us-east-1")
    replica = away.create_db_cluster(
        DBClusterIdentifier="replica", Engine="aurora-postgresql", ReplicationSourceIdentifier=arn
    )["DBCluster"]
    found = aurora.get_cluster("staging")

    assert replica["ReplicationSourceIdentifier"] == arn
    assert replica["MasterUsername"] == "postgres"
    assert found["ReadReplicaIdentifiers"] == [replica["DBClusterArn"]]
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*read replicas"):
        delete_staging(aurora)
    aurora.clock.advance(durations.CLUSTER_CREATE)
    away.delete_db_cluster(DBClusterIdentifier="replica", SkipFinalSnapshot=True)
    aurora.clock.advance(durations.CLUSTER_DELETE)
    delete_staging(aurora)
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        away.create_db_cluster(
            DBClusterIdentifier="replica",
            Engine="aurora-postgresql",
            ReplicationSourceIdentifier=f"{arn}-not",
        )
