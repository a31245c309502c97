"""ModifyDBCluster."""

from collections.abc import Mapping
from typing import Any, Final

from moto.rds.models import RDSBackend

from sandbox.rds import checks, durations, faults, versions
from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.clusters import find_cluster, is_taken
from sandbox.rds.endings import Ending, take
from sandbox.rds.secret import ManagedSecret
from sandbox.rds.settings import MODIFIABLE, check_logs

Params = Mapping[str, Any]

_AT_ONCE: Final = {
    "DeletionProtection": "deletion_protection",
    "CopyTagsToSnapshot": "copy_tags_to_snapshot",
}
_SOON: Final = {
    "BackupRetentionPeriod": "backup_retention_period",
    "PreferredBackupWindow": "preferred_backup_window",
    "PreferredMaintenanceWindow": "preferred_maintenance_window",
    "EnableIAMDatabaseAuthentication": "iam_auth",
    "ServerlessV2ScalingConfiguration": "serverless_v2_scaling_configuration",
    "StorageType": "storage_type",
    "NetworkType": "network_type",
} | MODIFIABLE


def modify_cluster(backend: RDSBackend, params: Params) -> AuroraCluster:
    """Begin a change; return the cluster, whose status shows the change a little later.

    All is checked before anything is changed.

    Source: RDS API, ModifyDBCluster.
    """
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    if cluster.status != "available" or not cluster.life.settled:
        status = cluster.status
        if status == "available":
            status = cluster.life.steps[0].status
        raise faults.cluster_state(
            f"DB cluster is not available for modification with status {status}"
        )
    name = _new_name(cluster, params)
    soon = _settings(cluster, params)
    word = _check_password(cluster, params)
    secret_key = params.get("MasterUserSecretKmsKeyId")
    if secret_key is not None:
        checks.key(backend, secret_key)

    for parameter, attribute in _AT_ONCE.items():
        if params.get(parameter) is not None:
            setattr(cluster, attribute, params[parameter])
    resetting = _reset_credentials(cluster, params, word)
    if name is not None and not params.get("ApplyImmediately"):
        cluster.pending_modified_values = {"DBClusterIdentifier": name}
        name = None
    cluster.changes, cluster.renaming_to = soon, name
    if name is not None:
        cluster.life.facts["renaming_to"] = name
    _plan(cluster, resetting=resetting, renaming=name is not None, modifying=bool(soon))
    return cluster


def _plan(cluster: AuroraCluster, *, resetting: bool, renaming: bool, modifying: bool) -> None:
    steps, at = [], durations.LAG
    endings: tuple[tuple[bool, str, float, Ending | None], ...] = (
        (modifying, "modifying", durations.MODIFY, None),
        (
            resetting,
            "resetting-master-credentials",
            durations.RESET_CREDENTIALS,
            "password-stuck",
        ),
        (renaming, "renaming", durations.RENAME, "rename-stuck"),
    )
    for wanted, status, lasts, ending in endings:
        if wanted:
            steps.append((at, status))
            at += lasts
            if ending is not None and take(ending, cluster.db_cluster_identifier):
                cluster.life.begin(None, *steps)
                return
    if steps:
        cluster.life.begin(None, *steps, (at, "available"))


def _new_name(cluster: AuroraCluster, params: Params) -> str | None:
    wanted = params.get("NewDBClusterIdentifier")
    if wanted is None:
        return None
    name = checks.identifier(wanted, "NewDBClusterIdentifier")
    if name == cluster.db_cluster_identifier:
        return None
    if is_taken(cluster.backend, name):
        raise faults.cluster_exists()
    return name


def _settings(cluster: AuroraCluster, params: Params) -> dict[str, Any]:
    """Return the attributes that change while the cluster is `modifying`."""
    version = str(cluster.engine_version)
    changes = {
        attribute: params[parameter]
        for parameter, attribute in _SOON.items()
        if params.get(parameter) is not None
    }
    if params.get("VpcSecurityGroupIds"):
        own = cluster.backend.subnet_groups.get(cluster.db_subnet_group_name)
        changes["vpc_security_group_ids"] = checks.network(
            cluster.backend, own.name if own else None, params["VpcSecurityGroupIds"]
        )[2]
    if params.get("DBClusterParameterGroupName"):
        changes["parameter_group"] = checks.cluster_parameter_group(
            cluster.backend, params["DBClusterParameterGroupName"], version
        )
    if params.get("EngineVersion") and versions.version(params["EngineVersion"]) != version:
        raise faults.bad_combination("The sandbox does not upgrade engines.")
    if params.get("CloudwatchLogsExportConfiguration"):
        wish = params["CloudwatchLogsExportConfiguration"]
        check_logs(list(wish.get("EnableLogTypes") or []), version)
        logs = set(cluster.enabled_cloudwatch_logs_exports) | set(wish.get("EnableLogTypes") or [])
        changes["enabled_cloudwatch_logs_exports"] = sorted(
            logs - set(wish.get("DisableLogTypes") or [])
        )
    return changes


def _check_password(cluster: AuroraCluster, params: Params) -> str | None:
    managed = params.get("ManageMasterUserPassword")
    if managed and cluster.global_cluster_identifier:
        raise faults.bad_combination(
            "ManageMasterUserPassword isn't supported for a cluster that is part of a global "
            "cluster."
        )
    word = params.get("MasterUserPassword")
    if params.get("RotateMasterUserPassword"):
        if not params.get("ApplyImmediately"):
            raise faults.bad_combination(
                "You must specify apply immediately when rotating the master user password."
            )
        if cluster.master_user_secret is None:
            raise faults.bad_combination(
                "You can't rotate the master user password: it isn't managed by RDS."
            )
    if word is not None and (managed or (cluster.master_user_secret and managed is None)):
        raise faults.bad_combination(
            "You can't specify MasterUserPassword when ManageMasterUserPassword is turned on."
        )
    if managed is False and cluster.master_user_secret is not None and word is None:
        raise faults.bad_combination(
            "You must specify MasterUserPassword when you turn off ManageMasterUserPassword."
        )
    return None if word is None else checks.password(word)


def _reset_credentials(cluster: AuroraCluster, params: Params, word: str | None) -> bool:
    """Prepare the new password; whether there is one."""
    secret, backend = cluster.master_user_secret, cluster.backend
    if params.get("ManageMasterUserPassword") and secret is None:
        secret = ManagedSecret(
            backend,
            cluster.db_cluster_arn,
            str(cluster.master_username),
            params.get("MasterUserSecretKmsKeyId"),
        )
        cluster.master_user_secret, word = secret, secret.password
    elif params.get("RotateMasterUserPassword") and secret is not None:
        secret.rotate(backend)
        word = secret.password
    elif params.get("ManageMasterUserPassword") is False and secret is not None:
        secret.delete(backend)
        cluster.master_user_secret = None
    cluster.next_password = word
    return word is not None
