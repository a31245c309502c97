"""CreateDBCluster and RestoreDBClusterFromSnapshot."""

from collections.abc import Mapping
from typing import Any

from moto.rds.models import RDSBackend, rds_backends

from sandbox.rds import checks, durations, faults, quotas, versions
from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.endings import take
from sandbox.rds.runtime import runtime
from sandbox.rds.secret import ManagedSecret, new_password
from sandbox.rds.settings import common
from sandbox.rds.snapshots import find_snapshot

Params = Mapping[str, Any]


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
    quotas.check_room(backend, "DBClusters")
    replicated = params.get("ReplicationSourceIdentifier")
    if replicated is not None:
        params = _as_replica(backend, params, replicated)
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
    version = versions.version(params.get("EngineVersion"))
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
        replication_source_identifier=replicated,
        **common(backend, params, version),
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


def _as_replica(backend: RDSBackend, params: Params, source_arn: str) -> Params:
    """Return the request with the source's master user; what is replicated is only this fact."""
    region = source_arn.split(":")[3] if source_arn.count(":") > 5 else ""  # noqa: PLR2004
    source = find_cluster(
        rds_backends[backend.account_id][region or backend.region_name], source_arn
    )
    own = {"MasterUsername": source.master_username, "MasterUserPassword": new_password()}
    return own | {name: params[name] for name in params}


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
    quotas.check_room(backend, "DBClusters")
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
    version = versions.version(params.get("EngineVersion"))
    if not versions.may_become(str(snapshot.engine_version), version):
        raise faults.bad_combination(
            f"A snapshot of version {snapshot.engine_version} cannot be restored as {version}."
        )
    key = None
    if snapshot.encrypted:
        checks.key(snapshot.backend, snapshot.kms_key_id, account=backend.account_id)
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
        **common(backend, params, version) | {"port": params.get("Port") or snapshot.port},
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
