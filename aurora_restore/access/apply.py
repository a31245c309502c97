"""Make one database have exactly the declared roles, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import connection, encrypt_password
from pydantic import SecretStr

from aurora_restore.access import changes, queries
from aurora_restore.access.borrowing import borrowed
from aurora_restore.access.catalogue import Catalogue, undeclared
from aurora_restore.access.changes import Change
from aurora_restore.access.declared import Declared
from aurora_restore.access.difference import difference, kept, require
from aurora_restore.access.execution import send, told
from aurora_restore.access.logins import end_sessions
from aurora_restore.access.reading import ask, places, read, read_roles
from aurora_restore.access.statements import Renderer
from aurora_restore.errors import DatabaseSetupError
from aurora_restore.postgres import trust_catalogue

ROUNDS = 3  # taking a right away may take another one with it, which is then given again
_OF_ROLES = (
    changes.Lock,
    changes.CreateRole,
    changes.AlterRole,
    changes.SetPassword,
    changes.SetSetting,
    changes.ResetSetting,
)


@dataclass(frozen=True)
class Applied:
    """What was done: role names, and the number of elementary changes.

    `kept` are the attributes that the master may not take from a declared role, one line each.
    """

    made: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    changes: int = 0


def apply(
    database: connection,
    declared: Declared,
    passwords: Mapping[str, SecretStr],
    *,
    open_logins: bool,
) -> Applied:
    """Make the roles and their rights in this database what is declared; return what was done.

    The caller owns the transaction, begins with the request's database, goes on with the others of
    `databases_of`, and calls `end_sessions` after its commit. `passwords` are those to be written,
    by role, in the request's database; the server sees SCRAM verifiers only. With `open_logins`
    false no declared role can log in afterwards. Safe to repeat: what is right is not touched.

    Raises:
        DatabaseSetupError: a name leads nowhere, or PostgreSQL refused a change.
        NotReady: the connection or the server went away, or a lock was not granted.

    Source: PostgreSQL, CREATE ROLE, ALTER ROLE, GRANT, ALTER DEFAULT PRIVILEGES, REASSIGN OWNED.
    """
    if strangers := passwords.keys() - declared.names:
        raise ValueError(f"passwords of roles that are not declared: {sorted(strangers)}")
    with told("the catalogue"):
        trust_catalogue(database)
    seen = _look(database, declared)
    require(declared, seen)
    written = passwords if seen.database == declared.database else {}
    render = Renderer(seen.version, seen.master, _verifiers(database, written)).render
    todo = difference(declared, seen, open_logins=open_logins)
    todo += [changes.SetPassword(name) for name in written]
    done = list[Change]()
    end_sessions(database)
    for _ in range(ROUNDS):
        if not todo:
            return _summary(done, declared, seen)
        first = [each for each in todo if isinstance(each, _OF_ROLES)]
        last = [each for each in todo if isinstance(each, changes.DropRole)]
        middle = [each for each in todo if not isinstance(each, (*_OF_ROLES, changes.DropRole))]
        send(database, first, render)
        if first:
            end_sessions(database)
        needed = {name for each in middle for name in each.rights_of}
        if middle:
            with borrowed(database, seen, needed):
                send(database, middle, render)
        send(database, last, render)
        done += todo
        todo = difference(declared, _look(database, declared), open_logins=open_logins)
    raise DatabaseSetupError(
        f"role {todo[0].role}",
        f"PostgreSQL took the change but did not make it: {type(todo[0]).__name__}",
        "See who owns the object: the master must have the owner's rights, or the grant option.",
    )


def databases_of(database: connection, declared: Declared) -> list[str]:
    """Return the databases that `apply` must be called in, the request's first. Changes nothing.

    They are those that roles are declared for, and those where a declared role, or one that is to
    be dropped, owns something or has a privilege.

    Raises:
        DatabaseSetupError: a database is not there, or nobody can connect to it.

    Source: PostgreSQL, pg_shdepend.
    """
    with told("the databases"):
        trust_catalogue(database)
        found = dict(ask(database, queries.DATABASES))
        [(_, _, master)] = ask(database, queries.FACTS)
        roles = read_roles(database)
        names = {oid: role.name for oid, role in roles.items()}
        wanted = set(declared.names)
        if declared.undeclared == "drop":
            wanted.update(undeclared(declared, {r.name: r for r in roles.values()}, master))
        oids = [oid for oid, name in names.items() if name in wanted]
        used = places(database, names, oids, declared.database)
    reasons = {place: f"role {role}" for role, place in sorted(used)}
    for role, block in declared.grants:
        place = str(block.database)
        reasons[place] = f"role {role.name}: privileges"
        if place not in found:
            raise DatabaseSetupError(
                reasons[place],
                f"database: there is no database {place!r}",
                "Correct the name in the request, then run again.",
            )
    reasons.pop(declared.database, None)
    for place, resource in reasons.items():
        if not found[place]:
            raise DatabaseSetupError(
                resource,
                f"it has rights in database {place!r}, which takes no connections",
                "Let that database take connections in the source, or take those rights there.",
            )
    return [declared.database, *sorted(reasons)]


def _look(database: connection, declared: Declared) -> Catalogue:
    with told("the catalogue"):
        return read(database, declared)


def _verifiers(database: connection, passwords: Mapping[str, SecretStr]) -> dict[str, str]:
    return {
        name: encrypt_password(
            password.get_secret_value(), name, scope=database, algorithm="scram-sha-256"
        )
        for name, password in passwords.items()
    }


def _summary(done: Sequence[Change], declared: Declared, seen: Catalogue) -> Applied:
    def names(kind: type[Change]) -> tuple[str, ...]:
        return tuple(sorted({each.role for each in done if isinstance(each, kind)}))

    made = names(changes.CreateRole)
    touched = {each.role for each in done} & declared.names - set(made)
    return Applied(
        made=made,
        altered=tuple(sorted(touched)),
        locked=names(changes.Lock),
        dropped=names(changes.DropRole),
        kept=tuple(kept(declared, seen)),
        changes=len(done),
    )
