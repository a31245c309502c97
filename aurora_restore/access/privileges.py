"""Which privileges must be given and taken, on what is there and on what will be. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from aurora_restore.access import presets
from aurora_restore.access.catalogue import Catalogue, Default, Entry, Held, Item
from aurora_restore.access.changes import (
    GrantDefault,
    GrantPrivilege,
    RevokeDefault,
    RevokePrivilege,
)
from aurora_restore.access.declared import Declared, is_built_in
from aurora_restore.access.ownership import Ownership

_IN_SCHEMAS = (presets.TABLE, presets.SEQUENCE, presets.ROUTINE)
_BY_NAME = (presets.SCHEMA, presets.DATABASE)
Place = tuple[str | None, str]  # objects of one kind in one schema have the same privileges
Pair = tuple[str, str]  # role, privilege


class Verdict(NamedTuple):
    """What of some entries is as declared, and what must go: how far from the owner, what of it."""

    right: frozenset[Pair]
    wrong: tuple[tuple[int, Entry, bool], ...]


def differing_privileges(
    declared: Declared, catalogue: Catalogue, ownership: Ownership
) -> list[RevokePrivilege | GrantPrivilege]:
    """Return what to take, then what to give. What comes from PUBLIC is left alone."""
    wanted = _wanted_privileges(declared, catalogue)
    owners = {item: ownership.after(item) for item in catalogue.owners}
    right: dict[Item, frozenset[Pair]] = {}
    wrong = list[tuple[int, RevokePrivilege]]()
    for held in catalogue.held:
        verdicts: dict[tuple[Place, str, str], Verdict] = {}
        for item in held.items:
            key = (_place(item, catalogue), catalogue.owners[item], owners[item])
            if key not in verdicts:
                verdicts[key] = _judge(held, wanted.get(key[0], frozenset()), set(key[1:]))
            if held.column is None:
                right[item] = verdicts[key].right
            wrong += _taken(verdicts[key], held, item, ownership.actor(owners[item]))
    wrong.sort(key=lambda pair: -pair[0])
    given = [
        GrantPrivilege(role, item, privilege, ownership.actor(owner))
        for item, owner in owners.items()
        for role, privilege in sorted(_missing(item, catalogue, wanted, right))
        if role != owner
    ]
    return [*(each for _, each in wrong), *given]


def _place(item: Item, catalogue: Catalogue) -> Place:
    if item in catalogue.foreign:
        return (None, "")  # nothing is declared for what an extension brings
    return (item.name if item.kind in _BY_NAME else item.schema, item.kind)


def _missing(
    item: Item,
    catalogue: Catalogue,
    wanted: Mapping[Place, frozenset[Pair]],
    right: Mapping[Item, frozenset[Pair]],
) -> Iterable[Pair]:
    """Return what is to be given; nothing to do is told fast.

    On a superuser's schema the master can give nothing: what everybody may there has to do.
    """
    here = wanted.get(_place(item, catalogue))
    if here is None or (has := right.get(item, frozenset())) == here:
        return ()
    if item.kind == presets.SCHEMA:
        return {pair for pair in here - has if (item.name, pair[1]) not in catalogue.everybodys}
    return here - has


def _judge(held: Held, wanted: frozenset[Pair], owners: set[str]) -> Verdict:
    """Sort the entries of objects of one place, owned by `owners` before and after.

    What an owner has is its own. What another than the owner gave is taken, and given again by the
    owner if it is wanted: it would go away with the right of whoever gave it.
    """
    given = {(each.privilege, each.role): each.grantor for each in held.entries}
    right, wrong = set[Pair](), list[tuple[int, Entry, bool]]()
    for each in held.entries:
        if each.role in owners:
            continue
        pair = (each.role, each.privilege)
        if held.column is None and each.grantor in owners and pair in wanted:
            right.add(pair)
            if each.grantable:
                wrong.append((0, each, True))
        else:
            wrong.append((_distance(each, given, owners), each, False))
    return Verdict(frozenset(right), tuple(wrong))


def _distance(each: Entry, given: Mapping[tuple[str, str], str], owners: set[str]) -> int:
    """Return through how many hands it came: the last in a chain must lose it first."""
    distance, grantor, seen = 0, each.grantor, {each.role}
    while grantor not in owners and grantor not in seen:
        distance += 1
        seen.add(grantor)
        grantor = given.get((each.privilege, grantor), min(owners))
    return distance


def _taken(
    verdict: Verdict, held: Held, item: Item, owner: str
) -> Iterator[tuple[int, RevokePrivilege]]:
    for distance, each, only_option in verdict.wrong:
        by = each.grantor if distance else None
        yield (
            distance,
            RevokePrivilege(each.role, item, held.column, each.privilege, only_option, owner, by),
        )


def _blocks(declared: Declared, catalogue: Catalogue) -> Iterator[tuple[str, presets.Rights]]:
    """Give each role's blocks of privileges of this database."""
    for role, block in declared.grants:
        if block.database == catalogue.database:
            yield role.name, presets.rights(block)


def _wanted_privileges(declared: Declared, catalogue: Catalogue) -> dict[Place, frozenset[Pair]]:
    wanted: dict[Place, set[Pair]] = defaultdict(set)
    for role, rights in _blocks(declared, catalogue):
        for kind, privileges in rights.on.items():
            pairs = [(role, privilege) for privilege in privileges]
            if kind == presets.DATABASE:
                wanted[catalogue.database, kind].update(pairs)
            elif pairs:
                for schema in rights.schemas:
                    wanted[schema, kind].update(pairs)
    return {place: frozenset(pairs) for place, pairs in wanted.items()}


def differing_defaults(
    declared: Declared, catalogue: Catalogue, ownership: Ownership
) -> list[RevokeDefault | GrantDefault]:
    """Return what to take, then what to give, on objects that are made later.

    Who makes objects in a schema is told by who owns some, or the schema; the master may, too.
    """
    wanted = set(_wanted_defaults(declared, catalogue, ownership))
    taken = sorted(catalogue.defaults - wanted, key=str)
    given = sorted(wanted - catalogue.defaults, key=str)
    return [
        *(RevokeDefault(d.role, d.creator, d.schema, d.kind, d.privilege) for d in taken),
        *(GrantDefault(d.role, d.creator, d.schema, d.kind, d.privilege) for d in given),
    ]


def _wanted_defaults(
    declared: Declared, catalogue: Catalogue, ownership: Ownership
) -> Iterator[Default]:
    creators: dict[str, list[str]] = {}
    for role, rights in _blocks(declared, catalogue):
        for schema in rights.schemas:
            if schema not in creators:
                makers = ownership.creators(schema)
                creators[schema] = [each for each in makers if not _is_apart(each, catalogue)]
            for kind in _IN_SCHEMAS:
                for privilege in rights.on[kind]:
                    for creator in creators[schema]:
                        if creator != role:
                            yield Default(creator, schema, kind, privilege, role)


def _is_apart(name: str, catalogue: Catalogue) -> bool:
    """Tell whether nobody may set default privileges for a role, nor is it a source's own."""
    seen = catalogue.roles.get(name)
    built_in = is_built_in(name) or (seen is not None and seen.superuser)
    return built_in and name != catalogue.master
