"""Real PostgreSQL servers with Aurora's roles, for the tests of who may do what."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection
from psycopg2.sql import SQL, Identifier
from pydantic import SecretStr

from aurora_restore.access.apply import Applied, apply, databases_of
from aurora_restore.access.declared import DatabaseRole, Declared
from aurora_restore.access.logins import end_sessions
from sandbox.postgres import PostgresHost

MASTER, MASTER_PASSWORD, DATABASE = "postgres", "of-the-master", "app"
_ALL_ROLES = """
    SELECT rolname FROM pg_roles
    WHERE rolname !~ '^(pg_|rds)' AND rolname <> 'postgres'
"""


class AccessServer:
    """One server; `reset` makes it what it was. The master owns database `app`."""

    def __init__(self, host: PostgresHost, major: str) -> None:
        self.host, self.key, self.major = host, f"server-{major}", int(major)
        host.create(
            self.key,
            master_username=MASTER,
            master_password=MASTER_PASSWORD,
            database=DATABASE,
            major=major,
        )
        host.start(self.key)
        self._name = f"{self.key}.example.com"
        host.route(self.key, [self._name])

    def reset(self) -> None:
        """Drop all databases and roles but Aurora's; make an empty database `app`."""
        for (name,) in self.sql("SELECT datname FROM pg_database", "postgres"):
            if name not in {"postgres", "template0", "template1", "rdsadmin"}:
                self._run(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        names = [name for (name,) in self.sql(_ALL_ROLES, "postgres")]
        for statement in ("DROP OWNED BY {} CASCADE", "DROP ROLE {}"):
            for name in names:
                self._run(SQL(statement).format(Identifier(name)))
        self._run(SQL("CREATE DATABASE {} OWNER postgres").format(Identifier(DATABASE)))

    def _run(self, statement: Any) -> None:
        with self.host._servers[self.key].connect("postgres") as opened:
            opened.cursor().execute(statement)

    def sql(
        self, statement: str, database: str = DATABASE, user: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run SQL as the superuser, or as `user`."""
        return self.host.run_sql(self.key, statement, database, user)

    def source(self, statement: str, database: str = DATABASE) -> None:
        """Arrange something as the master of the source did."""
        self.host.run_sql(self.key, statement, database, MASTER)

    @contextmanager
    def logged_in(self, user: str, password: str, database: str = DATABASE) -> Iterator[connection]:
        """Log in over TLS as anybody would; each statement is its own transaction."""
        with closing(
            psycopg2.connect(
                host=self._name,
                hostaddr=self.host.address,
                port=self.host.port,
                dbname=database,
                user=user,
                password=password,
                sslmode="verify-full",
                sslrootcert=str(self.host.ca_file),
            )
        ) as opened:
            opened.autocommit = True
            yield opened

    @contextmanager
    def master(self, database: str = DATABASE) -> Iterator[connection]:
        """The master's connection in a transaction, committed at the end."""
        with self.logged_in(MASTER, MASTER_PASSWORD, database) as opened:
            opened.autocommit = False
            with opened:
                yield opened

    def apply(
        self,
        *roles: DatabaseRole,
        passwords: Mapping[str, str] | None = None,
        undeclared: Any = "lock",
        open_logins: bool = True,
        database: str = DATABASE,
    ) -> dict[str, Applied]:
        """Apply the roles in every database that needs it; return what was done in each."""
        declared = Declared(database, roles, undeclared)
        words = {name: SecretStr(word) for name, word in (passwords or {}).items()}
        done = {}
        with self.master(database) as opened:
            places = databases_of(opened, declared)
        for place in places:
            with self.master(place) as opened:
                done[place] = apply(opened, declared, words, open_logins=open_logins)
            with self.master(place) as opened:
                end_sessions(opened)
        return done


def login(name: str, **more: Any) -> DatabaseRole:
    """A role that logs in with a password."""
    return DatabaseRole(name=name, secret_id="a-secret", **more)


def run(database: connection, statement: str) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
