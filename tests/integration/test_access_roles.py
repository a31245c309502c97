"""Declared roles made so on real servers, by a master that is no superuser."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from psycopg2 import errors

from aurora_restore.access.borrowing import borrowed
from aurora_restore.access.declared import DatabaseRole, Declared, Privileges
from aurora_restore.access.logins import close, end_sessions
from aurora_restore.access.reading import read
from aurora_restore.errors import DatabaseSetupError
from sandbox.postgres import PostgresHost
from tests.access_server import DATABASE, MASTER, AccessServer, login, run
from tests.postgres_versions import MAJORS, have

WORD = "first-word"
WORDS = {"r": WORD}
SOURCE = """
    CREATE ROLE dba; GRANT dba TO postgres;
    CREATE SCHEMA s; CREATE TABLE s.t (id serial, note text); CREATE VIEW s.v AS TABLE s.t;
    CREATE SEQUENCE s.q; CREATE TYPE s.e AS ENUM ('a');
    CREATE FUNCTION s.f(integer, text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION s.f FROM PUBLIC;
    GRANT USAGE, CREATE ON SCHEMA s TO dba;
    SET ROLE dba; CREATE TABLE s.by_dba (id int); RESET ROLE
"""
# Everything that says who may do what; a temporary membership that stayed would be here.
CATALOGUE = (
    (
        "SELECT rolname, rolcanlogin, rolcreatedb, rolconnlimit, rolvaliduntil, rolconfig"
        " FROM pg_roles ORDER BY 1"
    ),
    (
        "SELECT oid::regclass::text, relowner::regrole::text, relacl::text FROM pg_class"
        " WHERE relacl IS NOT NULL OR relowner > 16383 ORDER BY 1"
    ),
    (
        "SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace"
        " WHERE nspname !~ '^pg_' ORDER BY 1"
    ),
    (
        "SELECT defaclrole::regrole::text, defaclobjtype, defaclacl::text FROM pg_default_acl"
        " ORDER BY 1, 2, 3"
    ),
    "SELECT (to_jsonb(m) - 'oid')::text FROM pg_auth_members m WHERE roleid > 16383 ORDER BY 1",
    "SELECT datname, datdba::regrole::text, datacl::text FROM pg_database ORDER BY 1",
)


@pytest.fixture(scope="session")
def host(tmp_path_factory) -> Iterator[PostgresHost]:
    with closing(PostgresHost(tmp_path_factory.mktemp("access"))) as host:
        yield host


@pytest.fixture(scope="session")
def servers() -> dict[str, AccessServer]:
    """Those that a test has asked for, by version."""
    return {}


@pytest.fixture(params=MAJORS)
def server(servers, host, request) -> AccessServer:
    """A server of each version with the source's objects, and nobody else's roles."""
    major = request.param
    if major not in servers:
        have(host, major)
        servers[major] = AccessServer(host, major)
    request.node.user_properties.append((f"on_{major}", 1))
    servers[major].reset()
    servers[major].source(SOURCE)
    return servers[major]


def catalogue(server: AccessServer, database: str = DATABASE) -> list[list[tuple]]:
    return [server.sql(query, database) for query in CATALOGUE]


def denied(database, *statements: str) -> None:
    for statement in statements:
        with pytest.raises((errors.InsufficientPrivilege, errors.WrongObjectType)):
            run(database, statement)


def refused(server: AccessServer, user: str, word: str) -> str:
    with pytest.raises(psycopg2.OperationalError) as error, server.logged_in(user, word):
        pass
    return str(error.value)


def apart(server: AccessServer) -> str:
    """Return with what attribute a role of a superuser's may not be altered by the master."""
    return "" if server.major >= 16 else "REPLICATION"


def is_locked(server: AccessServer, role: str) -> bool:
    query = "SELECT rolname FROM pg_roles WHERE NOT rolcanlogin AND rolvaliduntil = '-infinity'"
    return (role,) in server.sql(query)


# ── roles ────────────────────────────────────────────────────────────────────


def test_role_is_made_and_logs_in(server) -> None:
    """
    A role that is not there is made, and logs in with its password.
    """
    done = server.apply(login("r"), passwords=WORDS)[DATABASE]

    assert (done.made, done.altered, done.locked, done.dropped) == (("r",), (), (), ())
    with server.logged_in("r", WORD) as session:
        assert run(session, "SELECT current_user") == [("r",)]


def test_existing_role_is_altered(server) -> None:
    """
    A role that came with the data gets the new password, and loses what is not declared.
    """
    server.source("CREATE ROLE r LOGIN CREATEDB CREATEROLE CONNECTION LIMIT 1 PASSWORD 'old'")

    done = server.apply(login("r", access="read_only", schemas=["s"]), passwords=WORDS)[DATABASE]

    assert (done.made, done.altered) == ((), ("r",))
    assert "password authentication failed" in refused(server, "r", "old")
    with server.logged_in("r", WORD) as session:
        denied(session, "CREATE DATABASE mine", "CREATE ROLE mine")
    assert server.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'r'") == [(-1,)]


def test_password_that_is_not_given_stays(server) -> None:
    """
    Only the passwords that are given are written.
    """
    server.apply(login("r"), passwords=WORDS)

    assert server.apply(login("r", connection_limit=3))[DATABASE].changes == 1

    with server.logged_in("r", WORD):
        pass


def test_group_has_no_login(server) -> None:
    """
    A role without a secret and without IAM is a group.
    """
    server.source("CREATE ROLE r LOGIN PASSWORD 'first-word'")

    server.apply(DatabaseRole(name="r"))

    assert "is not permitted to log in" in refused(server, "r", WORD)


def test_logins_stay_closed_until_they_are_opened(server) -> None:
    """
    Nobody logs in before the second call, which changes nothing but that.
    """
    role = login("r", access="read_only", schemas=["s"])
    server.apply(role, passwords=WORDS, open_logins=False)
    assert "is not permitted to log in" in refused(server, "r", WORD)

    done = server.apply(role)[DATABASE]

    assert (done.altered, done.changes) == (("r",), 1)
    with server.logged_in("r", WORD) as session:
        run(session, "TABLE s.t")


def test_session_of_a_closed_role_is_ended(server) -> None:
    """
    Whoever was in as a declared role is out while its login is closed.
    """
    server.apply(login("r"), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        server.apply(login("r"), open_logins=False)
        with pytest.raises(psycopg2.OperationalError):
            run(session, "SELECT 1")


def test_connection_limit_holds(server) -> None:
    """
    A role has no more connections than declared.
    """
    server.apply(login("r", connection_limit=1), passwords=WORDS)

    with server.logged_in("r", WORD):
        assert "too many connections for role" in refused(server, "r", WORD)


def test_expired_password_is_refused(server) -> None:
    """
    A password past its end logs nobody in; one that has not expired does.
    """
    now = datetime.now(UTC)
    server.apply(login("r", valid_until=now + timedelta(hours=1)), passwords=WORDS)
    with server.logged_in("r", WORD):
        pass

    server.apply(login("r", valid_until=now - timedelta(hours=1)))

    assert "password authentication failed" in refused(server, "r", WORD)


def test_settings_hold_in_its_sessions(server) -> None:
    """
    Settings are those of its sessions; a search path is a list; undeclared ones are forgotten.
    """
    server.source("CREATE ROLE r; ALTER ROLE r SET lock_timeout = '1s'")
    server.source("ALTER ROLE r IN DATABASE app SET lock_timeout = '2s'")
    settings = {"search_path": 's, "$user"', "statement_timeout": "5000", "timezone": "Asia/Tokyo"}

    role = login("r", settings=settings, access="read_only", schemas=["s"])

    server.apply(role, passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        said = [
            run(session, f"SHOW {name}")[0][0]
            for name in ("search_path", "statement_timeout", "timezone", "lock_timeout")
        ]
        assert said == ['s, "$user"', "5s", "Asia/Tokyo", "0"]
        assert run(session, "SELECT current_schemas(false)") == [(["s"],)]
    assert server.apply(role)[DATABASE].changes == 0


def test_setting_the_master_may_not_set_is_refused(server) -> None:
    """
    A parameter of superusers is refused with the role's name.
    """
    with pytest.raises(DatabaseSetupError) as error:
        server.apply(login("r", settings={"log_statement": "none"}), passwords=WORDS)

    assert str(error.value).startswith(
        'role r: permission denied to set parameter "log_statement" (SQLSTATE 42501). '
    )


# ── memberships ──────────────────────────────────────────────────────────────


def test_member_has_its_groups_rights(server) -> None:
    """
    A role may do what its group may, and act as it.
    """
    group = DatabaseRole(name="readers", access="read_only", schemas=["s"])

    server.apply(group, login("r", member_of=["readers"]), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        run(session, "TABLE s.t")
        run(session, "SET ROLE readers")


def test_undeclared_membership_is_taken(server) -> None:
    """
    A role is a member of what is declared only, and may not hand a membership on.
    """
    server.source("CREATE ROLE r; CREATE ROLE g; GRANT g TO r WITH ADMIN OPTION; GRANT dba TO r")

    server.apply(login("r", member_of=["g"]), passwords=WORDS)

    rows = server.sql(
        "SELECT roleid::regrole::text, admin_option FROM pg_auth_members"
        " WHERE member = 'r'::regrole"
    )
    assert rows == [("g", False)]


def test_membership_given_by_a_declared_role_is_given_anew(server) -> None:
    """
    When a role loses the right to hand a membership on, another keeps what it was given.
    """
    server.source("CREATE ROLE a; CREATE ROLE b; CREATE ROLE g; GRANT g TO a WITH ADMIN OPTION")
    server.sql("GRANT g TO b", user="a")
    roles = [DatabaseRole(name=name, member_of=["g"]) for name in "ab"]

    server.apply(*roles)

    rows = server.sql(
        "SELECT member::regrole::text, grantor::regrole::text, admin_option FROM pg_auth_members"
        " WHERE roleid = 'g'::regrole AND member <> 'postgres'::regrole ORDER BY 1"
    )
    assert rows == [("a", MASTER, False), ("b", MASTER, False)]
    assert server.apply(*roles)[DATABASE].changes == 0


def test_membership_without_its_rights_is_mended(server) -> None:
    """
    A membership that does not give the group's rights is made one that does.
    """
    if server.major < 16:
        pytest.skip("before PostgreSQL 16 every membership gives them to who inherits")
    server.source("CREATE ROLE r; GRANT dba TO r WITH INHERIT FALSE")

    server.apply(login("r", member_of=["dba"]), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        run(session, "TABLE s.by_dba")


@pytest.mark.parametrize("way", ["GRANT r TO postgres", "GRANT r TO dba"])
def test_iam_role_that_the_master_is_a_member_of_is_refused(server, way) -> None:
    """
    The master would be a member of rds_iam as well, and its password worth nothing.
    """
    server.source(f"CREATE ROLE r LOGIN; {way}")

    with pytest.raises(DatabaseSetupError, match=r"^role r: iam: the master user is a member"):
        server.apply(DatabaseRole(name="r", iam=True))

    with server.master() as opened:
        assert run(opened, "SELECT pg_has_role('rds_iam', 'USAGE')") == [(False,)]


def test_rights_that_the_master_has_through_a_declared_role_are_not_lost(server) -> None:
    """
    What a declared role is no longer a member of may be what the master acts by.
    """
    server.source(
        "CREATE ROLE owners; CREATE ROLE r LOGIN; GRANT owners TO postgres; GRANT owners TO r;"
        "GRANT r TO postgres; CREATE SCHEMA o AUTHORIZATION owners; REVOKE owners FROM postgres"
    )
    before = server.sql("SELECT member::regrole FROM pg_auth_members WHERE roleid = 'r'::regrole")

    server.apply(login("r", access="read_only", schemas=["o"]), passwords=WORDS)

    assert server.sql("SELECT has_schema_privilege('r', 'o', 'USAGE')") == [(True,)]
    assert server.sql("SELECT pg_has_role('r', 'owners', 'MEMBER')") == [(False,)]
    after = server.sql("SELECT member::regrole FROM pg_auth_members WHERE roleid = 'r'::regrole")
    assert after == before


def test_rights_that_are_there_by_another_role_will_do(server) -> None:
    """
    Where the master may not have an owner's rights granted, those that it has stay enough.
    """
    server.source("CREATE ROLE r; GRANT r TO postgres")
    server.sql("CREATE ROLE owners; GRANT owners TO r; CREATE SCHEMA o AUTHORIZATION owners")

    server.apply(
        DatabaseRole(name="r", member_of=["owners"]),
        login("x", access="read_only", schemas=["o"]),
        passwords={"x": WORD},
    )

    assert server.sql("SELECT has_schema_privilege('x', 'o', 'USAGE')") == [(True,)]


def test_iam_role_is_a_member_of_rds_iam(server) -> None:
    """
    IAM authentication is membership in rds_iam.
    """
    if server.major >= 16:
        server.sql("GRANT rds_iam TO postgres WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    try:
        server.apply(DatabaseRole(name="r", iam=True))
        assert server.sql("SELECT pg_has_role('r', 'rds_iam', 'USAGE')") == [(True,)]
        assert server.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'r'") == [(True,)]
    finally:
        server.sql("REVOKE rds_iam FROM postgres CASCADE")


# ── presets ──────────────────────────────────────────────────────────────────


def test_read_only_reads_and_nothing_else(server) -> None:
    """
    A reader reads tables, views and sequences, and changes nothing.
    """
    server.apply(login("r", access="read_only", schemas=["s"]), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        for name in ("t", "v", "q", "by_dba"):
            run(session, f"TABLE s.{name}")
        denied(
            session,
            "INSERT INTO s.t (note) VALUES ('x')",
            "UPDATE s.t SET note = 'x'",
            "DELETE FROM s.t",
            "TRUNCATE s.t",
            "SELECT nextval('s.q')",
            "SELECT s.f(1, '{}')",
            "CREATE TABLE s.mine (id int)",
            "DROP TABLE s.t",
        )


def test_read_write_changes_rows_and_not_tables(server) -> None:
    """
    A writer changes rows, draws numbers and calls functions; tables stay as they are.
    """
    server.apply(login("r", access="read_write", schemas=["s"]), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        run(session, "INSERT INTO s.t (note) VALUES ('x')")
        run(session, "UPDATE s.t SET note = 'y'")
        run(session, "DELETE FROM s.t")
        run(session, "SELECT nextval('s.q'), s.f(1, '{}')")
        denied(
            session,
            "TRUNCATE s.t",
            "CREATE TABLE s.mine (id int)",
            "ALTER TABLE s.t ADD more int",
            "DROP TABLE s.by_dba",
        )


def test_owner_owns_all_that_is_there(server) -> None:
    """
    An owner owns the schema and everything in it, and makes and drops objects.
    """
    server.source(
        "CREATE TYPE s.pair AS (a int, b int); CREATE DOMAIN s.d AS text;"
        " CREATE MATERIALIZED VIEW s.m AS TABLE s.t; CREATE STATISTICS s.st ON id, note FROM s.t;"
        " CREATE PROCEDURE s.p(IN a int, OUT b int) LANGUAGE sql AS 'SELECT 1';"
        " CREATE AGGREGATE s.a(int) (SFUNC = int4pl, STYPE = int);"
        " CREATE TEXT SEARCH DICTIONARY s.ts (TEMPLATE = simple);"
        ' CREATE COLLATION s.c FROM "C"; CREATE TYPE s.ra AS RANGE (SUBTYPE = int);'
        " CREATE TABLE s.parts (id int) PARTITION BY LIST (id);"
        " CREATE TABLE s.part PARTITION OF s.parts DEFAULT"
    )

    server.apply(login("r", access="owner", schemas=["s"]), passwords=WORDS)

    owners = server.sql(
        "SELECT DISTINCT pg_get_userbyid(refobjid), (pg_identify_object(classid, objid, 0)).type"
        " FROM pg_shdepend WHERE deptype = 'o' AND dbid = (SELECT oid FROM pg_database WHERE"
        " datname = 'app') AND (pg_identify_object(classid, objid, 0)).schema = 's'"
    )
    assert {owner for owner, _ in owners} == {"r"}
    assert {"table", "view", "sequence", "function", "procedure", "aggregate", "type"} <= {
        kind for _, kind in owners
    }
    with server.logged_in("r", WORD) as session:
        run(session, "CREATE TABLE s.mine (id int)")
        run(session, "ALTER TABLE s.by_dba ADD more int")
        run(session, "DROP TABLE s.by_dba")
        denied(session, "CREATE SCHEMA mine", "CREATE ROLE mine")


def test_monitoring_reads_statistics_and_no_rows(server) -> None:
    """
    Who monitors sees what others do, and none of their rows.
    """
    server.apply(login("r", access="monitoring"), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        run(session, "SELECT * FROM pg_stat_activity")
        run(session, "SHOW data_directory")
        denied(session, "TABLE s.t")


def test_privileges_one_by_one(server) -> None:
    """
    What the lists name is given, and nothing else.
    """
    block = Privileges(
        schemas=["s"],
        on_database=["TEMPORARY"],
        on_schemas=["USAGE"],
        on_tables=["INSERT", "TRUNCATE"],
        on_sequences=["UPDATE"],
        on_functions=["EXECUTE"],
    )

    server.apply(login("r", privileges=[block]), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        run(session, "INSERT INTO s.by_dba VALUES (1)")
        run(session, "TRUNCATE s.by_dba")
        run(session, "SELECT setval('s.q', 7), s.f(1, '{}')")
        denied(session, "TABLE s.t", "TABLE s.q", "CREATE TABLE s.mine (id int)")


# ── what was there before ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "forbidden"),
    [
        ("GRANT ALL ON ALL TABLES IN SCHEMA s TO r", "DELETE FROM s.t"),
        ("GRANT UPDATE (note) ON s.t TO r", "UPDATE s.t SET note = 'x'"),
        ("GRANT CREATE ON SCHEMA s TO r", "CREATE TABLE s.mine (id int)"),
        ("GRANT CREATE ON DATABASE app TO r", "CREATE SCHEMA mine"),
        ("GRANT EXECUTE ON FUNCTION s.f TO r", "SELECT s.f(1, '{}')"),
        ("GRANT USAGE ON SEQUENCE s.q TO r", "SELECT nextval('s.q')"),
        ("GRANT dba TO r", "INSERT INTO s.by_dba VALUES (1)"),
        ("ALTER TABLE s.t OWNER TO r", "DROP TABLE s.t"),
        ("GRANT r TO postgres; ALTER SCHEMA s OWNER TO r", "CREATE TABLE s.mine (id int)"),
        ("GRANT r TO postgres; ALTER DATABASE app OWNER TO r", "CREATE SCHEMA mine"),
        ("SELECT lo_create(77); GRANT SELECT ON LARGE OBJECT 77 TO r", "SELECT lo_get(77)"),
    ],
)
def test_what_is_not_declared_is_taken(server, given, forbidden) -> None:
    """
    Whatever a declared role brought from the source beyond its declaration is gone.
    """
    server.source("CREATE ROLE r; GRANT r TO postgres; GRANT CREATE ON SCHEMA s TO r")
    server.source(given)
    role = login("r", access="read_only", schemas=["s"])

    server.apply(role, passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        run(session, "TABLE s.t")
        denied(session, forbidden)
    assert server.apply(role)[DATABASE].changes == 0


def test_privilege_handed_on_by_another_is_taken(server) -> None:
    """
    A privilege that came through other roles' grant options is taken; a declared one is kept.
    """
    server.source(
        "CREATE ROLE a; CREATE ROLE b; CREATE ROLE u; GRANT USAGE ON SCHEMA s TO a, b, u;"
        " GRANT SELECT, DELETE ON s.t TO u WITH GRANT OPTION"
    )
    server.sql("GRANT SELECT, DELETE ON s.t TO a WITH GRANT OPTION", user="u")
    server.sql("GRANT SELECT, DELETE ON s.t TO b", user="a")
    roles = [DatabaseRole(name=name, access="read_only", schemas=["s"]) for name in "ab"]

    server.apply(*roles)

    for name in "ab":
        assert server.sql(
            f"SELECT has_table_privilege('{name}', 's.t', 'SELECT'),"
            f" has_table_privilege('{name}', 's.t', 'DELETE')"
        ) == [(True, False)]
    assert server.apply(*roles)[DATABASE].changes == 0


def test_default_privileges_of_the_source_are_taken(server) -> None:
    """
    Default privileges for a declared role that nobody declared do nothing any more.
    """
    server.source("CREATE ROLE r; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO r")
    server.source("ALTER DEFAULT PRIVILEGES FOR ROLE dba IN SCHEMA s GRANT ALL ON TABLES TO r")

    server.apply(login("r", access="read_only", schemas=["s"]), passwords=WORDS)

    for owner in ("postgres", "dba"):
        server.source(f"SET ROLE {owner}; CREATE TABLE s.new_{owner} (id int)")
        with server.logged_in("r", WORD) as session:
            run(session, f"TABLE s.new_{owner}")
            denied(session, f"TRUNCATE s.new_{owner}")


def test_what_public_has_is_left_alone(server) -> None:
    """
    Privileges of PUBLIC are not the roles' business.
    """
    server.source("GRANT DELETE ON s.t TO PUBLIC")

    server.apply(login("r", access="read_only", schemas=["s"]), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        run(session, "DELETE FROM s.t")


# ── what is made later ───────────────────────────────────────────────────────


@pytest.mark.parametrize("creator", ["postgres", "dba", "o"])
def test_future_objects_are_covered_whoever_makes_them(server, creator) -> None:
    """
    What the master, an owner of objects there, or a declared owner makes later is covered.
    """
    server.source("CREATE SCHEMA own")
    roles = [
        login("r", access="read_write", schemas=["s", "own"]),
        DatabaseRole(name="o", access="owner", schemas=["own"]),
    ]
    server.apply(*roles, passwords=WORDS)

    schema = "own" if creator == "o" else "s"
    server.sql(f"CREATE TABLE {schema}.later (id serial)", user=creator)
    with server.logged_in("r", WORD) as session:
        run(session, f"INSERT INTO {schema}.later DEFAULT VALUES")
        run(session, f"TABLE {schema}.later")
    assert server.apply(*roles)[DATABASE].changes == 0


# ── logins that nobody declared ──────────────────────────────────────────────


def test_undeclared_login_is_locked_and_its_session_ended(server) -> None:
    """
    Who is not declared cannot log in any more, and is out.
    """
    server.source("CREATE ROLE old LOGIN PASSWORD 'old'; CREATE ROLE grp")

    with server.logged_in("old", "old") as session:
        done = server.apply(login("r"), passwords=WORDS)[DATABASE]
        with pytest.raises(psycopg2.OperationalError):
            run(session, "SELECT 1")

    assert done.locked == ("old",)
    assert refused(server, "old", "old")
    assert is_locked(server, "old")
    assert server.apply(login("r"))[DATABASE].changes == 0


def test_session_that_slipped_in_is_ended_afterwards(server) -> None:
    """
    A session that began before the lock was committed is ended by the call after it.
    """
    server.source("CREATE ROLE old LOGIN PASSWORD 'old'")

    with server.logged_in("old", "old") as session:
        server.sql("ALTER ROLE old NOLOGIN")
        with server.master() as opened:
            assert end_sessions(opened) == 1
        with pytest.raises(psycopg2.OperationalError):
            run(session, "SELECT 1")


def test_undeclared_login_is_dropped_and_its_objects_stay(server) -> None:
    """
    To drop a login, what it owns becomes the master's, in every database.
    """
    server.source("CREATE ROLE old LOGIN; GRANT CREATE, USAGE ON SCHEMA s TO old")
    server.source("CREATE DATABASE other", "postgres")
    for database in (DATABASE, "other"):
        server.source("GRANT CREATE ON SCHEMA public TO old", database)
        server.sql("CREATE TABLE public.kept AS SELECT 1 AS id", database, "old")
    server.sql("CREATE TABLE s.old_one AS SELECT 1 AS id", user="old")

    done = server.apply(login("r"), passwords=WORDS, undeclared="drop")

    assert [(place, each.dropped) for place, each in done.items()] == [
        (DATABASE, ()),
        ("other", ("old",)),
    ]
    for database in (DATABASE, "other"):
        assert server.sql(
            "SELECT tableowner FROM pg_tables WHERE tablename = 'kept'", database
        ) == [(MASTER,)]
    assert server.sql("SELECT rolname FROM pg_roles WHERE rolname = 'old'") == []
    done = server.apply(login("r"), undeclared="drop")
    assert sum(each.changes for each in done.values()) == 0


@pytest.mark.parametrize("elsewhere", [False, True])
def test_undeclared_login_that_granted_memberships_is_dropped(server, elsewhere) -> None:
    """
    What it had granted is gone, but for what is declared; a parameter it may set does not keep it.
    """
    server.source(
        "CREATE ROLE old LOGIN; CREATE ROLE grp; CREATE ROLE r; CREATE ROLE other;"
        "GRANT grp TO old WITH ADMIN OPTION"
    )
    server.sql("GRANT grp TO r, other", user="old")
    if server.major >= 15:
        server.sql("GRANT SET ON PARAMETER log_statement TO postgres WITH GRANT OPTION")
        server.source("GRANT SET ON PARAMETER log_statement TO old")
    if elsewhere:
        server.source("CREATE DATABASE other", "postgres")
        server.source("CREATE SCHEMA o; GRANT CREATE ON SCHEMA o TO old", "other")

    done = server.apply(login("r", member_of=["grp"]), undeclared="drop")

    assert done["other" if elsewhere else DATABASE].dropped == ("old",)
    members = server.sql(
        "SELECT member::regrole::text, grantor::regrole::text FROM pg_auth_members"
        " WHERE roleid = 'grp'::regrole AND member <> 'postgres'::regrole ORDER BY 1"
    )
    if server.major >= 16:
        assert members == [("r", MASTER)]
    else:  # before 16 a membership outlives who gave it
        assert [member for member, _ in members] == ["other", "r"]
    if server.major >= 15:
        assert "old" not in str(server.sql("SELECT paracl::text FROM pg_parameter_acl"))
    done = server.apply(login("r", member_of=["grp"]), undeclared="drop")
    assert sum(each.changes for each in done.values()) == 0
    if server.major >= 15:
        server.sql("REVOKE ALL ON PARAMETER log_statement FROM postgres")


def test_login_that_was_closed_before_is_dropped_as_well(server) -> None:
    """
    Having been locked for the scripts does not save an undeclared login; groups are kept.
    """
    server.source("CREATE ROLE old LOGIN; CREATE ROLE grp")
    with server.master() as opened:
        close(opened)

    server.apply(undeclared="drop")

    assert server.sql("SELECT rolname FROM pg_roles WHERE rolname IN ('old', 'grp')") == [("grp",)]


def test_close_locks_every_login_but_the_masters(server) -> None:
    """
    Before scripts run, nobody but the master is in, declared or not.
    """
    server.source("CREATE ROLE old LOGIN PASSWORD 'old'")
    server.apply(login("r"), login("old"), passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        with server.master() as opened:
            assert close(opened) == ["old", "r"]
        with server.master() as opened:
            assert end_sessions(opened) == 1
        with pytest.raises(psycopg2.OperationalError):
            run(session, "SELECT 1")

    assert refused(server, "r", WORD)
    assert is_locked(server, "r")
    with server.master() as opened:
        assert close(opened) == []
    server.apply(login("r"))
    with server.logged_in("r", WORD):
        pass


# ── several databases ────────────────────────────────────────────────────────


def test_each_database_gets_its_own_privileges(server) -> None:
    """
    A role has in each database what is declared for it, and nothing in the others.
    """
    for name in ("other", "third"):
        server.source(f"CREATE DATABASE {name}", "postgres")
        server.source("CREATE SCHEMA s; CREATE TABLE s.t (id int)", name)
    server.source("CREATE ROLE r; GRANT USAGE ON SCHEMA s TO r; GRANT ALL ON s.t TO r", "third")
    more = Privileges(database="other", schemas=["s"], preset="read_write")
    role = login("r", access="read_only", schemas=["s"], privileges=[more])

    done = server.apply(role, passwords=WORDS)

    assert list(done) == [DATABASE, "other", "third"]
    with server.logged_in("r", WORD) as session:
        denied(session, "DELETE FROM s.t")
    with server.logged_in("r", WORD, "other") as session:
        run(session, "INSERT INTO s.t VALUES (1)")
    with server.logged_in("r", WORD, "third") as session:
        denied(session, "TABLE s.t")
    done = server.apply(role)
    assert sum(each.changes for each in done.values()) == 0


def test_what_everybody_may_in_a_superusers_schema_is_not_given(server) -> None:
    """
    The master cannot give it, and nobody needs it: the role reads what is there.
    """
    server.sql("CREATE SCHEMA common; GRANT USAGE, CREATE ON SCHEMA common TO PUBLIC")
    server.source("CREATE TABLE common.t (id int)")
    role = login("r", access="read_only", schemas=["common"])

    server.apply(role, passwords=WORDS)

    with server.logged_in("r", WORD) as session:
        assert run(session, "TABLE common.t") == []
    assert server.apply(role)[DATABASE].changes == 0


def test_database_of_another_owner_is_reached(server) -> None:
    """
    Schema public is the database owner's, whose rights the master borrows.
    """
    server.source("CREATE DATABASE theirs OWNER dba", "postgres")
    server.source("CREATE TABLE public.t (id int)", "theirs")
    server.source("REVOKE dba FROM postgres GRANTED BY postgres")
    more = Privileges(database="theirs", schemas=["public"], preset="read_only")
    role = login("r", privileges=[more])

    server.apply(role, passwords=WORDS)

    with server.logged_in("r", WORD, "theirs") as session:
        run(session, "TABLE public.t")
    assert server.apply(role)["theirs"].changes == 0


def test_connect_comes_with_any_privilege(server) -> None:
    """
    Where PUBLIC may not connect, a role may if anything is declared for it.
    """
    server.source("REVOKE CONNECT ON DATABASE app FROM PUBLIC")

    server.apply(
        login("r", privileges=[Privileges()]), login("x"), passwords={"r": WORD, "x": WORD}
    )

    with server.logged_in("r", WORD):
        pass
    assert "permission denied for database" in refused(server, "x", WORD)


# ── repeating, refusing ──────────────────────────────────────────────────────


def test_second_run_changes_nothing(server) -> None:
    """
    With all kinds of declarations made, a second run finds nothing to do.
    """
    roles = [
        login("r", access="read_only", schemas=["s"], valid_until=datetime(2040, 1, 1, tzinfo=UTC)),
        login("w", access="read_write", schemas=["s", "public"], member_of=["g"]),
        login("o", access="owner", schemas=["s"], settings={"search_path": "s"}),
        login("m", access="monitoring", connection_limit=2),
        DatabaseRole(name="g", access="read_only"),
    ]
    first = server.apply(*roles, passwords={each.name: WORD for each in roles[:4]})[DATABASE]
    before = catalogue(server)

    again = server.apply(*roles)[DATABASE]

    assert first.changes > 30
    assert again.changes == 0
    assert catalogue(server) == before


def test_rights_are_borrowed_whatever_the_master_is_called(server) -> None:
    """
    Capitals and spaces in the master's name are part of it.
    """
    name = 'Odd "Master"'
    server.source('CREATE ROLE "Odd ""Master""" LOGIN CREATEROLE PASSWORD \'first-word\'')
    with server.logged_in(name, WORD) as session:
        run(session, "CREATE ROLE grp")
        session.autocommit = False
        found = read(session, Declared(DATABASE, (), "lock"))

        with borrowed(session, found, ["grp"]):
            assert run(session, "SELECT pg_has_role('grp', 'USAGE')") == [(True,)]

        assert run(session, "SELECT pg_has_role('grp', 'USAGE')") == [(False,)]


def test_borrowed_rights_are_given_back(server) -> None:
    """
    What the master granted itself to act for other owners is gone; what it had is as it was.
    """
    if server.major >= 16:
        server.source("CREATE ROLE r; GRANT r TO postgres WITH INHERIT FALSE, SET FALSE")
        server.source("REVOKE dba FROM postgres GRANTED BY postgres")
    else:
        server.source("CREATE ROLE r; CREATE ROLE held; GRANT held TO postgres")
        server.source("REVOKE dba FROM postgres")
    query = (
        "SELECT roleid::regrole::text, (to_jsonb(m) - 'oid')::text FROM pg_auth_members m"
        " WHERE member = 'postgres'::regrole AND roleid > 16383 ORDER BY 1, 2"
    )
    before = server.sql(query)

    server.apply(
        login("r", access="owner", schemas=["s"]),
        login("x", access="read_only", schemas=["s"]),
        passwords=WORDS,
    )

    after = [row for row in server.sql(query) if row[0] != "x"]
    assert after == before
    assert {row[0] for row in before} >= ({"r"} if server.major >= 16 else {"held"})
    assert server.sql("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'by_dba'") == [
        ("r",)
    ]


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (
            login("x", schemas=["none"], access="read_only"),
            (
                "role x: schemas: there is no schema 'none' in database 'app'. Correct the name, "
                "or create the schema in a script."
            ),
        ),
        (
            login("x", member_of=["none"]),
            (
                "role x: member_of: there is no role 'none'. Declare that role as well, or leave "
                "it out."
            ),
        ),
        (
            login("x", privileges=[Privileges(database="none")]),
            (
                "role x: privileges: database: there is no database 'none'. Correct the name in "
                "the request, then run again."
            ),
        ),
        (
            login("boss"),
            "role boss: it is a superuser. Declare the role under another name.",
        ),
    ],
)
def test_refusal_leaves_everything_as_it_was(server, role, said) -> None:
    """
    A name that leads nowhere is told in one line, and nothing at all has changed.
    """
    server.sql("CREATE ROLE boss SUPERUSER")
    server.source("CREATE ROLE old LOGIN")
    before = catalogue(server)

    with pytest.raises(DatabaseSetupError) as refusal:
        server.apply(login("r", access="owner", schemas=["s"]), role, passwords=WORDS)

    assert str(refusal.value) == said
    assert catalogue(server) == before


@pytest.mark.parametrize("undeclared", ["lock", "drop"])
def test_login_that_cannot_be_locked_fails_the_step(server, undeclared) -> None:
    """
    A login that the master may not alter is not silently kept.
    """
    server.sql(f"CREATE ROLE foreigner LOGIN {apart(server)}")
    before = catalogue(server)

    with pytest.raises(DatabaseSetupError) as refusal:
        server.apply(login("r"), passwords=WORDS, undeclared=undeclared)

    reason = (
        "permission denied to alter role: Only roles with the CREATEROLE attribute "
        'and the ADMIN option on role "foreigner" may alter this role'
        if server.major >= 16
        else "must be superuser to alter replication roles or change replication attribute"
    )
    assert str(refusal.value) == (
        f"role foreigner: {reason} (SQLSTATE 42501). Give the master user "
        "ADMIN OPTION on the role in the source (or its privileges, if it owns the "
        "object), or correct the role in the request; then run again."
    )
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__
    assert catalogue(server) == before
    with server.master() as opened, pytest.raises(DatabaseSetupError, match=r"^role foreigner: "):
        close(opened)


def test_object_of_an_unreachable_owner_is_told(server) -> None:
    """
    A table whose owner's rights the master cannot get stops the step, with that owner's name.
    """
    if server.major < 16:
        pytest.skip("before PostgreSQL 16 whoever may make roles gets every owner's rights")
    server.sql("CREATE ROLE foreigner; GRANT CREATE, USAGE ON SCHEMA s TO foreigner")
    server.sql("CREATE TABLE s.theirs (id int)", user="foreigner")
    before = catalogue(server)

    with pytest.raises(
        DatabaseSetupError, match=r"^role foreigner: permission denied to grant rol"
    ):
        server.apply(login("r", access="read_only", schemas=["s"]), passwords=WORDS)

    assert catalogue(server) == before


@pytest.mark.long
@pytest.mark.parametrize("server", ["14", "15"], indirect=True)
def test_owner_who_has_the_masters_rights_is_told(server) -> None:
    """
    Two roles cannot be members of each other: what undoes that is told, and a script may do it.
    From PostgreSQL 16 on the master is itself a member of each role that it makes.
    """
    server.sql("CREATE ROLE deputy; GRANT CREATE, USAGE ON SCHEMA s TO deputy")
    server.sql("CREATE TABLE s.theirs (id int)", user="deputy")
    server.sql("GRANT postgres TO deputy")
    wanted = login("r", access="read_only", schemas=["s"])

    with pytest.raises(DatabaseSetupError) as refusal:
        server.apply(wanted, passwords=WORDS)
    server.sql("REVOKE postgres FROM deputy")
    server.apply(wanted, passwords=WORDS)

    assert str(refusal.value) == (
        "role deputy: it has the master user's rights, so the master cannot be given its own. "
        "REVOKE postgres from it in the source or in a script, then run again."
    )
    with server.logged_in("r", WORD) as session:
        assert run(session, "SELECT count(*) FROM s.theirs") == [(0,)]


def test_object_of_a_superuser_is_told(server) -> None:
    """
    A privilege that PostgreSQL does not give is not taken for given.
    """
    server.sql("CREATE TABLE s.theirs (id int)")

    with pytest.raises(DatabaseSetupError, match=r"^role r: permission denied for table theirs"):
        server.apply(login("r", access="read_only", schemas=["s"]), passwords=WORDS)


def test_grant_that_does_nothing_is_told(server) -> None:
    """
    PostgreSQL only warns when it gives nothing: that is no success.
    """
    server.sql("CREATE TABLE s.theirs (id int); GRANT SELECT ON s.theirs TO postgres")

    with pytest.raises(DatabaseSetupError) as refusal:
        server.apply(login("r", access="read_only", schemas=["s"]), passwords=WORDS)

    assert str(refusal.value).startswith("role r: PostgreSQL took the change but did not make it")


def test_password_is_in_no_log_and_no_error(server) -> None:
    """
    The server sees verifiers only; an error holds neither password nor verifier.
    """
    word = f"planted-{server.key}"
    server.sql(f"CREATE ROLE zz {apart(server)}")

    with pytest.raises(DatabaseSetupError) as refusal:
        server.apply(login("r"), login("zz"), passwords={"r": word, "zz": word})
    server.apply(login("r"), passwords={"r": word})

    log = server.host.log_file(server.key).read_text(errors="replace")
    assert re.search(r'ALTER ROLE "r" PASSWORD .SCRAM-SHA-256\$4096:', log)
    assert word not in log
    assert "SCRAM" not in f"{refusal.value!r} {refusal.value}"
    assert re.match(
        r"role zz: (permission denied|must be superuser) to alter r", str(refusal.value)
    )
