"""The new cluster: restored, given instances, its last settings and a master password."""

from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import ClientError
from pydantic import SecretStr

from aurora_restore.errors import NotReady, Refused
from aurora_restore.faults import Act, looking_again, verdict
from aurora_restore.rds import tags
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint
from aurora_restore.rds.clusters import Cluster, find_cluster, instance_statuses
from aurora_restore.rds.status import AVAILABLE, require_available

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_SECRET_READY = "active"  # noqa: S105 - a status

# Usable although not called available.
_USABLE_INSTANCE = frozenset({"storage-optimization"})


def start_restore(
    rds: "RDSClient", blueprint: Blueprint, snapshot_arn: str, marks: dict[str, str]
) -> Cluster:
    """Return the cluster of this operation: found by its tag, or requested now. Safe to repeat.

    Raises:
        NotReady: the snapshot or the capacity is not there just now.
        Refused: the identifier belongs to somebody else.

    Source: RDS API, RestoreDBClusterFromSnapshot.
    """
    cluster_id = blueprint.cluster_id
    resource = f"cluster {cluster_id}"
    found = find_cluster(rds, cluster_id)
    if found is None:
        try:
            with looking_again(resource, "AWS cannot restore it now"):
                answer = rds.restore_db_cluster_from_snapshot(
                    SnapshotIdentifier=snapshot_arn,
                    Tags=tags.to_api(blueprint.tags | marks),
                    **blueprint.to_api(),
                )
            return Cluster.from_api(answer["DBCluster"])
        except ClientError as error:
            if verdict(error) is not Act.ADOPT:
                raise
            found = find_cluster(rds, cluster_id)
            if found is None:
                raise NotReady(resource, "it exists by now; not seen yet whose it is") from error
    if found.tags.get(tags.OPERATION) != marks[tags.OPERATION]:
        raise Refused(
            resource,
            "a cluster of this name exists and is not this operation's",
            "Name it in `replaces` to have it deleted, or choose another target_cluster_id.",
        )
    return found


def complete(
    rds: "RDSClient",
    cluster: Cluster,
    blueprint: Blueprint,
    marks: dict[str, str],
    password: SecretStr | None,
) -> Cluster:
    """Return the cluster once it, each instance, its settings and the master password are ready.

    Makes the next permitted move: a restore creates no instances, takes not every setting and
    leaves the snapshot's password. `password` is the master password to set; without one RDS makes
    and keeps one if the blueprint says so, else the snapshot's stays.

    Raises:
        NotReady: something is still in the making; carries the percentage of what is done.
        EndedBadly: the cluster or an instance ended in a status it never leaves.

    Source: RDS API, CreateDBInstance, EnableHttpEndpoint, ModifyDBCluster.
    """
    parts = len(blueprint.instances) + 2
    require_available(f"cluster {cluster.id}", cluster.status, 0)

    statuses = instance_statuses(rds, cluster.id)
    # Of instances asked for at one time any may become the writer, also the smallest (aws-cdk issue
    # 30260): readers are asked for once there is a writer, and it stays.
    has_writer = statuses.get(cluster.writer or "", "deleting") != "deleting"
    missing = [each for each in blueprint.instances if each.id not in statuses]
    permitted = [each for each in missing if has_writer or each is blueprint.instances[0]]
    for each in permitted:
        _create_instance(rds, cluster.id, each, marks)
    ready = 1 + sum(statuses.get(each.id) == AVAILABLE for each in blueprint.instances)
    if permitted:
        requested = ", ".join(each.id for each in permitted)
        raise NotReady(
            f"cluster {cluster.id}", f"instances requested: {requested}", 100 * ready // parts
        )
    for name, status in statuses.items():
        require_available(f"instance {name}", status, 100 * ready // parts, usable=_USABLE_INSTANCE)
    if missing:
        raise NotReady(f"cluster {cluster.id}", "it shows no writer yet", 100 * ready // parts)
    if blueprint.http_endpoint and not cluster.http_endpoint:
        _enable_data_api(rds, cluster, 100 * ready // parts)
    _ensure_settings(rds, cluster, blueprint, password, 100 * ready // parts)
    return cluster


def _create_instance(
    rds: "RDSClient", cluster_id: str, instance: InstanceBlueprint, marks: dict[str, str]
) -> None:
    resource = f"instance {instance.id}"
    try:
        with looking_again(resource, "it cannot be created now"):
            rds.create_db_instance(
                DBClusterIdentifier=cluster_id,
                Engine="aurora-postgresql",
                Tags=tags.to_api(instance.tags | marks),
                **instance.to_api(),
            )
    except rds.exceptions.DBInstanceAlreadyExistsFault as fault:
        page = rds.describe_db_instances(
            Filters=[{"Name": "db-instance-id", "Values": [instance.id]}]
        )
        if any(each.get("DBClusterIdentifier") != cluster_id for each in page["DBInstances"]):
            raise Refused(
                resource,
                "an instance of this name exists in another cluster",
                "Delete or rename it, or choose another target_cluster_id.",
            ) from fault


def _enable_data_api(rds: "RDSClient", cluster: Cluster, percent: int) -> NoReturn:
    """Ask for the Data API. Safe to repeat.

    Raises:
        NotReady: always, until the cluster shows it.

    Source: RDS API, EnableHttpEndpoint.
    """
    resource = f"cluster {cluster.id}"
    with looking_again(resource, "its Data API cannot be switched on now", percent):
        rds.enable_http_endpoint(ResourceArn=cluster.arn)
    raise NotReady(resource, "its Data API was requested", percent)


def _ensure_settings(
    rds: "RDSClient",
    cluster: Cluster,
    blueprint: Blueprint,
    password: SecretStr | None,
    percent: int,
) -> None:
    """Set by one call what RestoreDBClusterFromSnapshot does not take, or is better set last."""
    resource = f"cluster {cluster.id}"
    wanted = _settings_to_change(cluster, blueprint) | _password_to_set(
        cluster, blueprint, password
    )
    if wanted:
        with looking_again(resource, "its settings cannot be changed now", percent):
            rds.modify_db_cluster(DBClusterIdentifier=cluster.id, ApplyImmediately=True, **wanted)
        if "MasterUserPassword" in wanted:
            # Nothing in AWS's answers tells a new password from an old one: the mark does.
            tags.add(rds, cluster.arn, {tags.MASTER_PASSWORD: "true"})
        raise NotReady(resource, "its last settings were requested", percent)
    managed = password is None and blueprint.managed_password
    if managed and cluster.master_secret_status != _SECRET_READY:
        problem = f"the secret of its master password is {cluster.master_secret_status!r}"
        raise NotReady(resource, problem, percent)


def _settings_to_change(cluster: Cluster, blueprint: Blueprint) -> dict[str, Any]:
    now = {
        "PreferredMaintenanceWindow": cluster.maintenance_window,
        "DeletionProtection": cluster.protected,
    }
    wanted = blueprint.to_modify()
    return {name: value for name, value in wanted.items() if value != now[name]}


def _password_to_set(
    cluster: Cluster, blueprint: Blueprint, password: SecretStr | None
) -> dict[str, Any]:
    if password is not None:
        if tags.MASTER_PASSWORD in cluster.tags:
            return {}
        return {"MasterUserPassword": password.get_secret_value()}
    if not blueprint.managed_password or cluster.master_secret_arn is not None:
        return {}
    key = blueprint.managed_password_key
    return {"ManageMasterUserPassword": True} | ({"MasterUserSecretKmsKeyId": key} if key else {})
