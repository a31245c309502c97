"""Logins by IAM token in the sandbox: as on RDS, instead of a password."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, quote
from uuid import uuid4

import boto3
import psycopg2
import pytest
from server_fixtures import HOST, MASTER, PASSWORD, Database

from aurora_restore.rds import clusters
from sandbox import Sandbox
from sandbox.iam_login import _sign, is_good

KEY, SECRET, SESSION = "ASIAEXAMPLE", "secret/of+the-key", "session/token+=="
REGION = "us-west-2"


def keys(access_key: str, token: str) -> str | None:
    return SECRET if (access_key, token) == (KEY, SESSION) else None


def token_for(
    host: str, port: int, user: str, key: str = KEY, secret: str = SECRET, session: str = SESSION
) -> str:
    """A token as any client makes one."""
    client = boto3.Session(key, secret, session, REGION).client("rds")
    return str(client.generate_db_auth_token(host, port, user, REGION))


def changed(token: str, **facts: str) -> str:
    """The token with other facts, signed anew."""
    host, _, query = token.partition("/?")
    told = dict(parse_qsl(query)) | {name.replace("_", "-"): text for name, text in facts.items()}
    told.pop("X-Amz-Signature")
    scope = told["X-Amz-Credential"].split("/")
    told["X-Amz-Signature"] = _sign(SECRET, scope[1:], host, told)
    return f"{host}/?" + "&".join(f"{name}={quote(text)}" for name, text in told.items())


@pytest.fixture
def iam(database: Database) -> Iterator[Database]:
    """The server, which knows one key."""
    database.server.keys, before = keys, database.server.keys
    yield database
    database.server.keys = before


@pytest.fixture
def user(iam: Database) -> str:
    """A login with the master's password, which the master has let in by IAM."""
    name = f"r{uuid4().hex}"
    iam.rows(f"CREATE ROLE {name} LOGIN", MASTER)
    iam.server.set_password(iam.key, name, PASSWORD.get_secret_value())
    iam.rows(f"GRANT rds_iam TO {name}", MASTER)
    return name


def log_in(database: Database, user: str, password: str, **more: Any) -> str:
    where = {"host": HOST, "port": database.server.port, "dbname": database.name}
    with (
        closing(
            psycopg2.connect(**(where | more), user=user, password=password, sslmode="verify-full")
        ) as opened,
        opened.cursor() as cursor,
    ):
        cursor.execute("SELECT session_user")
        return str(cursor.fetchone()[0])


def test_token_logs_in_and_the_password_does_not(iam: Database, user: str) -> None:
    """
    A member of rds_iam comes in by a fresh token only, in RDS's words.
    """
    port = iam.server.port

    assert log_in(iam, user, token_for(HOST, port, user)) == user
    with pytest.raises(psycopg2.OperationalError) as refused:
        log_in(iam, user, PASSWORD.get_secret_value())
    assert str(refused.value).endswith(f'FATAL:  PAM authentication failed for user "{user}"\n')


def test_others_log_in_by_password_as_before(iam: Database, user: str) -> None:
    """
    The master may grant rds_iam and is no member; nor is whoever is none any more.
    """
    password = PASSWORD.get_secret_value()

    assert log_in(iam, MASTER, password) == MASTER
    iam.rows(f"REVOKE rds_iam FROM {user}", MASTER)
    assert log_in(iam, user, password) == user
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        log_in(iam, user, token_for(HOST, iam.server.port, user))


def test_member_of_a_member_needs_a_token(iam: Database, user: str) -> None:
    """
    Membership is inherited.
    """
    inner = f"{user[:40]}_inner"
    iam.rows(f"CREATE ROLE {inner} LOGIN", MASTER)
    iam.rows(f"GRANT {user} TO {inner}", MASTER)

    assert log_in(iam, inner, token_for(HOST, iam.server.port, inner)) == inner


def test_master_that_is_a_member_needs_a_token(iam: Database) -> None:
    """
    rds_iam goes before the password, the master user's too.
    """
    iam.rows(f"GRANT rds_iam TO {MASTER}")
    try:
        with pytest.raises(psycopg2.OperationalError, match="PAM authentication failed"):
            log_in(iam, MASTER, PASSWORD.get_secret_value())
        assert log_in(iam, MASTER, token_for(HOST, iam.server.port, MASTER)) == MASTER
    finally:
        iam.rows(f"REVOKE rds_iam FROM {MASTER}")


def test_database_that_is_missing_is_told_after_the_token(iam: Database, user: str) -> None:
    """
    What PostgreSQL refuses a good token is told in its own words.
    """
    token = token_for(HOST, iam.server.port, user)

    with pytest.raises(psycopg2.OperationalError, match='database "nowhere" does not exist'):
        log_in(iam, user, token, dbname="nowhere")


def test_token_for_something_else_is_refused() -> None:
    """
    Another user, host, port, key, secret, session, action or service; another or an old moment.
    """
    good = token_for("db.example.com", 5432, "app")
    now = time.time()

    def at(seconds: float) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now + seconds))

    def holds(token: str, address: str = "db.example.com:5432", user: str = "app") -> bool:
        return is_good(token, address, user, keys)

    assert holds(good)
    assert holds(good, "DB.example.com:5432")
    assert holds(changed(good))
    assert holds(changed(good, X_Amz_Date=at(-890)))
    assert not holds(changed(good, X_Amz_Date=at(-901)))
    assert not holds(changed(good, X_Amz_Date=at(-901), X_Amz_Expires="86400"))
    assert not holds(changed(good, X_Amz_Date=at(400)))
    assert not holds(changed(good, X_Amz_Date="yesterday"))
    assert not holds(good, user="other")
    assert not holds(good, "other.example.com:5432")
    assert not holds(good, "db.example.com:5433")
    assert not holds(changed(good, Action="describe"))
    assert not holds(changed(good, DBUser="other"), user="app")
    assert not holds(changed(good, X_Amz_Credential=f"{KEY}/20260101/{REGION}/rds/aws4_request"))
    assert not holds(token_for("db.example.com", 5432, "app", key="ASIAOTHER"))
    assert not holds(token_for("db.example.com", 5432, "app", secret="other"))
    assert not holds(token_for("db.example.com", 5432, "app", session="other"))
    assert not holds(good[:-1] + ("0" if good[-1] != "0" else "1"))
    assert not holds("S3cret")
    assert not holds("")


def test_key_of_the_running_task_signs_a_token(account: Sandbox) -> None:
    """
    The task role's own session is known, an administrator's key, and no other.
    """
    rds = boto3.Session(region_name=REGION).client("rds")
    endpoint, port = clusters.get_cluster(rds, "staging").endpoint, account.facts["postgres_port"]
    secret = account.client("secretsmanager").get_secret_value(SecretId="aurora-restore/master")
    password = str(secret["SecretString"]).partition('"password": "')[2].partition('"')[0]
    where = {"host": endpoint, "port": port, "dbname": "postgres", "sslmode": "verify-full"}
    name = f"r{uuid4().hex}"
    with closing(psycopg2.connect(**where, user="postgres", password=password)) as master, master:
        master.cursor().execute(f"CREATE ROLE {name} LOGIN; GRANT rds_iam TO {name}")

    def try_it(token: str) -> None:
        psycopg2.connect(**where, user=name, password=token).close()

    try_it(rds.generate_db_auth_token(endpoint, port, name, REGION))
    admin = account.client("rds")
    try_it(admin.generate_db_auth_token(endpoint, port, name, REGION))
    with pytest.raises(psycopg2.OperationalError, match="PAM authentication failed"):
        try_it(token_for(endpoint, port, name))
