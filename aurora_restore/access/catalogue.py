"""What is known of roles, memberships, ownership and privileges of one database: values only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from aurora_restore.access.declared import Declared, is_built_in


class Item(NamedTuple):
    """An object as GRANT calls it; a routine with schema and name of each argument's type."""

    kind: str
    schema: str | None
    name: str
    arguments: tuple[tuple[str, str], ...] = ()


class Entry(NamedTuple):
    """One privilege that a role holds, and from whom."""

    role: str
    grantor: str
    privilege: str
    grantable: bool


class Held(NamedTuple):
    """The same privileges on each of some objects, or on a column of that name of each."""

    items: tuple[Item, ...]
    column: str | None
    entries: frozenset[Entry]


class Default(NamedTuple):
    """One privilege that a role will have on what `creator` makes (everywhere: no schema)."""

    creator: str
    schema: str | None
    kind: str
    privilege: str
    role: str


class Membership(NamedTuple):
    """One grant of a group to a role."""

    group: str
    role: str
    grantor: str
    admin: bool
    inherits: bool


class Owned(NamedTuple):
    """A role owns something in a schema, or the schema; without one: what is in no schema."""

    role: str
    schema: str | None


@dataclass(frozen=True)
class Role:
    """A role's attributes and settings."""

    name: str
    login: bool = False
    superuser: bool = False
    createdb: bool = False
    createrole: bool = False
    replication: bool = False
    bypassrls: bool = False
    inherit: bool = True
    limit: int = -1
    until: datetime | None = None
    locked: bool = False  # valid until -infinity
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """One database as far as the declared roles are concerned, and all roles of its server."""

    database: str
    database_owner: str
    master: str
    version: int  # as libpq tells it: 160014
    roles: Mapping[str, Role]
    settings_in_databases: frozenset[tuple[str, str]] = frozenset()
    memberships: tuple[Membership, ...] = ()
    owners: Mapping[Item, str] = field(default_factory=dict)  # of all objects that matter
    foreign: frozenset[Item] = frozenset()  # belong to an extension
    following: frozenset[Item] = frozenset()  # sequences whose owner is their table's
    masters: frozenset[str] = frozenset()  # declared roles that the master is a member of
    everybodys: frozenset[tuple[str, str]] = frozenset()  # schema of a superuser, what PUBLIC may
    owned: frozenset[Owned] = frozenset()
    held: tuple[Held, ...] = ()  # by declared roles, and by those to be dropped
    defaults: frozenset[Default] = frozenset()
    places: frozenset[tuple[str, str]] = frozenset()  # role, database it has something in


def undeclared(declared: Declared, roles: Mapping[str, Role], master: str) -> list[str]:
    """Return the logins that nobody declared, and those that were locked as such."""
    return sorted(name for name in logins(roles, master) if name not in declared.names)


def logins(roles: Mapping[str, Role], master: str) -> Iterable[str]:
    """Give every role that logs in, or did until it was locked, and may be locked."""
    for name, role in roles.items():
        if (role.login or role.locked) and not role.superuser:
            if name == master or is_built_in(name):
                continue
            yield name
