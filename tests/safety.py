"""What the sandbox's event log says about the old data, whatever the program says of itself."""

from collections import defaultdict
from contextlib import closing
from typing import Any

import psycopg2

from sandbox import Sandbox

GONE = {"deleting", "deleted"}


def unsafe_moments(events: list[dict[str, Any]], account: str) -> list[str]:
    """Return the moments at which an old cluster was not whole and had no available snapshot.

    Old is every cluster of the account that the log begins with. Whole is one that is not being
    deleted and has an instance that is not; a copy of somebody else's snapshot does not count.
    """
    clusters: dict[str, str] = {}
    instances: dict[str, dict[str, str]] = defaultdict(dict)
    snapshots: dict[str, tuple[str, str]] = {}
    old: set[str] = set()
    found = []
    for event in events:
        if event["kind"] not in {"initial", "status"} or event["account"] != account:
            continue
        kind, name = event["resource"].split(":", 1)
        owner = event.get("db_cluster_resource_id", "")
        if kind == "cluster":
            clusters[owner] = event["to"]
            old |= {owner} if event["kind"] == "initial" else set()
        elif kind == "instance":
            instances[owner][name] = event["to"]
        elif event.get("snapshot_type") == "manual":
            snapshots[name] = (owner, event["to"])
        for each in old:
            whole = clusters.get(each) not in GONE and set(instances[each].values()) - GONE
            if not whole and (each, "available") not in snapshots.values():
                found.append(f"{event['at']}: {event['resource']} {event['to']}")
    return found


def open_endpoints(events: list[dict[str, Any]], account: str) -> dict[str, list[str]]:
    """Return the names by which each cluster can be reached now, by resource id."""
    names: dict[str, list[str]] = {}
    for event in events:
        if event["kind"] == "endpoint" and event["account"] == account:
            names[event["db_cluster_resource_id"]] = event["names"] if event["open"] else []
    return {owner: each for owner, each in names.items() if each}


def serves_old_data(aws: Sandbox, cluster_id: str, password: str) -> bool:
    """Log in to a cluster by its endpoint, as the master user; tell whether it has the old rows."""
    [cluster] = aws.client("rds").describe_db_clusters(DBClusterIdentifier=cluster_id)["DBClusters"]
    with (
        closing(
            psycopg2.connect(
                host=cluster["Endpoint"],
                hostaddr=aws.env["PGHOSTADDR"],
                port=cluster["Port"],
                dbname="postgres",
                user=aws.facts["master_username"],
                password=password,
                sslmode="verify-full",
                sslrootcert=aws.env["PGSSLROOTCERT"],
            )
        ) as session,
        session.cursor() as cursor,
    ):
        cursor.execute("SELECT to_regclass('public.old_marker') IS NOT NULL")
        return cursor.fetchone() == (True,)


def unmarked(aws: Sandbox, before: set[str]) -> list[str]:
    """Return what is in the target account now, was not before, and lacks an operation's tag."""
    return sorted(
        name
        for name, tags in resources(aws).items()
        if name not in before and "aurora-restore:operation-id" not in tags
    )


def resources(aws: Sandbox) -> dict[str, dict[str, str]]:
    """Return the tags of each cluster, instance and manual snapshot of the target account.

    A cluster by its resource id: one that was renamed is none that was made.
    """
    rds = aws.client("rds")
    listed = (
        *((each["DbClusterResourceId"], each) for each in rds.describe_db_clusters()["DBClusters"]),
        *((each["DBInstanceArn"], each) for each in rds.describe_db_instances()["DBInstances"]),
        *(
            (each["DBClusterSnapshotArn"], each)
            for each in rds.describe_db_cluster_snapshots(SnapshotType="manual")[
                "DBClusterSnapshots"
            ]
        ),
    )
    return {
        arn: {tag["Key"]: tag["Value"] for tag in each.get("TagList", [])} for arn, each in listed
    }
