"""Every PostgreSQL server of the sandbox: real ones that stand for Aurora's clusters."""

import re
import shutil
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.sql import SQL, Identifier

from sandbox.iam_login import Keys, is_good, nobody
from sandbox.installation import Installation, find_package, get_identity, make_home
from sandbox.keeper import Keeper
from sandbox.postgres_server import ADDRESS, Data, Engine, PostgresServer
from sandbox.postgres_template import make_template
from sandbox.tls import Door, TlsPort

IS_IAM = """
    SELECT 1 FROM pg_roles WHERE rolname = %s AND NOT rolsuper
        AND CASE WHEN current_setting('server_version_num')::int < 160000
            THEN pg_has_role(oid, 'rds_iam', 'MEMBER')
            ELSE pg_has_role(oid, 'rds_iam', 'USAGE') OR pg_has_role(oid, 'rds_iam', 'SET') END
"""


class PostgresHost:
    """Every PostgreSQL server of the sandbox, behind one TLS port of 127.0.0.1. Safe for threads.

    `key` names a cluster for its whole life, whatever it is renamed to. As root the servers run
    as `nobody`. `root` is a private folder; it is removed by `close`, and also when this process
    dies, together with all servers (`sandbox.keeper`).
    """

    address = ADDRESS

    def __init__(self, root: Path, port: int | None = None) -> None:
        """Listen on `port`; without one on 5432, or on any free port if that is taken."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = get_identity()
        home = make_home(root, identity)
        self.keys: Keys = nobody  # who may sign an IAM token
        door = Door(self._wants_token, self._lets_in, home / "sockets")
        self._tls = TlsPort(root, port, door)
        self.port = self._tls.port
        self.ca_file = root / "ca.pem"
        self.ca_file.write_bytes(self._tls.ca)
        keeper = Keeper([root.resolve(), home], identity)
        self.logs, self._data, sockets = home / "logs", home / "data", home / "sockets"
        for folder in (self.logs, self._data, sockets):
            folder.mkdir(mode=0o700)
            if identity:
                shutil.chown(folder, identity["user"], identity["group"])
        self._engine = Engine(Installation(find_package(), home, identity), keeper, sockets)
        self.versions = self._engine.installation.versions
        self._lock = threading.Lock()
        self._templates: dict[str, Data] = {}
        self._servers: dict[str, PostgresServer] = {}
        self._snapshots: dict[str, Data] = {}
        self._logs: dict[str, Path] = {}
        self._count = 0

    def add_version(self, major: str, folder: Path) -> None:
        """Have servers of another version as well: `folder` has its `bin`, `lib` and `share`."""
        self._engine.installation.add(major, folder)

    def version(self, major: str) -> str:
        """Return the full version of a major one: "16" gives "16.14"."""
        return self._engine.run(major, "postgres", "--version").split()[2]

    def create(
        self,
        key: str,
        *,
        master_username: str,
        master_password: str,
        database: str | None,
        major: str = "16",
    ) -> None:
        """Make a new server with Aurora's roles and the master user; not started yet."""
        folder = self._new_folder(key, self._servers)
        data = self._engine.copy(self._template(major), folder)
        data.master, data.passwords = master_username, {master_username: master_password}
        data.database = None if database == "postgres" else database
        self._add(key, data)

    def restore(self, snapshot_key: str, key: str) -> None:
        """Make a new server from a snapshot, its roles and passwords included; not started yet."""
        folder = self._new_folder(key, self._servers)
        self._add(key, self._engine.copy(self._snapshots[snapshot_key], folder))

    def start(self, key: str) -> None:
        """Start the server and return once it accepts connections. Safe to repeat."""
        self._tls.connect(key, self._servers[key].start())

    def stop(self, key: str) -> None:
        """Shut the server down; its endpoint refuses connections. Safe to repeat."""
        self._tls.connect(key, None)
        self._servers[key].stop()

    def route(self, key: str, hostnames: Sequence[str]) -> None:
        """Let exactly these endpoint names lead to the server, with a certificate for them."""
        self._tls.route(key, hostnames)

    def snapshot(self, key: str, snapshot_key: str) -> None:
        """Copy the data as it is at one moment; a running server is not interrupted."""
        folder = self._new_folder(snapshot_key, self._snapshots)
        self._snapshots[snapshot_key] = self._servers[key].copy(folder)

    def copy_snapshot(self, source_key: str, target_key: str) -> None:
        """Make an independent second copy of a snapshot."""
        folder = self._new_folder(target_key, self._snapshots)
        source = self._snapshots[source_key]
        self._snapshots[target_key] = self._engine.copy(source, folder, linked=True)

    def set_password(self, key: str, user: str, password: str) -> None:
        """Change a role's password; on a stopped server that happens when it starts."""
        self._servers[key].set_password(user, password)

    def run_sql(
        self, key: str, sql: str, database: str = "postgres", user: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run `sql` as the superuser, or as `user`, and return its rows; nothing is logged.

        Several statements given at once are one transaction.
        """
        with self._servers[key].connect(database) as opened, opened.cursor() as cursor:
            if user is not None:
                cursor.execute(SQL("SET SESSION AUTHORIZATION {}").format(Identifier(user)))
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def log_file(self, key: str) -> Path:
        """Return the server's log; it stays when the server is dropped."""
        return self._logs[key]

    def drop(self, key: str) -> None:
        """Delete the server with its data and its endpoint names."""
        self.stop(key)
        self.route(key, [])
        _remove(self._servers.pop(key).data.folder)

    def drop_snapshot(self, snapshot_key: str) -> None:
        """Delete a snapshot."""
        _remove(self._snapshots.pop(snapshot_key).folder)

    def close(self) -> None:
        """Stop everything and remove all folders. Safe to repeat."""
        self._tls.close()
        self._engine.keeper.close()

    def _wants_token(self, key: str, user: str) -> bool:
        """Whether the user is a member of rds_iam: a password logs in nobody who is.

        Who may only grant rds_iam (as the master user may) is no member.
        """
        try:
            with self._servers[key].connect() as opened, opened.cursor() as cursor:
                cursor.execute(IS_IAM, (user,))
                return cursor.fetchone() is not None
        except (KeyError, RuntimeError, psycopg2.Error):  # stopped meanwhile: as any other login
            return False

    def _lets_in(self, token: str, addresses: Sequence[str], user: str) -> bool:
        return any(is_good(token, address, user, self.keys) for address in addresses)

    def _template(self, major: str) -> Data:
        """Return the data folder that new servers copy; made once per major version."""
        with self._lock:
            if major not in self._templates:
                name = f"template-{major}"
                log = self.logs / f"{name}.log"
                data = make_template(self._engine, major, self._data / name, log)
                self._templates[major] = data
            return self._templates[major]

    def _add(self, key: str, data: Data) -> None:
        self._logs[key] = self.logs / f"{data.folder.name}.log"
        self._servers[key] = PostgresServer(self._engine, data, self._logs[key])

    def _new_folder(self, key: str, taken: Collection[str]) -> Path:
        """Return an unused path that reminds of `key`, which must not be one of `taken`."""
        if key in taken:
            raise ValueError(f"{key!r} exists already.")
        with self._lock:
            self._count += 1
            readable = re.sub(r"[^A-Za-z0-9]+", "-", key)[-40:].strip("-")
            return self._data / f"{self._count}-{readable}"


def _remove(folder: Path) -> None:
    """Remove a folder in the background: on some disks that takes seconds."""
    threading.Thread(target=shutil.rmtree, args=(folder, True), daemon=True).start()
