"""Changes of a role itself as SQL: its attributes, its settings."""

from datetime import datetime

from psycopg2.sql import SQL, Composable, Identifier, Literal

from aurora_restore.access import changes, settings
from aurora_restore.access.changes import Change
from aurora_restore.access.words import ATTRIBUTES


def role_statement(change: Change) -> Composable:
    """Return the statement of a change of a role itself.

    A list such as search_path is sent item by item: PostgreSQL would take one text for one name.

    Source: PostgreSQL, CREATE ROLE, ALTER ROLE.
    """
    role = Identifier(change.role)
    match change:
        case changes.CreateRole(_, login, limit, until):
            return SQL("CREATE ROLE {} {} CONNECTION LIMIT {} VALID UNTIL {}").format(
                role, ATTRIBUTES["LOGIN", login], Literal(limit), _moment(until)
            )
        case changes.AlterRole(_, attributes):
            words = [_attribute(name, value) for name, value in attributes]
            return SQL("ALTER ROLE {} {}").format(role, SQL(" ").join(words))
        case changes.Lock():
            return SQL("ALTER ROLE {} NOLOGIN VALID UNTIL '-infinity'").format(role)
        case changes.SetSetting(_, name, value):
            values = SQL(", ").join(map(Literal, settings.items(name, value)))
            return SQL("ALTER ROLE {} SET {} TO {}").format(role, _dotted(name), values)
        case changes.ResetSetting(_, name, database):
            place = SQL("IN DATABASE {} ").format(Identifier(database)) if database else SQL("")
            what = _dotted(name) if name else SQL("ALL")
            return SQL("ALTER ROLE {} {}RESET {}").format(role, place, what)
    raise TypeError(change)


def _attribute(name: str, value: object) -> Composable:
    if name == "CONNECTION LIMIT":
        return SQL("CONNECTION LIMIT {}").format(Literal(value))
    if name == "VALID UNTIL":
        return SQL("VALID UNTIL {}").format(_moment(value))
    return ATTRIBUTES[name, bool(value)]


def _moment(until: object) -> Composable:
    return Literal(until.isoformat() if isinstance(until, datetime) else "infinity")


def _dotted(name: str) -> Composable:
    return SQL(".").join(map(Identifier, name.split(".")))
