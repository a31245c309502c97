"""Changes as SQL: as few statements as say the same, names and values always composed."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

from psycopg2.sql import SQL, Composable, Identifier, Literal

from aurora_restore.access import changes as made
from aurora_restore.access.catalogue import Item
from aurora_restore.access.changes import Change
from aurora_restore.access.role_statements import role_statement
from aurora_restore.access.words import KINDS, PLURALS, PRIVILEGES

MOST_NAMES = 500  # objects, or roles, of one statement
OPTIONS_PER_GRANT = 160000  # the first version whose memberships have options and grantors

T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)
Grant = made.GrantPrivilege | made.RevokePrivilege
GrantDefault = made.GrantDefault | made.RevokeDefault


class Renderer:
    """Makes statements for one server."""

    def __init__(self, version: int, master: str, verifiers: Mapping[str, str]) -> None:
        """`version` is libpq's number, `verifiers` are SCRAM's by role."""
        self._options = version >= OPTIONS_PER_GRANT
        self._master, self._verifiers = master, verifiers

    def render(self, several: Iterable[Change]) -> Iterator[Composable]:
        """Give the statements of some changes; what follows each other is merged where it can."""
        for kind, group in groupby(several, key=type):
            yield from self._of(kind, list(group))

    def _of(self, kind: type[Change], group: list[Any]) -> Iterator[Composable]:
        if kind in {made.GrantPrivilege, made.RevokePrivilege}:
            yield from _privileges(group)
        elif kind in {made.GrantDefault, made.RevokeDefault}:
            yield from _defaults(group)
        elif kind is made.GrantMembership:
            yield from self._memberships(group)
        else:
            for each in group:
                yield self._one(each)

    def _memberships(self, group: list[made.GrantMembership]) -> Iterator[Composable]:
        options = SQL(" WITH INHERIT TRUE, SET TRUE" if self._options else "")
        for name, members in _by(group, lambda each: each.group):
            for some in _portions(sorted({each.role for each in members})):
                yield SQL("GRANT {} TO {}{}").format(Identifier(name), _names(some), options)

    def _one(self, change: Change) -> Composable:
        role, master = Identifier(change.role), Identifier(self._master)
        statement: Composable
        match change:
            case made.SetPassword():
                verifier = Literal(self._verifiers[change.role])
                statement = SQL("ALTER ROLE {} PASSWORD {}").format(role, verifier)
            case made.Reassign():
                statement = SQL("REASSIGN OWNED BY {} TO {}").format(role, master)
            case made.DropOwned():
                statement = SQL("DROP OWNED BY {}").format(role)
            case made.DropRole():
                statement = SQL("DROP ROLE {}").format(role)
            case made.Own(_, item):
                kind = KINDS[item.kind]
                statement = SQL("ALTER {} {} OWNER TO {}").format(kind, _name(item), role)
            case made.RevokeMembership():
                statement = self._revoke_membership(change, role)
            case _:
                statement = role_statement(change)
        return statement

    def _revoke_membership(self, change: made.RevokeMembership, role: Identifier) -> Composable:
        option = SQL("ADMIN OPTION FOR " if change.only_admin else "")
        by = SQL("GRANTED BY {} ").format(Identifier(change.grantor))
        return SQL("REVOKE {}{} FROM {} {}CASCADE").format(
            option, Identifier(change.group), role, by if self._options else SQL("")
        )


def _privileges(group: Sequence[Grant]) -> Iterator[Composable]:
    """Give first what must be taken as the one who gave it, in the order it comes in."""
    of_owner = list[Grant]()
    for each in group:
        if isinstance(each, made.RevokePrivilege) and each.by is not None:
            revoke = _privilege(each, [each.privilege], [each.item], [each.role])
            act = Identifier(each.by)
            yield SQL("SET LOCAL ROLE {}; {}; SET LOCAL ROLE NONE").format(act, revoke)
        else:
            of_owner.append(each)
    words: dict[Any, list[Grant]] = defaultdict(list)
    for each in of_owner:
        words[_form(each), each.item, each.role].append(each)
    roles: dict[Any, list[str]] = defaultdict(list)
    for (form, item, role), same in words.items():
        roles[form, tuple(sorted(each.privilege for each in same)), item].append(role)
    items: dict[Any, list[Item]] = defaultdict(list)
    for (form, privileges, item), those in roles.items():
        items[form, privileges, item.kind, tuple(those)].append(item)
    for (form, privileges, _, those), objects in items.items():
        [example, *_] = words[form, objects[0], those[0]]
        for some in _portions(objects):
            for receivers in _portions(those):
                yield _privilege(example, privileges, some, receivers)


def _form(each: Grant) -> tuple[Any, ...]:
    return (each.column, each.only_option) if isinstance(each, made.RevokePrivilege) else ()


def _privilege(
    example: Grant, privileges: Sequence[str], items: Sequence[Item], roles: Sequence[str]
) -> Composable:
    words = SQL(", ").join(PRIVILEGES[each] for each in privileges)
    if isinstance(example, made.RevokePrivilege) and example.column is not None:
        column = Identifier(example.column)
        words = SQL(", ").join(SQL("{} ({})").format(PRIVILEGES[p], column) for p in privileges)
    on = KINDS[items[0].kind] + SQL(" ") + SQL(", ").join(map(_name, items))
    if isinstance(example, made.GrantPrivilege):
        return SQL("GRANT {} ON {} TO {}").format(words, on, _names(roles))
    option = SQL("GRANT OPTION FOR " if example.only_option else "")
    return SQL("REVOKE {}{} ON {} FROM {} CASCADE").format(option, words, on, _names(roles))


def _defaults(group: Sequence[GrantDefault]) -> Iterator[Composable]:
    words: dict[Any, list[str]] = defaultdict(list)
    for each in group:
        words[each.creator, each.schema, each.kind, each.role].append(each.privilege)
    roles: dict[Any, list[str]] = defaultdict(list)
    for (*place, role), privileges in words.items():
        roles[(*place, tuple(sorted(privileges)))].append(role)
    verb, to = ("GRANT", "TO") if isinstance(group[0], made.GrantDefault) else ("REVOKE", "FROM")
    for (creator, schema, kind, privileges), those in roles.items():
        inside = SQL("") if schema is None else SQL("IN SCHEMA {} ").format(Identifier(schema))
        for some in _portions(those):
            yield SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} {}{} {} ON {} {} {}").format(
                Identifier(creator),
                inside,
                SQL(verb),
                SQL(", ").join(PRIVILEGES[each] for each in privileges),
                PLURALS[kind],
                SQL(to),
                _names(some),
            )


def _name(item: Item) -> Composable:
    if item.kind == "LARGE OBJECT":
        return Literal(int(item.name))
    name = Identifier(item.name) if item.schema is None else Identifier(item.schema, item.name)
    if item.kind != "ROUTINE":
        return name
    types = SQL(", ").join(SQL("IN {}").format(Identifier(*each)) for each in item.arguments)
    return SQL("{}({})").format(name, types)


def _names(names: Iterable[str]) -> Composable:
    return SQL(", ").join(map(Identifier, names))


def _by(several: Iterable[T], key: Callable[[T], Key]) -> Iterable[tuple[Key, list[T]]]:
    groups: dict[Key, list[T]] = defaultdict(list)
    for each in several:
        groups[key(each)].append(each)
    return groups.items()


def _portions(several: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(several), MOST_NAMES):
        yield several[start : start + MOST_NAMES]
