"""The sandbox's RDS: restoring a cluster and giving it instances."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import SOURCE, TARGET, VERSION, World

from sandbox import rds
from sandbox.rds import durations


def ready(aurora: World, name: str = "new", **more: Any) -> Any:
    """Restore a cluster and let the time pass."""
    aurora.restore("own", name, **more)
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    return aurora.get_cluster(name)


def test_what_is_left_out_takes_awss_default_not_the_snapshots_value(aurora: World) -> None:
    """
    Protection, parameter group, logs, IAM, tags, storage and security groups are not inherited.
    """
    aurora.cluster(
        "careful",
        TARGET,
        DeletionProtection=True,
        DBClusterParameterGroupName="cluster-params",
        EnableCloudwatchLogsExports=["postgresql"],
        EnableIAMDatabaseAuthentication=True,
        CopyTagsToSnapshot=True,
        StorageType="aurora-iopt1",
        EngineLifecycleSupport="open-source-rds-extended-support-disabled",
        Tags=[{"Key": "a", "Value": "1"}],
    )
    before = aurora.get_cluster("careful")
    aurora.snapshot("careful-1", "careful", TARGET)
    made = aurora.restore("careful-1", "new", VpcSecurityGroupIds=None)

    groups = aurora.client("ec2").describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [aurora.facts[TARGET]["vpc"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    assert before["DeletionProtection"]
    assert before["StorageType"] == "aurora-iopt1"
    assert not made["DeletionProtection"]
    assert made["DBClusterParameterGroup"] == "default.aurora-postgresql16"
    assert made["EnabledCloudwatchLogsExports"] == []
    assert not made["IAMDatabaseAuthenticationEnabled"]
    assert not made["CopyTagsToSnapshot"]
    assert made["StorageType"] == "aurora"
    assert made["EngineLifecycleSupport"] == "open-source-rds-extended-support"
    assert made["TagList"] == []
    assert [g["VpcSecurityGroupId"] for g in made["VpcSecurityGroups"]] == [groups[0]["GroupId"]]


def test_engine_version_left_out_is_the_regions_default_not_the_snapshots(aurora: World) -> None:
    """
    A snapshot of a later version can be restored only if its version is named.
    """
    aurora.cluster("modern", TARGET, EngineVersion="18.4")
    aurora.snapshot("modern-1", "modern", TARGET)

    assert aurora.restore("own", "new")["EngineVersion"] == VERSION
    message = rf"version 18\.4 cannot be restored as {VERSION}"
    with pytest.raises(ClientError, match=message):
        aurora.restore("modern-1", "newer")
    assert aurora.restore("modern-1", "newer", EngineVersion="18.4")["EngineVersion"] == "18.4"


def test_restored_cluster_is_backed_up_without_copying_its_data_again(aurora: World) -> None:
    """
    Its automated snapshot shares the data of the snapshot it came from, and keeps it alive.
    """
    ready(aurora)
    client = aurora.client("rds")
    aurora.clock.advance(durations.SNAPSHOT)
    [backup] = client.describe_db_cluster_snapshots(
        DBClusterIdentifier="new", SnapshotType="automated"
    )["DBClusterSnapshots"]
    client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="own")
    aurora.restore(backup["DBClusterSnapshotArn"], "again")
    rds.settle()

    assert backup["Status"] == "available"
    assert aurora.postgres.named("snapshot") == []
    assert aurora.postgres.named("drop_snapshot") == []
    sources = [source for source, _ in aurora.postgres.named("restore")]
    assert len(sources) == 2
    assert len(set(sources)) == 1


def test_subnet_group_left_out_is_the_default_vpcs(aurora: World) -> None:
    """
    Without DBSubnetGroupName a cluster lands in the default VPC.
    """
    made = aurora.restore("own", "new", DBSubnetGroupName=None, VpcSecurityGroupIds=None)

    assert made["DBSubnetGroup"] == "default"


def test_what_is_given_is_used(aurora: World) -> None:
    """
    The settings of the request arrive at the cluster.
    """
    made = aurora.restore(
        "own",
        "new",
        EngineVersion=VERSION,
        DBClusterParameterGroupName="cluster-params",
        DeletionProtection=True,
        EnableCloudwatchLogsExports=["postgresql"],
        EnableIAMDatabaseAuthentication=True,
        CopyTagsToSnapshot=True,
        StorageType="aurora-iopt1",
        EngineLifecycleSupport="open-source-rds-extended-support-disabled",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4},
        Port=6543,
        Tags=[{"Key": "a", "Value": "1"}],
    )

    assert made["DBSubnetGroup"] == "net"
    assert [g["VpcSecurityGroupId"] for g in made["VpcSecurityGroups"]] == [
        aurora.facts[TARGET]["sg"]
    ]
    assert made["DBClusterParameterGroup"] == "cluster-params"
    assert made["DeletionProtection"]
    assert made["EnabledCloudwatchLogsExports"] == ["postgresql"]
    assert made["IAMDatabaseAuthenticationEnabled"]
    assert made["CopyTagsToSnapshot"]
    assert made["StorageType"] == "aurora-iopt1"
    assert made["EngineLifecycleSupport"] == "open-source-rds-extended-support-disabled"
    assert made["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == 4
    assert made["Port"] == 6543
    assert made["TagList"] == [{"Key": "a", "Value": "1"}]


def test_port_master_user_and_key_come_from_the_snapshot(aurora: World) -> None:
    """
    These are the snapshot's unless the request says otherwise.
    """
    aurora.cluster("odd", TARGET, Port=6000, MasterUsername="boss")
    aurora.snapshot("odd-1", "odd", TARGET)
    made = aurora.restore("odd-1", "new")

    assert (made["Port"], made["MasterUsername"]) == (6000, "boss")
    assert made["KmsKeyId"] == aurora.facts[TARGET]["key"]


def test_restored_cluster_is_another_resource(aurora: World) -> None:
    """
    It has a resource id and an ARN of its own, and no managed secret.
    """
    made = aurora.restore("own", "new")

    assert made["DbClusterResourceId"] != aurora.get_cluster("staging")["DbClusterResourceId"]
    assert made["DBClusterArn"] == f"arn:aws:rds:us-west-2:{TARGET}:cluster:new"
    assert "MasterUserSecret" not in made


def test_shared_snapshot_of_the_same_region_is_restored_by_its_arn(aurora: World) -> None:
    """
    No copy is needed within a Region; from another Region the snapshot is not found.
    """
    here = aurora.client("rds", TARGET, "us-east-1")
    made = here.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="direct",
        SnapshotIdentifier=aurora.facts["daily"],
        Engine="aurora-postgresql",
    )["DBCluster"]

    assert made["DBClusterArn"] == f"arn:aws:rds:us-east-1:{TARGET}:cluster:direct"
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.restore(aurora.facts["daily"], "new")


def test_existing_cluster_is_not_overwritten(aurora: World) -> None:
    """
    The name must be free; the old cluster stays as it was.
    """
    before = aurora.get_cluster("staging")["DbClusterResourceId"]

    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        aurora.restore("own", "Staging")
    assert aurora.get_cluster("staging")["DbClusterResourceId"] == before


def test_name_is_taken_until_the_old_cluster_is_gone(aurora: World) -> None:
    """
    A cluster being deleted still holds its name.
    """
    client = aurora.client("rds")
    for name in ("staging-1", "staging-2"):
        client.delete_db_instance(DBInstanceIdentifier=name)
    client.delete_db_cluster(DBClusterIdentifier="staging", SkipFinalSnapshot=True)

    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        aurora.restore("own", "staging")
    aurora.clock.advance(durations.CLUSTER_DELETE)
    assert aurora.restore("own", "staging")["Status"] == "creating"


def test_snapshot_must_be_available(aurora: World) -> None:
    """
    A copy under way cannot be restored from.
    """
    aurora.copy(aurora.facts["daily"], "copy-1")

    with pytest.raises(ClientError, match=r"InvalidDBClusterSnapshotStateFault.*copying"):
        aurora.restore("copy-1", "new")


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"DBSubnetGroupName": "none"}, "DBSubnetGroupNotFoundFault"),
        ({"DBClusterParameterGroupName": "none"}, "DBClusterParameterGroupNotFound"),
        ({"Engine": "aurora-mysql"}, "InvalidParameterCombination"),
        ({"EngineVersion": "99.1"}, "InvalidParameterCombination"),
        ({"EngineVersion": "18.4"}, "InvalidParameterCombination"),
        ({"VpcSecurityGroupIds": ["sg-00000000000000000"]}, "InvalidParameterValue"),
        ({"KmsKeyId": "alias/none"}, "KMSKeyNotAccessibleFault"),
        ({"StorageType": "gp3"}, "InvalidParameterValue"),
        ({"EnableCloudwatchLogsExports": ["error"]}, "InvalidParameterCombination"),
        ({"Port": 80}, "InvalidParameterValue"),
    ],
)
def test_wrong_settings_are_refused_and_make_nothing(
    aurora: World, wish: dict[str, Any], code: str
) -> None:
    """
    Each setting is checked, with the code AWS's API model has for it.
    """
    with pytest.raises(ClientError) as refused:
        aurora.restore("own", "new", **wish)
    assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        aurora.get_cluster("new")


def test_security_group_of_another_vpc_is_refused(aurora: World) -> None:
    """
    Security groups must belong to the subnet group's VPC.
    """
    other = aurora.client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    group = aurora.client("ec2").create_security_group(
        GroupName="other", Description="other", VpcId=other
    )["GroupId"]

    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*different VPCs"):
        aurora.restore("own", "new", VpcSecurityGroupIds=[group])


def test_subnet_group_of_one_zone_is_refused(aurora: World) -> None:
    """
    A cluster needs two availability zones.
    """
    aurora.client("rds").create_db_subnet_group(
        DBSubnetGroupName="narrow",
        DBSubnetGroupDescription="narrow",
        SubnetIds=aurora.facts[TARGET]["subnets"][:1],
    )

    with pytest.raises(ClientError, match="DBSubnetGroupDoesNotCoverEnoughAZs"):
        aurora.restore("own", "new", DBSubnetGroupName="narrow")


def test_parameter_group_of_another_family_is_refused(aurora: World) -> None:
    """
    A group for PostgreSQL 15 does not fit version 16.
    """
    aurora.client("rds").create_db_cluster_parameter_group(
        DBClusterParameterGroupName="old",
        DBParameterGroupFamily="aurora-postgresql15",
        Description="x",
    )

    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*aurora-postgresql15"):
        aurora.restore("own", "new", DBClusterParameterGroupName="old")


def test_restore_makes_no_instances(aurora: World) -> None:
    """
    An available restored cluster has no members, and nothing answers at its endpoint.
    """
    made = ready(aurora)

    assert made["DBClusterMembers"] == []
    assert made["DbClusterResourceId"] not in aurora.postgres.running


def test_instance_needs_an_available_cluster(aurora: World) -> None:
    """
    CreateDBInstance is refused while the cluster is being restored.
    """
    aurora.restore("own", "new")

    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*creating"):
        aurora.instance("new-1", "new")


def test_first_instance_is_the_writer_and_opens_the_endpoint(aurora: World) -> None:
    """
    Others are readers; the server runs and has its names once an instance is available.
    """
    made = ready(aurora)
    key = made["DbClusterResourceId"]
    aurora.instance("new-1", "new")
    early = aurora.postgres.routes.get(key, [])
    aurora.clock.advance(durations.INSTANCE_CREATE)
    aurora.instance("new-2", "new", PromotionTier=3)
    members = {m["DBInstanceIdentifier"]: m for m in aurora.get_cluster("new")["DBClusterMembers"]}

    assert early == []
    assert members["new-1"]["IsClusterWriter"]
    assert not members["new-2"]["IsClusterWriter"]
    assert (members["new-1"]["PromotionTier"], members["new-2"]["PromotionTier"]) == (1, 3)
    assert key in aurora.postgres.running
    assert aurora.postgres.routes[key] == [
        made["Endpoint"],
        made["ReaderEndpoint"],
        aurora.get_instance("new-1")["Endpoint"]["Address"],
    ]


def test_instance_takes_its_own_settings_and_the_clusters(aurora: World) -> None:
    """
    Class, groups, CA and tags are the instance's; network, key and port come from the cluster.
    """
    ready(aurora)
    made = aurora.instance(
        "new-1",
        "new",
        DBParameterGroupName="params",
        CACertificateIdentifier="rds-ca-ecc384-g1",
        PubliclyAccessible=False,
        Tags=[{"Key": "a", "Value": "1"}],
    )

    assert made["DBParameterGroups"][0]["DBParameterGroupName"] == "params"
    assert made["CACertificateIdentifier"] == "rds-ca-ecc384-g1"
    assert made["TagList"] == [{"Key": "a", "Value": "1"}]
    assert not made["PubliclyAccessible"]
    assert made["DBSubnetGroup"]["DBSubnetGroupName"] == "net"
    assert [g["VpcSecurityGroupId"] for g in made["VpcSecurityGroups"]] == [
        aurora.facts[TARGET]["sg"]
    ]
    assert made["KmsKeyId"] == aurora.facts[TARGET]["key"]
    assert made["DbiResourceId"] != aurora.get_instance("staging-1")["DbiResourceId"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"DBParameterGroupName": "none"}, "DBParameterGroupNotFound"),
        ({"CACertificateIdentifier": "none"}, "CertificateNotFound"),
        ({"DBInstanceClass": "db.m1.tiny"}, "InvalidParameterCombination"),
        ({"DBInstanceClass": "db.serverless"}, "InvalidParameterCombination"),
        ({"Engine": "aurora-mysql"}, "InvalidParameterCombination"),
        ({"PromotionTier": 16}, "InvalidParameterValue"),
        ({"MasterUserPassword": "long-enough"}, "InvalidParameterCombination"),
        ({"VpcSecurityGroupIds": ["sg-1"]}, "InvalidParameterCombination"),
        ({"PubliclyAccessible": True}, "InvalidVPCNetworkStateFault"),
        ({"DBSubnetGroupName": "other"}, "InvalidParameterCombination"),
    ],
)
def test_wrong_instance_settings_are_refused(
    aurora: World, wish: dict[str, Any], code: str
) -> None:
    """
    Each setting is checked; what is the cluster's business cannot be set on an instance.
    """
    with pytest.raises(ClientError) as refused:
        aurora.instance("staging-3", "staging", **wish)
    assert refused.value.response["Error"]["Code"] == code


def test_serverless_instance_needs_the_clusters_scaling_configuration(aurora: World) -> None:
    """
    db.serverless works once the cluster has ServerlessV2ScalingConfiguration.
    """
    ready(aurora, ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 1})

    made = aurora.instance("new-1", "new", DBInstanceClass="db.serverless")
    assert made["DBInstanceClass"] == "db.serverless"


def test_instance_of_a_missing_cluster_or_of_a_taken_name_is_refused(aurora: World) -> None:
    """
    The codes are DBClusterNotFoundFault and DBInstanceAlreadyExists.
    """
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        aurora.instance("new-1", "none")
    with pytest.raises(ClientError) as refused:
        aurora.instance("Staging-1", "staging")
    assert refused.value.response["Error"]["Code"] == "DBInstanceAlreadyExists"


def test_new_cluster_needs_a_master_password(aurora: World) -> None:
    """
    CreateDBCluster takes a password or manages one, not both and not none; the name must be free.
    """
    client = aurora.client("rds", SOURCE)
    base = {"Engine": "aurora-postgresql", "MasterUsername": "postgres"}

    def create(**more: Any) -> None:
        client.create_db_cluster(**({"DBClusterIdentifier": "new"} | base | more))

    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        create()
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        create(MasterUserPassword="long-enough", ManageMasterUserPassword=True)
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*shorter"):
        create(MasterUserPassword="short")
    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        create(DBClusterIdentifier="production", MasterUserPassword="long-enough")


def test_clusters_can_be_filtered_by_resource_id(aurora: World) -> None:
    """
    DescribeDBClusters knows the filter db-cluster-resource-id.
    """
    resource = aurora.get_cluster("staging")["DbClusterResourceId"]
    found = aurora.client("rds").describe_db_clusters(
        Filters=[{"Name": "db-cluster-resource-id", "Values": [resource]}]
    )["DBClusters"]

    assert [each["DBClusterIdentifier"] for each in found] == ["staging"]


def test_instance_is_public_by_default_only_in_the_group_default(aurora: World) -> None:
    """
    Without a wish an instance is private, also in a VPC with an internet gateway.
    """
    ec2 = aurora.client("ec2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=aurora.facts[TARGET]["vpc"])
    try:
        private = aurora.instance("staging-3", "staging", DBSubnetGroupName="net")
        public = aurora.instance("staging-4", "staging", PubliclyAccessible=True)
    finally:
        ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=aurora.facts[TARGET]["vpc"])
        ec2.delete_internet_gateway(InternetGatewayId=gateway)

    assert (private["PubliclyAccessible"], public["PubliclyAccessible"]) == (False, True)
