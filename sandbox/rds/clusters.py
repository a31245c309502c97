"""CreateDBCluster and RestoreDBClusterFromSnapshot."""

from collections.abc import Mapping
from typing import Any, Final

from moto.rds.models import RDSBackend

from sandbox.rds import checks, durations, faults
from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.endings import take
from sandbox.rds.runtime import runtime
from sandbox.rds.secret import ManagedSecret
from sandbox.rds.snapshots import find_snapshot

Params = Mapping[str, Any]

EXTENDED_SUPPORT: Final = "open-source-rds-extended-support"
STORAGE_TYPES: Final = ("aurora", "aurora-iopt1")
LOG_TYPES: Final = ("instance", "postgresql", "iam-db-auth-error")


def find_cluster(backend: RDSBackend, identifier: str | None) -> AuroraCluster:
    """Return the backend's Aurora cluster of this name or ARN."""
    name = (identifier or "").rsplit(":", 1)[-1]
    cluster = backend.clusters.get(name)
    if not isinstance(cluster, AuroraCluster) or (
        ":" in (identifier or "") and cluster.db_cluster_arn != identifier
    ):
        raise faults.cluster_not_found(identifier or "")
    return cluster


def is_taken(backend: RDSBackend, identifier: str) -> bool:
    """Whether a cluster has the name, or is being renamed to it."""
    return identifier in backend.clusters or any(
        cluster.renaming_to == identifier
        for cluster in backend.clusters.values()
        if isinstance(cluster, AuroraCluster)
    )


def create_cluster(backend: RDSBackend, params: Params) -> AuroraCluster:
    """Begin a new, empty cluster.

    Source: RDS API, CreateDBCluster.
    """
    identifier = checks.identifier(params.get("DBClusterIdentifier"), "DBClusterIdentifier")
    if is_taken(backend, identifier):
        raise faults.cluster_exists()
    username = params.get("MasterUsername")
    if not username:
        raise faults.bad_value(
            "The parameter MasterUsername must be provided and must not be blank."
        )
    managed = params.get("ManageMasterUserPassword")
    if bool(managed) == bool(params.get("MasterUserPassword")):
        raise faults.bad_combination(
            "You must specify either MasterUserPassword or ManageMasterUserPassword, not both."
        )
    word = "" if managed else checks.password(params["MasterUserPassword"])
    version = checks.version(params.get("EngineVersion"))
    key = None
    if params.get("StorageEncrypted") or params.get("KmsKeyId"):
        key = checks.key(backend, params.get("KmsKeyId") or "alias/aws/rds")
    cluster = AuroraCluster(
        backend,
        db_cluster_identifier=identifier,
        engine_version=version,
        master_username=username,
        database_name=params.get("DatabaseName"),
        backup_retention_period=params.get("BackupRetentionPeriod") or 1,
        storage_encrypted=key is not None,
        kms_key_id=key,
        **_common(backend, params, version),
    )
    backend.clusters[identifier] = cluster
    if managed:
        secret = ManagedSecret(
            backend, cluster.db_cluster_arn, username, params.get("MasterUserSecretKmsKeyId")
        )
        cluster.master_user_secret = secret
        word = secret.password
    cluster.life.begin("creating", (durations.CLUSTER_CREATE, "available"))
    cluster.has_server = True
    postgres, database = runtime().postgres, cluster.database_name
    runtime().jobs.start(
        cluster.life.uid,
        lambda: postgres.create(
            cluster.key,
            master_username=username,
            master_password=word,
            database=database,
            major=checks.major(version),
        ),
    )
    return cluster


def restore_cluster(backend: RDSBackend, params: Params) -> AuroraCluster:
    """Begin a cluster that holds what a snapshot holds. It has no instances.

    What the request leaves out takes AWS's default, not the snapshot's value; only port, master
    user, database and (if omitted) key and backup retention come from the snapshot.

    Source: RDS API, RestoreDBClusterFromSnapshot.
    """
    identifier = checks.identifier(params.get("DBClusterIdentifier"), "DBClusterIdentifier")
    snapshot = find_snapshot(backend, params.get("SnapshotIdentifier"), same_region=True)
    if is_taken(backend, identifier):
        raise faults.cluster_exists()
    if params.get("Engine") != snapshot.engine:
        raise faults.bad_combination(
            f"The engine {params.get('Engine')} is not compatible with the engine "
            f"{snapshot.engine} of the snapshot."
        )
    if snapshot.status != "available":
        raise faults.snapshot_state(
            f"Snapshot {snapshot.db_cluster_snapshot_identifier} is in {snapshot.status} state, "
            "but expected it to be in the available state."
        )
    version = checks.version(params.get("EngineVersion"))
    if checks.major(version) != checks.major(snapshot.engine_version):
        raise faults.bad_combination(
            f"A snapshot of version {snapshot.engine_version} cannot be restored as {version}."
        )
    key = None
    if snapshot.encrypted or params.get("KmsKeyId"):
        key = checks.key(backend, params.get("KmsKeyId") or snapshot.kms_key_id)
    cluster = AuroraCluster(
        backend,
        snapshot_key=snapshot.key,
        db_cluster_identifier=identifier,
        engine_version=version,
        master_username=snapshot.master_username,
        database_name=snapshot.cluster.database_name,
        backup_retention_period=params.get("BackupRetentionPeriod")
        or snapshot.backup_retention_period,
        storage_encrypted=key is not None,
        kms_key_id=key,
        **_common(backend, params, version) | {"port": params.get("Port") or snapshot.port},
    )
    backend.clusters[identifier] = cluster
    _begin_restore(cluster, snapshot.key)
    return cluster


def _begin_restore(cluster: AuroraCluster, source: str) -> None:
    if take("restore-stuck", cluster.db_cluster_identifier):
        cluster.life.begin("creating")
        return
    if take("restore-failed", cluster.db_cluster_identifier):
        cluster.life.begin("creating", (durations.CLUSTER_RESTORE, "incompatible-restore"))
        return
    cluster.life.begin("creating", (durations.CLUSTER_RESTORE, "available"))
    cluster.has_server = True
    postgres, key = runtime().postgres, cluster.key
    runtime().jobs.start(cluster.life.uid, lambda: postgres.restore(source, key))


def _common(backend: RDSBackend, params: Params, version: str) -> dict[str, Any]:
    """Return the settings both operations take, each with AWS's default."""
    subnet_group, vpc, security_groups = checks.network(
        backend, params.get("DBSubnetGroupName"), params.get("VpcSecurityGroupIds")
    )
    storage = params.get("StorageType") or "aurora"
    if storage not in STORAGE_TYPES:
        raise faults.bad_value(f"Invalid storage type: {storage}")
    logs = params.get("EnableCloudwatchLogsExports") or []
    if not set(logs) <= set(LOG_TYPES):
        raise faults.bad_combination(
            f"You cannot use the log types '{', '.join(sorted(set(logs) - set(LOG_TYPES)))}' "
            f"with engine version {checks.ENGINE} {version}."
        )
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
        "engine_lifecycle_support": params.get("EngineLifecycleSupport") or EXTENDED_SUPPORT,
        "serverless_v2_scaling_configuration": params.get("ServerlessV2ScalingConfiguration"),
        "network_type": params.get("NetworkType"),
        "monitoring_interval": params.get("MonitoringInterval"),
        "monitoring_role_arn": params.get("MonitoringRoleArn"),
        "enable_performance_insights": params.get("EnablePerformanceInsights"),
        "performance_insights_kms_key_id": params.get("PerformanceInsightsKMSKeyId"),
        "tags": params.get("Tags"),
    } | {name: value for name, value in optional.items() if value is not None}
