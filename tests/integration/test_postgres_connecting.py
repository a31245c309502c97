"""Connections that are refused: what the real server and libpq say decides whether to wait."""

import socket
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from psycopg2.extensions import connection
from pydantic import SecretStr
from server_fixtures import MASTER, PASSWORD, Database

from aurora_restore.errors import DatabaseSetupError, NotReady, RestoreError
from aurora_restore.postgres import Endpoint, connected
from sandbox.postgres import PostgresHost


def refusal(
    endpoint: Endpoint,
    user: str = MASTER,
    password: SecretStr = PASSWORD,
    *,
    lag: bool = False,
) -> RestoreError:
    with pytest.raises(RestoreError) as refused, connected(endpoint, user, password, lag=lag):
        pass
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    return refused.value


@pytest.fixture
def role(database: Database) -> str:
    """A login with the master's password."""
    name = f"r{uuid4().hex}"
    database.rows(f"CREATE ROLE {name} LOGIN")
    database.server.set_password(database.key, name, PASSWORD.get_secret_value())
    return name


def test_wrong_password_is_final_once_it_must_be_known(database: Database) -> None:
    """
    A wrong password ends the step with a remedy, and is waited for while RDS may not have set it.
    """
    wrong = SecretStr(f"wrong-{uuid4()}")

    refused = refusal(database.endpoint, password=wrong)
    waiting = refusal(database.endpoint, password=wrong, lag=True)

    assert isinstance(refused, DatabaseSetupError)
    assert str(refused).endswith(
        'FATAL: password authentication failed for user "postgres". '
        "Correct the password in the secret, or the role's in the database."
    )
    assert isinstance(waiting, NotReady)
    assert wrong.get_secret_value() not in f"{refused} {waiting}"


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ("ALTER ROLE {role} NOLOGIN", "is not permitted to log in", "Let the role log in"),
        ("ALTER DATABASE {database} ALLOW_CONNECTIONS false", "not currently", "Correct the data"),
        ("REVOKE CONNECT ON DATABASE {database} FROM public", "permission denied", "Grant CONNECT"),
    ],
)
def test_login_that_is_not_permitted_is_final(
    database: Database, role: str, change: str, said: str, remedy: str
) -> None:
    """
    What somebody must change in the database is not waited for, whatever the time.
    """
    database.server.run_sql(database.key, change.format(role=role, database=database.name))

    refused = refusal(database.endpoint, role, lag=True)

    assert isinstance(refused, DatabaseSetupError)
    assert said in str(refused)
    assert remedy in refused.advice


def test_full_role_is_waited_for(database: Database, role: str) -> None:
    """
    Too many connections are fewer soon.
    """
    database.rows(f"ALTER ROLE {role} CONNECTION LIMIT 0")

    assert isinstance(refusal(database.endpoint, role), NotReady)


def test_missing_database_and_closed_one_are_final(database: Database) -> None:
    """
    A database that is not there, or is RDS's own, is told with what to correct.
    """
    missing = refusal(replace(database.endpoint, database="nowhere"))
    closed = refusal(replace(database.endpoint, database="rdsadmin"))

    assert isinstance(missing, DatabaseSetupError)
    assert 'database "nowhere" does not exist. Correct the database\'s name' in str(missing)
    assert isinstance(closed, DatabaseSetupError)
    assert "pg_hba.conf rejects connection" in str(closed)


def test_login_without_a_password_is_final(database: Database) -> None:
    """
    An empty password is not a matter of time.
    """
    assert isinstance(refusal(database.endpoint, password=SecretStr("")), DatabaseSetupError)


def test_unknown_authority_is_final(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """
    A certificate of another authority, and an authority that is not there, are told as such.
    """
    monkeypatch.delenv("PGSSLROOTCERT")
    of_rds = refusal(database.endpoint)
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "none.pem"))
    none = refusal(database.endpoint)

    assert isinstance(of_rds, DatabaseSetupError), "the sandbox's is none of the RDS authorities"
    assert "certificate verify failed. Name the file" in str(of_rds)
    assert isinstance(none, DatabaseSetupError)
    assert "none.pem" in str(none)


def test_server_that_is_not_there_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A closed port, a name that does not resolve, a name of another server: all may come.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = int(free.getsockname()[1])
    closed = refusal(replace(database.endpoint, port=port))
    other = refusal(replace(database.endpoint, host=f"other.{database.endpoint.host}"))
    monkeypatch.delenv("PGHOSTADDR")
    unresolved = refusal(replace(database.endpoint, host="nowhere.invalid"))

    assert isinstance(closed, NotReady)
    assert isinstance(other, NotReady)
    assert isinstance(unresolved, NotReady)
    assert "could not translate host name" in str(unresolved)


def test_other_major_version_refuses_in_the_same_words(
    server: PostgresHost, database: Database
) -> None:
    """
    PostgreSQL 18 is understood as well; while it is down it is waited for.
    """
    key, name = f"next-{uuid4().hex}", f"{uuid4().hex}.example.com"
    server.create(key, master_username=MASTER, master_password="x", database=None, major="18")
    server.route(key, [name])
    there = Endpoint(name, server.port, "postgres")

    down = refusal(there)
    server.start(key)
    wrong = refusal(there)
    missing = refusal(replace(there, database="nowhere"), password=SecretStr("x"))
    server.drop(key)

    assert isinstance(down, NotReady)
    assert "Correct the password" in wrong.advice
    assert "Correct the database's name" in missing.advice


def test_refused_commit_is_told_without_values(database: Database) -> None:
    """
    What is only checked at the commit fails the step, in PostgreSQL's words without the row.
    """
    database.rows("CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)", MASTER)

    with pytest.raises(DatabaseSetupError) as refused, database.opened() as opened:
        opened.cursor().execute("INSERT INTO t VALUES (271828), (271828)")

    assert str(refused.value).startswith(
        f"database {database.name}: the commit: duplicate key value violates unique "
        'constraint "t_a_key" (SQLSTATE 23505).'
    )
    assert "271828" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert database.rows("SELECT * FROM t") == []


def test_connection_that_breaks_at_the_commit_is_waited_for(database: Database) -> None:
    """
    A server that ends the session before the commit is asked again.
    """
    with (
        pytest.raises(NotReady, match="the commit: the connection broke"),
        database.opened() as opened,
    ):
        _make_a_table_and_end(opened, database)

    assert database.rows("SELECT 1 FROM pg_tables WHERE tablename = 't'") == []


def _make_a_table_and_end(opened: connection, database: Database) -> None:
    opened.cursor().execute("CREATE TABLE t ()")
    database.rows(f"SELECT pg_terminate_backend({opened.info.backend_pid}, 5000)")


def test_long_password_logs_in(database: Database, role: str) -> None:
    """
    A password of 1,024 bytes, the most we take, is none too long for SCRAM.
    """
    password = SecretStr("x" * 1022 + "é")
    database.server.set_password(database.key, role, password.get_secret_value())

    with connected(database.endpoint, role, password) as opened:
        assert opened.info.user == role
