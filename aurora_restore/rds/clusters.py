"""Clusters and their instances: find, delete, restore, complete."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from aurora_restore.errors import NotFound, NotReady, Refused, aws_code
from aurora_restore.rds import snapshots, tags
from aurora_restore.rds.status import AVAILABLE, require_available
from aurora_restore.request import RestoreRequest

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

_SECRET_READY = "active"  # noqa: S105 - a status

# Usable although not called available.
_USABLE_INSTANCE = frozenset({"storage-optimization"})


@dataclass(frozen=True)
class Cluster:
    """A DB cluster as AWS shows it."""

    id: str
    arn: str
    status: str
    engine: str
    resource_id: str
    endpoint: str
    port: int
    protected: bool
    writer: str | None
    readers: list[str]
    master_username: str
    master_secret_arn: str | None
    master_secret_status: str | None
    subnet_group: str
    security_group_ids: list[str]
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_api(cls, found: "DBClusterTypeDef") -> Self:
        """Return the cluster of an API answer."""
        members = found.get("DBClusterMembers", [])
        secret = found.get("MasterUserSecret", {})
        return cls(
            id=found["DBClusterIdentifier"],
            arn=found["DBClusterArn"],
            status=found["Status"],
            engine=found.get("Engine", ""),
            resource_id=found.get("DbClusterResourceId", ""),
            endpoint=found.get("Endpoint", ""),
            port=found.get("Port", 0),
            protected=found.get("DeletionProtection", False),
            writer=next(
                (each["DBInstanceIdentifier"] for each in members if each.get("IsClusterWriter")),
                None,
            ),
            readers=[
                each["DBInstanceIdentifier"] for each in members if not each.get("IsClusterWriter")
            ],
            master_username=found.get("MasterUsername", ""),
            master_secret_arn=secret.get("SecretArn"),
            master_secret_status=secret.get("SecretStatus"),
            subnet_group=found.get("DBSubnetGroup", ""),
            security_group_ids=[
                each["VpcSecurityGroupId"] for each in found.get("VpcSecurityGroups", [])
            ],
            tags=tags.from_api(found.get("TagList", [])),
        )


@dataclass(frozen=True)
class Network:
    """Where a DB subnet group lies."""

    vpc_id: str
    subnet_ids: list[str]


def find_cluster(rds: "RDSClient", cluster_id: str) -> Cluster | None:
    """Return one cluster of the client's account and Region, or None.

    Source: RDS API, DescribeDBClusters.
    """
    try:
        page = rds.describe_db_clusters(DBClusterIdentifier=cluster_id)
    except rds.exceptions.DBClusterNotFoundFault:
        return None
    found = page["DBClusters"]
    return Cluster.from_api(found[0]) if found else None


def get_cluster(rds: "RDSClient", cluster_id: str) -> Cluster:
    """Return one cluster.

    Raises:
        NotFound: there is none.
    """
    found = find_cluster(rds, cluster_id)
    if found is None:
        raise NotFound(f"cluster {cluster_id}", "it does not exist")
    return found


def get_network(rds: "RDSClient", subnet_group: str) -> Network:
    """Return the VPC and the subnets of a DB subnet group.

    Raises:
        NotFound: there is no such group.

    Source: RDS API, DescribeDBSubnetGroups.
    """
    try:
        page = rds.describe_db_subnet_groups(DBSubnetGroupName=subnet_group)
    except rds.exceptions.DBSubnetGroupNotFoundFault as fault:
        raise NotFound(
            f"db_subnet_group_name {subnet_group}", "no such DB subnet group in the target Region"
        ) from fault
    [group] = page["DBSubnetGroups"]
    return Network(
        vpc_id=group.get("VpcId", ""),
        subnet_ids=sorted(each["SubnetIdentifier"] for each in group.get("Subnets", [])),
    )


def instance_statuses(rds: "RDSClient", cluster_id: str) -> dict[str, str]:
    """Return the status of each instance of a cluster, by identifier.

    Source: RDS API, DescribeDBInstances, filter db-cluster-id.
    """
    pages = rds.get_paginator("describe_db_instances").paginate(
        Filters=[{"Name": "db-cluster-id", "Values": [cluster_id]}]
    )
    return {
        instance["DBInstanceIdentifier"]: instance["DBInstanceStatus"]
        for page in pages
        for instance in page["DBInstances"]
    }


def require_deletable(cluster: Cluster) -> None:
    """Return if this program may delete the cluster.

    AWS lets the instances of a protected cluster be deleted, so this comes before any of them.

    Raises:
        Refused: it is protected, stopped, of another engine, or not marked as ours to replace.
    """
    resource = f"cluster {cluster.id}"
    if cluster.engine != "aurora-postgresql":
        raise Refused(
            resource, f"its engine is {cluster.engine!r}", "Name an Aurora PostgreSQL cluster."
        )
    if cluster.tags.get(tags.MANAGED) != "true":
        raise Refused(
            resource,
            f"it lacks the tag {tags.MANAGED} = true, so it is not ours to delete",
            "Set the tag if this cluster may be replaced, or name another one.",
        )
    if cluster.protected:
        raise Refused(
            resource, "deletion protection is on", "Turn it off if this cluster may be replaced."
        )
    if cluster.status.startswith("stop"):
        raise Refused(
            resource, f"its status is {cluster.status!r}, so AWS does not delete it", "Start it."
        )


def find_replaced(rds: "RDSClient", request: RestoreRequest, operation_id: str) -> Cluster | None:
    """Return the cluster that must make room, or None when the target identifier is free.

    A cluster that this operation restored is not one to be replaced.

    Raises:
        Refused: the target identifier belongs to a cluster that is not to be replaced.
    """
    found = find_cluster(rds, request.replaced_cluster_id)
    if request.replaced_cluster_id != request.target_cluster_id:
        target = find_cluster(rds, request.target_cluster_id)
        if target is not None and target.tags.get(tags.OPERATION) != operation_id:
            raise Refused(
                f"target_cluster_id {request.target_cluster_id}",
                "a cluster of this name exists, and `replaces` names another",
                "Name it in `replaces` to have it deleted, or choose another target_cluster_id.",
            )
    if found is not None and found.tags.get(tags.OPERATION) == operation_id:
        return None
    return found


def remove(
    rds: "RDSClient", cluster: Cluster, final_snapshot_id: str | None, marks: dict[str, str]
) -> None:
    """Take the final snapshot, wait for it, then delete the cluster. Safe to repeat.

    Raises:
        NotReady: always, until the cluster is gone.
        Refused: it may not be deleted.
        EndedBadly: the final snapshot failed; nothing was deleted.
    """
    if cluster.status == "deleting":
        raise NotReady(f"cluster {cluster.id}", "it is being deleted")
    require_deletable(cluster)
    if final_snapshot_id is not None:
        snapshots.ensure_final_snapshot(rds, cluster.id, final_snapshot_id, marks)
    delete_cluster(rds, cluster)


def delete_cluster(rds: "RDSClient", cluster: Cluster) -> None:
    """Make the next permitted move of a deletion: readers, then the writer, then the cluster.

    The final snapshot is the caller's business: none is taken here. Automated backups stay until
    their retention ends. Safe to repeat.

    Raises:
        NotReady: always, until the cluster is gone.

    Source: RDS API, DeleteDBInstance and DeleteDBCluster; a cluster may go as soon as each of its
    instances is `deleting`.
    """
    resource = f"cluster {cluster.id}"
    statuses = instance_statuses(rds, cluster.id)
    staying = {each for each, status in statuses.items() if status != "deleting"}
    for instance_id in [each for each in cluster.readers if each in staying]:
        _delete_instance(rds, instance_id)
        staying.discard(instance_id)
    for instance_id in sorted(staying):
        _delete_instance(rds, instance_id)
    try:
        rds.delete_db_cluster(
            DBClusterIdentifier=cluster.id, SkipFinalSnapshot=True, DeleteAutomatedBackups=False
        )
    except rds.exceptions.DBClusterNotFoundFault:
        return
    except rds.exceptions.InvalidDBClusterStateFault as fault:
        raise NotReady(resource, "its instances are being deleted") from fault
    except rds.exceptions.ClientError as error:
        if aws_code(error) != "InvalidParameterCombination":
            raise
        raise Refused(
            resource, f"AWS refuses to delete it: {error}", "Turn deletion protection off."
        ) from error
    raise NotReady(resource, "it is being deleted")


def _delete_instance(rds: "RDSClient", instance_id: str) -> None:
    try:
        rds.delete_db_instance(DBInstanceIdentifier=instance_id, SkipFinalSnapshot=True)
    except rds.exceptions.DBInstanceNotFoundFault:
        return
    except (
        rds.exceptions.InvalidDBInstanceStateFault,
        rds.exceptions.InvalidDBClusterStateFault,
    ) as fault:
        raise NotReady(f"instance {instance_id}", "its state does not permit deletion") from fault


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


def instance_names(request: RestoreRequest) -> list[str]:
    """Return the identifiers of the writer and the readers, the writer first."""
    base = request.target_cluster_id[:60].rstrip("-")
    return [f"{base}-{number}" for number in range(1, request.reader_count + 2)]


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
