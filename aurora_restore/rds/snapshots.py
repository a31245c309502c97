"""Cluster snapshots: find, share, copy, archive."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from aurora_restore.errors import EndedBadly, NotFound, NotReady, Refused
from aurora_restore.rds import tags
from aurora_restore.rds.status import AVAILABLE, require_available
from aurora_restore.request import RestoreRequest

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterSnapshotTypeDef

MAX_IDENTIFIER = 63


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
            tags=tags.from_api(found.get("TagList", [])),
        )

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


def get_source_snapshot(rds: "RDSClient", request: RestoreRequest, *, own: bool) -> Snapshot:
    """Return the snapshot the request names, or the newest of its source cluster.

    `own` tells whether the client is the source account's; otherwise the snapshot is sought among
    those shared with the target account.

    Raises:
        NotFound: there is none, or it is not shared.
        Refused: it is not available, too old, or not of Aurora PostgreSQL.
    """
    if request.snapshot_id is not None:
        snapshot_id = request.snapshot_id if own else snapshot_arn(request, request.snapshot_id)
        found = find_snapshot(rds, snapshot_id)
        resource = f"snapshot_id {request.snapshot_id}"
        where = f"account {request.source_account_id}, Region {request.source_region}"
        if found is None and not own:
            raise NotFound(
                resource,
                f"not found, or not shared with account {request.target_account_id} ({where})",
                "Share the snapshot, or set AURORA_RESTORE_SOURCE_ROLE_ARN.",
            )
        if found is None:
            raise NotFound(resource, f"no such cluster snapshot in {where}")
    else:
        found = _newest(rds, request)
        resource = f"source_cluster_id {request.source_cluster_id}"
        if found is None and not own:
            raise NotFound(
                resource,
                "its newest snapshot cannot be told without a role in the source account",
                "Name the snapshot in snapshot_id, or set AURORA_RESTORE_SOURCE_ROLE_ARN.",
            )
        if found is None:
            raise NotFound(resource, f"it has no available {request.snapshot_type} snapshot")
    _require_usable(found, resource, request)
    return found


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


def _require_usable(found: Snapshot, resource: str, request: RestoreRequest) -> None:
    if found.engine != "aurora-postgresql":
        raise Refused(
            resource,
            f"its engine is {found.engine!r}, not 'aurora-postgresql'",
            "Name a snapshot of an Aurora PostgreSQL cluster.",
        )
    if found.status != AVAILABLE:
        raise Refused(
            resource,
            f"its status is {found.status!r}",
            "Wait until it is available, or name another.",
        )
    elsewhere = request.source_account_id != request.target_account_id
    if found.type == "automated" and elsewhere:
        raise Refused(
            resource,
            "an automated snapshot cannot be shared with another account",
            "Copy it to a manual snapshot in the source account and name that one.",
        )
    if found.encrypted and request.kms_key_id is None:
        raise Refused(
            "kms_key_id",
            f"snapshot {found.id} is encrypted and no key is given for its copy",
            "Give a KMS key of the target account and Region.",
        )
    if not found.encrypted and request.kms_key_id is not None:
        raise Refused(
            "kms_key_id",
            f"snapshot {found.id} is not encrypted, and AWS does not encrypt it by copying",
            "Leave kms_key_id out, or name an encrypted snapshot.",
        )
    if request.max_snapshot_age_hours is not None and found.created_at is not None:
        hours = (datetime.now(UTC) - found.created_at).total_seconds() / 3600
        if hours > request.max_snapshot_age_hours:
            raise Refused(
                resource,
                f"it is {hours:.0f} hours old, max_snapshot_age_hours is "
                f"{request.max_snapshot_age_hours}",
                "Take a newer snapshot, or allow an older one.",
            )


def ensure_shared(rds: "RDSClient", snapshot: Snapshot, account: str) -> bool:
    """Let `account` copy the snapshot; return whether that had to be added. Safe to repeat.

    Source: RDS API, ModifyDBClusterSnapshotAttribute, attribute `restore`.
    """
    answer = rds.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier=snapshot.id)
    attributes = answer["DBClusterSnapshotAttributesResult"].get("DBClusterSnapshotAttributes", [])
    shared_with = {
        value
        for attribute in attributes
        if attribute.get("AttributeName") == "restore"
        for value in attribute.get("AttributeValues", [])
    }
    if shared_with & {account, "all"}:
        return False
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=snapshot.id, AttributeName="restore", ValuesToAdd=[account]
    )
    return True


def final_snapshot_name(cluster_id: str, operation_id: str) -> str:
    """Return the identifier of the final snapshot an operation takes of a cluster."""
    return _shortened(cluster_id, "-final-" + _short(operation_id))


def copy_names(request: RestoreRequest, operation_id: str, snapshot_id: str) -> list[str]:
    """Return the identifiers the copy may have, the preferred one first.

    The second one is this operation's alone: it serves when an earlier operation's copy of the
    same snapshot still has the first.
    """
    if request.target_snapshot is not None:
        return [request.target_snapshot]
    base = snapshot_id.removeprefix("rds:").lower()
    own = "-copy-" + _short(operation_id)
    return [_shortened(base, "-copy"), _shortened(base, own)]


def _short(operation_id: str) -> str:
    return "".join(each for each in operation_id.lower() if each.isalnum())[-12:]


def _shortened(base: str, suffix: str) -> str:
    return base[: MAX_IDENTIFIER - len(suffix)].rstrip("-") + suffix


def start_copy(
    rds: "RDSClient",
    source_arn: str,
    request: RestoreRequest,
    names: list[str],
    marks: dict[str, str],
) -> Snapshot:
    """Return the copy of this operation: found by its tag, or requested now. Safe to repeat.

    `rds` is a client of the target account and Region; the source is named by its full ARN.

    Raises:
        NotReady: five copies into the Region are in flight already, or the source is busy.
        Refused: every permitted name belongs to somebody else, or the key cannot be used.

    Source: RDS API, CopyDBClusterSnapshot.
    """
    existing = {name: find_snapshot(rds, name) for name in names}
    for copy in existing.values():
        if copy is not None and copy.tags.get(tags.OPERATION) == marks[tags.OPERATION]:
            return copy
    free = next((name for name in names if existing[name] is None), None)
    if free is None:
        raise Refused(
            f"cluster snapshot {names[0]}",
            "a snapshot of this name exists and is not this operation's",
            "Delete it, or give another target_snapshot.",
        )
    key = {"KmsKeyId": request.kms_key_id} if request.kms_key_id is not None else {}
    try:
        answer = rds.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=source_arn,
            TargetDBClusterSnapshotIdentifier=free,
            CopyTags=False,
            Tags=tags.to_api(marks),
            **key,
        )
    except rds.exceptions.DBClusterSnapshotAlreadyExistsFault:
        # botocore resends after a lost reply: the one that exists may be ours.
        copy = find_snapshot(rds, free)
        if copy is not None and copy.tags.get(tags.OPERATION) == marks[tags.OPERATION]:
            return copy
        raise
    except rds.exceptions.SnapshotQuotaExceededFault as fault:
        # One code, two meanings, told apart by the message alone.
        if "across regions" in str(fault):
            raise NotReady(f"cluster snapshot {free}", "five copies are in flight") from fault
        raise Refused(
            f"cluster snapshot {free}",
            "the account's quota of manual snapshots is used up",
            "Delete snapshots, or have the quota raised.",
        ) from fault
    except (
        rds.exceptions.InvalidDBClusterSnapshotStateFault,
        rds.exceptions.InvalidDBClusterStateFault,
    ) as fault:
        raise NotReady(f"cluster snapshot {free}", "its source is busy; no copy yet") from fault
    except rds.exceptions.KMSKeyNotAccessibleFault as fault:
        raise Refused(
            f"kms_key_id {request.kms_key_id}",
            "the key cannot be used for the copy (KMSKeyNotAccessibleFault)",
            "Check that it exists and is enabled in the target Region, and that the policies of "
            "this key and of the source's key admit the task role.",
        ) from fault
    return Snapshot.from_api(answer["DBClusterSnapshot"])


def require_copied(rds: "RDSClient", copy_id: str) -> Snapshot:
    """Return the copy once it is available.

    Raises:
        NotReady: it is still being copied; carries AWS's PercentProgress.
        EndedBadly: it failed, or it has vanished.
    """
    copy = find_snapshot(rds, copy_id)
    if copy is None:
        raise EndedBadly(f"cluster snapshot {copy_id}", "the copy has vanished while it was made")
    return copy.require_available()


def ensure_final_snapshot(
    rds: "RDSClient", cluster_id: str, snapshot_id: str, marks: dict[str, str]
) -> Snapshot:
    """Return a manual snapshot of the cluster once it is available. Safe to repeat.

    Raises:
        NotReady: it is still being made.
        EndedBadly: it failed.
        Refused: the name belongs to somebody else.

    Source: RDS API, CreateDBClusterSnapshot.
    """
    found = find_snapshot(rds, snapshot_id)
    if found is None:
        try:
            rds.create_db_cluster_snapshot(
                DBClusterSnapshotIdentifier=snapshot_id,
                DBClusterIdentifier=cluster_id,
                Tags=tags.to_api(marks),
            )
        except rds.exceptions.InvalidDBClusterStateFault as fault:
            raise NotReady(f"cluster {cluster_id}", "it is busy; no final snapshot yet") from fault
        raise NotReady(f"cluster snapshot {snapshot_id}", "the final snapshot was requested", 0)
    if found.tags.get(tags.OPERATION) != marks[tags.OPERATION]:
        raise Refused(
            f"cluster snapshot {snapshot_id}",
            "a snapshot of this name exists and is not this operation's",
            "Delete it, then run again.",
        )
    return found.require_available()


def archive(rds: "RDSClient", copy_id: str, *, keep: bool) -> None:
    """Mark the copy as archived, or delete it. Safe to repeat.

    Raises:
        NotReady: it is in use just now.

    Source: RDS API, AddTagsToResource, DeleteDBClusterSnapshot.
    """
    copy = find_snapshot(rds, copy_id)
    if copy is None:
        if keep:
            raise NotFound(f"cluster snapshot {copy_id}", "the copy to archive is gone", "")
        return
    if not keep:
        delete_snapshot(rds, copy_id)
    elif tags.ARCHIVED not in copy.tags:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rds.add_tags_to_resource(ResourceName=copy.arn, Tags=tags.to_api({tags.ARCHIVED: moment}))


def prune_archives(rds: "RDSClient", target_cluster_id: str, keep_newest: int) -> list[str]:
    """Delete the archived copies of a target cluster beyond the newest; return their ids."""
    archived = sorted(
        (
            snapshot
            for snapshot in _manual_snapshots(rds)
            if snapshot.tags.get(tags.TARGET) == target_cluster_id
            and snapshot.tags.get(tags.MANAGED) == "true"
            and tags.ARCHIVED in snapshot.tags
        ),
        key=lambda each: (each.tags[tags.ARCHIVED], each.id),
        reverse=True,
    )
    pruned = [snapshot.id for snapshot in archived[keep_newest:]]
    for snapshot_id in pruned:
        delete_snapshot(rds, snapshot_id)
    return pruned


def delete_snapshot(rds: "RDSClient", snapshot_id: str) -> None:
    """Delete a manual snapshot. Safe to repeat.

    Raises:
        NotReady: its state does not permit it yet.

    Source: RDS API, DeleteDBClusterSnapshot.
    """
    try:
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot_id)
    except rds.exceptions.DBClusterSnapshotNotFoundFault:
        return
    except rds.exceptions.InvalidDBClusterSnapshotStateFault as fault:
        raise NotReady(f"cluster snapshot {snapshot_id}", "it is in use") from fault


def _manual_snapshots(rds: "RDSClient") -> Iterator[Snapshot]:
    pages = rds.get_paginator("describe_db_cluster_snapshots").paginate(SnapshotType="manual")
    for page in pages:
        yield from map(Snapshot.from_api, page["DBClusterSnapshots"])
