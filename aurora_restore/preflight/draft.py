"""What would be built if nothing were in the way: so that one obstacle does not hide another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora_restore import inheriting
from aurora_restore.errors import Refused
from aurora_restore.plan import OldCluster
from aurora_restore.preflight.reading import Unknown
from aurora_restore.rds import tags
from aurora_restore.rds.blueprint import Blueprint
from aurora_restore.rds.clusters import Cluster
from aurora_restore.rds.snapshots import Snapshot

if TYPE_CHECKING:
    from aurora_restore.preflight.facts import First

# What stands in for a value that is not known; `Draft.need` keeps it from being judged.
_STAND_INS = {
    "db_subnet_group_name": "unknown",
    "security_group_ids": ["sg-0"],
    "instance_class": "db.unknown",
    "kms_key_id": "unknown",
    "serverless_min_acu": 0.5,
    "serverless_max_acu": 1.0,
}
_INHERITED = (
    *_STAND_INS,
    "cluster_parameter_group",
    "instance_parameter_group",
    "reader_count",
    "log_exports",
    "storage_type",
    "engine_version",
)


@dataclass(frozen=True)
class Draft:
    """The new cluster, as far as it can be told.

    `gaps` are the request's fields whose values are not known, each with the name of the check
    that must be in order first. `cluster` is the one to be replaced, `old` what it was made by.
    """

    new: Blueprint
    cluster: Cluster | None
    old: OldCluster | None
    snapshot: Snapshot | None
    gaps: Mapping[str, str]

    def need(self, *fields: str) -> Blueprint:
        """Return the new cluster.

        Raises:
            Unknown: one of these fields is not known.
        """
        for field in fields:
            if field in self.gaps:
                raise Unknown(self.gaps[field], Refused(field, "not known"))
        return self.new


def draft(first: "First") -> Draft:
    """Return what would be built: with stand-ins for what is missing."""
    request = first.request
    gaps: dict[str, str] = {}
    cluster = old = snapshot = None
    try:
        snapshot = first.snapshot.get()
    except Unknown as unknown:
        if request.engine_version is None:
            gaps["engine_version"] = unknown.owner
    try:
        cluster, old = _replaced(first)
    except Unknown as unknown:
        gaps |= {field: unknown.owner for field in _INHERITED if getattr(request, field) is None}
    blueprint = old.blueprint if old is not None else None
    for field in inheriting.missing_fields(request, blueprint, snapshot):
        gaps.setdefault(field, "inheritance")
    missing = {
        field: _STAND_INS[field]
        for field in inheriting.missing_fields(request, blueprint, snapshot)
    }
    encrypted = request.kms_key_id is not None or bool(blueprint and blueprint.kms_key_id)
    standing_in = snapshot or _stand_in(request.engine_version, encrypted=encrypted)
    new = inheriting.resolve(
        request.model_copy(update=missing), blueprint, standing_in, first.operation_id
    )
    if snapshot is None and request.kms_key_id is None and new.kms_key_id is None:
        gaps.setdefault("kms_key_id", "source-snapshot")
    return Draft(new, cluster, old, snapshot, gaps)


def _replaced(first: "First") -> tuple[Cluster | None, OldCluster | None]:
    """Return the cluster to be replaced; one that this operation has made is not it."""
    wanted = first.request.replaced_cluster_id
    for each in first.clusters.get():
        cluster = Cluster.from_api(each)
        if cluster.id != wanted or cluster.tags.get(tags.OPERATION) == first.operation_id:
            continue
        members = [
            instance
            for instance in first.instances.get()
            if instance.get("DBClusterIdentifier") == wanted
        ]
        old = OldCluster(
            arn=cluster.arn,
            resource_id=cluster.resource_id,
            blueprint=Blueprint.from_api(each, members),
        )
        return cluster, old
    return None, None


def _stand_in(version: str | None, *, encrypted: bool) -> Snapshot:
    return Snapshot(
        id="unknown",
        arn="",
        status="available",
        type="manual",
        engine="aurora-postgresql",
        engine_version=version or "",
        master_username="",
        cluster_id="",
        encrypted=encrypted,
        percent=100,
        created_at=None,
    )
