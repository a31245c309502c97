"""A cluster snapshot: moto's, with a life, all its facts and a copy of the data."""

from datetime import timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.rds.models import DBClusterSnapshot, RDSBackend, rds_backends

from sandbox.rds import durations
from sandbox.rds.cluster import AuroraCluster, resource_id
from sandbox.rds.endings import take
from sandbox.rds.life import DELETED, Life, Progress
from sandbox.rds.runtime import runtime


class AuroraSnapshot(DBClusterSnapshot):
    """A snapshot that is made or copied over time; its data is a real copy."""

    cluster: AuroraCluster

    def __init__(
        self,
        backend: RDSBackend,
        cluster: AuroraCluster,
        identifier: str,
        *,
        key: str | None = None,
        **facts: Any,
    ) -> None:
        self.life = Life(
            "snapshot", identifier, backend.account_id, backend.region_name, resource_id("job-")
        )
        super().__init__(backend, cluster, identifier, **facts)
        self.key = key or resource_id("snapshot-")
        self.has_data = False
        self.source_db_cluster_snapshot_arn: str | None = None
        self.vpc_id = cluster.vpc_id
        self.db_cluster_resource_id = cluster.db_cluster_resource_id
        self.life.facts = {
            "snapshot_type": self.snapshot_type,
            "db_cluster_identifier": self.db_cluster_identifier,
            "db_cluster_resource_id": self.db_cluster_resource_id,
        }
        self.availability_zones = cluster.availability_zones
        self.backup_retention_period = cluster.backup_retention_period
        self.preferred_backup_window = cluster.preferred_backup_window
        self.engine_mode = cluster.engine_mode
        self.license_model = cluster.license_model
        self.storage_type = cluster.storage_type
        self.iam_database_authentication_enabled = cluster.iam_database_authentication_enabled

    @property
    def status(self) -> str:
        """Return what is being done with the snapshot."""
        return self.life.status

    @status.setter
    def status(self, value: str) -> None:
        """Ignore moto's own idea: a snapshot's status comes from its life."""

    @property
    def percent_progress(self) -> int:
        """Return how much of the data has been transferred."""
        return self.life.percent()

    @percent_progress.setter
    def percent_progress(self, value: int) -> None:
        """Ignore moto's own idea: progress comes from the clock."""

    def shared_with(self, account: str) -> bool:
        """Whether `account` may copy or restore the snapshot."""
        allowed = self.attributes["restore"]
        return account == self.account_id or account in allowed or "all" in allowed

    def copied_to(self, backend: RDSBackend, identifier: str, **facts: Any) -> "AuroraSnapshot":
        """Return a new manual snapshot of the same cluster in the backend's account and Region."""
        copy = AuroraSnapshot(backend, self.cluster, identifier, **facts)
        copy.source_db_cluster_snapshot_arn = self.db_cluster_snapshot_arn
        copy.life.facts["source_db_cluster_snapshot_arn"] = self.db_cluster_snapshot_arn
        return copy

    def work(
        self,
        status: str,
        lasts: float,
        *,
        ending: str = "available",
        until: float = 1.0,
        at: float | None = None,
    ) -> None:
        """Have `status` until that share of `lasts` AWS seconds is over, then `ending`.

        With `until` 0 it never ends. `at` is when it begins (default: now).
        """
        clock = runtime().clock
        ceiling = 100 if ending == "available" else round(100 * until)
        if until <= 0:
            ceiling = 0
        began = clock.now() if at is None else at
        self.life.progress = Progress(began, clock.real(lasts * until), ceiling)
        later = [(lasts * until, ending)] if until > 0 else []
        self.life.begin(status, *later, at=began)

    def entered(self, status: str) -> None:
        """Be gone once deleted."""
        if status == DELETED:
            self._vanish()

    def remove(self, at: float | None = None) -> None:
        """Delete the snapshot, with its data; copies still under way fail."""
        self.life.begin(DELETED, at=at)
        self._vanish()
        for snapshot in all_snapshots():
            if (
                snapshot.status == "copying"
                and snapshot.source_db_cluster_snapshot_arn == self.db_cluster_snapshot_arn
            ):
                snapshot.life.begin("failed", at=at)

    def _vanish(self) -> None:
        self.backend.cluster_snapshots.pop(self.db_cluster_snapshot_identifier, None)
        postgres, key = runtime().postgres, self.key
        if self.has_data and not any(other.key == key for other in all_snapshots()):
            runtime().jobs.start(self.life.uid, lambda: postgres.drop_snapshot(key))


def all_snapshots() -> list[AuroraSnapshot]:
    """Return every Aurora snapshot of every account and Region."""
    return [
        snapshot
        for _, _, backend in rds_backends.iter_backends()
        if isinstance(backend, RDSBackend)
        for snapshot in backend.cluster_snapshots.values()
        if isinstance(snapshot, AuroraSnapshot)
    ]


def take_snapshot(
    cluster: AuroraCluster, identifier: str, *, at: float | None = None, **facts: Any
) -> AuroraSnapshot:
    """Begin a snapshot of the cluster's present data."""
    snapshot = AuroraSnapshot(cluster.backend, cluster, identifier, **facts)
    cluster.backend.cluster_snapshots[identifier] = snapshot
    if snapshot.snapshot_type == "manual" and take("snapshot-failed", identifier):
        snapshot.work("creating", durations.SNAPSHOT, ending="failed", until=0.5, at=at)
        return snapshot
    snapshot.work("creating", durations.SNAPSHOT, at=at)
    snapshot.has_data = True
    postgres, source, target = runtime().postgres, cluster.key, snapshot.key
    runtime().jobs.start(snapshot.life.uid, lambda: postgres.snapshot(source, target))
    return snapshot


def automated_backup(cluster: AuroraCluster) -> None:
    """Make the automated snapshot that RDS takes of each new cluster.

    A restored cluster still holds what its snapshot holds: they share one copy of the data.
    """
    moment = utcnow()
    while (
        name := f"rds:{cluster.db_cluster_identifier}-{moment:%Y-%m-%d-%H-%M}"
    ) in cluster.backend.cluster_snapshots:
        moment += timedelta(minutes=1)
    at, key = cluster.life.since, cluster.snapshot_key
    if key is None or all(snapshot.key != key for snapshot in all_snapshots()):
        take_snapshot(cluster, name, snapshot_type="automated", at=at)
        return
    snapshot = AuroraSnapshot(cluster.backend, cluster, name, key=key, snapshot_type="automated")
    cluster.backend.cluster_snapshots[name] = snapshot
    snapshot.has_data = True
    snapshot.work("creating", durations.SNAPSHOT, at=at)
