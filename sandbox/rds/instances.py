"""CreateDBInstance and ModifyDBInstance for members of an Aurora cluster."""

from collections.abc import Mapping
from typing import Any, Final

from moto.rds.models import RDSBackend

from sandbox.rds import checks, durations, faults, quotas
from sandbox.rds.catalogue import CERTIFICATES, DEFAULT_CERTIFICATE, classes
from sandbox.rds.clusters import find_cluster
from sandbox.rds.endings import take
from sandbox.rds.instance import AuroraInstance
from sandbox.rds.runtime import runtime
from sandbox.rds.settings import MODIFIABLE, observation

Params = Mapping[str, Any]

_CLUSTERS_BUSINESS: Final = (
    "MasterUsername",
    "MasterUserPassword",
    "ManageMasterUserPassword",
    "BackupRetentionPeriod",
    "KmsKeyId",
    "StorageEncrypted",
    "VpcSecurityGroupIds",
    "Port",
    "DBName",
)
_OBSERVED: Final = (
    "MonitoringInterval",
    "MonitoringRoleArn",
    "EnablePerformanceInsights",
    "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod",
    "DatabaseInsightsMode",
)
_CHANGEABLE: Final = {
    "DBInstanceClass": "db_instance_class",
    "DBParameterGroupName": "db_parameter_group_name",
    "PromotionTier": "promotion_tier",
    "PubliclyAccessible": "publicly_accessible",
    "CACertificateIdentifier": "ca_certificate_identifier",
    "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
    "PreferredMaintenanceWindow": "preferred_maintenance_window",
    "CopyTagsToSnapshot": "copy_tags_to_snapshot",
} | {name: MODIFIABLE[name] for name in _OBSERVED}
_HIGHEST_TIER: Final = 15


def find_instance(backend: RDSBackend, identifier: str | None) -> AuroraInstance:
    """Return the backend's Aurora instance of this name."""
    instance = backend.databases.get((identifier or "").rsplit(":", 1)[-1])
    if not isinstance(instance, AuroraInstance):
        raise faults.instance_not_found(identifier or "")
    return instance


def _is_taken(backend: RDSBackend, name: str) -> bool:
    return name in backend.databases or any(
        getattr(other, "renaming_to", None) == name for other in backend.databases.values()
    )


def create_instance(backend: RDSBackend, params: Params) -> AuroraInstance:
    """Begin an instance; the cluster's first is its writer.

    Source: RDS API, CreateDBInstance.
    """
    name = checks.identifier(params.get("DBInstanceIdentifier"), "DBInstanceIdentifier")
    if _is_taken(backend, name):
        raise faults.fault("DBInstanceAlreadyExists", "DB instance already exists")
    quotas.check_room(backend, "DBInstances")
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    for parameter in _CLUSTERS_BUSINESS:
        if params.get(parameter) is not None:
            raise faults.bad_combination(
                f"The requested DB Instance will be a member of a DB Cluster. "
                f"Set {parameter} for the DB Cluster."
            )
    if cluster.status != "available":
        raise faults.cluster_state(
            f"DB cluster {cluster.db_cluster_identifier} is in {cluster.status} state; "
            "instances can be created only in available state."
        )
    version = str(cluster.engine_version)
    if params.get("Engine") != cluster.engine:
        raise faults.bad_combination(
            f"The engine name requested for your DB instance ({params.get('Engine')}) doesn't "
            f"match the engine name of your DB cluster ({cluster.engine})."
        )
    _check_class(
        str(params.get("DBInstanceClass")), version, cluster.serverless_v2_scaling_configuration
    )
    tier = params.get("PromotionTier")
    if tier is not None and not 0 <= tier <= _HIGHEST_TIER:
        raise faults.bad_value("Invalid promotion tier. Valid range is 0-15.")
    certificate = params.get("CACertificateIdentifier") or DEFAULT_CERTIFICATE
    if certificate not in CERTIFICATES:
        raise faults.fault("CertificateNotFound", f"Certificate {certificate} not found.")
    group = cluster.db_subnet_group_name
    if params.get("DBSubnetGroupName") not in (None, group):
        raise faults.bad_combination(
            f"The DB subnet group must be that of the DB cluster: {group}."
        )
    shown = observation(backend, params)
    instance = AuroraInstance(  # type: ignore[abstract]  # moto's CloudFormation side
        backend,
        name,
        engine=cluster.engine,
        db_instance_class=params["DBInstanceClass"],
        db_cluster_identifier=cluster.db_cluster_identifier,
        promotion_tier=1 if tier is None else tier,
        db_parameter_group_name=checks.parameter_group(
            backend, params.get("DBParameterGroupName"), version
        ),
        db_subnet_group_name=group if group in backend.subnet_groups else None,
        publicly_accessible=_is_public(backend, params, cluster.vpc_id),
        ca_certificate_identifier=certificate,
        availability_zone=params.get("AvailabilityZone"),
        auto_minor_version_upgrade=params.get("AutoMinorVersionUpgrade") is not False,
        copy_tags_to_snapshot=bool(params.get("CopyTagsToSnapshot")),
        tags=params.get("Tags"),
        shown=shown,
        **_window(params),
    )
    backend.databases[name] = instance
    _begin(instance)
    return instance


def _window(params: Params) -> dict[str, str]:
    window = params.get("PreferredMaintenanceWindow")
    return {} if window is None else {"preferred_maintenance_window": window}


def _begin(instance: AuroraInstance) -> None:
    name = instance.db_instance_identifier
    if take("instance-stuck", name):
        instance.life.begin("creating")
        return
    if instance.is_cluster_writer and take("capacity", name):
        outcome = "insufficient-capacity"
    elif take("instance-failed", name):
        outcome = "incompatible-network"
    else:
        outcome = "available"
        postgres, key = runtime().postgres, instance.cluster.key
        runtime().jobs.start(instance.life.uid, lambda: postgres.start(key))
    instance.life.begin("creating", (durations.INSTANCE_CREATE, outcome))


def _check_class(wanted: str, version: str, serverless: object) -> None:
    if wanted not in classes():
        raise faults.bad_combination(
            "RDS does not support creating a DB instance with the following combination: "
            f"DBInstanceClass={wanted}, Engine={checks.ENGINE}, EngineVersion={version}, "
            "LicenseModel=postgresql-license. For supported combinations of instance class and "
            "database engine version, see the documentation."
        )
    if wanted == "db.serverless" and not serverless:
        raise faults.bad_combination(
            "Set the Serverless v2 scaling configuration on the parent DB cluster before creating "
            "a Serverless v2 DB instance."
        )


def _is_public(backend: RDSBackend, params: Params, vpc: str) -> bool:
    """Whether the instance gets a public address: by default only in the group `default`."""
    wish = params.get("PubliclyAccessible")
    public = params.get("DBSubnetGroupName") == "default" if wish is None else bool(wish)
    if public and not checks.has_internet_gateway(backend, vpc):
        raise faults.fault(
            "InvalidVPCNetworkStateFault",
            "Cannot create a publicly accessible DBInstance. The specified VPC has no internet "
            "gateway attached. Update the VPC and then try again.",
        )
    return public


def modify_instance(instance: AuroraInstance, params: Params) -> AuroraInstance:
    """Begin a change of an instance.

    Source: RDS API, ModifyDBInstance.
    """
    if instance.status != "available" or not instance.life.settled:
        raise faults.instance_state("Database instance is not in available state.")
    name, changes = _new_name(instance, params), _changes(instance, params)
    if name is not None and not params.get("ApplyImmediately"):
        instance.pending_modified_values = {"DBInstanceIdentifier": name}
        name = None
    instance.changes, instance.renaming_to = changes, name
    if name is not None:
        instance.life.facts["renaming_to"] = name
    steps, at = [], durations.LAG
    if changes:
        steps.append((at, "modifying"))
        at += durations.MODIFY
    if name is not None:
        steps.append((at, "renaming"))
        at += durations.RENAME
    if steps:
        instance.life.begin(None, *steps, (at, "available"))
    return instance


def _new_name(instance: AuroraInstance, params: Params) -> str | None:
    wanted = params.get("NewDBInstanceIdentifier")
    if wanted is None:
        return None
    name = checks.identifier(wanted, "NewDBInstanceIdentifier")
    if name == instance.db_instance_identifier:
        return None
    if _is_taken(instance.backend, name):
        raise faults.fault("DBInstanceAlreadyExists", "DB instance already exists")
    return name


def _changes(instance: AuroraInstance, params: Params) -> dict[str, Any]:
    """Return the attributes that change while the instance is `modifying`."""
    cluster = instance.cluster
    version = str(cluster.engine_version)
    for parameter in ("MasterUserPassword", "ManageMasterUserPassword"):
        if params.get(parameter) is not None:
            raise faults.bad_combination(
                "The DB instance is a member of a DB cluster. Modify the master user password "
                "for the DB cluster using the ModifyDBCluster API."
            )
    changes = {
        attribute: params[parameter]
        for parameter, attribute in _CHANGEABLE.items()
        if params.get(parameter) is not None
    }
    if "db_parameter_group_name" in changes:
        group = checks.parameter_group(
            instance.backend, changes["db_parameter_group_name"], version
        )
        changes["db_parameter_group_name"] = group
    if "db_instance_class" in changes:
        _check_class(
            changes["db_instance_class"], version, cluster.serverless_v2_scaling_configuration
        )
    return changes
