"""What must change so that a database has the declared roles: computed without one."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aurora_restore.access import changes
from aurora_restore.access.catalogue import (
    Catalogue,
    Default,
    Entry,
    Held,
    Item,
    Membership,
    Owned,
    Role,
)
from aurora_restore.access.declared import DatabaseRole, Declared, Privileges
from aurora_restore.access.difference import difference, kept, require
from aurora_restore.access.settings import items
from aurora_restore.errors import DatabaseSetupError

YES, NO = True, False
HERE = Item("DATABASE", None, "app")
SCHEMA = Item("SCHEMA", None, "s")
TABLE = Item("TABLE", "s", "t")
SEQUENCE = Item("SEQUENCE", "s", "q")
FUNCTION = Item("ROUTINE", "s", "f", (("pg_catalog", "int4"),))
UNTIL = datetime(2030, 1, 1, tzinfo=UTC)
GROUP = DatabaseRole(name="r")
READER = DatabaseRole(name="r", access="read_only", schemas=["s"])
CONNECT = Held((HERE,), None, frozenset({Entry("r", "postgres", "CONNECT", NO)}))


def roles(*more: Role) -> dict[str, Role]:
    master = Role("postgres", login=True, createdb=True, createrole=True)
    return {each.name: each for each in (master, *more)}


def catalogue(**more) -> Catalogue:
    found = Catalogue(
        database="app",
        database_owner="postgres",
        master="postgres",
        version=160014,
        roles=roles(Role("r")),
        owners={HERE: "postgres", SCHEMA: "postgres", TABLE: "postgres"},
    )
    return replace(found, **more)


def diff(*declared, open_logins=True, undeclared="lock", database="app", **more):
    wanted = Declared(database, declared, undeclared)
    return difference(wanted, catalogue(**more), open_logins=open_logins)


def held(item: Item, *entries: Entry, column: str | None = None) -> Held:
    return Held((item,), column, frozenset(entries))


def kinds(found) -> list[str]:
    return [type(each).__name__ for each in found]


def test_nothing_declared_nothing_changed() -> None:
    """
    Roles that nobody can log in as are no business of ours.
    """
    assert diff() == []


def test_missing_role_is_created() -> None:
    """
    A role that is not there is made, with its limit and its expiry.
    """
    role = DatabaseRole(name="r", secret_id="s", connection_limit=3, valid_until=UNTIL)

    assert diff(role, roles=roles()) == [changes.CreateRole("r", YES, 3, UNTIL)]


@pytest.mark.parametrize(
    ("role", "opened", "login"),
    [
        ({"secret_id": "s"}, True, True),
        ({"secret_id": "s"}, False, False),
        ({}, True, False),
    ],
)
def test_login_is_opened_only_when_asked_for(role, opened, login) -> None:
    """
    A role with a secret can log in once logins are open; a group never can.
    """
    [made] = diff(DatabaseRole(name="r", **role), roles=roles(), open_logins=opened)

    assert made.login is login


def test_opening_changes_only_the_login() -> None:
    """
    The second call changes nothing but LOGIN.
    """
    found = diff(DatabaseRole(name="r", secret_id="s"))

    assert found == [changes.AlterRole("r", (("LOGIN", True),))]


@pytest.mark.parametrize(
    ("seen", "attributes"),
    [
        ({"createdb": True}, (("CREATEDB", False),)),
        ({"createrole": True}, (("CREATEROLE", False),)),
        ({"inherit": False}, (("INHERIT", True),)),
        ({"limit": 5}, (("CONNECTION LIMIT", -1),)),
        ({"until": UNTIL}, (("VALID UNTIL", None),)),
        ({"locked": True}, (("VALID UNTIL", None),)),
        ({"login": True}, (("LOGIN", False),)),
        ({"replication": True, "bypassrls": True}, ()),
    ],
)
def test_attributes_become_the_declared_ones(seen, attributes) -> None:
    """
    What a role has beyond its declaration is taken, if the master may take it.
    """
    found = diff(GROUP, roles=roles(Role("r", **seen)))

    assert found == ([changes.AlterRole("r", attributes)] if attributes else [])


def test_attributes_that_stay_are_told() -> None:
    """
    What the master may not take from a declared role is told.
    """
    seen = catalogue(roles=roles(Role("r", replication=True)))

    assert kept(Declared("app", [GROUP]), seen) == [
        "role r keeps REPLICATION: the master may not take it"
    ]


@pytest.mark.parametrize("name", ["old", "rdsapp", "none"])
def test_undeclared_login_is_locked(name) -> None:
    """
    Whoever can log in and is not declared is locked, also under a name nobody may declare.
    """
    assert diff(roles=roles(Role(name, login=True))) == [changes.Lock(name)]


@pytest.mark.parametrize(
    "role",
    [
        Role("rdsadmin", login=True),
        Role("rds_x", login=True),
        Role("pg_x", login=True),
        Role("boss", login=True, superuser=True),
        Role("group"),
        Role("locked", locked=True),
    ],
)
def test_reserved_super_and_locked_roles_are_left_alone(role) -> None:
    """
    Neither PostgreSQL's nor RDS's roles are locked, nor superusers, nor who cannot log in.
    """
    assert diff(roles=roles(role)) == []


@pytest.mark.parametrize("seen", [{"login": True}, {"locked": True}])
def test_undeclared_login_is_dropped_with_all_it_has(seen) -> None:
    """
    To be dropped, a role loses what it owns and its privileges first; locked before or not.
    """
    found = diff(
        roles=roles(Role("old", **seen)),
        undeclared="drop",
        owners={HERE: "postgres", TABLE: "old"},
        places=frozenset({("old", "app")}),
    )

    assert found[-3:] == [
        changes.Reassign("old"),
        changes.DropOwned("old"),
        changes.DropRole("old"),
    ]


def test_role_with_rights_elsewhere_is_not_dropped_yet() -> None:
    """
    A role that has something in another database is dropped there, when that is gone.
    """
    found = diff(
        roles=roles(Role("old", login=True)),
        undeclared="drop",
        places=frozenset({("old", "app"), ("old", "other")}),
    )

    assert kinds(found) == ["Lock", "Reassign", "DropOwned"]


def test_reader_gets_what_it_lacks() -> None:
    """
    A preset's privileges are given on the schema, on what is in it, and on what will be.
    """
    found = diff(READER, owners={HERE: "postgres", SCHEMA: "dba", TABLE: "dba", FUNCTION: "dba"})

    assert found == [
        changes.GrantPrivilege("r", HERE, "CONNECT", "postgres"),
        changes.GrantPrivilege("r", SCHEMA, "USAGE", "dba"),
        changes.GrantPrivilege("r", TABLE, "SELECT", "dba"),
        changes.GrantDefault("r", "dba", "s", "SEQUENCE", "SELECT"),
        changes.GrantDefault("r", "dba", "s", "TABLE", "SELECT"),
        changes.GrantDefault("r", "postgres", "s", "SEQUENCE", "SELECT"),
        changes.GrantDefault("r", "postgres", "s", "TABLE", "SELECT"),
    ]


def test_privileges_that_are_right_stay() -> None:
    """
    With all that is declared and nothing else there is nothing to change.
    """
    found = diff(
        READER,
        held=(
            CONNECT,
            held(SCHEMA, Entry("r", "postgres", "USAGE", NO)),
            held(TABLE, Entry("r", "postgres", "SELECT", NO)),
        ),
        defaults=frozenset(
            {
                Default("postgres", "s", "TABLE", "SELECT", "r"),
                Default("postgres", "s", "SEQUENCE", "SELECT", "r"),
            }
        ),
    )

    assert found == []


def revoked(entry: Entry, column: str | None = None, **more):
    return diff(GROUP, held=(held(TABLE, entry, column=column),), **more)


def test_undeclared_privilege_is_taken() -> None:
    """
    What a declared role may do and is not declared is revoked.
    """
    assert revoked(Entry("r", "postgres", "DELETE", NO)) == [
        changes.RevokePrivilege("r", TABLE, None, "DELETE", NO, "postgres", None)
    ]


def test_privilege_on_a_column_is_taken() -> None:
    """
    Privileges on single columns are never declared.
    """
    assert revoked(Entry("r", "postgres", "SELECT", NO), "c") == [
        changes.RevokePrivilege("r", TABLE, "c", "SELECT", NO, "postgres", None)
    ]


def test_privilege_from_another_than_the_owner_is_taken_as_that_one() -> None:
    """
    Only who gave a privilege can take it.
    """
    [found] = revoked(Entry("r", "dba", "SELECT", NO))

    assert (found.by, found.rights_of) == ("dba", {"dba"})


def test_last_hand_of_a_chain_loses_its_privilege_first() -> None:
    """
    Who was given a privilege by a role that loses it, loses it before.
    """
    chain = held(
        TABLE,
        Entry("a", "postgres", "SELECT", YES),
        Entry("b", "a", "SELECT", YES),
        Entry("c", "b", "SELECT", NO),
    )
    declared = [DatabaseRole(name=name) for name in "abc"]

    found = diff(*declared, roles=roles(*(Role(name) for name in "abc")), held=(chain,))

    assert [each.role for each in found] == ["c", "b", "a"]


def test_grant_option_is_taken_and_the_privilege_stays() -> None:
    """
    The right to hand a declared privilege on is taken alone.
    """
    role = DatabaseRole(name="r", privileges=[Privileges()])
    seen = held(HERE, Entry("r", "postgres", "CONNECT", YES))

    assert diff(role, held=(seen,)) == [
        changes.RevokePrivilege("r", HERE, None, "CONNECT", YES, "postgres", None)
    ]


def test_default_privilege_of_nobody_is_taken() -> None:
    """
    Default privileges that are not declared are revoked, those for all schemas as well.
    """
    found = diff(GROUP, defaults=frozenset({Default("dba", None, "TABLE", "SELECT", "r")}))

    assert found == [changes.RevokeDefault("r", "dba", None, "TABLE", "SELECT")]


def test_owner_gets_the_schema_before_what_is_in_it() -> None:
    """
    An owner must own the schema before it may own its objects; it needs no grants there.
    """
    role = DatabaseRole(name="r", access="owner", schemas=["s"])

    found = diff(role, owners={TABLE: "dba", HERE: "postgres", SCHEMA: "dba"}, held=(CONNECT,))

    assert found == [changes.Own("r", SCHEMA, "dba"), changes.Own("r", TABLE, "dba")]


def test_sequence_of_a_column_and_extensions_keep_their_owner() -> None:
    """
    A sequence follows its table, and an extension's objects are not anybody's.
    """
    role = DatabaseRole(name="r", access="owner", schemas=["s"])

    found = diff(
        role,
        owners={HERE: "postgres", SCHEMA: "r", SEQUENCE: "dba", FUNCTION: "rdsadmin"},
        following=frozenset({SEQUENCE}),
        foreign=frozenset({FUNCTION}),
        held=(CONNECT,),
    )

    assert found == []


def test_role_that_owns_what_it_should_not_loses_it() -> None:
    """
    Owning is a privilege: what a role owns and shall not becomes the master's.
    """
    found = diff(GROUP, owned=frozenset({Owned("r", "s")}))

    assert found == [changes.Reassign("r")]


def test_membership_that_is_missing_is_given() -> None:
    """
    Groups, the monitoring preset and IAM come to memberships.
    """
    role = DatabaseRole(
        name="r", iam=True, member_of=["g"], privileges=[Privileges(preset="monitoring")]
    )

    found = diff(role, open_logins=False, held=(CONNECT,))

    assert found == [
        changes.GrantMembership("r", group) for group in ("g", "pg_monitor", "rds_iam")
    ]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Membership("g", "r", "postgres", NO, YES), []),
        (Membership("g", "r", "postgres", NO, NO), [changes.GrantMembership("r", "g")]),
        (
            Membership("g", "r", "postgres", YES, YES),
            [changes.RevokeMembership("r", "g", "postgres", YES)],
        ),
        (
            Membership("h", "r", "postgres", NO, YES),
            [
                changes.RevokeMembership("r", "h", "postgres", NO),
                changes.GrantMembership("r", "g"),
            ],
        ),
    ],
)
def test_memberships_become_the_declared_ones(seen, expected) -> None:
    """
    A membership must give the group's rights and must not be handed on; others are taken.
    """
    assert diff(DatabaseRole(name="r", member_of=["g"]), memberships=(seen,)) == expected


def test_settings_become_the_declared_ones() -> None:
    """
    Parameters are set, forgotten, and left alone where they are right.
    """
    role = DatabaseRole(name="r", settings={"work_mem": "1MB", "timezone": "UTC", "jit": "off"})
    seen = Role("r", settings={"TimeZone": "UTC", "jit": "on", "lock_timeout": "1s"})

    found = diff(role, roles=roles(seen), settings_in_databases=frozenset({("r", "app")}))

    assert found == [
        changes.ResetSetting("r", "lock_timeout"),
        changes.ResetSetting("r", None, "app"),
        changes.SetSetting("r", "work_mem", "1MB"),
        changes.SetSetting("r", "jit", "off"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sales, public", ["sales", "public"]),
        ('"sales, public"', ["sales, public"]),
        ('"$user",public', ["$user", "public"]),
        ('"say ""x"""', ['say "x"']),
        ("Sales", ["sales"]),
        ('"Sales"', ["Sales"]),
        ("", [""]),
        ('"', ['"']),
    ],
)
def test_search_path_is_a_list(value, expected) -> None:
    """
    A search path is read as PostgreSQL reads it.
    """
    assert items("search_path", value) == expected


def test_other_databases_have_no_changes_of_roles() -> None:
    """
    Outside the request's database only privileges are changed.
    """
    role = DatabaseRole(
        name="r", secret_id="s", member_of=["g"], privileges=[Privileges(database="app")]
    )

    assert diff(role, database="first") == [
        changes.GrantPrivilege("r", HERE, "CONNECT", "postgres")
    ]


@pytest.mark.parametrize(
    ("role", "seen", "said"),
    [
        (
            DatabaseRole(name="r", access="read_only", schemas=["none"]),
            {},
            (
                "role r: schemas: there is no schema 'none' in database 'app'. Correct the name, "
                "or create the schema in a script."
            ),
        ),
        (
            DatabaseRole(name="r", member_of=["none"]),
            {},
            (
                "role r: member_of: there is no role 'none'. Declare that role as well, or leave "
                "it out."
            ),
        ),
        (
            DatabaseRole(name="r", iam=True),
            {},
            "role r: iam: there is no role 'rds_iam'. Declare that role as well, or leave it out.",
        ),
        (
            GROUP,
            {"roles": roles(Role("r", superuser=True))},
            "role r: it is a superuser. Declare the role under another name.",
        ),
        (
            GROUP,
            {"roles": roles(), "database": "other"},
            "role r: not there yet; it is made in database 'app'. Set the roles up there first.",
        ),
    ],
)
def test_what_leads_nowhere_is_told(role, seen, said) -> None:
    """
    A schema, a group or a role that is not there is told in one line, with its field.
    """
    with pytest.raises(DatabaseSetupError) as refused:
        require(Declared("app", [role]), catalogue(**seen))

    assert str(refused.value) == said
