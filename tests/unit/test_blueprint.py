"""What a cluster is made by, from AWS's answers and into AWS's parameters."""

from typing import Any

import pytest

from aurora_restore.rds import tags
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint, Serverless

CLUSTER: dict[str, Any] = {
    "DBClusterIdentifier": "staging",
    "DBClusterArn": "arn",
    "Status": "available",
    "EngineVersion": "16.4",
    "Port": 5432,
    "DBSubnetGroup": "theirs",
    "KmsKeyId": "key",
    "StorageEncrypted": True,
}
INSTANCE: dict[str, Any] = {"DBInstanceIdentifier": "staging-1", "DBInstanceClass": "db.r6g.large"}


def read(*instances: Any, **facts: Any) -> Blueprint:
    given: Any = CLUSTER | facts
    return Blueprint.from_api(given, instances)


def test_what_aws_leaves_out_has_its_meaning() -> None:
    """
    No storage type is Aurora Standard; no password secret means none is managed; absent lists and
    ranges are none.
    """
    found = read()

    assert (found.storage_type, found.managed_password) == ("aurora", False)
    assert (found.serverless, found.associated_roles, found.instances) == (None, [], [])
    assert (found.deletion_protection, found.http_endpoint) == (False, False)


def test_key_counts_only_if_the_storage_is_encrypted() -> None:
    """
    A cluster that is not encrypted has no key to inherit.
    """
    assert read().kms_key_id == "key"
    assert read(StorageEncrypted=False).kms_key_id is None


@pytest.mark.parametrize("name", ["", "default.aurora-postgresql16"])
def test_awss_own_parameter_groups_are_not_kept(name: str) -> None:
    """
    A default group belongs to a major version: left out, AWS takes the one that fits.
    """
    groups = {"DBParameterGroups": [{"DBParameterGroupName": name}]}

    assert read(DBClusterParameterGroup=name).cluster_parameter_group is None
    assert read(INSTANCE | groups).instances[0].parameter_group is None
    assert read(DBClusterParameterGroup="tuned").cluster_parameter_group == "tuned"


def test_order_of_lists_does_not_count() -> None:
    """
    AWS promises no order: two looks at one cluster give equal blueprints.
    """
    groups = [{"VpcSecurityGroupId": each} for each in ("sg-2", "sg-1")]

    found = read(VpcSecurityGroups=groups, EnabledCloudwatchLogsExports=["postgresql", "instance"])

    assert found.security_group_ids == ["sg-1", "sg-2"]
    assert found.log_exports == ["instance", "postgresql"]


def test_writer_comes_first_then_the_readers_by_tier_and_name() -> None:
    """
    What is made first becomes the writer again.
    """
    tiers = {"a": 1, "b": 0, "c": 0, "w": 15}
    instances = [
        INSTANCE | {"DBInstanceIdentifier": name, "PromotionTier": tier}
        for name, tier in tiers.items()
    ]
    members = [{"DBInstanceIdentifier": name, "IsClusterWriter": name == "w"} for name in tiers]

    found = read(*instances, DBClusterMembers=members)

    assert [each.id for each in found.instances] == ["w", "b", "c", "a"]


def test_marks_of_this_program_and_of_aws_are_not_inherited() -> None:
    """
    Only what people set goes over to another cluster.
    """
    mine = {tags.OPERATION: "op-1", tags.DELETE_AFTER: "2020", "aws:cloudformation:x": "y"}

    found = read(TagList=tags.to_api(mine | {"team": "payments"}))

    assert found.tags == {"team": "payments"}


def test_restore_says_every_setting_but_protection() -> None:
    """
    What stands in the blueprint is said even where it is AWS's default; protection comes last.
    """
    asked = read(DeletionProtection=True, HttpEndpointEnabled=True).to_api()

    assert asked == {
        "DBClusterIdentifier": "staging",
        "Engine": "aurora-postgresql",
        "EngineVersion": "16.4",
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "Port": 5432,
        "DBSubnetGroupName": "theirs",
        "VpcSecurityGroupIds": [],
        "KmsKeyId": "key",
        "StorageType": "aurora",
        "EnableIAMDatabaseAuthentication": False,
        "EnableCloudwatchLogsExports": [],
        "BackupRetentionPeriod": 1,
        "CopyTagsToSnapshot": False,
    }


def test_serverless_range_is_said_with_its_pause() -> None:
    """
    The pause is said only where there is one: AWS refuses it for a minimum above zero.
    """
    paused = Serverless(min_acu=0, max_acu=4.5, pause_after_seconds=900)
    awake = Serverless(min_acu=0.5, max_acu=4)
    name = "ServerlessV2ScalingConfiguration"

    assert read().model_copy(update={"serverless": paused}).to_api()[name] == {
        "MinCapacity": 0,
        "MaxCapacity": 4.5,
        "SecondsUntilAutoPause": 900,
    }
    assert read().model_copy(update={"serverless": awake}).to_api()[name] == {
        "MinCapacity": 0.5,
        "MaxCapacity": 4,
    }


def test_only_what_is_wanted_is_set_at_the_end() -> None:
    """
    A plain cluster needs no call at the end; protection and window are set there, the Data API by
    a call of its own.
    """
    assert read().to_modify() == {}
    assert read(
        DeletionProtection=True,
        HttpEndpointEnabled=True,
        PreferredMaintenanceWindow="sun:05:00-sun:05:30",
    ).to_modify() == {
        "DeletionProtection": True,
        "PreferredMaintenanceWindow": "sun:05:00-sun:05:30",
    }


def test_monitoring_and_insights_are_said_together_or_not_at_all() -> None:
    """
    AWS refuses a role without an interval, and a key without insights.
    """
    off = InstanceBlueprint(
        id="i",
        instance_class="db.r6g.large",
        monitoring_role_arn="role",
        performance_insights_key="key",
        performance_insights_days=93,
    )
    on = off.model_copy(update={"monitoring_interval": 60, "performance_insights": True})
    both = {
        "MonitoringRoleArn": "role",
        "PerformanceInsightsKMSKeyId": "key",
        "PerformanceInsightsRetentionPeriod": 93,
    }

    assert not both.keys() & off.to_api().keys()
    assert both.items() <= on.to_api().items()
    assert (on.to_api()["MonitoringInterval"], off.to_api()["MonitoringInterval"]) == (60, 0)
