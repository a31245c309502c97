"""The restored database made the team's own: masked, proven, opened to its roles, each tried."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace

from psycopg2.extensions import connection
from pydantic import SecretStr

from aurora_restore import assertions, journal, scripts
from aurora_restore.access import apply, catalogue, logins, reading, trying
from aurora_restore.access.declared import DatabaseRole, Declared
from aurora_restore.access.execution import told
from aurora_restore.demands import Assertion, Script
from aurora_restore.evidence import Database, Held, ScriptRun, Tried
from aurora_restore.files import TextFile
from aurora_restore.postgres import Endpoint, connected, trust_catalogue
from aurora_restore.secrets import Password

_MADE, _DROPPED, _PASSWORD = "role made", "role dropped", "password"
_JOURNAL = f"schema {journal.SCHEMA}"
_DATABASES = """
    SELECT datname, pg_database_size(oid) FROM pg_catalog.pg_database
    WHERE NOT datistemplate AND datname <> 'rdsadmin'
        AND has_database_privilege(oid, 'CONNECT') ORDER BY 1
"""


@dataclass(frozen=True)
class Server:
    """The restored cluster as its master user enters it. `lag`: the password is new to it."""

    endpoint: Endpoint
    username: str
    password: SecretStr = field(repr=False)
    lag: bool = False

    def enter(self, database: str | None = None) -> AbstractContextManager[connection]:
        """Connect as the master; None: to the request's database."""
        endpoint = replace(self.endpoint, database=database or self.endpoint.database)
        return connected(endpoint, self.username, self.password, lag=self.lag)

    def enter_as(
        self, role: str, password: SecretStr, database: str
    ) -> AbstractContextManager[connection]:
        """Connect as another role."""
        return connected(replace(self.endpoint, database=database), role, password)


@dataclass(frozen=True)
class Wanted:
    """What the request asks of the database, its files read."""

    operation_id: str
    declared: Declared
    scripts: Sequence[tuple[Script, TextFile]] = ()
    verify: Sequence[Assertion] = ()


@dataclass(frozen=True)
class Credentials:
    """How the declared logins get in: passwords by role, and a maker of IAM tokens."""

    passwords: Mapping[str, Password]
    token: Callable[[str], SecretStr]

    def of(self, role: DatabaseRole) -> SecretStr:
        """Return what the role logs in with now."""
        return self.token(role.name) if role.iam else self.passwords[role.name].value


@dataclass(frozen=True)
class HandedOver:
    """What was done, and what was proven by it."""

    server_version: str
    databases: list[Database]
    made: list[str]
    locked: list[str]
    dropped: list[str]
    scripts: list[ScriptRun]
    held: list[Held]
    tried: list[Tried]


def hand_over(server: Server, wanted: Wanted, credentials: Credentials) -> HandedOver:
    """Return once the database is as it is wanted, and open to the declared logins alone.

    Nobody but the master gets in until the scripts have run and every assertion holds; after a
    failure nobody does. Safe to repeat: scripts and passwords that are done are not done again.

    Raises:
        NotReady: the server does not accept a connection (yet), or it broke.
        DatabaseSetupError: a script, a role, an assertion or a login failed.
        Refused: a script is not the one that this operation has run already.
    """
    _close(server)
    try:
        ran = scripts.run(server.enter, wanted.operation_id, wanted.scripts)
        _apply(server, wanted, credentials, open_logins=False)
        held = assertions.prove(server.enter, wanted.verify)
        _apply(server, wanted, credentials, open_logins=True)
        tried = try_logins(server, wanted.declared, credentials)
        with server.enter() as database, told("what was done"):
            trust_catalogue(database)
            roles = {role.name: role for role in reading.read_roles(database).values()}
            return HandedOver(
                server_version=database.info.parameter_status("server_version") or "",
                databases=_databases(database),
                made=journal.find_names(database, wanted.operation_id, _MADE),
                locked=catalogue.undeclared(wanted.declared, roles, server.username),
                dropped=journal.find_names(database, wanted.operation_id, _DROPPED),
                scripts=ran,
                held=held,
                tried=tried,
            )
    except Exception:
        _close(server)
        raise
    except BaseException:  # this process is being stopped, which nothing may hide
        with suppress(Exception):
            _close(server)
        raise


def try_logins(server: Server, declared: Declared, credentials: Credentials) -> list[Tried]:
    """Return what each declared login is allowed and refused. Changes nothing.

    The master logs in even when there are none, which shows that the endpoint serves.

    Raises:
        NotReady, DatabaseSetupError: as `trying.prove`.
    """
    with server.enter():
        pass
    return trying.prove(
        declared.roles,
        declared.database,
        lambda role, database: server.enter_as(role.name, credentials.of(role), database),
    )


def _close(server: Server) -> None:
    """Let nobody in but the master, and put out who is: also who came in until the commit."""
    with server.enter() as database:
        logins.close(database)
    with server.enter() as database:
        logins.end_sessions(database)


def _apply(server: Server, wanted: Wanted, credentials: Credentials, *, open_logins: bool) -> None:
    declared, operation_id = wanted.declared, wanted.operation_id
    made: list[str] = []
    dropped: list[str] = []
    with server.enter() as database:
        names = apply.databases_of(database, declared)
    for name in names:
        with server.enter(name) as database:
            new: dict[str, SecretStr] = {}
            if name == declared.database:
                new = _not_written(database, operation_id, credentials.passwords)
            done = apply.apply(database, declared, new, open_logins=open_logins)
            with told(_JOURNAL):
                for role in new:
                    note = journal.Note(credentials.passwords[role].version, 0, 0)
                    journal.put_note(database, operation_id, _PASSWORD, role, note)
            made += done.made
            dropped += done.dropped
    with server.enter() as database:
        logins.end_sessions(database)
        with told(_JOURNAL):
            for kind, roles in ((_MADE, made), (_DROPPED, dropped)):
                for role in roles:
                    journal.put_note(database, operation_id, kind, role, journal.Note("", 0, 0))


def _not_written(
    database: connection, operation_id: str, passwords: Mapping[str, Password]
) -> dict[str, SecretStr]:
    """Return the passwords that this operation has not written yet, by role."""
    with told(_JOURNAL):
        journal.open_journal(database)
        notes = {
            role: journal.find_note(database, operation_id, _PASSWORD, role) for role in passwords
        }
    return {
        role: password.value
        for role, password in passwords.items()
        if (note := notes[role]) is None or note.digest != password.version
    }


def _databases(database: connection) -> list[Database]:
    with database.cursor() as cursor:
        cursor.execute(_DATABASES)
        return [Database(name=name, bytes=size) for name, size in cursor.fetchall()]
