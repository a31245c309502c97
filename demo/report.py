"""What the demo shows at its end: the records, the database, the message."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.sql import SQL, Identifier
from rich.console import Console
from rich.panel import Panel

from aurora_restore.details import Step, steps_of
from demo.follow import steps_table
from sandbox import Sandbox

TABLES = """
select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where nspname = 'sales' and relkind = 'r' order by 1
"""


def show_records(console: Console, items: dict[str, dict[str, Any]], mode: str) -> bool:
    """Print the table of steps; return whether all have succeeded."""
    steps = steps_of(mode)
    done = len([step for step in steps if step in items and items[step]["status"] == "SUCCESS"])
    console.rule(f"{done} of {len(steps)} steps succeeded", align="left")
    console.print(steps_table(items))
    reached = [items[step] for step in steps if step in items]
    if reached:
        console.print(f"details of {reached[-1]['step']}, which holds those of all before it:")
        console.print_json(json.dumps(reached[-1]["details"]))
    return done == len(steps)


def show_handover(console: Console, details: dict[str, Any]) -> None:
    """Print what the hand-over has done and proven."""
    console.rule("What was handed over", align="left")
    sizes = ", ".join(f"{each['name']} {each['bytes'] >> 20} MiB" for each in details["databases"])
    age = timedelta(seconds=details["data_age_seconds"])
    console.print(f"  PostgreSQL {details['server_version']}: {sizes}; the data is {age} old")
    for run in details["scripts_run"]:
        console.print(f"  ran {run['name']}: {run['rows']:,} rows in {run['seconds']:.2f} s")
    for held in details["assertions_held"]:
        console.print(f"  holds: {held['name']} ({held['value']})")
    console.print(f"  locked logins of the source: {', '.join(details['roles_locked']) or 'none'}")
    for login in details["logins_tried"]:
        console.print(f"  {login['role']} logged in by {login['by']}")
        for word, kind in (("may", "allowed"), ("was refused to", "refused")):
            for act in login[kind]:
                console.print(f"    {word} {act}")


def show_database(console: Console, aws: Sandbox, details: dict[str, Any]) -> None:
    """Query the restored cluster through its endpoint, over TLS, as one of its new roles."""
    secrets = aws.client("secretsmanager")
    content = secrets.get_secret_value(SecretId=aws.facts["reporting_secret_arn"])["SecretString"]
    host, port = details["cluster_endpoint"], details["cluster_port"]
    console.rule("The restored database", align="left")
    console.print(
        f"psql 'host={host} port={port} user=reporting sslmode=verify-full'", soft_wrap=True
    )
    connection = psycopg2.connect(
        host=host,
        hostaddr=aws.env["PGHOSTADDR"],
        port=port,
        dbname="postgres",
        user="reporting",
        password=json.loads(content)["password"],
        sslmode="verify-full",
        sslrootcert=aws.env["PGSSLROOTCERT"],
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        for (table,) in cursor.fetchall():
            cursor.execute(SQL("SELECT count(*) FROM sales.{}").format(Identifier(table)))
            [count] = cursor.fetchone() or [0]
            console.print(f"  sales.{table:<20} {count:>9,} rows")
    connection.close()


def show_old_cluster(console: Console, aws: Sandbox) -> None:
    """Print how the cluster that was to be replaced is."""
    console.rule(f"Cluster {aws.facts['target_cluster']} now", align="left")
    rds = aws.client("rds")
    found = {
        cluster["DBClusterIdentifier"]: cluster
        for cluster in rds.describe_db_clusters()["DBClusters"]
    }
    cluster = found.get(aws.facts["target_cluster"])
    if cluster is None:
        console.print("  it is gone")
        return
    members = rds.describe_db_instances()["DBInstances"]
    console.print(f"  status {cluster['Status']}, resource {cluster['DbClusterResourceId']}")
    for member in members:
        console.print(f"  instance {member['DBInstanceIdentifier']}: {member['DBInstanceStatus']}")


def show_messages(console: Console, messages: list[dict[str, Any]]) -> None:
    """Print what SNS delivered."""
    for message in messages:
        body = json.loads(message["Message"])
        console.print(
            Panel(
                f"{body['content']['description']}\n\n" + "\n".join(body["content"]["nextSteps"]),
                title=body["content"]["title"],
                subtitle=f"Subject: {message['Subject']}",
                title_align="left",
                subtitle_align="left",
            )
        )


def write_files(folder: Path, aws: Sandbox, operation_id: str) -> None:
    """Write the records as DynamoDB returns them, the SNS messages and the event log, as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    dynamodb = aws.client("dynamodb")
    page = dynamodb.query(
        TableName=aws.facts["table"],
        KeyConditionExpression="operation_id = :id",
        ExpressionAttributeValues={":id": {"S": operation_id}},
    )
    for name, content in (
        ("records", page["Items"]),
        ("messages", aws.messages()),
        ("events", aws.events()),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2, default=str) + "\n")


def seconds_to_first_step(items: dict[str, dict[str, Any]], started_at: float | None) -> float:
    """Return the seconds from the start of the run's first process to its first step."""
    first = items.get(Step.CHECK_SNAPSHOT)
    if first is None or started_at is None:
        return float("nan")
    return datetime.fromisoformat(first["history"][0]["at"]).timestamp() - started_at
