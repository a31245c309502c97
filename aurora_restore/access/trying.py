"""Each declared login tried: it gets in, may do what is declared, and is refused what is not."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Literal

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection
from pydantic import BaseModel

from aurora_restore.access import queries
from aurora_restore.access.declared import DatabaseRole, Privileges
from aurora_restore.errors import DatabaseSetupError
from aurora_restore.evidence import Tried
from aurora_restore.postgres import failed

Connect = Callable[[DatabaseRole, str], AbstractContextManager[connection]]

_PROBE = "aurora_restore_probe"
# Tables of extensions are nobody's to grant. Partitions are granted by themselves; what is read
# through a view or a foreign table takes more than the role's own rights.
_TABLE = """
    SELECT c.relname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE deptype = 'e' AND objid = c.oid AND classid = c.tableoid)
    ORDER BY 1 LIMIT 1
"""
_PRESETS = {
    "read_only": {"SELECT"},
    "read_write": {"SELECT", "DELETE"},
    "owner": {"SELECT", "DELETE", "CREATE"},
    "monitoring": {"MONITOR"},
}


class _Probe(BaseModel, frozen=True, arbitrary_types_allowed=True):
    """One action, undone at once, and the right that it takes."""

    right: str
    said: str
    action: sql.Composable


def prove(roles: Sequence[DatabaseRole], database: str, connect: Connect) -> list[Tried]:
    """Return what each declared login was allowed and refused. Changes nothing; safe to repeat.

    In each schema a role has privileges in, it does the most that is declared and tries the least
    that is not; what it does is rolled back. Where it is a member of roles that are not declared
    here, nobody can tell what it must be refused: nothing is tried, then.

    `connect` logs a role into a database. `database` is the request's.

    Raises:
        NotReady: the server does not accept a login (yet).
        DatabaseSetupError: a role does not get in, may not do what is declared, or may do more.

    Source: PostgreSQL, Privileges.
    """
    tried = []
    for role in roles:
        if role.logs_in:
            try:
                tried.append(_try(role, roles, database, connect))
            except psycopg2.Error as error:
                raise failed(error, f"role {role.name}", "while trying what it may") from None
    return tried


def _try(
    role: DatabaseRole, roles: Sequence[DatabaseRole], database: str, connect: Connect
) -> Tried:
    grants, known = _effective(role, roles, database)
    allowed: list[str] = []
    refused: list[str] = []
    for name in sorted({database} | {str(each.database) for each in grants}):
        with connect(role, name) as session:
            here = [each for each in grants if each.database == name]
            for probes, rights in _ladders(session, here):
                may = [probe for probe in probes if probe.right in rights]
                may_not = [probe for probe in probes if probe.right not in rights]
                for probe in may[-1:]:
                    if not _permitted(session, probe):
                        raise DatabaseSetupError(f"role {role.name}", f"it may not {probe.said}")
                    allowed.append(probe.said)
                for probe in may_not[:1] if known else []:
                    if _permitted(session, probe):
                        raise DatabaseSetupError(
                            f"role {role.name}",
                            f"it may {probe.said}, which is not declared",
                            "Revoke that from PUBLIC or from its groups in a script, or declare "
                            "it, then run again.",
                        )
                    refused.append(probe.said)
            session.rollback()
    by: Literal["password", "IAM token"] = "IAM token" if role.iam else "password"
    return Tried(role=role.name, by=by, allowed=allowed, refused=refused)


def _effective(
    role: DatabaseRole, roles: Iterable[DatabaseRole], database: str
) -> tuple[list[Privileges], bool]:
    """Return what a role has of its own and by its groups, and whether that is all it has."""
    declared = {each.name: each for each in roles}
    waiting, seen = [role.name], set[str]()
    grants: list[Privileges] = []
    while waiting:
        name = waiting.pop()
        if name not in seen and name in declared:
            grants += declared[name].grants(database)
            waiting += declared[name].member_of
        seen.add(name)
    return grants, seen <= declared.keys()


def _ladders(
    session: connection, grants: Sequence[Privileges]
) -> Iterable[tuple[list[_Probe], set[str]]]:
    """Yield for each schema the actions, from the least to the most, and the rights there are."""
    for schema in sorted({schema for each in grants for schema in each.schemas}):
        rights = {right for each in grants if schema in each.schemas for right in _rights(each)}
        yield [*_in_schema(session, schema), _MAKE_ROLE], rights
    if any(each.preset == "monitoring" for each in grants):
        yield [_MONITOR, _MAKE_ROLE], {"MONITOR"}


def _rights(grants: Privileges) -> set[str]:
    preset = _PRESETS[grants.preset] if grants.preset else set[str]()
    return preset | set(grants.on_tables) | set(grants.on_schemas)


_MAKE_ROLE = _Probe(
    right="CREATEROLE",
    said="make a role",
    action=sql.SQL("CREATE ROLE {}").format(sql.Identifier(_PROBE)),
)
# Not shown to anybody but superusers and members of pg_read_all_settings, as pg_monitor is.
_MONITOR = _Probe(right="MONITOR", said="read all settings", action=sql.SQL("SHOW data_directory"))


def _in_schema(session: connection, schema: str) -> Iterable[_Probe]:
    with session.cursor() as cursor:
        cursor.execute(_TABLE, (schema,))
        found = cursor.fetchone()
    if found is not None:
        name, table = f"{schema}.{found[0]}", sql.Identifier(schema, found[0])
        yield _Probe(
            right="SELECT",
            said=f"read {name}",
            action=sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table),
        )
        yield _Probe(
            right="DELETE",
            said=f"delete from {name}",  # noqa: S608 - for people
            action=sql.SQL("DELETE FROM {} WHERE false").format(table),
        )
    if _everybody_makes_tables(session, schema):
        return  # in a superuser's schema: nobody here can take that from everybody
    yield _Probe(
        right="CREATE",
        said=f"make a table in {schema}",
        action=sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(schema, _PROBE)),
    )


def _everybody_makes_tables(session: connection, schema: str) -> bool:
    with session.cursor() as cursor:
        cursor.execute(queries.EVERYBODYS, {"schemas": [schema]})
        return (schema, "CREATE") in cursor.fetchall()


def _permitted(session: connection, probe: _Probe) -> bool:
    """Do it, undo it, and tell whether it was permitted.

    What fails for another reason, e.g. a trigger that refuses, was permitted.
    """
    try:
        with session.cursor() as cursor:
            cursor.execute(probe.action)
    except errors.InsufficientPrivilege:
        return False
    except psycopg2.Error as error:
        if error.pgcode is None or session.closed:
            raise failed(error, "endpoint", f"while trying to {probe.said}") from None
        return True
    finally:
        if not session.closed:
            session.rollback()
    return True
