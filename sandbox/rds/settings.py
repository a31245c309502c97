"""Settings of a cluster that change nothing here, but are shown as they were given."""

from collections.abc import Mapping
from typing import Any, Final

from moto.rds.models import RDSBackend

from sandbox.rds import checks, faults

Params = Mapping[str, Any]

EXTENDED_SUPPORT: Final = "open-source-rds-extended-support"
LOG_TYPES: Final = ("instance", "postgresql", "iam-db-auth-error")
STORAGE_TYPES: Final = ("aurora", "aurora-iopt1")
INSIGHTS_DAYS: Final = 7
MODIFIABLE: Final = {
    "MonitoringInterval": "monitoring_interval",
    "MonitoringRoleArn": "monitoring_role_arn",
    "EnablePerformanceInsights": "performance_insights_enabled",
    "PerformanceInsightsKMSKeyId": "performance_insights_kms_key_id",
    "PerformanceInsightsRetentionPeriod": "performance_insights_retention_period",
    "DatabaseInsightsMode": "database_insights_mode",
    "EngineLifecycleSupport": "engine_lifecycle_support",
}
"""Parameters of ModifyDBCluster, and the attributes they change."""


def observation(backend: RDSBackend, params: Params) -> dict[str, Any]:
    """Return what a request says of monitoring and Performance Insights, with AWS's defaults.

    Source: RDS API, CreateDBCluster and CreateDBInstance, the parameters of these names.
    """
    interval, role = params.get("MonitoringInterval") or 0, params.get("MonitoringRoleArn")
    if role and not interval:
        raise faults.bad_combination(
            "You must specify a MonitoringInterval value other than 0 when you specify a "
            "MonitoringRoleARN value."
        )
    if interval and not role:
        raise faults.bad_combination(
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value "
            "other than 0."
        )
    enabled = bool(params.get("EnablePerformanceInsights"))
    key, days = params.get("PerformanceInsightsKMSKeyId"), None
    if enabled:
        key = checks.key(backend, key or "alias/aws/rds")
        days = params.get("PerformanceInsightsRetentionPeriod") or INSIGHTS_DAYS
    return {
        "monitoring_interval": interval,
        "monitoring_role_arn": role,
        "performance_insights_enabled": enabled,
        "performance_insights_kms_key_id": key,
        "performance_insights_retention_period": days,
        "database_insights_mode": params.get("DatabaseInsightsMode") or "standard",
    }


def common(backend: RDSBackend, params: Params, version: str) -> dict[str, Any]:
    """Return the settings CreateDBCluster and RestoreDBClusterFromSnapshot take, with defaults."""
    subnet_group, vpc, security_groups = checks.network(
        backend, params.get("DBSubnetGroupName"), params.get("VpcSecurityGroupIds")
    )
    storage = params.get("StorageType") or "aurora"
    if storage not in STORAGE_TYPES:
        raise faults.bad_value(f"Invalid storage type: {storage}")
    logs = params.get("EnableCloudwatchLogsExports") or []
    check_logs(logs, version)
    port = params.get("Port")
    if port is not None and not 1150 <= port <= 65535:  # noqa: PLR2004  # AWS's own numbers
        raise faults.bad_value(f"Invalid port {port}. Valid range is 1150-65535.")
    optional = {
        "preferred_backup_window": params.get("PreferredBackupWindow"),
        "preferred_maintenance_window": params.get("PreferredMaintenanceWindow"),
    }
    return {
        "vpc_id": vpc,
        "db_subnet_group_name": subnet_group,
        "vpc_security_group_ids": security_groups,
        "db_cluster_parameter_group_name": checks.cluster_parameter_group(
            backend, params.get("DBClusterParameterGroupName"), version
        ),
        "port": port,
        "storage_type": storage,
        "deletion_protection": bool(params.get("DeletionProtection")),
        "copy_tags_to_snapshot": bool(params.get("CopyTagsToSnapshot")),
        "enable_iam_database_authentication": bool(params.get("EnableIAMDatabaseAuthentication")),
        "enable_cloudwatch_logs_exports": list(logs),
        "serverless_v2_scaling_configuration": params.get("ServerlessV2ScalingConfiguration"),
        "network_type": params.get("NetworkType"),
        "tags": params.get("Tags"),
        "shown": observation(backend, params)
        | {
            "engine_lifecycle_support": params.get("EngineLifecycleSupport") or EXTENDED_SUPPORT,
            "data_api": bool(params.get("EnableHttpEndpoint")),
            "roles": [role(each) for each in params.get("AssociatedRoles") or []],
        },
    } | {name: value for name, value in optional.items() if value is not None}


def check_logs(logs: list[str], version: str) -> None:
    """Refuse log types that Aurora PostgreSQL does not export."""
    if not set(logs) <= set(LOG_TYPES):
        raise faults.bad_combination(
            f"You cannot use the log types '{', '.join(sorted(set(logs) - set(LOG_TYPES)))}' "
            f"with engine version {checks.ENGINE} {version}."
        )


def role(given: Params) -> dict[str, str]:
    """Return an associated role as DescribeDBClusters shows it."""
    return {
        "RoleArn": str(given["RoleArn"]),
        "FeatureName": str(given.get("FeatureName") or ""),
        "Status": "ACTIVE",
    }
