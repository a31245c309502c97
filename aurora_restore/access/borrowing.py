"""The rights of other roles, borrowed by the master inside a transaction and given back exactly."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2 import errors
from psycopg2.extensions import connection
from psycopg2.sql import SQL, Identifier

from aurora_restore.access.catalogue import Catalogue
from aurora_restore.access.declared import is_built_in
from aurora_restore.access.execution import told
from aurora_restore.access.reading import ask
from aurora_restore.access.statements import OPTIONS_PER_GRANT
from aurora_restore.errors import DatabaseSetupError

# Rights that one has by way of another role may go with a change in the middle.
_LACKING = """
    SELECT r.rolname, pg_has_role(r.oid, 'USAGE') AND {may_become} FROM pg_roles r
    WHERE r.rolname = ANY(%(names)s) AND NOT EXISTS (
        SELECT FROM pg_auth_members m JOIN pg_roles me ON me.oid = m.member
        WHERE m.roleid = r.oid AND me.rolname = current_user AND {options})
    ORDER BY 1
"""
_OWN = """
    SELECT g.rolname, pg_get_userbyid(m.grantor), {options}
    FROM pg_auth_members m
    JOIN pg_roles g ON g.oid = m.roleid
    JOIN pg_roles r ON r.oid = m.member
    WHERE r.rolname = current_user AND g.rolname = ANY(%(names)s)
"""


@contextmanager
def borrowed(database: connection, catalogue: Catalogue, names: Iterable[str]) -> Iterator[None]:
    """Have the rights of the roles inside, which include acting as each of them.

    From PostgreSQL 16 on whoever makes a role may grant it, but has neither its rights nor may act
    as it: that takes a membership WITH INHERIT and SET. What this adds is taken back at the end;
    after an error the caller's rollback does it.

    Raises:
        DatabaseSetupError: the master may not grant itself one of the roles, or one of them is a
            member of the master.

    Source: PostgreSQL, GRANT on Roles; Role Membership.
    """
    modern = catalogue.version >= OPTIONS_PER_GRANT
    asked = [name for name in names if not _is_out_of_reach(name, catalogue)]
    found = dict(_lacking(database, asked, modern=modern)) if asked else {}
    lacking = list(found)
    before = _own(database, lacking, modern=modern)
    options = SQL(" WITH INHERIT TRUE, SET TRUE" if modern else "")
    master = Identifier(catalogue.master)
    with database.cursor() as cursor:
        for name, has_them in found.items():
            grant = SQL("GRANT {} TO {}{}").format(Identifier(name), master, options)
            with told(f"role {name}"):
                cursor.execute("SAVEPOINT borrowing")
                try:
                    cursor.execute(grant)
                except errors.InsufficientPrivilege:
                    if not has_them:
                        raise
                    cursor.execute("ROLLBACK TO SAVEPOINT borrowing")
                except errors.InvalidGrantOperation:
                    raise DatabaseSetupError(
                        f"role {name}",
                        "it has the master user's rights, so the master cannot be given its own",
                        f"REVOKE {catalogue.master} from it in the source or in a script, then run "
                        "again.",
                    ) from None
    yield
    for (name, grantor), now in _own(database, lacking, modern=modern).items():
        was = before.get((name, grantor))
        if was == now:
            continue
        by = SQL(" GRANTED BY {}").format(Identifier(grantor)) if modern else SQL("")
        role = Identifier(name)
        with told(f"role {name}"), database.cursor() as cursor:
            if was is None:
                cursor.execute(SQL("REVOKE {} FROM {}{}").format(role, master, by))
            else:
                inherit, become = (SQL("TRUE" if each else "FALSE") for each in was)
                cursor.execute(
                    SQL("GRANT {} TO {} WITH INHERIT {}, SET {}{}").format(
                        role, master, inherit, become, by
                    )
                )


def _is_out_of_reach(name: str, catalogue: Catalogue) -> bool:
    """Tell whether a role's rights are one's own, or nobody can have them granted."""
    seen = catalogue.roles.get(name)
    return name == catalogue.master or is_built_in(name) or (seen is not None and seen.superuser)


def _lacking(database: connection, names: list[str], *, modern: bool) -> list[tuple[Any, ...]]:
    query = _LACKING
    for hole, text in (
        ("{may_become}", "pg_has_role(r.oid, 'SET')"),
        ("{options}", "m.inherit_option AND m.set_option"),
    ):
        query = query.replace(hole, text if modern else "true")
    return ask(database, query, names=names)


def _own(
    database: connection, names: list[str], *, modern: bool
) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Return the master's memberships in the roles: inherits, may become; by role and grantor."""
    if not names:
        return {}
    if modern:
        query = _OWN.replace("{options}", "m.inherit_option, m.set_option")
    else:
        query = _OWN.replace("{options}", "true, true")
    rows = ask(database, query, names=names)
    return {(name, grantor): (inherits, becomes) for name, grantor, inherits, becomes in rows}
