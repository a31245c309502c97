"""The new cluster: restored, given instances and a master password."""

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from aurora_restore.errors import NotReady, Refused, aws_code
from aurora_restore.rds import tags
from aurora_restore.rds.clusters import Cluster, find_cluster, get_cluster, instance_statuses
from aurora_restore.rds.names import instance_names
from aurora_restore.rds.status import AVAILABLE, require_available
from aurora_restore.request import RestoreRequest

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_SECRET_READY = "active"  # noqa: S105 - a status

# Usable although not called available.
_USABLE_INSTANCE = frozenset({"storage-optimization"})


def start_restore(
    rds: "RDSClient",
    request: RestoreRequest,
    snapshot_arn: str,
    engine_version: str,
    marks: dict[str, str],
) -> Cluster:
    """Return the cluster of this operation: found by its tag, or requested now. Safe to repeat.

    Every setting is explicit, since AWS fills what is left out with its own defaults, not with
    the snapshot's values.

    Raises:
        NotReady: the snapshot or the capacity is not there just now.
        Refused: the identifier belongs to somebody else.

    Source: RDS API, RestoreDBClusterFromSnapshot.
    """
    cluster_id = request.target_cluster_id
    resource = f"cluster {cluster_id}"
    found = find_cluster(rds, cluster_id)
    if found is None:
        try:
            answer = rds.restore_db_cluster_from_snapshot(
                DBClusterIdentifier=cluster_id,
                SnapshotIdentifier=snapshot_arn,
                Engine="aurora-postgresql",
                EngineVersion=engine_version,
                EngineLifecycleSupport="open-source-rds-extended-support-disabled",
                Port=request.port,
                DBSubnetGroupName=request.db_subnet_group_name,
                VpcSecurityGroupIds=list(request.security_group_ids),
                StorageType=request.storage_type,
                EnableIAMDatabaseAuthentication=request.iam_authentication,
                EnableCloudwatchLogsExports=list(request.log_exports),
                DeletionProtection=request.deletion_protection,
                BackupRetentionPeriod=request.backup_retention_days,
                CopyTagsToSnapshot=True,
                Tags=tags.to_api(marks),
                **_optional_settings(request),
            )
        except rds.exceptions.DBClusterAlreadyExistsFault:
            found = get_cluster(rds, cluster_id)
        except (
            rds.exceptions.InvalidDBClusterSnapshotStateFault,
            rds.exceptions.InvalidDBSnapshotStateFault,
            rds.exceptions.InvalidDBInstanceStateFault,
            rds.exceptions.InsufficientDBClusterCapacityFault,
            rds.exceptions.InsufficientDBInstanceCapacityFault,
            rds.exceptions.InsufficientStorageClusterCapacityFault,
        ) as fault:
            raise NotReady(resource, f"AWS cannot restore it now ({aws_code(fault)})") from fault
        else:
            return Cluster.from_api(answer["DBCluster"])
    if found.tags.get(tags.OPERATION) != marks[tags.OPERATION]:
        raise Refused(
            resource,
            "a cluster of this name exists and is not this operation's",
            "Name it in `replaces` to have it deleted, or choose another target_cluster_id.",
        )
    return found


def _optional_settings(request: RestoreRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if request.kms_key_id is not None:
        settings["KmsKeyId"] = request.kms_key_id
    if request.cluster_parameter_group is not None:
        settings["DBClusterParameterGroupName"] = request.cluster_parameter_group
    if request.serverless_max_acu is not None:
        settings["ServerlessV2ScalingConfiguration"] = {
            "MinCapacity": request.serverless_min_acu,
            "MaxCapacity": request.serverless_max_acu,
        }
    return settings


def complete(
    rds: "RDSClient", request: RestoreRequest, marks: dict[str, str], password: SecretStr | None
) -> Cluster:
    """Return the cluster once it, each instance and the master password are ready.

    Makes the next permitted move: a restore creates no instances and leaves the snapshot's
    password. `password` is the master password to set; None lets RDS make and keep one.

    Raises:
        NotReady: something is still in the making; carries the percentage of what is done.
        EndedBadly: the cluster or an instance ended in a status it never leaves.

    Source: RDS API, CreateDBInstance, ModifyDBCluster.
    """
    cluster = get_cluster(rds, request.target_cluster_id)
    wanted = instance_names(request)
    parts = len(wanted) + 2
    require_available(f"cluster {cluster.id}", cluster.status, 0)

    statuses = instance_statuses(rds, cluster.id)
    missing = [name for name in wanted if name not in statuses]
    for number, name in enumerate(wanted):
        if name in missing:
            _create_instance(rds, request, name, number, marks)
    ready = 1 + sum(statuses.get(name) == AVAILABLE for name in wanted)
    if missing:
        raise NotReady(
            f"cluster {cluster.id}", f"{len(missing)} instances requested", 100 * ready // parts
        )
    for name, status in statuses.items():
        require_available(f"instance {name}", status, 100 * ready // parts, usable=_USABLE_INSTANCE)
    _ensure_master_password(rds, cluster, password, 100 * ready // parts)
    return cluster


def _create_instance(
    rds: "RDSClient", request: RestoreRequest, name: str, number: int, marks: dict[str, str]
) -> None:
    group: dict[str, Any] = {}
    if request.instance_parameter_group is not None:
        group["DBParameterGroupName"] = request.instance_parameter_group
    try:
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBClusterIdentifier=request.target_cluster_id,
            DBInstanceClass=request.instance_class,
            Engine="aurora-postgresql",
            PubliclyAccessible=False,
            PromotionTier=min(number, 15),
            Tags=tags.to_api(marks),
            **group,
        )
    except rds.exceptions.DBInstanceAlreadyExistsFault as fault:
        page = rds.describe_db_instances(DBInstanceIdentifier=name)
        [instance] = page["DBInstances"]
        if instance.get("DBClusterIdentifier") != request.target_cluster_id:
            raise Refused(
                f"instance {name}",
                "an instance of this name exists in another cluster",
                "Delete or rename it, or choose another target_cluster_id.",
            ) from fault
    except (
        rds.exceptions.InvalidDBClusterStateFault,
        rds.exceptions.InsufficientDBInstanceCapacityFault,
    ) as fault:
        raise NotReady(
            f"instance {name}", f"it cannot be created now ({aws_code(fault)})"
        ) from fault


def _ensure_master_password(
    rds: "RDSClient", cluster: Cluster, password: SecretStr | None, percent: int
) -> None:
    resource = f"master password of cluster {cluster.id}"
    if password is None and cluster.master_secret_arn is not None:
        if cluster.master_secret_status != _SECRET_READY:
            raise NotReady(resource, f"its secret is {cluster.master_secret_status!r}", percent)
        return
    if password is not None and tags.MASTER_PASSWORD in cluster.tags:
        return
    choice: dict[str, Any] = (
        {"ManageMasterUserPassword": True}
        if password is None
        else {"MasterUserPassword": password.get_secret_value()}
    )
    try:
        rds.modify_db_cluster(DBClusterIdentifier=cluster.id, ApplyImmediately=True, **choice)
    except (
        rds.exceptions.InvalidDBClusterStateFault,
        rds.exceptions.InvalidDBInstanceStateFault,
    ) as fault:
        raise NotReady(resource, "it cannot be set now", percent) from fault
    if password is not None:
        # Nothing in AWS's answers tells a new password from an old one: the mark does.
        rds.add_tags_to_resource(
            ResourceName=cluster.arn, Tags=tags.to_api({tags.MASTER_PASSWORD: "true"})
        )
    raise NotReady(resource, "it was requested", percent)
