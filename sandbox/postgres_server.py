"""One PostgreSQL server: its data folder, its process, the private way in."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString

import psycopg2
from psycopg2.extensions import connection, encrypt_password
from psycopg2.sql import SQL, Identifier, Literal

from sandbox.installation import Installation
from sandbox.keeper import Keeper

ADDRESS = "127.0.0.1"
SUPERUSER = "rdsadmin"
START_SECONDS = 15.0
LOOK_SECONDS = 0.005
ATTEMPTS = 3
BACKUP = ("--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-manifest")
# Source: Aurora user guide, "Understanding the rds_superuser role". That the master user owns the
# databases is what \l shows; from PostgreSQL 15 on only an owner may create in its schema public.
MASTER: tuple[LiteralString, ...] = (
    "CREATE ROLE {master} LOGIN CREATEDB CREATEROLE VALID UNTIL 'infinity'",
    "GRANT rds_superuser TO {master} WITH ADMIN OPTION",
    "ALTER DATABASE postgres OWNER TO {master}",
    "ALTER DATABASE template1 OWNER TO {master}",
)


@dataclass
class Data:
    """A data folder, and what is to be done in it once a server runs on it."""

    folder: Path
    major: str
    master: str | None = None  # role to be created
    database: str | None = None  # to be created
    passwords: dict[str, str] = field(default_factory=dict, repr=False)  # to be set, by role


@dataclass(frozen=True)
class Engine:
    """What all servers share: the programs, who keeps the processes, the folder of sockets."""

    installation: Installation
    keeper: Keeper
    sockets: Path

    def run(self, major: str, program: str, *arguments: str | Path) -> str:
        """Run one of the programs of that version and return its output."""
        return self.installation.run(self.installation.versions[major] / program, *arguments)

    def copy(self, data: Data, folder: Path, *, linked: bool = False) -> Data:
        """Copy the data of a stopped server (`cp` of coreutils shares blocks where it can).

        `linked` makes hard links instead: for snapshots, which no server ever writes to.
        """
        self.installation.run("cp", "-al" if linked else "-a", data.folder, folder)
        copy = deepcopy(data)
        copy.folder = folder
        return copy


class PostgresServer:
    """A server on `data`, stopped at first; `port` is None while it is. Safe for threads."""

    def __init__(self, engine: Engine, data: Data, log: Path) -> None:
        self.data, self.log = data, log
        self.port: int | None = None
        self._engine = engine
        self._name = data.folder.name
        self._lock = threading.RLock()

    def start(self) -> int:
        """Start the process if it does not run; return its port once it accepts connections."""
        with self._lock:
            if self.port is None or not self._engine.keeper.is_alive(self._name):
                self.port = self._launch()
                self._catch_up()
            return self.port

    def stop(self) -> None:
        """Shut down cleanly and return when the process is gone. Safe to repeat."""
        with self._lock:
            self.port = None
            self._engine.keeper.stop(self._name)

    def set_password(self, role: str, password: str) -> None:
        """Change a role's password: now, or at the next start if the server is stopped."""
        with self._lock:
            self.data.passwords[role] = password
            if self.port is not None:
                self._catch_up()

    def copy(self, folder: Path) -> Data:
        """Copy the data as it is at one moment; who is connected does not notice."""
        with self._lock:
            if self.port is None:
                return self._engine.copy(self.data, folder)
            way = ["-h", str(self._engine.sockets), "-p", str(self.port), "-U", SUPERUSER, "-w"]
            self._engine.run(self.data.major, "pg_basebackup", *way, *BACKUP, "-D", folder)
            return Data(folder, self.data.major)

    @contextmanager
    def connect(self, database: str = "postgres") -> Iterator[connection]:
        """Connect as the superuser over the private socket, whatever PG* variables say.

        Every statement is its own transaction; none is logged.
        """
        if self.port is None:
            raise RuntimeError(f"The PostgreSQL server {self._name} is stopped.")
        opened = psycopg2.connect(
            host=str(self._engine.sockets),
            hostaddr="",
            port=self.port,
            user=SUPERUSER,
            dbname=database,
            options="-c log_statement=none -c log_min_error_statement=panic",
            client_encoding="UTF8",
            sslmode="disable",
            channel_binding="disable",
            require_auth="",
        )
        opened.autocommit = True
        with closing(opened):
            yield opened

    def _launch(self) -> int:
        """Start the process and return its port; try another one if that was taken meanwhile."""
        engine, folder = self._engine, self.data.folder
        program = engine.installation.versions[self.data.major] / "postgres"
        for _ in range(ATTEMPTS):
            with socket.create_server((ADDRESS, 0)) as free:
                port = int(free.getsockname()[1])
            arguments = [str(program), "-D", str(folder), "-p", str(port)]
            sockets = ["-k", str(engine.sockets)]
            process = engine.keeper.start(self._name, arguments + sockets, self.log)
            if self._is_ready(process):
                return port
            engine.keeper.stop(self._name)
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
        raise RuntimeError(f"PostgreSQL does not start in {folder}: {last}")

    def _is_ready(self, process: int) -> bool:
        """Wait until the server notes in its postmaster.pid that it is; False if it ended."""
        note = self.data.folder / "postmaster.pid"
        until = time.monotonic() + START_SECONDS
        while self._engine.keeper.is_alive(self._name) and time.monotonic() < until:
            lines = note.read_text().split("\n") if note.exists() else []
            if lines[0:1] == [str(process)] and lines[7:8] == ["ready   "]:
                return True
            time.sleep(LOOK_SECONDS)
        return False

    def _catch_up(self) -> None:
        """Do what was put off until the server runs. Sends passwords as SCRAM verifiers only."""
        data = self.data
        if not (data.master or data.passwords):
            return
        with self.connect() as opened, opened.cursor() as cursor:
            if data.master:
                master = Identifier(data.master)
                for statement in MASTER:
                    cursor.execute(SQL(statement).format(master=master))
                if data.database:
                    database = Identifier(data.database)
                    cursor.execute(SQL("CREATE DATABASE {} OWNER {}").format(database, master))
                data.master = data.database = None
            while data.passwords:
                role, password = data.passwords.popitem()
                verifier = encrypt_password(password, role, opened, "scram-sha-256")
                change = SQL("ALTER ROLE {} PASSWORD {}")
                cursor.execute(change.format(Identifier(role), Literal(verifier)))
