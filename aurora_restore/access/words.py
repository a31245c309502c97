"""The words of PostgreSQL's grammar that depend on data: only these get into a statement."""

from collections.abc import Mapping
from typing import LiteralString

from psycopg2 import sql

_KINDS: tuple[LiteralString, ...] = (
    "TABLE",
    "SEQUENCE",
    "ROUTINE",
    "SCHEMA",
    "DATABASE",
    "TYPE",
    "LANGUAGE",
    "FOREIGN SERVER",
    "FOREIGN DATA WRAPPER",
    "LARGE OBJECT",
    "COLLATION",
    "CONVERSION",
    "STATISTICS",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH CONFIGURATION",
)
_PRIVILEGES: tuple[LiteralString, ...] = (
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
    "MAINTAIN",
    "USAGE",
    "CREATE",
    "CONNECT",
    "TEMPORARY",
    "EXECUTE",
)
_ATTRIBUTES: tuple[LiteralString, ...] = (
    "LOGIN",
    "CREATEDB",
    "CREATEROLE",
    "REPLICATION",
    "BYPASSRLS",
    "INHERIT",
)

KINDS: Mapping[str, sql.SQL] = {word: sql.SQL(word) for word in _KINDS}
PRIVILEGES: Mapping[str, sql.SQL] = {word: sql.SQL(word) for word in _PRIVILEGES}
# What default privileges call the kinds.
PLURALS: Mapping[str, sql.SQL] = {
    "TABLE": sql.SQL("TABLES"),
    "SEQUENCE": sql.SQL("SEQUENCES"),
    "ROUTINE": sql.SQL("ROUTINES"),
    "TYPE": sql.SQL("TYPES"),
    "SCHEMA": sql.SQL("SCHEMAS"),
    "LARGE OBJECT": sql.SQL("LARGE OBJECTS"),
}
# An attribute of a role, as it is given and as it is taken.
ATTRIBUTES: Mapping[tuple[str, bool], sql.Composed] = {
    (word, given): sql.Composed([sql.SQL("") if given else sql.SQL("NO"), sql.SQL(word)])
    for word in _ATTRIBUTES
    for given in (True, False)
}
