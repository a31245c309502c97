"""What each preset grants, beside what a role's lists name one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aurora_restore.access.declared import DatabaseRole, Preset, Privileges

# On which kind of object each of a schema's privileges stands, as GRANT calls it.
TABLE: Final = "TABLE"  # views and foreign tables as well
SEQUENCE: Final = "SEQUENCE"
ROUTINE: Final = "ROUTINE"  # functions, procedures, aggregates
SCHEMA: Final = "SCHEMA"
DATABASE: Final = "DATABASE"

IAM_GROUP = "rds_iam"
MONITORING_GROUP = "pg_monitor"

_READ = {SCHEMA: {"USAGE"}, TABLE: {"SELECT"}, SEQUENCE: {"SELECT"}}
_WRITE = {
    SCHEMA: {"USAGE"},
    TABLE: {"SELECT", "INSERT", "UPDATE", "DELETE"},
    SEQUENCE: {"SELECT", "USAGE"},
    ROUTINE: {"EXECUTE"},
}
# An owner needs no grant: all of that comes with owning the schema and what is in it.
_PRESETS: Mapping[Preset | None, Mapping[str, set[str]]] = {
    None: {},
    "read_only": _READ,
    "read_write": _WRITE,
    "owner": {},
    "monitoring": {},
}


@dataclass(frozen=True)
class Rights:
    """What one block of privileges comes to: privileges by kind of object, and owning."""

    schemas: tuple[str, ...]
    on: Mapping[str, frozenset[str]]
    owns: bool


def rights(block: Privileges) -> Rights:
    """Return what a block grants: its preset's privileges and those of its lists."""
    lists = (block.on_database, block.on_schemas, block.on_tables, block.on_sequences)
    named = tuple(tuple(each) for each in (*lists, block.on_functions))
    return Rights(tuple(block.schemas), _on(block.preset, named), block.preset == "owner")


@lru_cache(maxsize=256)  # a thousand roles have a handful of different rights
def _on(preset: Preset | None, named: tuple[tuple[str, ...], ...]) -> Mapping[str, frozenset[str]]:
    kinds = (DATABASE, SCHEMA, TABLE, SEQUENCE, ROUTINE)
    implied = {DATABASE: {"CONNECT"}, **_PRESETS[preset]}
    return {
        kind: frozenset({*implied.get(kind, ()), *words})
        for kind, words in zip(kinds, named, strict=True)
    }


def groups(role: DatabaseRole) -> frozenset[str]:
    """Return the roles it is a member of: those it names, and those that its access implies."""
    found = set(role.member_of)
    if role.iam:
        found.add(IAM_GROUP)
    if role.access == "monitoring" or any(b.preset == "monitoring" for b in role.privileges):
        found.add(MONITORING_GROUP)
    return frozenset(found)
