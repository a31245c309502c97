"""Everything a cluster and its instances are made by: read from one, or resolved for a new one.

One shape serves three ends: what a request leaves out is inherited, a deleted cluster is brought
back as it was, and the two are compared in the plan.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field

from aurora_restore.rds import tags

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef

NO_EXTENDED_SUPPORT = "open-source-rds-extended-support-disabled"


class InstanceBlueprint(BaseModel, frozen=True):
    """What one instance is made by. The first of a blueprint is the writer."""

    id: str
    instance_class: str
    promotion_tier: int = 1
    parameter_group: str | None = None
    publicly_accessible: bool = False
    auto_minor_version_upgrade: bool = True
    maintenance_window: str | None = None
    ca_certificate: str | None = None
    monitoring_interval: int = 0
    monitoring_role_arn: str | None = None
    performance_insights: bool = False
    performance_insights_key: str | None = None
    performance_insights_days: int | None = None
    tags: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def from_api(cls, found: "DBInstanceTypeDef") -> Self:
        """Return what an instance was made by."""
        groups = [each["DBParameterGroupName"] for each in found.get("DBParameterGroups", [])]
        insights = found.get("PerformanceInsightsEnabled", False)
        return cls(
            id=found["DBInstanceIdentifier"],
            instance_class=found["DBInstanceClass"],
            promotion_tier=found.get("PromotionTier", 1),
            parameter_group=_own_group(groups[0]) if groups else None,
            publicly_accessible=found.get("PubliclyAccessible", False),
            auto_minor_version_upgrade=found.get("AutoMinorVersionUpgrade", True),
            maintenance_window=found.get("PreferredMaintenanceWindow"),
            ca_certificate=found.get("CACertificateIdentifier"),
            monitoring_interval=found.get("MonitoringInterval", 0),
            monitoring_role_arn=found.get("MonitoringRoleArn"),
            performance_insights=insights,
            performance_insights_key=found.get("PerformanceInsightsKMSKeyId"),
            performance_insights_days=found.get("PerformanceInsightsRetentionPeriod"),
            tags=tags.own(tags.from_api(found.get("TagList", []))),
        )

    def to_api(self) -> dict[str, Any]:
        """Return CreateDBInstance's parameters, without tags and cluster."""
        optional = {
            "DBParameterGroupName": self.parameter_group,
            "PreferredMaintenanceWindow": self.maintenance_window,
            "CACertificateIdentifier": self.ca_certificate,
        }
        if self.monitoring_interval:
            optional["MonitoringRoleArn"] = self.monitoring_role_arn
        if self.performance_insights:
            optional["PerformanceInsightsKMSKeyId"] = self.performance_insights_key
        wanted: dict[str, Any] = {
            "DBInstanceIdentifier": self.id,
            "DBInstanceClass": self.instance_class,
            "PromotionTier": self.promotion_tier,
            "PubliclyAccessible": self.publicly_accessible,
            "AutoMinorVersionUpgrade": self.auto_minor_version_upgrade,
            "MonitoringInterval": self.monitoring_interval,
            "EnablePerformanceInsights": self.performance_insights,
        }
        if self.performance_insights and self.performance_insights_days:
            wanted["PerformanceInsightsRetentionPeriod"] = self.performance_insights_days
        return wanted | {name: value for name, value in optional.items() if value is not None}


class Serverless(BaseModel, frozen=True):
    """A Serverless v2 range, in Aurora capacity units."""

    min_acu: float
    max_acu: float
    pause_after_seconds: int | None = None


class AssociatedRole(BaseModel, frozen=True):
    """An IAM role the cluster may act under, e.g. to import from S3."""

    role_arn: str
    feature: str = ""


class Blueprint(BaseModel, frozen=True):
    """What one cluster is made by, its instances included."""

    cluster_id: str
    engine_version: str
    port: int
    subnet_group: str
    security_group_ids: list[str]
    kms_key_id: str | None
    storage_type: str = "aurora"
    cluster_parameter_group: str | None = None
    iam_authentication: bool = False
    log_exports: list[str] = Field(default_factory=list)
    deletion_protection: bool = False
    backup_retention_days: int = 1
    backup_window: str | None = None
    maintenance_window: str | None = None
    copy_tags_to_snapshot: bool = True
    network_type: str | None = None
    extended_support: str = NO_EXTENDED_SUPPORT
    serverless: Serverless | None = None
    http_endpoint: bool = False
    associated_roles: list[AssociatedRole] = Field(default_factory=list)
    managed_password: bool = False
    managed_password_key: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    instances: list[InstanceBlueprint]

    @classmethod
    def from_api(cls, found: "DBClusterTypeDef", instances: "Sequence[DBInstanceTypeDef]") -> Self:
        """Return what a cluster and its instances were made by; the writer comes first."""
        members = found.get("DBClusterMembers", [])
        writers = {each["DBInstanceIdentifier"] for each in members if each.get("IsClusterWriter")}
        range_ = found.get("ServerlessV2ScalingConfiguration")
        secret = found.get("MasterUserSecret", {})
        return cls(
            cluster_id=found["DBClusterIdentifier"],
            engine_version=found.get("EngineVersion", ""),
            port=found.get("Port", 5432),
            subnet_group=found.get("DBSubnetGroup", ""),
            security_group_ids=sorted(
                each["VpcSecurityGroupId"] for each in found.get("VpcSecurityGroups", [])
            ),
            kms_key_id=found.get("KmsKeyId") if found.get("StorageEncrypted") else None,
            # AWS leaves the type out for Aurora Standard.
            storage_type=found.get("StorageType") or "aurora",
            cluster_parameter_group=_own_group(found.get("DBClusterParameterGroup", "")),
            iam_authentication=found.get("IAMDatabaseAuthenticationEnabled", False),
            log_exports=sorted(found.get("EnabledCloudwatchLogsExports", [])),
            deletion_protection=found.get("DeletionProtection", False),
            backup_retention_days=found.get("BackupRetentionPeriod", 1),
            backup_window=found.get("PreferredBackupWindow"),
            maintenance_window=found.get("PreferredMaintenanceWindow"),
            copy_tags_to_snapshot=found.get("CopyTagsToSnapshot", False),
            network_type=found.get("NetworkType"),
            extended_support=found.get("EngineLifecycleSupport") or NO_EXTENDED_SUPPORT,
            serverless=Serverless(
                min_acu=range_.get("MinCapacity", 0.5),
                max_acu=range_["MaxCapacity"],
                pause_after_seconds=range_.get("SecondsUntilAutoPause"),
            )
            if range_ and "MaxCapacity" in range_
            else None,
            http_endpoint=found.get("HttpEndpointEnabled", False),
            associated_roles=[
                AssociatedRole(role_arn=each["RoleArn"], feature=each.get("FeatureName", ""))
                for each in found.get("AssociatedRoles", [])
                if each.get("RoleArn")
            ],
            managed_password="SecretArn" in secret,
            managed_password_key=secret.get("KmsKeyId"),
            tags=tags.own(tags.from_api(found.get("TagList", []))),
            instances=[
                InstanceBlueprint.from_api(each)
                for each in sorted(
                    instances,
                    key=lambda each: (
                        each["DBInstanceIdentifier"] not in writers,
                        each.get("PromotionTier", 1),
                        each["DBInstanceIdentifier"],
                    ),
                )
            ],
        )

    def to_api(self) -> dict[str, Any]:
        """Return RestoreDBClusterFromSnapshot's parameters, without snapshot and tags.

        Every one is explicit: AWS fills what is left out with its own defaults, neither with the
        snapshot's values nor with those of the cluster before. Only deletion protection comes at
        the end: a restore that ends badly must be removable, and such a cluster takes no change.
        """
        optional: dict[str, Any] = {
            "KmsKeyId": self.kms_key_id,
            "DBClusterParameterGroupName": self.cluster_parameter_group,
            "PreferredBackupWindow": self.backup_window,
            "NetworkType": self.network_type,
        }
        if self.serverless is not None:
            optional["ServerlessV2ScalingConfiguration"] = _scaling(self.serverless)
        if self.associated_roles:
            optional["AssociatedRoles"] = [
                {"RoleArn": each.role_arn, "FeatureName": each.feature}
                for each in self.associated_roles
            ]
        return {
            "DBClusterIdentifier": self.cluster_id,
            "Engine": "aurora-postgresql",
            "EngineVersion": self.engine_version,
            "EngineLifecycleSupport": self.extended_support,
            "Port": self.port,
            "DBSubnetGroupName": self.subnet_group,
            "VpcSecurityGroupIds": self.security_group_ids,
            "StorageType": self.storage_type,
            "EnableIAMDatabaseAuthentication": self.iam_authentication,
            "EnableCloudwatchLogsExports": self.log_exports,
            "BackupRetentionPeriod": self.backup_retention_days,
            "CopyTagsToSnapshot": self.copy_tags_to_snapshot,
        } | {name: value for name, value in optional.items() if value is not None}

    def to_modify(self) -> dict[str, Any]:
        """Return ModifyDBCluster's parameters: what is set once the cluster is available.

        The Data API is not among them: ModifyDBCluster switches it for Aurora Serverless v1 only.
        """
        wanted: dict[str, Any] = {}
        if self.maintenance_window is not None:
            wanted["PreferredMaintenanceWindow"] = self.maintenance_window
        if self.deletion_protection:
            wanted["DeletionProtection"] = True
        return wanted


def _scaling(range_: Serverless) -> dict[str, Any]:
    wanted: dict[str, Any] = {"MinCapacity": range_.min_acu, "MaxCapacity": range_.max_acu}
    if range_.pause_after_seconds is not None:
        wanted["SecondsUntilAutoPause"] = range_.pause_after_seconds
    return wanted


def _own_group(name: str) -> str | None:
    """Return a parameter group that is somebody's own; AWS's defaults follow the engine version."""
    return None if not name or name.startswith("default.") else name
