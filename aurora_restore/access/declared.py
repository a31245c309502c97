"""The roles a restored database shall have, as a request or a role file declares them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.functional_validators import AfterValidator

MAX_NAME_BYTES = 63  # PostgreSQL cuts longer names silently (NAMEDATALEN)
# Nobody may declare these, though a source may well have a login of such a name.
RESERVED_PREFIXES = ("pg_", "rds")
RESERVED = frozenset({"postgres", "public", "none"})
# Those of PostgreSQL and RDS themselves, which are never touched.
_BUILT_IN_PREFIXES = ("pg_", "rds_")
_BUILT_IN = frozenset(
    {"rdsadmin", "rdsproxyadmin", "rdsrepladmin", "rdstopmgr", "rdswriteforwarduser"}
)
DEFAULT_SCHEMAS = ["public"]

Preset = Literal["read_only", "read_write", "owner", "monitoring"]


def _whole_name(name: str) -> str:
    """Return a name that PostgreSQL keeps as it is.

    Source: PostgreSQL, Identifiers and Key Words.
    """
    if not name:
        raise ValueError("empty; give a name")
    if len(name.encode()) > MAX_NAME_BYTES:
        message = f"longer than {MAX_NAME_BYTES} bytes, PostgreSQL would cut it; shorten the name"
        raise ValueError(message)
    if not name.isprintable():
        raise ValueError("holds a control or an invisible character; remove it")
    return name


def is_reserved(name: str) -> bool:
    """Tell whether no role of that name may be declared."""
    return name.startswith(RESERVED_PREFIXES) or name in RESERVED


def is_built_in(name: str) -> bool:
    """Tell whether a role is PostgreSQL's or RDS's own, which is left alone."""
    return name.startswith(_BUILT_IN_PREFIXES) or name in _BUILT_IN


def _own_name(name: str) -> str:
    if is_reserved(name):
        message = f"{name!r} is reserved by PostgreSQL or RDS; choose another role name"
        raise ValueError(message)
    return name


def _group_name(name: str) -> str:
    if name == "rds_iam":
        raise ValueError("membership in rds_iam is IAM authentication; set iam to true instead")
    return name


Name = Annotated[str, AfterValidator(_whole_name)]
RoleName = Annotated[Name, AfterValidator(_own_name)]
GroupName = Annotated[Name, AfterValidator(_group_name)]


class Privileges(BaseModel):
    """What a role may do with one database and some of its schemas."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: Name | None = Field(
        default=None, title="Database", description="Empty: the database of the request."
    )
    schemas: list[Name] = Field(
        default=[], title="Schemas", description="Schemas in which the lists below hold."
    )
    preset: Preset | None = Field(
        default=None, title="Preset", description="Adds what the preset grants in those schemas."
    )
    on_database: list[Literal["CONNECT", "CREATE", "TEMPORARY"]] = Field(
        default=[], title="On the database"
    )
    on_schemas: list[Literal["USAGE", "CREATE"]] = Field(default=[], title="On the schemas")
    on_tables: list[
        Literal["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    ] = Field(default=[], title="On tables and views", description="Those made later included.")
    on_sequences: list[Literal["USAGE", "SELECT", "UPDATE"]] = Field(
        default=[], title="On sequences", description="Those made later included."
    )
    on_functions: list[Literal["EXECUTE"]] = Field(
        default=[], title="On functions and procedures", description="Those made later included."
    )

    @model_validator(mode="after")
    def _in_schemas(self) -> Self:
        wanted = self.on_schemas or self.on_tables or self.on_sequences or self.on_functions
        if not self.schemas and (wanted or self.preset not in {None, "monitoring"}):
            raise ValueError("schemas: missing; name the schemas in which this holds")
        return self


class DatabaseRole(BaseModel):
    """One role that the restored database shall have: a login, or a group without one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: RoleName = Field(title="Role name", description="PostgreSQL role to create or alter.")
    secret_id: str | None = Field(
        default=None,
        title="Secret",
        min_length=1,
        description="Name or ARN of the Secrets Manager secret that holds its password. Without "
        "a secret and without IAM the role is a group: nobody logs in as it.",
    )
    make_secret: bool = Field(
        default=False,
        title="Make the secret",
        description="If there is no such secret, make one with a random password.",
    )
    iam: bool = Field(
        default=False,
        title="IAM authentication",
        description="It logs in with an IAM token instead of a password.",
    )
    access: Preset | None = Field(
        default=None,
        title="Access",
        description="What it may do in the schemas below: read_only, read_write, owner (makes and "
        "owns the objects), or monitoring (reads the server's statistics).",
    )
    schemas: list[Name] = Field(
        default=DEFAULT_SCHEMAS,
        title="Schemas",
        min_length=1,
        description="Schemas of the request's database in which it may do so.",
    )
    privileges: list[Privileges] = Field(
        default=[], title="More privileges", description="In other databases, or one by one."
    )
    member_of: list[GroupName] = Field(
        default=[], title="Member of", description="Roles whose privileges it has as well."
    )
    connection_limit: int | None = Field(
        default=None, title="Connection limit", ge=0, description="Empty: none of its own."
    )
    valid_until: AwareDatetime | None = Field(
        default=None,
        title="Password valid until",
        description="PostgreSQL refuses the password afterwards. Empty: never.",
    )
    settings: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.]*$")], str] = Field(
        default={},
        title="Settings",
        description="Set for each of its sessions, e.g. search_path or statement_timeout.",
    )

    @property
    def logs_in(self) -> bool:
        """Whether anybody can log in as it."""
        return self.iam or self.secret_id is not None

    def grants(self, database: str) -> list[Privileges]:
        """Return all its privileges, each with its database; `database` is the request's."""
        more = [
            each if each.database else each.model_copy(update={"database": database})
            for each in self.privileges
        ]
        if self.access is None:
            return more
        schemas = [] if self.access == "monitoring" else self.schemas
        return [Privileges(database=database, schemas=schemas, preset=self.access), *more]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.iam and self.secret_id is not None:
            message = "iam: with IAM no password logs in; leave out secret_id, or iam"
            raise ValueError(message)
        # Not whether it was given: the record of the plan and Prefect's form give every field.
        if self.schemas != DEFAULT_SCHEMAS and self.access in {None, "monitoring"}:
            raise ValueError("schemas: without effect; say in access what it may do in them")
        if self.make_secret and self.secret_id is None:
            raise ValueError("make_secret: name the secret to make in secret_id")
        if self.name in self.member_of:
            raise ValueError(f"member_of: {self.name!r} is a member of itself; remove it")
        return self


@dataclass(frozen=True)
class Declared:
    """All roles that a restored cluster shall have, and what becomes of the source's logins."""

    database: str  # the request's: where roles are made
    roles: Sequence[DatabaseRole]
    undeclared: Literal["lock", "drop"] = "lock"

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the roles."""
        return frozenset(role.name for role in self.roles)

    @cached_property
    def grants(self) -> Sequence[tuple[DatabaseRole, Privileges]]:
        """Each role with each of its blocks of privileges, whose database is always named."""
        return [(role, block) for role in self.roles for block in role.grants(self.database)]


def conflicts(roles: Sequence[DatabaseRole], database: str) -> list[str]:
    """Return what contradicts itself among roles that are each in order, one line a finding."""
    names = [role.name for role in roles]
    found = []
    if twice := {name for name in names if names.count(name) > 1}:
        found.append(f"roles: {sorted(twice)} stand twice; name each role once")
    elif circle := _circle({role.name: role.member_of for role in roles}):
        chain = " -> ".join(circle)
        found.append(f"roles: circular membership {chain}; remove one of the memberships")
    owners: dict[tuple[str, str], str] = {}
    for role in roles:
        for schema in owned(role, database):
            other = owners.setdefault(schema, role.name)
            if other != role.name:
                found.append(
                    f"roles: {other!r} and {role.name!r} both own schema {schema[1]!r} of database "
                    f"{schema[0]!r}; a schema has one owner: give the preset to one role"
                )
    return found


def owned(role: DatabaseRole, database: str) -> Iterable[tuple[str, str]]:
    """Return the database and schema of each schema that a role shall own."""
    return [
        (str(each.database), schema)
        for each in role.grants(database)
        if each.preset == "owner"
        for schema in each.schemas
    ]


def _circle(members: Mapping[str, Sequence[str]]) -> list[str]:
    try:
        TopologicalSorter(members).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
