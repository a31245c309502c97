"""CreateDBClusterSnapshot, CopyDBClusterSnapshot, DeleteDBClusterSnapshot, sharing, describing."""

from collections.abc import Mapping
from typing import Any, Final

from moto.rds.models import DBClusterSnapshot, RDSBackend, rds_backends
from moto.rds.utils import apply_filter, split_arn, validate_filters

from sandbox.rds import checks, durations, faults, quotas
from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.endings import take
from sandbox.rds.runtime import runtime
from sandbox.rds.snapshot import AuroraSnapshot, all_snapshots, take_snapshot

Params = Mapping[str, Any]

COPIES_IN_FLIGHT: Final = 5


def find_snapshot(
    backend: RDSBackend, identifier: str | None, *, same_region: bool
) -> AuroraSnapshot:
    """Return an own snapshot by name or ARN, or a shared one by ARN.

    Raises DBClusterSnapshotNotFoundFault also for what exists but is not shared.
    """
    wanted = identifier or ""
    account, region, name = backend.account_id, backend.region_name, wanted
    if wanted.startswith("arn:"):
        if wanted.count(":") < 6:  # noqa: PLR2004  # parts of an ARN
            raise faults.bad_value(f"Invalid snapshot identifier: {wanted}")
        region, account, kind, name = split_arn(wanted)
        if kind != "cluster-snapshot" or (same_region and region != backend.region_name):
            raise faults.snapshot_not_found(wanted)
    home = rds_backends[account].get(region) if account in rds_backends else None
    snapshot = None if home is None else home.cluster_snapshots.get(name)
    if not isinstance(snapshot, AuroraSnapshot) or not snapshot.shared_with(backend.account_id):
        raise faults.snapshot_not_found(wanted)
    return snapshot


def check_new_snapshot(
    backend: RDSBackend, identifier: str | None, parameter: str, longest: int = 63
) -> str:
    """Return the name a new manual snapshot may have."""
    name = checks.identifier(identifier, parameter, longest)
    if name in backend.cluster_snapshots:
        raise faults.snapshot_exists(name)
    quotas.check_room(backend, "ManualClusterSnapshots")
    return name


def create_snapshot(backend: RDSBackend, cluster: AuroraCluster, params: Params) -> AuroraSnapshot:
    """Begin a manual snapshot.

    Source: RDS API, CreateDBClusterSnapshot.
    """
    name = check_new_snapshot(
        backend, params.get("DBClusterSnapshotIdentifier"), "DBClusterSnapshotIdentifier"
    )
    if cluster.status != "available":
        raise faults.cluster_state(
            f"Cluster {cluster.db_cluster_identifier} is not in available state "
            f"but {cluster.status}."
        )
    return take_snapshot(cluster, name, tags=params.get("Tags"))


def copy_snapshot(backend: RDSBackend, params: Params) -> AuroraSnapshot:
    """Begin a copy, across account and Region in one step if need be.

    Source: RDS API, CopyDBClusterSnapshot; quotas by their messages.
    """
    wanted = params.get("SourceDBClusterSnapshotIdentifier")
    name = checks.identifier(
        params.get("TargetDBClusterSnapshotIdentifier"), "TargetDBClusterSnapshotIdentifier"
    )
    source = find_snapshot(backend, wanted, same_region=False)
    if name in backend.cluster_snapshots:
        raise faults.snapshot_exists(name)
    if source.status != "available":
        raise faults.snapshot_state(
            f"Snapshot {source.db_cluster_snapshot_identifier} is in {source.status} state, "
            "but expected it to be in the available state."
        )
    key = _copy_key(backend, source, params.get("KmsKeyId"))
    copying = [s for s in backend.cluster_snapshots.values() if s.status == "copying"]
    if len(copying) >= COPIES_IN_FLIGHT:
        raise faults.fault(
            "SnapshotQuotaExceeded",
            f"Cannot copy more than {COPIES_IN_FLIGHT} snapshots across regions",
        )
    quotas.check_room(backend, "ManualClusterSnapshots")
    tags = params.get("Tags") or (source.tags if params.get("CopyTags") else [])
    copy = source.copied_to(backend, name, kms_key_id=key, tags=list(tags))
    backend.cluster_snapshots[name] = copy
    _begin_copy(copy, source.key)
    return copy


def _copy_key(backend: RDSBackend, source: AuroraSnapshot, wanted: str | None) -> str | None:
    if not source.encrypted:
        if wanted is not None:
            raise faults.bad_combination(
                "KmsKeyId cannot be specified: the source snapshot is not encrypted."
            )
        return None
    away = (source.account_id, source.region) != (backend.account_id, backend.region_name)
    # without its key nobody can read the source
    checks.key(source.backend, source.kms_key_id, account=backend.account_id)
    return checks.key(backend, wanted if away else wanted or source.kms_key_id)


def _begin_copy(copy: AuroraSnapshot, source: str) -> None:
    name = copy.db_cluster_snapshot_identifier
    if take("copy-stuck", name):
        copy.work("copying", durations.COPY, until=0.0)
    elif take("copy-failed", name):
        copy.work("copying", durations.COPY, ending="failed", until=0.6)
    elif take("copy-vanished", name):
        copy.work("copying", durations.COPY, ending="deleted", until=0.5)
    else:
        copy.work("copying", durations.COPY)
        copy.has_data = True
        postgres, target = runtime().postgres, copy.key
        runtime().jobs.start(copy.life.uid, lambda: postgres.copy_snapshot(source, target))


def delete_snapshot(backend: RDSBackend, identifier: str | None) -> AuroraSnapshot:
    """Delete a manual snapshot; one that is being copied is cancelled.

    Source: RDS API, DeleteDBClusterSnapshot.
    """
    snapshot = find_snapshot(backend, identifier, same_region=True)
    if snapshot.backend is not backend:
        raise faults.snapshot_not_found(identifier or "")
    if snapshot.snapshot_type != "manual" or snapshot.status == "creating":
        raise faults.snapshot_state(
            f"Snapshot {identifier} ({snapshot.snapshot_type}) cannot be deleted "
            f"in {snapshot.status} state."
        )
    snapshot.remove()
    return snapshot


def share_snapshot(backend: RDSBackend, params: Params) -> AuroraSnapshot:
    """Change who may copy or restore a manual snapshot.

    Source: RDS API, ModifyDBClusterSnapshotAttribute; Aurora User Guide, sharing a snapshot.
    """
    snapshot = find_snapshot(backend, params.get("DBClusterSnapshotIdentifier"), same_region=True)
    if snapshot.backend is not backend:
        raise faults.snapshot_not_found(str(params.get("DBClusterSnapshotIdentifier")))
    if snapshot.snapshot_type != "manual":
        raise faults.snapshot_state("Automated snapshots cannot be shared.")
    if snapshot.status != "available":
        raise faults.snapshot_state(
            f"Snapshot {snapshot.db_cluster_snapshot_identifier} is not in available state."
        )
    added = params.get("ValuesToAdd") or []
    for account in added:
        if account != "all" and not (len(account) == 12 and account.isdigit()):  # noqa: PLR2004
            raise faults.bad_value(f"Invalid account id: {account}")
    if added and snapshot.encrypted:
        if "all" in added:
            raise faults.bad_combination("Encrypted snapshots cannot be shared publicly.")
        if checks.is_default_key(snapshot.backend, str(snapshot.kms_key_id)):
            raise faults.bad_combination(
                "Sharing snapshots encrypted with the default service key for RDS is currently "
                "not supported."
            )
    snapshot.modify_attribute(
        str(params.get("AttributeName")), list(added), list(params.get("ValuesToRemove") or [])
    )
    return snapshot


def describe_snapshots(backend: RDSBackend, params: Params) -> list[DBClusterSnapshot]:
    """Return the snapshots asked for; another account's only when shared ones are asked for.

    Source: RDS API, DescribeDBClusterSnapshots.
    """
    wanted, kind = params.get("DBClusterSnapshotIdentifier"), params.get("SnapshotType")
    cluster, resource = params.get("DBClusterIdentifier"), params.get("DbClusterResourceId")
    if wanted and cluster:
        raise faults.bad_combination(
            "DBClusterIdentifier and DBClusterSnapshotIdentifier cannot be specified together."
        )
    if kind not in (None, "automated", "manual", "shared", "public", "awsbackup"):
        raise faults.bad_value(f"Invalid snapshot type: {kind}")
    found = [
        snapshot
        for snapshot in _candidates(backend, kind, params)
        if (wanted is None or _is_named(backend, snapshot, wanted))
        and (
            cluster is None or snapshot.db_cluster_identifier == cluster.rsplit(":", 1)[-1].lower()
        )
        and (resource is None or getattr(snapshot, "db_cluster_resource_id", None) == resource)
        and not (wanted and kind is None and snapshot.snapshot_type == "automated")
    ]
    filters = {item["Name"]: list(item["Values"]) for item in params.get("Filters") or []}
    if filters:
        try:
            validate_filters(filters, DBClusterSnapshot.SUPPORTED_FILTERS)
        except (KeyError, ValueError) as error:
            raise faults.bad_value(str(error.args[0])) from error
        by_arn = {snapshot.db_cluster_snapshot_arn: snapshot for snapshot in found}
        found = list(apply_filter(by_arn, filters, DBClusterSnapshot.SUPPORTED_FILTERS).values())
    if wanted and not found:
        raise faults.snapshot_not_found(wanted)
    return found


def _candidates(backend: RDSBackend, kind: str | None, params: Params) -> list[DBClusterSnapshot]:
    own = [s for s in backend.cluster_snapshots.values() if kind in (None, s.snapshot_type)]
    others = [
        snapshot
        for snapshot in all_snapshots()
        if snapshot.region == backend.region_name and snapshot.account_id != backend.account_id
    ]
    public = [s for s in others if "all" in s.attributes["restore"]]
    shared = [s for s in others if backend.account_id in s.attributes["restore"]]
    if kind == "shared" or (kind is None and params.get("IncludeShared")):
        own.extend(shared)
    if kind == "public" or (kind is None and params.get("IncludePublic")):
        own.extend(snapshot for snapshot in public if snapshot not in own)
    return own


def _is_named(backend: RDSBackend, snapshot: DBClusterSnapshot, wanted: str) -> bool:
    if wanted.startswith("arn:"):
        return snapshot.db_cluster_snapshot_arn.lower() == wanted.lower()
    own = snapshot.account_id == backend.account_id
    return own and snapshot.db_cluster_snapshot_identifier == wanted.lower()
