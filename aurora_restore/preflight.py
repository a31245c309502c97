"""What is checked before anything is changed."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aurora_restore.announcements import require_topic
from aurora_restore.details import OperationBegun, SnapshotFound
from aurora_restore.errors import Refused, aws_code
from aurora_restore.rds import clusters, deleting, snapshots
from aurora_restore.request import RestoreRequest
from aurora_restore.secrets import get_master_password, get_password
from aurora_restore.sessions import check_identity, owns_source, source_client, target_client
from aurora_restore.settings import Settings, settings

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


def check(begun: OperationBegun) -> SnapshotFound:
    """Return the source snapshot's facts once what is checked here is in order.

    Only reads. Not checked yet: security groups, parameter groups, instance class, quotas, and
    whether the KMS keys can be used.

    Raises:
        NotFound, Refused, TopicUnavailable: the first thing that stands in the way.
    """
    try:
        return _check(begun, settings())
    except ClientError as error:
        if aws_code(error) not in _DENIED:
            raise
        raise Refused(
            error.operation_name,
            f"AWS denies this call ({aws_code(error)})",
            "Grant the action to the role that makes it: the task role, or the source role for "
            "calls to the source account.",
        ) from error


def _check(begun: OperationBegun, account: Settings) -> SnapshotFound:
    request = begun.request
    require_allowed(request, account)
    check_identity(target_client("sts", request.target_region), request.target_account_id, "target")
    own = owns_source(request)
    if own:
        check_identity(source_client("sts", request), request.source_account_id, "source")
    region = account.topic_arn.split(":")[3]
    require_topic(target_client("sns", region), account.topic_arn)
    _require_secrets(request)

    rds = target_client("rds", request.target_region)
    clusters.get_network(rds, request.db_subnet_group_name)
    _require_room(rds, begun)
    snapshot = snapshots.get_source_snapshot(source_client("rds", request), request, own=own)
    _require_not_source(request, snapshot)
    _require_not_master(request, snapshot)
    return begun.then(
        SnapshotFound,
        data_from=snapshot.created_at,
        snapshot_name=snapshot.id.rsplit(":cluster-snapshot:", 1)[-1],
        snapshot_arn=snapshot.arn,
        source_account_id=request.source_account_id,
        target_account_id=request.target_account_id,
        source_region=request.source_region,
        target_region=request.target_region,
    )


def require_allowed(request: RestoreRequest, account: Settings) -> None:
    """Return if the settings let this account and these clusters be touched.

    Raises:
        Refused: they do not.
    """
    allowed = account.allowed_target_accounts
    if allowed and request.target_account_id not in allowed:
        raise Refused(
            f"target_account_id {request.target_account_id}",
            "not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS",
            "Correct the request, or have the platform team allow the account.",
        )
    for cluster_id in {request.target_cluster_id, request.replaced_cluster_id}:
        if not account.allowed_target_clusters.fullmatch(cluster_id):
            raise Refused(
                f"cluster {cluster_id}",
                "its identifier does not match AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS "
                f"({account.allowed_target_clusters.pattern})",
                "Correct the request, or have the platform team allow the identifier.",
            )


def _require_secrets(request: RestoreRequest) -> None:
    client = target_client("secretsmanager", request.target_region)
    for number, role in enumerate(request.roles):
        get_password(client, role.secret_id, f"roles.{number}.secret_id")
    if request.master_secret_id is not None:
        get_master_password(client, request.master_secret_id)


def _require_room(rds: "RDSClient", begun: OperationBegun) -> None:
    old = deleting.find_replaced(rds, begun.request, begun.operation_id)
    if old is not None:
        deleting.require_deletable(old)


def _require_not_source(request: RestoreRequest, snapshot: snapshots.Snapshot) -> None:
    same_place = (request.source_account_id, request.source_region) == (
        request.target_account_id,
        request.target_region,
    )
    if same_place and snapshot.cluster_id in {
        request.target_cluster_id,
        request.replaced_cluster_id,
    }:
        raise Refused(
            f"target_cluster_id {request.target_cluster_id}",
            f"snapshot {snapshot.id} was taken from the cluster that would be deleted",
            "Name another target cluster, account or Region.",
        )


def _require_not_master(request: RestoreRequest, snapshot: snapshots.Snapshot) -> None:
    for number, role in enumerate(request.roles):
        if role.name == snapshot.master_username:
            raise Refused(
                f"roles.{number}.name {role.name}",
                "this is the cluster's master user",
                "Use master_secret_id for its password, and another name for the role.",
            )
