"""What must be changed so that a database has exactly the declared roles. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from aurora_restore.access import changes, presets, settings
from aurora_restore.access.catalogue import Catalogue, Role, undeclared
from aurora_restore.access.changes import Change
from aurora_restore.access.declared import DatabaseRole, Declared
from aurora_restore.access.ownership import Ownership
from aurora_restore.access.privileges import differing_defaults, differing_privileges
from aurora_restore.errors import DatabaseSetupError

ANY_ADMIN_OPTION = 160000  # the first version where who alters a role must have been given it


def require(declared: Declared, catalogue: Catalogue) -> None:
    """Return if what the roles refer to is there.

    Raises:
        DatabaseSetupError: a schema or a group is not there, or a role is a superuser.
    """
    schemas = {item.name for item in catalogue.owners if item.kind == presets.SCHEMA}
    made_here = catalogue.database == declared.database
    for role in declared.roles:
        seen = catalogue.roles.get(role.name)
        if seen is None and not made_here:
            raise DatabaseSetupError(
                f"role {role.name}",
                f"not there yet; it is made in database {declared.database!r}",
                "Set the roles up there first.",
            )
        if seen is not None and (seen.superuser or seen.name == catalogue.master):
            what = "a superuser" if seen.superuser else "the master user"
            raise DatabaseSetupError(
                f"role {role.name}", f"it is {what}", "Declare the role under another name."
            )
        if presets.IAM_GROUP in presets.groups(role) and role.name in catalogue.masters:
            raise DatabaseSetupError(
                f"role {role.name}",
                "iam: the master user is a member of it, and could log in by token only",
                f"REVOKE it from {catalogue.master} in a script, or leave iam out.",
            )
        for group in presets.groups(role):
            if group not in catalogue.roles and group not in declared.names:
                raise DatabaseSetupError(
                    f"role {role.name}",
                    f"{'iam' if group == presets.IAM_GROUP else 'member_of'}: there is no role "
                    f"{group!r}",
                    "Declare that role as well, or leave it out.",
                )
    for role, block in declared.grants:
        if block.database == catalogue.database and (missing := set(block.schemas) - schemas):
            raise DatabaseSetupError(
                f"role {role.name}",
                f"schemas: there is no schema {min(missing)!r} in database {catalogue.database!r}",
                "Correct the name, or create the schema in a script.",
            )


def difference(declared: Declared, catalogue: Catalogue, *, open_logins: bool) -> list[Change]:
    """Return what must be changed, in the order in which it can be.

    Roles themselves are changed in the request's database only. With `open_logins` false nobody
    can log in as a declared role afterwards.
    """
    found: list[Change] = []
    leaving = undeclared(declared, catalogue.roles, catalogue.master)
    found += [changes.Lock(name) for name in leaving if catalogue.roles[name].login]
    if catalogue.database == declared.database:
        able = _takeable(catalogue)
        for role in declared.roles:
            found += _attributes(role, catalogue, able, open_logins=open_logins)
            found += settings.differing(role, catalogue)
    dropped = leaving if declared.undeclared == "drop" else []
    ownership = Ownership(declared, catalogue, dropped)
    here = {name for name, place in catalogue.places if place == catalogue.database}
    elsewhere = {name for name, place in catalogue.places if place != catalogue.database}
    found += ownership.changes()
    if catalogue.database == declared.database:
        found += _memberships(declared.roles, catalogue)
    found += differing_privileges(declared, catalogue, ownership)
    found += differing_defaults(declared, catalogue, ownership)
    found += [changes.DropOwned(name) for name in dropped if name in here]
    found += [changes.DropRole(name) for name in dropped if name not in elsewhere]
    return found


def _attributes(
    role: DatabaseRole, catalogue: Catalogue, able: Iterable[str], *, open_logins: bool
) -> Iterator[changes.CreateRole | changes.AlterRole]:
    seen = catalogue.roles.get(role.name)
    limit = -1 if role.connection_limit is None else role.connection_limit
    login = open_logins and role.logs_in
    if seen is None:
        yield changes.CreateRole(role.name, login, limit, role.valid_until)
        return
    wanted = Role(role.name, login, limit=limit, until=role.valid_until, superuser=seen.superuser)
    if wanted == replace(seen, settings=wanted.settings):
        return
    differing = tuple(
        (_KEYWORDS[each], getattr(wanted, each))
        for each in _KEYWORDS
        if each in able
        and (getattr(wanted, each) != getattr(seen, each) or (each == "until" and seen.locked))
    )
    if differing:
        yield changes.AlterRole(role.name, differing)


_KEYWORDS = {
    "login": "LOGIN",
    "createdb": "CREATEDB",
    "createrole": "CREATEROLE",
    "replication": "REPLICATION",
    "bypassrls": "BYPASSRLS",
    "inherit": "INHERIT",
    "limit": "CONNECTION LIMIT",
    "until": "VALID UNTIL",
}


def _takeable(catalogue: Catalogue) -> set[str]:
    """Return the attributes that the master may change.

    Source: PostgreSQL, ALTER ROLE: from 16 on one may give and take what one has oneself; before,
    REPLICATION and BYPASSRLS are a superuser's.
    """
    master, able = catalogue.roles[catalogue.master], set(_KEYWORDS)
    if master.superuser:
        return able
    if catalogue.version < ANY_ADMIN_OPTION:
        return able - {"replication", "bypassrls"}
    own = ("createdb", "replication", "bypassrls")
    return able - {each for each in own if not getattr(master, each)}


def kept(declared: Declared, catalogue: Catalogue) -> list[str]:
    """Return what a declared role has and the master may not take from it, one line each."""
    able = _takeable(catalogue)
    return [
        f"role {name} keeps {word}: the master may not take it"
        for name in sorted(declared.names & catalogue.roles.keys())
        for attribute, word in _KEYWORDS.items()
        if attribute in {"createdb", "replication", "bypassrls"} - able
        and getattr(catalogue.roles[name], attribute)
    ]


def _memberships(roles: Iterable[DatabaseRole], catalogue: Catalogue) -> Iterator[Change]:
    """Take memberships before any is given: what a role has handed on goes with its right to."""
    wanted = {role.name: presets.groups(role) for role in roles}
    satisfied: set[tuple[str, str]] = set()
    for each in catalogue.memberships:
        ours = each.grantor in wanted  # given by a declared role, which has no right to
        only_admin = each.group in wanted[each.role] and not ours
        if not only_admin or each.admin:
            yield changes.RevokeMembership(each.role, each.group, each.grantor, only_admin)
        if only_admin and each.inherits:
            satisfied.add((each.role, each.group))
    for role, groups in wanted.items():
        for group in sorted(groups):
            if (role, group) not in satisfied:
                yield changes.GrantMembership(role, group)
