"""A cluster whose every setting is unusual, restored by its blueprint: what a refresh inherits."""

from typing import Any

import pytest
from cluster_steps import done, found, read, renamed, restored, take_snapshot
from product_fixtures import changes

from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint
from aurora_restore.sessions import target_client
from sandbox import Sandbox

ROLE = "arn:aws:iam::987654321098:role"


@pytest.fixture
def unusual(account: Sandbox, rds: Any, admin: Any) -> Blueprint:
    """What a cluster was made by of which no setting is AWS's or staging's."""
    facts, key = account.facts, account.facts["target_key_arn"]
    ec2 = account.client("ec2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=facts["vpc_id"])
    group = ec2.create_security_group(
        GroupName="another", Description="another", VpcId=facts["vpc_id"]
    )["GroupId"]
    admin.create_db_subnet_group(
        DBSubnetGroupName="another",
        DBSubnetGroupDescription="another",
        SubnetIds=facts["subnet_ids"],
    )
    versions = target_client("rds", "us-west-2").describe_db_engine_versions(
        Engine="aurora-postgresql", EngineVersion="16"
    )["DBEngineVersions"]
    admin.create_db_cluster(
        DBClusterIdentifier="unusual",
        Engine="aurora-postgresql",
        EngineVersion=versions[-1]["EngineVersion"],
        MasterUsername="postgres",
        ManageMasterUserPassword=True,
        MasterUserSecretKmsKeyId=key,
        StorageEncrypted=True,
        KmsKeyId=admin_key(account),
        DBSubnetGroupName="another",
        VpcSecurityGroupIds=[group, *facts["security_group_ids"]],
        DBClusterParameterGroupName=own_group(admin),
        Port=6543,
        BackupRetentionPeriod=9,
        PreferredBackupWindow="21:00-21:30",
        PreferredMaintenanceWindow="tue:22:00-tue:22:30",
        EnableCloudwatchLogsExports=["postgresql", "instance"],
        CopyTagsToSnapshot=False,
        DeletionProtection=True,
        EnableIAMDatabaseAuthentication=True,
        StorageType="aurora-iopt1",
        NetworkType="DUAL",
        EngineLifecycleSupport="open-source-rds-extended-support-disabled",
        ServerlessV2ScalingConfiguration={
            "MinCapacity": 0,
            "MaxCapacity": 4.5,
            "SecondsUntilAutoPause": 900,
        },
        EnableHttpEndpoint=True,
        Tags=[{"Key": "team", "Value": "risk"}, {"Key": "cost", "Value": "7"}],
    )
    account.advance(3600)
    admin.add_role_to_db_cluster(
        DBClusterIdentifier="unusual", RoleArn=f"{ROLE}/s3", FeatureName="s3Import"
    )
    for name, class_, tier in (("z", "db.serverless", 7), ("y", "db.r6g.xlarge", 0)):
        admin.create_db_instance(
            DBInstanceIdentifier=f"unusual-{name}",
            DBClusterIdentifier="unusual",
            Engine="aurora-postgresql",
            DBInstanceClass=class_,
            PromotionTier=tier,
            DBParameterGroupName="another",
            PubliclyAccessible=True,
            AutoMinorVersionUpgrade=False,
            PreferredMaintenanceWindow="wed:01:00-wed:01:30",
            CACertificateIdentifier="rds-ca-rsa4096-g1",
            MonitoringInterval=30,
            MonitoringRoleArn=f"{ROLE}/monitoring",
            EnablePerformanceInsights=True,
            PerformanceInsightsKMSKeyId=key,
            PerformanceInsightsRetentionPeriod=93,
            Tags=[{"Key": "instance", "Value": name}],
        )
    account.advance(3600)
    return read(rds, "unusual")


def admin_key(aws: Sandbox) -> str:
    """Return a key of the target account beside the one that staging has."""
    made = aws.client("kms").create_key(Description="another")["KeyMetadata"]
    return str(made["Arn"])


def own_group(admin: Any) -> str:
    """Make parameter groups beside those that staging has."""
    admin.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="another",
        DBParameterGroupFamily="aurora-postgresql16",
        Description="another",
    )
    admin.create_db_parameter_group(
        DBParameterGroupName="another",
        DBParameterGroupFamily="aurora-postgresql16",
        Description="another",
    )
    return "another"


def test_every_setting_of_a_cluster_survives_a_restore_by_its_blueprint(
    account: Sandbox, rds: Any, admin: Any, unusual: Blueprint
) -> None:
    """
    A cluster restored by the blueprint of another has the same blueprint, its names apart; what a
    restore does not take is set by one call at the end, the Data API by another before it.
    """
    usual = read(rds)
    same = {
        name for name in Blueprint.model_fields if getattr(usual, name) == getattr(unusual, name)
    }
    assert same == set(), "each setting differs from another cluster's, or this test shows nothing"
    snapshot = take_snapshot(account, admin, "copy", "unusual")

    restored(account, rds, renamed(unusual, "restored"), snapshot)

    assert read(rds, "restored") == renamed(unusual, "restored")
    [modified] = done(account, "ModifyDBCluster")
    assert modified == {
        "DBClusterIdentifier": "restored",
        "ApplyImmediately": True,
        "PreferredMaintenanceWindow": "tue:22:00-tue:22:30",
        "DeletionProtection": True,
        "ManageMasterUserPassword": True,
        "MasterUserSecretKmsKeyId": account.facts["target_key_arn"],
    }
    [enabled] = done(account, "EnableHttpEndpoint")
    assert enabled == {"ResourceArn": found(rds, "restored").arn}
    assert changes(account)[-2:] == ["EnableHttpEndpoint", "ModifyDBCluster"]
    [asked] = done(account, "RestoreDBClusterFromSnapshot")
    assert "DeletionProtection" not in asked


def test_every_setting_of_an_instance_is_in_its_blueprint(
    account: Sandbox, rds: Any, unusual: Blueprint
) -> None:
    """
    The instances of the cluster above are unusual in each setting, and come writer first.
    """
    usual = read(rds).instances[0]

    same = {
        name
        for name in InstanceBlueprint.model_fields
        if getattr(usual, name) == getattr(unusual.instances[0], name)
    }

    assert same == set()
    assert [each.id for each in unusual.instances] == ["unusual-z", "unusual-y"]
