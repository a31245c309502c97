"""The catalogue of a database, read with a dozen questions whatever the number of objects."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

from psycopg2.extensions import connection

from aurora_restore.access import object_queries, presets, queries
from aurora_restore.access.catalogue import (
    Catalogue,
    Default,
    Entry,
    Held,
    Item,
    Membership,
    Owned,
    Role,
    undeclared,
)
from aurora_restore.access.declared import Declared

# Which kind of object default privileges are for.
_DEFAULT_KINDS = {
    "r": presets.TABLE,
    "S": presets.SEQUENCE,
    "f": presets.ROUTINE,
    "T": "TYPE",
    "n": presets.SCHEMA,
    "L": "LARGE OBJECT",
}


def read_roles(database: connection) -> dict[int, Role]:
    """Return all roles by oid."""
    rows = ask(database, queries.ROLES)
    return {
        row[0]: Role(*(*row[1:12], dict(each.split("=", 1) for each in row[12] or ())))
        for row in rows
    }


def read(database: connection, declared: Declared) -> Catalogue:
    """Return the catalogue of the database one is connected to. Changes nothing.

    Source: PostgreSQL, System Catalogs; aclexplode.
    """
    [(here, owner, master)] = ask(database, queries.FACTS)
    by_oid = read_roles(database)
    names = {oid: role.name for oid, role in by_oid.items()}
    roles = {role.name: role for role in by_oid.values()}
    leaving = set[str]()
    if declared.undeclared == "drop":
        leaving.update(undeclared(declared, roles, master))
    named = array(oid for oid, name in names.items() if name in declared.names)
    going = [oid for oid, name in names.items() if name in leaving]
    concerned = declared.names | leaving
    held = ask(
        database,
        queries.HELD,
        roles=array(oid for oid, name in names.items() if name in concerned),
    )
    items, owners, foreign, following = _objects(database, declared, here, held)
    version = database.server_version

    def name(oid: int) -> str:
        return names.get(oid, "")

    return Catalogue(
        database=here,
        database_owner=owner,
        master=master,
        version=version,
        roles=roles,
        settings_in_databases=frozenset(
            (name(oid), place)
            for oid, place in ask(database, queries.SETTINGS_IN_DATABASES, roles=named)
        ),
        memberships=tuple(
            Membership(name(group), name(member), name(grantor), *options)
            for group, member, grantor, *options in ask(
                database, queries.memberships(version), roles=named
            )
        ),
        owners={item: name(oid) for item, oid in owners.items()},
        foreign=foreign,
        following=following,
        masters=frozenset(name for (name,) in ask(database, queries.masters(version), roles=named)),
        everybodys=frozenset(ask(database, queries.EVERYBODYS, schemas=_schemas(declared, here))),
        owned=frozenset(
            Owned(name(role), schema) for role, schema in ask(database, queries.OWNED, roles=named)
        ),
        held=tuple(_held(row, items, names) for row in held),
        defaults=frozenset(
            Default(name(creator), schema, _DEFAULT_KINDS[kind], privilege, name(role))
            for creator, schema, kind, privilege, role in ask(
                database, queries.DEFAULTS, roles=named
            )
            if creator != role
        ),
        places=places(database, names, going, declared.database) if going else frozenset(),
    )


def places(
    database: connection, names: Mapping[int, str], roles: Iterable[int], shared: str
) -> frozenset[tuple[str, str]]:
    """Return role and database wherever one of the roles owns something or has a privilege.

    What is in no database counts as being in `shared`.
    """
    rows = ask(database, queries.PLACES, roles=array(roles), shared=shared)
    return frozenset((names[oid], place) for oid, place in rows)


_Objects = tuple[dict[tuple[str, int], Item], dict[Item, int], frozenset[Item], frozenset[Item]]


def _objects(
    database: connection, declared: Declared, here: str, held: list[tuple[Any, ...]]
) -> _Objects:
    """Return the objects by class and oid, their owners' oids, the foreign, the following."""
    blocks = [block for _, block in declared.grants if block.database == here]
    named = _schemas(declared, here)
    oids: dict[str, set[int]] = defaultdict(set)
    for row in held:
        oids[row[0]].update(row[2])
    classes = {*object_queries.ALWAYS, *oids} - {"schema"}
    if any(block.preset == "owner" for block in blocks):
        classes.update(object_queries.OWNERS_ONLY)
    items: dict[tuple[str, int], Item] = {}
    owners: dict[Item, int] = {}
    foreign, following, schemas = set[Item](), set[Item](), list[int]()
    for each in ("schema", *sorted(classes)):
        for oid, kind, schema, name, owner, is_foreign, follows, arguments in ask(
            database,
            object_queries.OBJECTS[each],
            oids=array(oids[each]),
            schemas=array(schemas),
            names=named,
        ):
            item = Item(kind, schema, name, tuple(map(tuple, arguments)) if arguments else ())
            items[each, oid], owners[item] = item, owner
            if is_foreign:
                foreign.add(item)
            if follows:
                following.add(item)
            if each == "schema" and name in named:
                schemas.append(oid)
    return items, owners, frozenset(foreign), frozenset(following)


def _schemas(declared: Declared, here: str) -> list[str]:
    """Return the schemas of this database that something is declared for."""
    blocks = [block for _, block in declared.grants if block.database == here]
    return list({name for block in blocks for name in block.schemas})


def _held(
    row: tuple[Any, ...], items: Mapping[tuple[str, int], Item], names: Mapping[int, str]
) -> Held:
    kind, column, oids, receivers, grantors, privileges, options = row
    return Held(
        tuple(items[kind, oid] for oid in oids if (kind, oid) in items),
        column,
        frozenset(
            Entry(names[role], names.get(grantor, ""), privilege, grantable)
            for role, grantor, privilege, grantable in zip(
                receivers, grantors, privileges, options, strict=True
            )
        ),
    )


def array(oids: Iterable[int]) -> str:
    """Return oids as PostgreSQL reads an array: much faster than a list of numbers."""
    return "{" + ",".join(map(str, oids)) + "}"


def ask(database: connection, query: LiteralString, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a question."""
    with database.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall()
