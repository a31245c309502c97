"""The sandbox's RDS: each setting that a cluster or an instance is given is shown again."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import SOURCE, TARGET, World

from sandbox.rds import durations

ROLE = f"arn:aws:iam::{TARGET}:role/import"
WATCHER = f"arn:aws:iam::{TARGET}:role/watcher"
DISABLED = "open-source-rds-extended-support-disabled"
SERVERLESS = {"MinCapacity": 0.0, "MaxCapacity": 4.0, "SecondsUntilAutoPause": 600}

# parameter, its value, what is shown of it, its value
EVERYWHERE = [
    ("EngineLifecycleSupport", DISABLED, "EngineLifecycleSupport", DISABLED),
    ("NetworkType", "DUAL", "NetworkType", "DUAL"),
    ("CopyTagsToSnapshot", True, "CopyTagsToSnapshot", True),
    ("PreferredBackupWindow", "02:00-02:30", "PreferredBackupWindow", "02:00-02:30"),
    ("BackupRetentionPeriod", 9, "BackupRetentionPeriod", 9),
    ("PerformanceInsightsRetentionPeriod", 93, "PerformanceInsightsRetentionPeriod", 93),
    (
        "ServerlessV2ScalingConfiguration",
        SERVERLESS,
        "ServerlessV2ScalingConfiguration",
        SERVERLESS,
    ),
    ("MonitoringInterval", 30, "MonitoringInterval", 30),
    ("MonitoringRoleArn", WATCHER, "MonitoringRoleArn", WATCHER),
    ("EnablePerformanceInsights", True, "PerformanceInsightsEnabled", True),
    ("EnableIAMDatabaseAuthentication", True, "IAMDatabaseAuthenticationEnabled", True),
    ("StorageType", "aurora-iopt1", "StorageType", "aurora-iopt1"),
]
MADE_OR_RESTORED = [
    ("EnableCloudwatchLogsExports", ["postgresql"], "EnabledCloudwatchLogsExports", ["postgresql"]),
    (
        "AssociatedRoles",
        [{"RoleArn": ROLE, "FeatureName": "s3Import"}],
        "AssociatedRoles",
        [{"RoleArn": ROLE, "FeatureName": "s3Import", "Status": "ACTIVE"}],
    ),
]
NOT_RESTORED = [
    (
        "PreferredMaintenanceWindow",
        "sun:05:00-sun:05:30",
        "PreferredMaintenanceWindow",
        "sun:05:00-sun:05:30",
    ),
    ("DatabaseInsightsMode", "advanced", "DatabaseInsightsMode", "advanced"),
]
NOT_MODIFIED = [("EnableHttpEndpoint", True, "HttpEndpointEnabled", True)]
OF_INSTANCES = [
    ("DBInstanceClass", "db.r6g.xlarge"),
    ("PromotionTier", 7),
    ("PubliclyAccessible", False),
    ("AutoMinorVersionUpgrade", False),
    ("PreferredMaintenanceWindow", "sat:01:00-sat:01:30"),
    ("CACertificateIdentifier", "rds-ca-rsa4096-g1"),
    ("MonitoringInterval", 15),
    ("MonitoringRoleArn", WATCHER),
    ("PerformanceInsightsRetentionPeriod", 31),
    ("DatabaseInsightsMode", "advanced"),
    ("CopyTagsToSnapshot", True),
]
RESTORED = EVERYWHERE + MADE_OR_RESTORED
CREATED = RESTORED + NOT_RESTORED + NOT_MODIFIED


def asked(settings: list[tuple[str, Any, str, Any]]) -> dict[str, Any]:
    return {parameter: value for parameter, value, _, _ in settings}


def shown(found: Any, settings: list[tuple[str, Any, str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return what is shown otherwise than it was given."""
    return {
        name: (found.get(name), value) for _, _, name, value in settings if found.get(name) != value
    }


def test_a_new_cluster_shows_its_settings(aurora: World) -> None:
    """
    CreateDBCluster takes all of them.
    """
    key = aurora.facts[TARGET]["key"]
    aurora.cluster("full", TARGET, **asked(CREATED), PerformanceInsightsKMSKeyId=key)
    found = aurora.get_cluster("full")

    assert shown(found, CREATED) == {}
    assert found["PerformanceInsightsKMSKeyId"] == key


def test_a_restored_cluster_shows_the_settings_a_restore_takes(aurora: World) -> None:
    """
    What a restore does not take, it does not inherit either.
    """
    key = aurora.facts[TARGET]["key"]
    aurora.cluster("full", TARGET, **asked(CREATED))
    aurora.snapshot("full-1", "full", TARGET)
    aurora.restore("full-1", "new", **asked(RESTORED), PerformanceInsightsKMSKeyId="alias/aurora")
    aurora.restore("full-1", "plain")
    found, plain = aurora.get_cluster("new"), aurora.get_cluster("plain")

    assert shown(found, RESTORED) == {}
    assert found["PerformanceInsightsKMSKeyId"] == key
    missing = {name for name, _ in shown(plain, CREATED).items()}
    assert missing == {name for _, _, name, _ in CREATED} - {
        "BackupRetentionPeriod",  # the snapshot's
    }
    assert plain["AssociatedRoles"] == []


def test_settings_are_changed_by_a_modification(aurora: World) -> None:
    """
    ModifyDBCluster takes all that is not a role, a list of logs or the Data API.
    """
    settings = EVERYWHERE + NOT_RESTORED
    aurora.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging",
        ApplyImmediately=True,
        CloudwatchLogsExportConfiguration={"EnableLogTypes": ["instance", "postgresql"]},
        **asked(settings + NOT_MODIFIED),
    )
    aurora.clock.advance(durations.LAG + durations.MODIFY)
    found = aurora.get_cluster("staging")

    assert shown(found, settings) == {}
    assert shown(found, NOT_MODIFIED) == {"HttpEndpointEnabled": (False, True)}
    assert found["EnabledCloudwatchLogsExports"] == ["instance", "postgresql"]


def test_roles_are_added_and_removed(aurora: World) -> None:
    """
    A role belongs to a feature of the cluster; twice the same is refused, as is taking a stranger.
    """
    client = aurora.client("rds")
    wish = {"DBClusterIdentifier": "staging", "RoleArn": ROLE, "FeatureName": "s3Export"}
    client.add_role_to_db_cluster(**wish)
    roles = aurora.get_cluster("staging")["AssociatedRoles"]
    with pytest.raises(ClientError) as twice:
        client.add_role_to_db_cluster(**wish)
    client.remove_role_from_db_cluster(**wish)
    with pytest.raises(ClientError) as gone:
        client.remove_role_from_db_cluster(**wish)

    assert roles == [{"RoleArn": ROLE, "FeatureName": "s3Export", "Status": "ACTIVE"}]
    assert aurora.get_cluster("staging")["AssociatedRoles"] == []
    assert twice.value.response["Error"]["Code"] == "DBClusterRoleAlreadyExists"
    assert gone.value.response["Error"]["Code"] == "DBClusterRoleNotFound"


def test_data_api_is_switched_at_once_by_its_own_calls(aurora: World) -> None:
    """
    EnableHttpEndpoint and DisableHttpEndpoint may be repeated, and concern one cluster.
    """
    client = aurora.client("rds")
    aurora.cluster("other", TARGET)
    arn = aurora.get_cluster("staging")["DBClusterArn"]
    told, seen = [], []
    for switch in [client.enable_http_endpoint] * 2 + [client.disable_http_endpoint] * 2:
        reply = switch(ResourceArn=arn)
        told.append((reply["ResourceArn"], reply["HttpEndpointEnabled"]))
        found = aurora.get_cluster("staging")
        seen.append((found["Status"], found["HttpEndpointEnabled"]))
        assert not aurora.get_cluster("other")["HttpEndpointEnabled"]

    assert told == [(arn, True), (arn, True), (arn, False), (arn, False)]
    assert seen == [("available", on) for _, on in told]


def test_data_api_needs_an_available_cluster(aurora: World) -> None:
    """
    Not one that is changing or about to change, and none that is not there, not by name either.
    """
    client = aurora.client("rds")
    arn = aurora.get_cluster("staging")["DBClusterArn"]
    client.modify_db_cluster(DBClusterIdentifier="staging", BackupRetentionPeriod=5)
    for switch in (client.enable_http_endpoint, client.disable_http_endpoint):
        for wrong in ("staging", f"{arn}-2", aurora.facts[SOURCE]["key"]):
            with pytest.raises(ClientError, match="ResourceNotFoundFault"):
                switch(ResourceArn=wrong)
        with pytest.raises(ClientError, match="InvalidResourceStateFault"):
            switch(ResourceArn=arn)
    aurora.clock.advance(durations.LAG)
    with pytest.raises(ClientError, match="InvalidResourceStateFault"):
        client.enable_http_endpoint(ResourceArn=arn)

    assert not aurora.get_cluster("staging")["HttpEndpointEnabled"]


def test_an_instance_shows_its_settings(aurora: World) -> None:
    """
    CreateDBInstance takes them, ModifyDBInstance changes them.
    """
    wish = dict(OF_INSTANCES)
    more = {"EnablePerformanceInsights": True, "PerformanceInsightsKMSKeyId": "alias/aurora"}
    tags = [{"Key": "team", "Value": "payments"}]
    aurora.instance(
        "staging-3", "staging", **wish, **more, DBParameterGroupName="params", Tags=tags
    )
    aurora.client("rds").modify_db_instance(
        DBInstanceIdentifier="staging-1", ApplyImmediately=True, **wish
    )
    aurora.clock.advance(durations.INSTANCE_CREATE)
    made, changed = aurora.get_instance("staging-3"), aurora.get_instance("staging-1")

    assert {name: made.get(name) for name in wish} == wish
    assert {name: changed.get(name) for name in wish} == wish
    assert made["PerformanceInsightsEnabled"]
    assert made["PerformanceInsightsKMSKeyId"] == aurora.facts[TARGET]["key"]
    assert made["DBParameterGroups"][0]["DBParameterGroupName"] == "params"
    assert made["TagList"] == tags


@pytest.mark.parametrize("wish", [{"MonitoringInterval": 5}, {"MonitoringRoleArn": WATCHER}])
def test_monitoring_needs_both_interval_and_role(aurora: World, wish: dict[str, Any]) -> None:
    """
    For clusters and instances alike.
    """
    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*Monitoring"):
        aurora.restore("own", "new", **wish)
    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*Monitoring"):
        aurora.instance("staging-3", "staging", **wish)


def test_performance_insights_have_awss_defaults(aurora: World) -> None:
    """
    A key of one's own only if it is named; it must exist; seven days.
    """
    made = aurora.restore("own", "new", EnablePerformanceInsights=True)
    manager = aurora.client("kms").list_aliases(KeyId=made["PerformanceInsightsKMSKeyId"])

    assert made["PerformanceInsightsRetentionPeriod"] == 7
    assert [each["AliasName"] for each in manager["Aliases"]] == ["alias/aws/rds"]
    with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
        aurora.restore(
            "own",
            "other",
            EnablePerformanceInsights=True,
            PerformanceInsightsKMSKeyId=aurora.facts[SOURCE]["key"],
        )
