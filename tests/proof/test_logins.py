"""After a whole run each login does what is declared alone; production's do not get in."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors, sql
from psycopg2.extensions import connection

from aurora_restore.details import Step
from sandbox import Sandbox

ROLES: list[dict[str, Any]] = [
    {"name": "reader", "access": "read_only", "schemas": ["sales"]},
    {"name": "writer", "access": "read_write", "schemas": ["sales", "inventory"]},
    {"name": "owner", "access": "owner", "schemas": ["inventory"]},
    {"name": "watcher", "access": "monitoring"},
    {"name": "token reader", "access": "read_only", "schemas": ["inventory"], "iam": True},
    {"name": "auditors", "access": "read_only", "schemas": ["audit"]},
    {"name": "auditor", "member_of": ["auditors"]},
    {
        "name": "by hand",
        "privileges": [
            {
                "schemas": ["sales"],
                "on_schemas": ["USAGE"],
                "on_tables": ["INSERT"],
                "on_sequences": ["USAGE"],
                "on_functions": ["EXECUTE"],
            }
        ],
    },
]
GROUPS = {"auditors"}
ACTIONS = {
    "read sales": "SELECT count(*) FROM sales.customers",
    "read a view": "SELECT count(*) FROM sales.revenue_by_month",
    "insert into sales": "INSERT INTO sales.orders (id, customer_id, placed, amount) "
    "VALUES (0, 1, now(), 1)",
    "update sales": "UPDATE sales.customers SET since = since WHERE id = 1",
    "delete from sales": "DELETE FROM sales.orders WHERE id = 1",
    "truncate sales": "TRUNCATE sales.orders",
    "next invoice": "SELECT nextval('sales.invoice_numbers')",
    "make in sales": "CREATE TABLE sales.mine ()",
    "read inventory": "SELECT count(*) FROM inventory.items",
    "update inventory": "UPDATE inventory.items SET on_hand = 1 WHERE sku = 'SKU-000001'",
    "alter inventory": "ALTER TABLE inventory.items ADD COLUMN more int",
    "make in inventory": "CREATE TABLE inventory.mine ()",
    "read audit": "SELECT count(*) FROM audit.entries",
    "delete from audit": "DELETE FROM audit.entries WHERE false",
    "read settings": "SHOW data_directory",
    "make a role": "CREATE ROLE mine",
    "become the master": "SET ROLE postgres",
    "read notes of the operation": "SELECT count(*) FROM aurora_restore.done",
}
MAY: dict[str, set[str]] = {
    "reader": {"read sales", "read a view"},
    "writer": {
        "read sales",
        "read a view",
        "insert into sales",
        "update sales",
        "delete from sales",
        "next invoice",
        "read inventory",
        "update inventory",
    },
    "owner": {"read inventory", "update inventory", "alter inventory", "make in inventory"},
    "watcher": {"read settings"},
    "token reader": {"read inventory"},
    "auditor": {"read audit"},
    "by hand": {"insert into sales", "next invoice"},
}


@pytest.mark.parametrize("mode", ["delete-first", pytest.param("swap", marks=pytest.mark.long)])
def test_login_may_do_what_is_declared_alone(
    refresh: Callable[..., Any], aws: Sandbox, record_property: Any, mode: str
) -> None:
    """
    Each action of the table is permitted or refused to each login as declared; the run has tried
    some of them itself. Production's logins are refused, though their passwords are right.
    """
    words = {"prod_app": "of-production-1", "prod_reporting": "of-production-2"}
    give_passwords(aws, words)
    roles = [each | secret_of(aws, each) for each in ROLES]

    run = refresh(roles=roles, replace=mode, iam_authentication=True, snapshot_id="with-passwords")

    assert run.error is None
    details = run.items[Step.SEND_NOTIFICATION]["details"]
    assert {each["role"] for each in details["logins_tried"]} == MAY.keys()
    assert set(details["roles_locked"]) >= words.keys()
    host, found = details["cluster_endpoint"], {}
    for role in roles:
        if role["name"] in GROUPS:
            continue
        password = password_of(aws, host, role)
        with logged_in(aws, host, role["name"], password) as session:
            found[role["name"]] = {
                action for action, text in ACTIONS.items() if permitted(session, text)
            }
    cases = len(MAY) * len(ACTIONS)
    allowed = sum(map(len, MAY.values()))
    wrong = {name: found[name] ^ MAY[name] for name in MAY if found[name] != MAY[name]}
    record_property("cases", cases)
    record_property("wrong", sum(map(len, wrong.values())))
    record_property("allowed", allowed)
    record_property("forbidden", cases - allowed)
    assert wrong == {}
    for name, word in words.items():
        with (
            pytest.raises(psycopg2.OperationalError, match=f'"{name}"'),
            logged_in(aws, host, name, word),
        ):
            pass


def give_passwords(aws: Sandbox, words: dict[str, str]) -> None:
    """Give production's logins passwords that are known here, and take a snapshot with them."""
    rds, name = aws.client("rds", "source"), aws.facts["source_cluster"]
    master = "of-the-source-master"
    rds.modify_db_cluster(DBClusterIdentifier=name, MasterUserPassword=master)
    aws.advance(3600)
    [source] = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    with logged_in(aws, source["Endpoint"], "postgres", master) as database:
        for role, word in words.items():
            database.cursor().execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(word))
            )
        database.commit()
    for role, word in words.items():
        with logged_in(aws, source["Endpoint"], role, word):
            pass
    rds.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="with-passwords", DBClusterIdentifier=name
    )
    aws.advance(3600)


@contextmanager
def logged_in(aws: Sandbox, host: str, user: str, password: str) -> Iterator[connection]:
    """Log in as anybody would."""
    with closing(
        psycopg2.connect(
            host=host,
            hostaddr=aws.env["PGHOSTADDR"],
            port=aws.facts["postgres_port"],
            dbname="postgres",
            user=user,
            password=password,
            sslmode="verify-full",
            sslrootcert=aws.env["PGSSLROOTCERT"],
        )
    ) as opened:
        yield opened


def password_of(aws: Sandbox, host: str, role: dict[str, Any]) -> str:
    """Return what the role logs in with: what its secret holds, or an IAM token."""
    if role.get("iam"):
        token: str = aws.client("rds").generate_db_auth_token(
            DBHostname=host, Port=aws.facts["postgres_port"], DBUsername=role["name"]
        )
        return token
    kept = aws.client("secretsmanager").get_secret_value(SecretId=role["secret_id"])
    return str(json.loads(kept["SecretString"])["password"])


def permitted(session: connection, action: str) -> bool:
    """Do it, undo it, and tell whether it was permitted."""
    try:
        session.cursor().execute(action)
    except errors.InsufficientPrivilege:
        return False
    finally:
        session.rollback()
    return True


def secret_of(aws: Sandbox, role: dict[str, Any]) -> dict[str, Any]:
    """Return how a role logs in: a group not at all; the others' passwords are made."""
    if role["name"] in GROUPS or role.get("iam"):
        return {}
    return {"secret_id": f"test/{role['name'].replace(' ', '-')}", "make_secret": True}
