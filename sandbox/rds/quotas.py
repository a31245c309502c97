"""How many clusters, instances and manual snapshots an account may have in a Region."""

from collections.abc import Mapping
from typing import Any, Final

from moto.rds.models import RDSBackend

from sandbox.rds import faults
from sandbox.rds.circumstances import limits

DEFAULTS: Final[Mapping[str, int]] = {
    "DBClusters": 40,
    "DBInstances": 40,
    "ManualClusterSnapshots": 100,
}
_FAULTS: Final = {
    "DBClusters": ("DBClusterQuotaExceededFault", "DB cluster quota exceeded"),
    "DBInstances": ("InstanceQuotaExceeded", "DB instance quota exceeded"),
    "ManualClusterSnapshots": (
        "SnapshotQuotaExceeded",
        "Cannot create more than {} manual snapshots",
    ),
}


def describe_quotas(backend: RDSBackend) -> list[dict[str, Any]]:
    """Return each quota with what is used of it.

    Source: RDS API, DescribeAccountAttributes; AccountQuota.
    """
    return [
        {"AccountQuotaName": name, "Used": _used(backend, name), "Max": _limit(name)}
        for name in DEFAULTS
    ]


def check_room(backend: RDSBackend, name: str) -> None:
    """Refuse one more than the quota allows.

    Source: RDS API, the errors of CreateDBCluster, CreateDBInstance, CreateDBClusterSnapshot.
    """
    if _used(backend, name) >= _limit(name):
        code, text = _FAULTS[name]
        raise faults.fault(code, text.format(_limit(name)))


def _limit(name: str) -> int:
    return limits().get(name, DEFAULTS[name])


def _used(backend: RDSBackend, name: str) -> int:
    if name == "DBClusters":
        return len(backend.clusters)
    if name == "DBInstances":
        return len(backend.databases)
    return sum(s.snapshot_type == "manual" for s in backend.cluster_snapshots.values())
