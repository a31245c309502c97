"""A restored database is handed over: nobody gets in before it is masked and proven, or ever."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from product_fixtures import FOREIGN
from psycopg2 import errors
from psycopg2.extensions import connection
from pydantic import SecretStr

from aurora_restore.access.declared import DatabaseRole, Declared
from aurora_restore.demands import Assertion, Script
from aurora_restore.errors import DatabaseSetupError, NotReady, Refused, RestoreError
from aurora_restore.files import TextFile
from aurora_restore.handover import Credentials, HandedOver, Server, Wanted, hand_over, try_logins
from aurora_restore.postgres import Endpoint
from aurora_restore.secrets import Password
from sandbox.postgres import PostgresHost
from tests.postgres_versions import MAJORS, have

HOST = "{key}.cluster-c1.us-west-2.rds.amazonaws.com"
MASTER, PASSWORD, PRODUCTION = "postgres", "of-the-master", "of-production"
SOURCE = f"""
    CREATE ROLE prod_app LOGIN PASSWORD '{PRODUCTION}';
    CREATE ROLE owner_of_sales;
    GRANT prod_app, owner_of_sales TO {MASTER} WITH ADMIN OPTION;
    CREATE SCHEMA sales AUTHORIZATION owner_of_sales;
    CREATE TABLE sales.customers (id int, name text);
    INSERT INTO sales.customers VALUES (1, 'Ada'), (2, 'Grace');
    GRANT USAGE ON SCHEMA sales TO prod_app;
    GRANT ALL ON sales.customers TO prod_app;
    ALTER TABLE sales.customers OWNER TO owner_of_sales;
    CREATE TABLE public.owned_by_app (id int);
    ALTER TABLE public.owned_by_app OWNER TO prod_app
"""  # noqa: S608
APP = DatabaseRole(name="app", secret_id="app", access="read_write", schemas=["sales"])
READER = DatabaseRole(name="reader", secret_id="reader", access="read_only", schemas=["sales"])
MASK = "UPDATE sales.customers SET name = 'nobody';"
WHO = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper ORDER BY 1"


@dataclass(frozen=True)
class Restored:
    """A cluster that was just restored from production's snapshot."""

    host: PostgresHost
    key: str

    @property
    def server(self) -> Server:
        endpoint = Endpoint(HOST.format(key=self.key), self.host.port, "postgres")
        return Server(endpoint, MASTER, SecretStr(PASSWORD))

    def sql(self, statements: str) -> list[tuple[Any, ...]]:
        """Run something as the superuser."""
        return self.host.run_sql(self.key, statements)

    def logins(self) -> list[str]:
        return [name for (name,) in self.sql(WHO)]

    def opened(self, user: str, password: str) -> connection:
        """Log in as anybody would."""
        where = self.server.endpoint
        return psycopg2.connect(
            host=where.host,
            port=where.port,
            dbname=where.database,
            user=user,
            password=password,
            sslmode="verify-full",
        )

    @contextmanager
    def as_role(self, user: str, password: str) -> Iterator[connection]:
        """Be logged in as anybody would."""
        with closing(self.opened(user, password)) as opened:
            yield opened


@pytest.fixture(scope="module", params=MAJORS)
def source(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresHost]:
    """Servers with a snapshot of production."""
    with closing(PostgresHost(tmp_path_factory.mktemp("restored"), 0)) as host:
        have(host, request.param)
        host.create(
            "production",
            master_username=MASTER,
            master_password=PASSWORD,
            database=None,
            major=request.param,
        )
        host.start("production")
        host.run_sql("production", SOURCE)
        host.stop("production")
        host.snapshot("production", "snapshot")
        yield host


@pytest.fixture
def restored(source: PostgresHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restored]:
    for name in [each for each in os.environ if each.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGHOSTADDR", source.address)
    monkeypatch.setenv("PGSSLROOTCERT", str(source.ca_file))
    key = f"r{uuid4().hex[:12]}"
    source.restore("snapshot", key)
    source.route(key, [HOST.format(key=key)])
    source.start(key)
    yield Restored(source, key)
    source.drop(key)


def script(text: str, name: str = "mask.sql") -> tuple[Script, TextFile]:
    return Script(file=name), TextFile(name, text, sha256(text.encode()).hexdigest())


def wanted(
    *roles: DatabaseRole,
    scripts: Sequence[tuple[Script, TextFile]] = (),
    verify: Sequence[Assertion] = (),
    undeclared: Any = "lock",
) -> Wanted:
    return Wanted("op-001", Declared("postgres", roles, undeclared), scripts, verify)


def no_token(_name: str) -> SecretStr:
    raise AssertionError


def credentials(asked: Wanted, version: str = "v1") -> Credentials:
    return Credentials(
        {
            role.name: Password(SecretStr(f"word-of-{role.name}-{version}"), version)
            for role in asked.declared.roles
            if role.secret_id
        },
        no_token,
    )


def handed(restored: Restored, asked: Wanted, version: str = "v1") -> HandedOver:
    return hand_over(restored.server, asked, credentials(asked, version))


def test_what_was_done_and_proven_is_told(restored: Restored) -> None:
    """
    Server, databases, roles, scripts, assertions and logins, each with what was seen.
    """
    count = Assertion(name="two", sql="SELECT count(*) FROM sales.customers", at_least=2)

    told = handed(restored, wanted(APP, READER, scripts=[script(MASK)], verify=[count]))

    assert [(told.server_version,)] == restored.sql("SHOW server_version")
    assert [each.name for each in told.databases] == ["postgres"]
    assert told.databases[0].bytes > 1_000_000
    assert (told.made, told.locked, told.dropped) == (["app", "reader"], ["prod_app"], [])
    assert [(each.name, each.rows) for each in told.scripts] == [("mask.sql", 2)]
    assert [(each.name, each.value) for each in told.held] == [("two", "2")]
    assert [(each.role, each.by, each.allowed, each.refused) for each in told.tried] == [
        ("app", "password", ["delete from sales.customers"], ["make a table in sales"]),
        ("reader", "password", ["read sales.customers"], ["delete from sales.customers"]),
    ]
    assert restored.sql("SELECT DISTINCT name FROM sales.customers") == [("nobody",)]


def test_nobody_gets_in_while_scripts_run(restored: Restored) -> None:
    """
    From the first script to the last assertion no login is open but the master's.
    """
    look = f"CREATE TABLE public.seen AS {WHO};"
    still = Assertion(
        name="closed",
        sql="SELECT count(*) FROM pg_roles WHERE rolcanlogin AND NOT rolsuper",
        at_least=1,
        at_most=1,
    )
    restored.sql(f"CREATE ROLE app LOGIN; GRANT app TO {MASTER} WITH ADMIN OPTION")

    handed(restored, wanted(APP, scripts=[script(look)], verify=[still]))

    assert restored.sql("SELECT * FROM public.seen") == [(MASTER,)]
    assert restored.logins() == ["app", MASTER]


def test_whoever_was_in_is_put_out(restored: Restored) -> None:
    """
    A session of production's login is ended before the first script.
    """
    with restored.as_role("prod_app", PRODUCTION) as session:
        handed(restored, wanted(APP))

        with pytest.raises(psycopg2.OperationalError), session.cursor() as cursor:
            cursor.execute("SELECT 1")


def test_source_login_that_is_not_declared_is_refused(restored: Restored) -> None:
    """
    Production's password opened the restored database before, and does not afterwards.
    """
    with restored.as_role("prod_app", PRODUCTION):
        pass

    handed(restored, wanted(APP))

    with (
        pytest.raises(psycopg2.OperationalError, match="prod_app"),
        restored.as_role("prod_app", PRODUCTION),
    ):
        pass


def test_source_login_is_dropped_if_asked(restored: Restored) -> None:
    """
    It is gone, and the master owns what it owned.
    """
    told = handed(restored, wanted(APP, undeclared="drop"))

    assert (told.locked, told.dropped) == ([], ["prod_app"])
    assert restored.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'prod_app'") == [(0,)]
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'owned_by_app'"
    assert restored.sql(owner) == [(MASTER,)]


@pytest.mark.parametrize("undeclared", ["lock", "drop"])
def test_login_called_postgres_is_closed_when_another_is_the_master(
    restored: Restored, undeclared: str
) -> None:
    """
    Only the master of now is left alone: not a login of the usual name, nor one like RDS's.
    """
    restored.sql(
        "CREATE ROLE boss LOGIN CREATEROLE CREATEDB PASSWORD 'of-the-boss';"
        "CREATE ROLE rdsapp LOGIN PASSWORD 'of-rdsapp';"
        "GRANT rds_superuser, postgres, prod_app, owner_of_sales, rdsapp TO boss WITH ADMIN OPTION;"
        "ALTER DATABASE postgres OWNER TO boss"
    )
    server = replace(restored.server, username="boss", password=SecretStr("of-the-boss"))
    asked = wanted(APP, undeclared=undeclared)

    with restored.as_role(MASTER, PASSWORD) as session, restored.as_role("rdsapp", "of-rdsapp"):
        told = hand_over(server, asked, credentials(asked))
        with pytest.raises(psycopg2.OperationalError), session.cursor() as cursor:
            cursor.execute("SELECT 1")

    assert restored.logins() == ["app", "boss"]
    assert sorted(told.locked + told.dropped) == [MASTER, "prod_app", "rdsapp"]
    with pytest.raises(psycopg2.OperationalError), restored.as_role(MASTER, PASSWORD):
        pass


BAD_SCRIPT = {"scripts": [script(MASK), script("SELECT 1/0;", "broken.sql")]}
BAD_PROOF = {"verify": [Assertion(name="none", sql="SELECT count(*) = 9 FROM sales.customers")]}
BAD_ROLE = {"scripts": [script("GRANT DELETE ON sales.customers TO PUBLIC;")]}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (BAD_SCRIPT, "script broken.sql: line 1: division by zero (SQLSTATE 22012)"),
        (BAD_PROOF, "assertions: 1 of 1 do not hold: none: it gave false"),
        (
            BAD_ROLE,
            "role reader: it may delete from sales.customers, which is not declared",
        ),
    ],
    ids=["script", "assertion", "login"],
)
def test_failure_leaves_the_database_closed(
    restored: Restored, how: dict[str, Any], said: str
) -> None:
    """
    Whatever fails, in the end nobody gets in but the master.
    """
    with pytest.raises(DatabaseSetupError) as failed:
        handed(restored, wanted(APP, READER, **how))

    assert str(failed.value).startswith(said)
    assert restored.logins() == [MASTER]
    for user, password in (("app", "word-of-app-v1"), ("prod_app", PRODUCTION)):
        with pytest.raises(psycopg2.OperationalError), restored.as_role(user, password):
            pass


def test_session_that_begins_before_the_closing_is_committed_is_ended(restored: Restored) -> None:
    """
    After a failure nobody stays in, not even who reconnects again and again until then.
    """
    opened: list[connection] = []

    class Pooled(Server):
        """A pool of the application opens a session before each commit of the master, if it can."""

        @contextmanager
        def enter(self, database: str | None = None) -> Iterator[connection]:
            with super().enter(database) as master:
                yield master
                with suppress(psycopg2.OperationalError):
                    opened.append(restored.opened("app", "word-of-app-v1"))

    server = Pooled(*(getattr(restored.server, each.name) for each in fields(Server)))
    asked = wanted(APP, READER, **BAD_ROLE)
    with pytest.raises(DatabaseSetupError, match="which is not declared"):
        hand_over(server, asked, credentials(asked))

    assert opened
    assert restored.logins() == [MASTER]
    assert restored.sql("SELECT usename FROM pg_stat_activity WHERE usename = 'app'") == []
    for each in opened:
        each.close()


PLANTED = f"""
    CREATE TABLE public.stolen (by text);
    GRANT ALL ON public.stolen TO PUBLIC;
    CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.stolen VALUES (session_user); RETURN $1; END';
    CREATE ROLE app;
    GRANT app TO {MASTER} WITH ADMIN OPTION;
    CREATE TABLE public.of_app ();
    ALTER TABLE public.of_app OWNER TO app
"""  # noqa: S608
FIRST_IN_PATH = """
    CREATE SCHEMA evil;
    GRANT USAGE ON SCHEMA evil TO PUBLIC;
    CREATE TABLE evil.marks ();
    GRANT ALL ON evil.marks TO PUBLIC;
    CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.stolen VALUES (session_user);
        RETURN $1 OPERATOR(pg_catalog.=) $2; END';
    CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
    CREATE FUNCTION evil.has_database_privilege(oid, text) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.stolen VALUES (session_user); RETURN true; END';
    CREATE FUNCTION evil.pg_get_userbyid(oid) RETURNS name LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.stolen VALUES (session_user);
        RETURN pg_catalog.pg_get_userbyid($1); END';
    ALTER DATABASE postgres SET search_path = evil, pg_catalog, public
"""


def test_planted_function_is_not_run_by_the_master(restored: Restored) -> None:
    """
    A function that fits better than PostgreSQL's own is not taken for it.
    """
    restored.sql(PLANTED)

    handed(restored, wanted(APP))

    assert restored.sql("SELECT by FROM public.stolen") == []


def test_planted_search_path_holds_for_scripts_and_assertions_alone(restored: Restored) -> None:
    """
    What a database puts before PostgreSQL's own is not run by the master; scripts and assertions
    find what they name in the database's path.
    """
    restored.sql(PLANTED + ";" + FIRST_IN_PATH)
    marked = script("INSERT INTO marks DEFAULT VALUES;")
    count = Assertion(name="marked", sql="SELECT count(*) FROM marks", at_least=1, at_most=1)

    told = handed(restored, wanted(APP, scripts=[marked], verify=[count]))

    assert [each.rows for each in told.scripts] == [1]
    assert restored.sql("SELECT by FROM public.stolen") == []


NO_CATALOGUE = f"""
    REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC;
    GRANT SELECT ON pg_catalog.pg_class TO {MASTER}
"""  # noqa: S608
LEAVE = """
    CREATE FUNCTION public.leave() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
    CREATE TRIGGER leave BEFORE DELETE ON sales.customers EXECUTE FUNCTION public.leave()
"""
UNEXPECTED: list[tuple[str, type[RestoreError], str]] = [
    (
        NO_CATALOGUE,
        DatabaseSetupError,
        "role app: while trying what it may: permission denied for table pg_class",
    ),
    (
        LEAVE,
        NotReady,
        "endpoint: while trying to delete from sales.customers",
    ),
]


@pytest.mark.parametrize(("before", "kind", "said"), UNEXPECTED, ids=["refused", "broken"])
def test_unexpected_error_of_the_trial_leaves_the_database_closed(
    restored: Restored, before: str, kind: type[RestoreError], said: str
) -> None:
    """
    What PostgreSQL refuses aside from the trial itself is an error of the role, and closes; so
    does a connection that breaks, and is retried.
    """
    restored.sql(before)

    with pytest.raises(kind, match=said):
        handed(restored, wanted(APP))

    assert restored.logins() == [MASTER]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_whatever_stops_the_trial_leaves_the_database_closed(
    restored: Restored, stop: type[BaseException]
) -> None:
    """
    Also what is no error of ours, e.g. when the process is told to end, passes as it is.
    """
    token = DatabaseRole(name="by_token", iam=True, access="read_only", schemas=["sales"])

    def stopped(_name: str) -> SecretStr:
        assert "by_token" in restored.logins()
        raise stop

    with pytest.raises(stop):
        hand_over(restored.server, wanted(token), Credentials({}, stopped))

    assert restored.logins() == [MASTER]


def test_schema_that_everybody_may_write_to_is_no_hindrance(restored: Restored) -> None:
    """
    Before 15 that is `public`, which nobody but a superuser can close; all else is tried.
    """
    restored.sql("ALTER SCHEMA public OWNER TO rdsadmin; GRANT CREATE ON SCHEMA public TO PUBLIC")

    told = handed(restored, wanted(APP.model_copy(update={"schemas": ["public"]})))

    [tried] = told.tried
    assert tried.refused == ["make a role"]
    assert "app" in restored.logins()


def test_repeat_does_nothing_twice(restored: Restored) -> None:
    """
    After a run that was cut off, scripts and passwords that are done are left, and told again.
    """
    asked = wanted(APP, READER, scripts=[script("INSERT INTO sales.customers VALUES (3, 'x');")])
    verifiers = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname IN ('app', 'reader')"
    first = handed(restored, asked)
    before = restored.sql(verifiers)

    again = handed(restored, asked)

    assert restored.sql("SELECT count(*) FROM sales.customers") == [(3,)]
    assert restored.sql(verifiers) == before
    assert (again.made, again.locked) == (first.made, first.locked)
    assert [each.is_earlier for each in again.scripts] == [True]


def test_rotated_secret_is_written(restored: Restored) -> None:
    """
    Another version of a secret is another password.
    """
    asked = wanted(APP)
    handed(restored, asked)

    handed(restored, asked, version="v2")

    with restored.as_role("app", "word-of-app-v2"):
        pass


def test_script_that_changed_is_refused(restored: Restored) -> None:
    """
    What has run as one text does not run as another.
    """
    handed(restored, wanted(APP, scripts=[script(MASK)]))

    with pytest.raises(Refused, match="another text"):
        handed(restored, wanted(APP, scripts=[script(MASK + " ")]))


LOGINS: list[tuple[DatabaseRole, list[str], list[str]]] = [
    (READER, ["read sales.customers"], ["delete from sales.customers"]),
    (APP, ["delete from sales.customers"], ["make a table in sales"]),
    (
        APP.model_copy(update={"access": "owner"}),
        ["make a table in sales"],
        ["make a role"],
    ),
    (
        DatabaseRole(name="watcher", secret_id="watcher", access="monitoring"),
        ["read all settings"],
        ["make a role"],
    ),
]


@pytest.mark.parametrize(("role", "allowed", "refused"), LOGINS, ids=[r.access for r, *_ in LOGINS])
def test_login_of_each_preset_is_tried(
    restored: Restored, role: DatabaseRole, allowed: list[str], refused: list[str]
) -> None:
    """
    It does what is declared, is refused what is not, and leaves nothing behind.
    """
    told = handed(restored, wanted(role))

    [tried] = told.tried
    assert (tried.allowed, tried.refused) == (allowed, refused)
    probes = "SELECT count(*) FROM pg_class WHERE relname = 'aurora_restore_probe'"
    assert restored.sql(probes) == [(0,)]
    assert restored.sql("SELECT count(*) FROM sales.customers") == [(2,)]


def test_table_of_an_extension_is_not_tried(restored: Restored) -> None:
    """
    Nothing is granted on it, so it tells nothing, though it is the first of its schema.
    """
    restored.sql("CREATE TABLE sales.aaa (); ALTER EXTENSION plpgsql ADD TABLE sales.aaa")

    [tried] = handed(restored, wanted(READER)).tried

    assert tried.allowed == ["read sales.customers"]
    assert tried.refused == ["delete from sales.customers"]


def test_group_s_privileges_count(restored: Restored) -> None:
    """
    A member of a declared group is tried with what the group may do.
    """
    group = DatabaseRole(name="writers", access="read_write", schemas=["sales"])
    member = DatabaseRole(
        name="member", secret_id="m", access="read_only", schemas=["sales"], member_of=["writers"]
    )

    told = handed(restored, wanted(group, member))

    [tried] = told.tried
    assert tried.allowed == ["delete from sales.customers"]
    assert tried.refused == ["make a table in sales"]


def test_member_of_the_source_s_groups_is_not_refused_anything(restored: Restored) -> None:
    """
    What a group that is not declared may do is not known: nothing is tried, so nothing is told.
    """
    member = DatabaseRole(
        name="member",
        secret_id="m",
        access="read_only",
        schemas=["sales"],
        member_of=["owner_of_sales"],
    )

    [tried] = handed(restored, wanted(member)).tried

    assert (tried.allowed, tried.refused) == (["read sales.customers"], [])


TAKEN: list[tuple[str, str]] = [
    ("REVOKE SELECT ON sales.customers FROM reader", "role reader: it may not read"),
    ("ALTER ROLE reader NOLOGIN", "is not permitted to log in"),
    ("GRANT DELETE ON sales.customers TO reader", "it may delete from sales.customers, which"),
]


@pytest.mark.parametrize(("change", "said"), TAKEN, ids=["less", "closed", "more"])
def test_trying_again_finds_what_has_changed(restored: Restored, change: str, said: str) -> None:
    """
    Under its new name the database is tried anew: less or more than declared is found.
    """
    asked = wanted(READER)
    handed(restored, asked)
    assert try_logins(restored.server, asked.declared, credentials(asked))
    restored.sql(change)

    with pytest.raises(DatabaseSetupError, match=said):
        try_logins(restored.server, asked.declared, credentials(asked))


def test_master_logs_in_even_without_roles(restored: Restored) -> None:
    """
    A wrong master password is found, at once or after its lag, though there is nobody else.
    """
    wrong = replace(restored.server, password=SecretStr("wrong"))
    nobody = Declared("postgres", [])
    with pytest.raises(DatabaseSetupError, match="password authentication failed"):
        try_logins(wrong, nobody, Credentials({}, no_token))
    with pytest.raises(NotReady):
        try_logins(replace(wrong, lag=True), nobody, Credentials({}, no_token))


def test_no_password_reaches_server_log_or_error(
    restored: Restored, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The server sees verifiers only, in what it does and in what it refuses.
    """
    log: Callable[[], str] = restored.host.log_file(restored.key).read_text
    nowhere = APP.model_copy(update={"schemas": ["nowhere"]})

    handed(restored, wanted(READER))
    with pytest.raises(DatabaseSetupError) as refused:
        handed(restored, wanted(READER, nowhere))
    with pytest.raises(errors.SyntaxError), restored.server.enter() as master:
        master.cursor().execute("ALTER ROLE reader PASSWORD 'planted-word' NONSENSE")

    assert "planted-word" in log(), "the log is where passwords would show"
    assert "word-of-" not in log() + str(refused.value) + repr(refused.value) + caplog.text
    assert refused.value.__cause__ is None
