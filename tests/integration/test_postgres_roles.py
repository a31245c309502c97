"""The logins of a restored database: made, altered, granted, tried; over verified TLS."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import connection
from pydantic import SecretStr

from aurora_restore import roles
from aurora_restore.errors import DatabaseSetupError, NotReady
from aurora_restore.postgres import Endpoint, connected
from aurora_restore.rds import clusters
from aurora_restore.request import DatabaseRole
from aurora_restore.roles import Master
from aurora_restore.sessions import target_client
from sandbox import Sandbox

MASTER = Master("postgres", "aurora-restore/master")
TABLE = "public.old_marker"
CATALOGUE = """
    SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles ORDER BY 1;
    SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
        ORDER BY 1;
    SELECT nspname, nspacl::text FROM pg_namespace ORDER BY 1;
    SELECT defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2;
    SELECT roleid, member, admin_option FROM pg_auth_members ORDER BY 1, 2
"""


@pytest.fixture
def endpoint(account: Sandbox, rds: Any) -> Endpoint:
    """Where staging serves. Each test has roles of its own, so that none disturbs another."""
    return Endpoint(
        clusters.get_cluster(rds, "staging").endpoint, account.facts["postgres_port"], "postgres"
    )


@pytest.fixture
def secret(account: Sandbox) -> Callable[[str], str]:
    """Keep a password in a new secret; return the secret's name."""

    def kept(password: str) -> str:
        name = f"test/{uuid4()}"
        account.client("secretsmanager").create_secret(
            Name=name, SecretString=json.dumps({"username": "x", "password": password})
        )
        return name

    return kept


@pytest.fixture
def name() -> str:
    return f"r{uuid4().hex}"


@contextmanager
def logged_in(endpoint: Endpoint, user: str, password: str) -> Iterator[connection]:
    """Log in as anybody would."""
    with closing(
        psycopg2.connect(
            host=endpoint.host,
            port=endpoint.port,
            dbname=endpoint.database,
            user=user,
            password=password,
            sslmode="verify-full",
        )
    ) as opened:
        opened.autocommit = True
        yield opened


@contextmanager
def as_master(account: Sandbox, endpoint: Endpoint) -> Iterator[connection]:
    kept = account.client("secretsmanager").get_secret_value(SecretId=MASTER.secret_id)
    with logged_in(endpoint, "postgres", json.loads(kept["SecretString"])["password"]) as opened:
        yield opened


def catalogue(database: connection) -> list[list[tuple[Any, ...]]]:
    """Return everything in the catalogue that says who may do what."""
    seen = []
    with database.cursor() as cursor:
        for query in CATALOGUE.split(";"):
            cursor.execute(query)
            seen.append(cursor.fetchall())
    return seen


def run(database: connection, statement: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(statement)


def set_up(endpoint: Endpoint, *wanted: DatabaseRole) -> None:
    roles.set_up(target_client("secretsmanager", "us-west-2"), wanted, endpoint, MASTER)


def test_role_is_created_and_may_read_only(
    endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    A read-only role logs in with its secret's password, reads, and writes nothing.
    """
    set_up(endpoint, DatabaseRole(name=name, secret_id=secret("first-word")))

    with logged_in(endpoint, name, "first-word") as session:
        run(session, f"TABLE {TABLE}")
        for statement in (
            "INSERT INTO public.old_marker VALUES (9, 'x')",
            "UPDATE public.old_marker SET note = 'x'",
            "DELETE FROM public.old_marker",
            f"TRUNCATE {TABLE}",
            "CREATE TABLE public.mine (id int)",
            "CREATE ROLE other",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                run(session, statement)


def test_role_may_write(endpoint: Endpoint, secret: Callable[[str], str], name: str) -> None:
    """
    A read-write role changes rows, and neither tables nor roles.
    """
    set_up(endpoint, DatabaseRole(name=name, secret_id=secret("word"), access="read_write"))

    with logged_in(endpoint, name, "word") as session:
        run(session, "INSERT INTO public.old_marker VALUES (99, 'x')")
        run(session, "UPDATE public.old_marker SET note = 'y' WHERE id = 99")
        run(session, "DELETE FROM public.old_marker WHERE id = 99")
        with pytest.raises(errors.InsufficientPrivilege):
            run(session, f"DROP TABLE {TABLE}")


def test_future_tables_are_covered(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    What the master creates later can be read as well.
    """
    set_up(endpoint, DatabaseRole(name=name, secret_id=secret("word")))

    with as_master(account, endpoint) as master:
        run(master, f"CREATE TABLE public.later_{name} (id serial)")
    with logged_in(endpoint, name, "word") as session:
        run(session, f"TABLE public.later_{name}")


def test_existing_role_gets_the_new_password(
    endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    A role that came with the data is altered: the new password logs in, the old one no more.
    """
    set_up(endpoint, DatabaseRole(name=name, secret_id=secret("of-production")))
    set_up(endpoint, DatabaseRole(name=name, secret_id=secret("of-staging")))

    with logged_in(endpoint, name, "of-staging"):
        pass
    with (
        pytest.raises(psycopg2.OperationalError, match="password authentication failed"),
        logged_in(endpoint, name, "of-production"),
    ):
        pass


def test_role_without_login_gets_it(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    A role that came with the data and could not log in can afterwards.
    """
    with as_master(account, endpoint) as master:
        run(master, f"CREATE ROLE {name} NOLOGIN")

    set_up(endpoint, DatabaseRole(name=name, secret_id=secret("word")))

    with logged_in(endpoint, name, "word"):
        pass


def test_repeat_changes_nothing(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    Running the step again leaves the catalogue as it is.
    """
    wanted = [
        DatabaseRole(name=name, secret_id=secret("word")),
        DatabaseRole(name=f"{name}w", secret_id=secret("word"), access="read_write"),
    ]
    set_up(endpoint, *wanted)
    with as_master(account, endpoint) as master:
        before = catalogue(master)

    set_up(endpoint, *wanted)

    with as_master(account, endpoint) as master:
        assert catalogue(master) == before
    assert any(row[0] == name for row in before[0])


def test_refused_role_undoes_all(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    All roles are made in one transaction: when one is refused, none is changed.
    """
    with as_master(account, endpoint) as master:
        before = catalogue(master)

    with pytest.raises(DatabaseSetupError) as refused:
        set_up(
            endpoint,
            DatabaseRole(name=name, secret_id=secret("word")),
            DatabaseRole(name=f"{name}b", secret_id=secret("word"), schemas=["none"]),
        )

    assert str(refused.value) == (
        f'role {name}b: schema "none" does not exist (SQLSTATE 3F000). '
        "Correct the role in the request or its privileges, then run again."
    )
    with as_master(account, endpoint) as master:
        assert catalogue(master) == before


@pytest.mark.parametrize(
    "schema",
    [
        'public"; DROP TABLE public.old_marker; --',
        "public; DROP TABLE public.old_marker",
        "public'); DROP TABLE public.old_marker; --",
        "{role}",
        "%s",
        "PUBLIC",
    ],
)
def test_hostile_schema_stays_a_name(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str, schema: str
) -> None:
    """
    A schema's name is never read as SQL.
    """
    with pytest.raises(DatabaseSetupError, match="does not exist"):
        set_up(endpoint, DatabaseRole(name=name, secret_id=secret("word"), schemas=[schema]))

    with as_master(account, endpoint) as master:
        run(master, f"TABLE {TABLE}")


@pytest.mark.parametrize("word", ["it's", 'say "x"', "back\\slash", "$$;--", "pass word", "é✅"])
def test_password_of_any_characters_logs_in(
    endpoint: Endpoint, secret: Callable[[str], str], name: str, word: str
) -> None:
    """
    A password is data, whatever it is made of.
    """
    set_up(endpoint, DatabaseRole(name=name, secret_id=secret(word)))

    with logged_in(endpoint, name, word):
        pass


def test_master_logs_in_even_without_roles(account: Sandbox, endpoint: Endpoint) -> None:
    """
    With no role to make, the step still shows that the endpoint serves the master.
    """
    set_up(endpoint)

    account.client("secretsmanager").create_secret(
        Name=(wrong := f"test/{uuid4()}"), SecretString='{"password": "wrong"}'
    )
    with pytest.raises(NotReady, match=r"as 'postgres': .*password authentication failed"):
        roles.set_up(
            target_client("secretsmanager", "us-west-2"),
            [],
            endpoint,
            replace(MASTER, secret_id=wrong),
        )


def test_role_that_cannot_log_in_is_not_accepted(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    A role is set up only when it has logged in itself.
    """
    role = DatabaseRole(name=name, secret_id=secret("word"))
    set_up(endpoint, role)
    with as_master(account, endpoint) as master:
        run(master, f"ALTER ROLE {name} NOLOGIN")

    with pytest.raises(NotReady, match="is not permitted to log in"):
        roles.require_login(endpoint, role, SecretStr("word"))


def test_role_that_lost_its_schema_is_not_accepted(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    A role that may not use one of its schemas is told, with the schema.
    """
    role = DatabaseRole(name=name, secret_id=secret("word"))
    set_up(endpoint, role)
    with as_master(account, endpoint) as master:
        run(master, f"CREATE SCHEMA s_{name}")
    wider = role.model_copy(update={"schemas": ["public", f"s_{name}"]})

    with pytest.raises(DatabaseSetupError, match=f"it may not use schema s_{name}"):
        roles.require_login(endpoint, wider, SecretStr("word"))


def test_server_of_another_name_is_not_trusted(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The server must show the endpoint's own name, and a certificate of the trusted authority.
    """
    other = replace(endpoint, host=f"other.{endpoint.host}")
    with (
        pytest.raises(NotReady, match=f"^endpoint {other.host}"),
        connected(other, "postgres", SecretStr("x")),
    ):
        pass

    monkeypatch.setenv("PGSSLROOTCERT", "system")
    with (
        pytest.raises(NotReady, match="certificate"),
        connected(endpoint, "postgres", SecretStr("x")),
    ):
        pass


def test_database_of_a_hostile_name_is_a_name(endpoint: Endpoint) -> None:
    """
    A database's name is not read as connection parameters.
    """
    hostile = replace(endpoint, database="host=example.com sslmode=disable")

    with pytest.raises(NotReady) as waiting, connected(hostile, "postgres", SecretStr("x")):
        pass

    assert endpoint.host in str(waiting.value)
    assert "\n" not in str(waiting.value)


def said(account: Sandbox) -> str:
    """Return what all PostgreSQL servers have logged."""
    root = Path(account.facts["ca_file"]).parent
    logs = [path for path in root.rglob("*log*") if path.is_file() and "pg_wal" not in path.parts]
    assert logs
    return "\n".join(path.read_text(errors="replace") for path in logs)


def test_password_is_in_no_log_and_no_error(
    account: Sandbox, endpoint: Endpoint, secret: Callable[[str], str], name: str
) -> None:
    """
    The server never sees a password: not in a refused statement that it logs, nor in the error.
    """
    planted, word = f"planted-{uuid4()}", f"marker-{uuid4()}"
    forbidden = DatabaseRole.model_construct(
        name="rdsadmin", secret_id=secret(word), access="read_only", schemas=["public"]
    )

    with pytest.raises(DatabaseSetupError) as refused:
        set_up(endpoint, DatabaseRole(name=name, secret_id=secret(word)), forbidden)

    with as_master(account, endpoint) as master, pytest.raises(errors.SyntaxError):
        run(master, f"CREATE ROLE {name} PASSWORD '{planted}' NONSENSE")
    log = said(account)
    assert planted in log, "the log is where passwords would show"
    assert "ALTER ROLE" in log
    assert word not in log
    assert word not in f"{refused.value!r} {refused.value}"
    assert "SCRAM" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert str(refused.value).startswith("role rdsadmin: permission denied")
