"""An Aurora PostgreSQL cluster: moto's, with a life, a server and AWS's endpoint names."""

import copy
import hashlib
import secrets
import string
from typing import TYPE_CHECKING, Any

from moto.rds.models import DBCluster, DBInstanceClustered, RDSBackend, rds_backends

from sandbox.rds.checks import ENGINE
from sandbox.rds.life import DELETED, Life
from sandbox.rds.runtime import runtime

if TYPE_CHECKING:
    from sandbox.rds.secret import ManagedSecret

SERVING = frozenset({"available", "modifying", "renaming", "backing-up", "storage-optimization"})
"""Statuses in which an instance answers SQL."""


def resource_id(prefix: str) -> str:
    """Return a new id as RDS gives each resource once: it outlives renames."""
    return prefix + "".join(
        secrets.choice(string.ascii_uppercase + string.digits) for _ in "x" * 26
    )


def endpoint_hash(account: str, region: str) -> str:
    """Return the twelve characters all endpoints of an account's Region share."""
    number = int.from_bytes(hashlib.sha256(f"{account}/{region}".encode()).digest())
    letters = string.ascii_lowercase + string.digits
    return "c" + "".join(letters[number // 36**place % 36] for place in range(11))


class AuroraCluster(DBCluster):
    """A cluster whose statuses take time and whose endpoint is a real PostgreSQL server."""

    data_api: bool
    roles: list[dict[str, str]]

    def __init__(
        self, backend: RDSBackend, *, vpc_id: str, snapshot_key: str | None = None, **settings: Any
    ) -> None:
        kms_key_id, shown = settings.pop("kms_key_id", None), settings.pop("shown")
        super().__init__(
            backend,
            engine=ENGINE,
            allocated_storage=1,
            license_model="postgresql-license",
            # the password is PostgreSQL's business alone
            master_user_password="not kept here",  # noqa: S106
            **settings,
        )
        self.kms_key_id = kms_key_id
        self.url_identifier = endpoint_hash(self.account_id, self.region)
        self.db_cluster_resource_id = resource_id("cluster-")
        self.vpc_id = vpc_id
        self.snapshot_key = snapshot_key
        self.backed_up = False
        self.has_server = False
        self.renaming_to: str | None = None
        self.delete_automated_backups = True
        self.next_password: str | None = None
        self.changes: dict[str, Any] = {}
        self.pending_modified_values: dict[str, Any] = {}
        self.leaving_global = False
        for name, value in shown.items():
            setattr(self, name, value)
        self.master_user_secret: ManagedSecret | None = None  # type: ignore[assignment]
        self.life = Life(
            "cluster",
            self.db_cluster_identifier,
            self.account_id,
            self.region,
            self.db_cluster_resource_id,
        )
        self.life.facts = {"db_cluster_resource_id": self.db_cluster_resource_id}
        self.names: list[str] = []

    @property
    def read_replica_identifiers(self) -> list[str]:
        """Return the ARNs of the clusters that replicate from this one."""
        return [
            replica.db_cluster_arn
            for replica in all_clusters()
            if replica.replication_source_identifier == self.db_cluster_arn
        ]

    @read_replica_identifiers.setter
    def read_replica_identifiers(self, value: list[str]) -> None:
        """Ignore moto's own idea: the replicas know their source."""

    @property
    def associated_roles(self) -> list[dict[str, str]]:  # type: ignore[override]
        """Return the roles that features of the cluster may use."""
        return self.roles

    @property
    def http_endpoint_enabled(self) -> bool:
        """Whether the Data API is on, whatever moto thinks of the engine mode."""
        return self.data_api

    @property
    def key(self) -> str:
        """Return the name under which PostgreSQL knows the cluster, renamed or not."""
        return self.db_cluster_resource_id

    @property
    def status(self) -> str:
        """Return what the cluster is doing."""
        return self.life.status

    @status.setter
    def status(self, value: str) -> None:
        self.life.begin(value)

    @property
    def _members(self) -> list[DBInstanceClustered]:
        return [
            instance
            for instance in self.backend.databases.values()
            if isinstance(instance, DBInstanceClustered)
            and getattr(instance, "cluster", None) is self
        ]

    def shown(self) -> "AuroraCluster":
        """Return the cluster as it is now, for a reply that must not show what follows."""
        picture = copy.copy(self)
        picture.life = self.life.frozen()
        return picture

    def entered(self, status: str) -> None:
        """Do what belongs to having reached `status`."""
        if status == "resetting-master-credentials" and self.next_password is not None:
            word, self.next_password = self.next_password, None
            user = str(self.master_username)
            runtime().jobs.do(lambda: runtime().postgres.set_password(self.key, user, word))
        elif status == "stopped":
            self.serve(self.life.since)
        elif status == "available":
            self._settle()
        elif status == DELETED:
            self._vanish()

    def serve(self, moment: float) -> None:
        """Let the endpoints lead to the server if an instance serves them, else nowhere.

        `moment` is that of the change which is the reason, for the event log.
        """
        if not self.has_server:
            return
        serving = [member for member in self._members if member.status in SERVING]
        postgres, key = runtime().postgres, self.key
        if serving and self.status not in ("stopping", "stopped", DELETED):
            names = [self.endpoint, self.reader_endpoint, *(member.address for member in serving)]
            runtime().jobs.do(lambda: postgres.start(key))
            runtime().jobs.do(lambda: postgres.route(key, names))
            self._note(names, moment)
            return
        runtime().jobs.do(lambda: postgres.route(key, []))
        self._note([], moment)
        if all(member.status in ("deleting", "stopped", DELETED) for member in self._members):
            runtime().jobs.do(lambda: postgres.stop(key))

    def _note(self, names: list[str], moment: float) -> None:
        """Log which names lead to the server, if that has changed."""
        if names != self.names:
            self.names = names
            self.life.log("endpoint", moment, open=bool(names), names=names)

    def _settle(self) -> None:
        for name, value in self.changes.items():
            setattr(self, name, value)
        self.changes = {}
        if self.leaving_global:
            self.leaving_global, self.global_cluster_identifier = False, None
        if self.renaming_to is not None:
            self._rename(self.renaming_to)

    def _rename(self, to: str) -> None:
        del self.backend.clusters[self.db_cluster_identifier]
        self.renaming_to = None
        self.db_cluster_identifier = self.life.name = to
        self.life.facts.pop("renaming_to")
        self.backend.clusters[to] = self
        for member in self._members:
            member.db_cluster_identifier = to
            if (life := getattr(member, "life", None)) is not None:
                life.facts["db_cluster_identifier"] = to
        self.serve(self.life.since)

    def _vanish(self) -> None:
        self.backend.clusters.pop(self.db_cluster_identifier, None)
        if self.master_user_secret is not None:
            self.master_user_secret.delete(self.backend)
        if self.has_server:
            postgres, key = runtime().postgres, self.key
            runtime().jobs.do(lambda: postgres.drop(key))


def all_clusters() -> list[AuroraCluster]:
    """Return every Aurora cluster of every account and Region."""
    return [
        cluster
        for _, _, backend in rds_backends.iter_backends()
        if isinstance(backend, RDSBackend)
        for cluster in backend.clusters.values()
        if isinstance(cluster, AuroraCluster)
    ]
