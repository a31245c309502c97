"""Logins that are locked: nobody gets in as them, and whoever was in is put out."""

import time

from psycopg2.extensions import connection

from aurora_restore.access import catalogue, queries
from aurora_restore.access.changes import Lock
from aurora_restore.access.declared import is_built_in
from aurora_restore.access.execution import send, told
from aurora_restore.access.reading import ask, read_roles
from aurora_restore.access.statements import Renderer
from aurora_restore.errors import DatabaseSetupError
from aurora_restore.postgres import trust_catalogue

SESSION_END_SECONDS = 5.0  # how long a session may take to notice
LOOK_SECONDS = 0.02
_SESSIONS = """
    SELECT r.rolname, a.pid
    FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
    WHERE NOT r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> current_user
        AND r.rolname <> session_user AND a.pid <> pg_backend_pid()
"""


def close(database: connection) -> list[str]:
    """Lock every login but the master's and the built-in ones; return their names.

    The caller commits, and then calls `end_sessions`: until the commit one can still log in, and
    a session that does not end must not keep the logins open. Safe to repeat.

    Raises:
        DatabaseSetupError: a role cannot be locked; nothing is locked.
        NotReady: the connection or the server went away.

    Source: PostgreSQL, ALTER ROLE.
    """
    with told("the logins"):
        trust_catalogue(database)
        roles = {role.name: role for role in read_roles(database).values()}
        [(_, _, master)] = ask(database, queries.FACTS)
        names = sorted(name for name in catalogue.logins(roles, master) if roles[name].login)
    render = Renderer(database.server_version, master, {}).render
    send(database, [Lock(name) for name in names], render)
    return names


def end_sessions(database: connection) -> int:
    """End every session of a role that may not log in (any more); return how many there were.

    Built-in roles and superusers are left alone. Safe to repeat.

    Raises:
        DatabaseSetupError: a session may not be ended, or does not end within some seconds.
        NotReady: the connection or the server went away.

    Source: PostgreSQL, Server Signaling Functions.
    """
    with told("the sessions of locked roles"):
        trust_catalogue(database)
    found = _sessions(database)
    for name, pid in found:
        with told(f"role {name}"), database.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
    until, left = time.monotonic() + SESSION_END_SECONDS, found
    while left := left and sorted(set(found).intersection(_sessions(database))):
        if time.monotonic() > until:
            raise DatabaseSetupError(
                f"role {left[0][0]}",
                f"its session {left[0][1]} does not end",
                "End that session, then run again.",
            )
        time.sleep(LOOK_SECONDS)
    return len(found)


def _sessions(database: connection) -> list[tuple[str, int]]:
    with told("the sessions of locked roles"), database.cursor() as cursor:
        # Inside a transaction PostgreSQL shows the sessions of its first look, otherwise.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(_SESSIONS)
        return [(name, pid) for name, pid in cursor.fetchall() if not is_built_in(name)]
