"""Cluster snapshots: find, share, copy, archive."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from aurora_restore.errors import NotFound, Refused
from aurora_restore.rds import tags
from aurora_restore.rds.status import AVAILABLE, is_terminal, require_available
from aurora_restore.request import RestoreRequest

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterSnapshotTypeDef


@dataclass(frozen=True)
class Snapshot:
    """A cluster snapshot as AWS shows it."""

    id: str
    arn: str
    status: str
    type: str
    engine: str
    engine_version: str
    master_username: str
    cluster_id: str
    encrypted: bool
    percent: int
    created_at: datetime | None
    kms_key_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_api(cls, found: "DBClusterSnapshotTypeDef") -> Self:
        """Return the snapshot of an API answer."""
        return cls(
            id=found["DBClusterSnapshotIdentifier"],
            arn=found["DBClusterSnapshotArn"],
            status=found["Status"],
            type=found.get("SnapshotType", "manual"),
            engine=found.get("Engine", ""),
            engine_version=found.get("EngineVersion", ""),
            master_username=found.get("MasterUsername", ""),
            cluster_id=found.get("DBClusterIdentifier", ""),
            encrypted=found.get("StorageEncrypted", False),
            percent=found.get("PercentProgress", 0),
            created_at=found.get("SnapshotCreateTime"),
            kms_key_id=found.get("KmsKeyId"),
            tags=tags.from_api(found.get("TagList", [])),
        )

    @property
    def name(self) -> str:
        """The bare identifier: of a shared snapshot AWS gives the ARN as its identifier."""
        return self.arn.rsplit(":cluster-snapshot:", 1)[-1]

    def require_available(self) -> Self:
        """Return self, or raise NotReady to wait, EndedBadly to stop."""
        require_available(f"cluster snapshot {self.id}", self.status, self.percent)
        return self


def find_snapshot(rds: "RDSClient", snapshot_id: str) -> Snapshot | None:
    """Return one cluster snapshot by identifier or ARN, or None.

    Source: RDS API, DescribeDBClusterSnapshots. An automated one is found only when its type is
    asked for, one of another account only with IncludeShared.
    """
    how: dict[str, Any] = {}
    if snapshot_id.rsplit(":cluster-snapshot:", 1)[-1].startswith("rds:"):
        how["SnapshotType"] = "automated"
    if snapshot_id.startswith("arn:"):
        how["IncludeShared"] = True
    try:
        page = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=snapshot_id, **how)
    except rds.exceptions.DBClusterSnapshotNotFoundFault:
        return None
    found = page["DBClusterSnapshots"]
    return Snapshot.from_api(found[0]) if found else None


def find_source_snapshot(rds: "RDSClient", request: RestoreRequest, *, own: bool) -> Snapshot:
    """Return the snapshot the request names, or the newest of its source cluster, fit or not.

    `own` tells whether the client is the source account's; otherwise the snapshot is sought among
    those shared with the target account.

    Raises:
        NotFound: there is none, or it is not shared.
    """
    where = f"account {request.source_account_id}, Region {request.source_region}"
    if request.snapshot_id is not None:
        resource = f"snapshot_id {request.snapshot_id}"
        snapshot_id = request.snapshot_id if own else snapshot_arn(request, request.snapshot_id)
        if (found := find_snapshot(rds, snapshot_id)) is not None:
            return found
        if own:
            raise NotFound(resource, f"no such cluster snapshot in {where}")
        raise NotFound(
            resource,
            f"not found, or not shared with account {request.target_account_id} ({where})",
            "Share the snapshot, or set AURORA_RESTORE_SOURCE_ROLE_ARN.",
        )
    resource = f"source_cluster_id {request.source_cluster_id}"
    if (found := _newest(rds, request)) is not None:
        return found
    if own:
        raise NotFound(resource, f"it has no available {request.snapshot_type} snapshot")
    raise NotFound(
        resource,
        "its newest snapshot cannot be told without a role in the source account",
        "Name the snapshot in snapshot_id, or set AURORA_RESTORE_SOURCE_ROLE_ARN.",
    )


def source_name(request: RestoreRequest) -> str:
    """Return the request's field that leads to the snapshot, with its value, for an error."""
    if request.snapshot_id is not None:
        return f"snapshot_id {request.snapshot_id}"
    return f"source_cluster_id {request.source_cluster_id}"


def unfit(found: Snapshot, request: RestoreRequest) -> list[Refused]:
    """Return every reason why the snapshot cannot be restored as the request wants it."""
    resource = source_name(request)
    reasons = []
    if found.engine != "aurora-postgresql":
        reasons.append(
            Refused(
                resource,
                f"its engine is {found.engine!r}, not 'aurora-postgresql'",
                "Name a snapshot of an Aurora PostgreSQL cluster.",
            )
        )
    if is_terminal(found.status) or found.status == "deleting":
        reasons.append(
            Refused(
                resource,
                f"its status is {found.status!r}, so it never becomes available",
                "Name another snapshot.",
            )
        )
    elif found.status != AVAILABLE:
        reasons.append(
            Refused(
                resource,
                f"its status is {found.status!r}",
                "Wait until it is available, or name another.",
            )
        )
    if request.max_snapshot_age_hours is not None and found.created_at is not None:
        hours = (datetime.now(UTC) - found.created_at).total_seconds() / 3600
        if hours > request.max_snapshot_age_hours:
            reasons.append(
                Refused(
                    resource,
                    f"it is {hours:.0f} hours old, max_snapshot_age_hours is "
                    f"{request.max_snapshot_age_hours}",
                    "Take a newer snapshot, or allow an older one.",
                )
            )
    same_place = (request.source_account_id, request.source_region) == (
        request.target_account_id,
        request.target_region,
    )
    if same_place and found.cluster_id in {
        request.target_cluster_id,
        request.replaced_cluster_id,
    }:
        reasons.append(
            Refused(
                f"target_cluster_id {request.target_cluster_id}",
                f"snapshot {found.name} was taken from the cluster that would be deleted",
                "Name another target cluster, account or Region.",
            )
        )
    return reasons


def snapshot_arn(request: RestoreRequest, snapshot_id: str) -> str:
    """Return the ARN of a snapshot of the source account and Region."""
    partition = "aws-us-gov" if request.source_region.startswith("us-gov-") else "aws"
    return (
        f"arn:{partition}:rds:{request.source_region}:{request.source_account_id}"
        f":cluster-snapshot:{snapshot_id}"
    )


def _newest(rds: "RDSClient", request: RestoreRequest) -> Snapshot | None:
    pages = rds.get_paginator("describe_db_cluster_snapshots").paginate(
        DBClusterIdentifier=str(request.source_cluster_id), SnapshotType=request.snapshot_type
    )
    available = [
        (snapshot.created_at, snapshot.id, snapshot)
        for page in pages
        for snapshot in map(Snapshot.from_api, page["DBClusterSnapshots"])
        if snapshot.status == AVAILABLE
        and snapshot.created_at is not None
        # Without a source role the client sees the target account's own, e.g. earlier copies.
        and snapshot.arn.split(":")[4] == request.source_account_id
    ]
    return max(available)[2] if available else None
