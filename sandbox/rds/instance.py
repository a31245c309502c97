"""An instance of an Aurora cluster: moto's, with a life and AWS's address."""

from typing import Any

from moto.rds.models import DBInstanceClustered, RDSBackend

from sandbox.rds.cluster import AuroraCluster, endpoint_hash, resource_id
from sandbox.rds.life import DELETED, Life

_NEVER_SERVES = frozenset(
    {"insufficient-capacity", "incompatible-network", "failed", "deleting", DELETED}
)


class AuroraInstance(DBInstanceClustered):
    """An instance whose statuses take time; the first to be available opens the endpoint."""

    cluster: AuroraCluster

    def __init__(self, backend: RDSBackend, identifier: str, **settings: Any) -> None:
        self.life = Life(
            "instance", identifier, backend.account_id, backend.region_name, resource_id("db-")
        )
        shown = settings.pop("shown")
        super().__init__(backend=backend, db_instance_identifier=identifier, **settings)
        self.dbi_resource_id = self.life.uid
        self.life.facts = {
            "db_cluster_identifier": self.cluster.db_cluster_identifier,
            "db_cluster_resource_id": self.cluster.db_cluster_resource_id,
        }
        self.port = self.cluster.port
        self.reachable = False
        self.renaming_to: str | None = None
        self.changes: dict[str, Any] = {}
        self.pending_modified_values: dict[str, Any] = {}
        for name, value in shown.items():
            setattr(self, name, value)

    @property
    def status(self) -> str:
        """Return what the instance is doing."""
        return self.life.status

    @status.setter
    def status(self, value: str) -> None:
        """Ignore moto's own idea: an instance's status comes from its life."""

    @property
    def address(self) -> str:
        """Return the instance's own endpoint."""
        place = endpoint_hash(self.account_id, self.region)
        return f"{self.db_instance_identifier}.{place}.{self.region}.rds.amazonaws.com"

    @property
    def endpoint(self) -> dict[str, Any] | None:  # type: ignore[override]
        """Return address and port; none before the instance was available once."""
        return {"Address": self.address, "Port": self.port} if self.reachable else None

    def entered(self, status: str) -> None:
        """Do what belongs to having reached `status`."""
        if status == "available":
            self.reachable = True
            for name, value in self.changes.items():
                setattr(self, name, value)
            self.changes = {}
            if self.renaming_to is not None:
                self._rename(self.renaming_to)
            writer = self.cluster.writer
            if writer is None or writer.status in _NEVER_SERVES:
                self.cluster.failover(self)
            self.cluster.serve(self.life.since)
        elif status == DELETED:
            self.backend.databases.pop(self.db_instance_identifier, None)
            self.cluster.serve(self.life.since)

    def _rename(self, to: str) -> None:
        del self.backend.databases[self.db_instance_identifier]
        self.renaming_to = None
        self.db_instance_identifier = self.life.name = to
        self.life.facts.pop("renaming_to")
        self.backend.databases[to] = self
