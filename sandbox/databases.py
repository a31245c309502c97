"""The PostgreSQL servers as RDS uses them, remembered so that they can be put back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.postgres import PostgresHost

# Moves on with every transaction that writes anything, and with nothing else (unlike the end of
# the log, where checkpoints write as well); transactions still open that have written count too.
POSITION = """
    SELECT pg_current_snapshot()::text, (SELECT count(backend_xid) FROM pg_stat_activity)
"""


@dataclass(frozen=True)
class _Kept:
    """A server as it was: its copy, how far its transactions had come, its endpoint names."""

    copy: str
    position: str
    names: tuple[str, ...] = ()


class Databases:
    """Passes everything on to a `PostgresHost`; knows what there is."""

    def __init__(self, host: PostgresHost) -> None:
        self._host = host
        self._names: dict[str, tuple[str, ...]] = {}  # of every server
        self._running: set[str] = set()
        self._snapshots: set[str] = set()
        self._latest: dict[str, _Kept] = {}  # the newest snapshot of each server
        self._kept: dict[str, _Kept] = {}
        self._kept_snapshots: frozenset[str] = frozenset()

    @property
    def versions(self) -> Mapping[str, Path]:
        return self._host.versions

    @property
    def ca_file(self) -> Path:
        return self._host.ca_file

    @property
    def port(self) -> int:
        return self._host.port

    def version(self, major: str) -> str:
        return self._host.version(major)

    def create(
        self,
        key: str,
        *,
        master_username: str,
        master_password: str,
        database: str | None,
        major: str = "16",
    ) -> None:
        self._host.create(
            key,
            master_username=master_username,
            master_password=master_password,
            database=database,
            major=major,
        )
        self._names[key] = ()

    def start(self, key: str) -> None:
        self._host.start(key)
        self._running.add(key)

    def stop(self, key: str) -> None:
        if key in self._names:  # an instance may go after its cluster's server
            self._host.stop(key)
            self._running.discard(key)

    def route(self, key: str, hostnames: Sequence[str]) -> None:
        if key in self._names:
            self._host.route(key, hostnames)
            self._names[key] = tuple(hostnames)

    def snapshot(self, key: str, snapshot_key: str) -> None:
        self._host.snapshot(key, snapshot_key)
        self._snapshots.add(snapshot_key)
        if key in self._running:
            self._latest[key] = _Kept(snapshot_key, self._position(key))

    def copy_snapshot(self, source_key: str, target_key: str) -> None:
        self._host.copy_snapshot(source_key, target_key)
        self._snapshots.add(target_key)

    def restore(self, snapshot_key: str, key: str) -> None:
        self._host.restore(snapshot_key, key)
        self._names[key] = ()

    def set_password(self, key: str, user: str, password: str) -> None:
        self._host.set_password(key, user, password)

    def drop(self, key: str) -> None:
        self._host.drop(key)
        self._running.discard(key)
        del self._names[key]

    def drop_snapshot(self, snapshot_key: str) -> None:
        """Delete a snapshot; one that was kept stays on disk, for `put_back`."""
        self._snapshots.discard(snapshot_key)
        if snapshot_key not in self._kept_snapshots:
            self._host.drop_snapshot(snapshot_key)

    def run_sql(self, key: str, sql: str) -> None:
        self._host.run_sql(key, sql)

    def keep(self, key: str) -> None:
        """Remember what a running server holds now, for `put_back`."""
        position, latest = self._position(key), self._latest.get(key)
        if latest is None or latest.position != position:
            self.snapshot(key, f"kept/{key}")
            latest = self._latest[key]
        self._kept[key] = latest

    def seal(self) -> None:
        """Remember the endpoint names of the kept servers, and which snapshots there are."""
        for key, kept in self._kept.items():
            self._kept[key] = replace(kept, names=self._names[key])
        self._kept_snapshots = frozenset(self._snapshots)

    def put_back(self) -> None:
        """Make servers and snapshots what they were; a server without changes goes on running."""
        for snapshot_key in self._snapshots - self._kept_snapshots:
            self._host.drop_snapshot(snapshot_key)
        self._snapshots = set(self._kept_snapshots)
        for key in list(self._names):
            if key not in self._kept or not self._is_unchanged(key):
                self.drop(key)
        for key, kept in self._kept.items():
            if key not in self._names:
                self.restore(kept.copy, key)
                self.start(key)
                self._kept[key] = replace(kept, position=self._position(key))
            if self._names[key] != kept.names:
                self.route(key, kept.names)

    def _is_unchanged(self, key: str) -> bool:
        return key in self._running and self._position(key) == self._kept[key].position

    def _position(self, key: str) -> str:
        return str(self._host.run_sql(key, POSITION)[0])
