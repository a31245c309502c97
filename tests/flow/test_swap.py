"""Runs that restore beside the old cluster and exchange the names."""

import json
from contextlib import closing

import psycopg2
import pytest
from safety import open_endpoints

from aurora_restore.details import Step, steps_of
from sandbox import Sandbox

HOUR = 3600


def clusters(aws: Sandbox) -> dict[str, str]:
    """Return the resource id of each cluster of the target account."""
    found = aws.client("rds").describe_db_clusters()["DBClusters"]
    return {each["DBClusterIdentifier"]: each["DbClusterResourceId"] for each in found}


def test_a_swap_has_its_ten_records_and_deletes_last(refresh, aws: Sandbox):
    """
    The new cluster has the old one's identifier, the old one is gone after its final snapshot,
    and nothing was deleted before the names were exchanged.
    """
    before = clusters(aws)

    run = refresh(replace="swap")

    assert run.error is None
    assert run.statuses() == {step.value: "SUCCESS" for step in steps_of("swap")}
    changes = run.changes()
    [exchange] = [
        number
        for number, change in enumerate(changes)
        if change == "ModifyDBCluster" and changes[number - 1] == "ModifyDBCluster"
    ][-1:]
    assert min(n for n, c in enumerate(changes) if c.startswith("DeleteDB")) > exchange
    assert "CreateDBClusterSnapshot" in changes[exchange:]
    now = clusters(aws)
    assert list(now) == ["staging"]
    assert now["staging"] != before["staging"]
    details = run.items[Step.SEND_NOTIFICATION]["details"]
    assert details["new_cluster_id"] == "staging"
    assert details["deleted_cluster_id"] == "staging"
    assert details["cluster_endpoint"].startswith("staging.cluster-")
    assert run.items[Step.RESTORE_SNAPSHOT]["details"]["new_cluster_id"] == "staging-new-op001"
    assert run.items[Step.SETUP_DB_USERS]["details"]["deleted_cluster_id"] is None


def test_the_old_cluster_serves_until_the_names_are_exchanged(refresh, aws: Sandbox):
    """
    The target's endpoint leads to the old cluster until its rename, then to the new one; in
    between lies no deletion.
    """
    [old] = clusters(aws).values()

    run = refresh(replace="swap")

    led_to = [
        event["db_cluster_resource_id"]
        for event in run.events
        if event["kind"] == "endpoint"
        and event["open"]
        and any(name.startswith("staging.cluster-") for name in event["names"])
    ]
    assert led_to == [old, clusters(aws)["staging"]]
    assert list(open_endpoints(run.events, aws.facts["target_account"])) == led_to[1:]


def test_a_made_secret_leads_to_the_cluster_that_serves(refresh, aws: Sandbox):
    """
    Whoever connects with what stands in a secret that the swap has made gets in afterwards.
    """
    role = {"name": "app", "secret_id": "test/made-by-a-swap", "make_secret": True}

    run = refresh(replace="swap", roles=[role | {"access": "read_only", "schemas": ["sales"]}])

    kept = aws.client("secretsmanager").get_secret_value(SecretId=role["secret_id"])
    made = json.loads(kept["SecretString"])
    endpoint = run.items[Step.SEND_NOTIFICATION]["details"]["cluster_endpoint"]
    assert run.error is None
    assert made["host"] == endpoint.partition(":")[0]
    with closing(
        psycopg2.connect(
            host=made["host"],
            hostaddr=aws.env["PGHOSTADDR"],
            port=made["port"],
            dbname=made["dbname"],
            user=made["username"],
            password=made["password"],
            sslmode="verify-full",
            sslrootcert=aws.env["PGSSLROOTCERT"],
        )
    ) as session:
        session.cursor().execute("SELECT count(*) FROM sales.customers")


@pytest.mark.long
def test_two_swaps_leave_one_cluster(refresh, aws: Sandbox):
    """
    What a swap has made is replaced by the next one, whose instances have names of their own.
    """
    refresh("op-001", replace="swap")

    second = refresh("op-002", replace="swap")

    assert second.error is None
    assert list(clusters(aws)) == ["staging"]
    instances = aws.client("rds").describe_db_instances()["DBInstances"]
    assert {each["DBInstanceIdentifier"] for each in instances} == {
        "staging-op002-1",
        "staging-op002-2",
    }


def test_a_swap_of_two_identifiers_renames_nothing(refresh, aws: Sandbox):
    """
    A cluster of another name is restored under it at once, and the old one goes last.
    """
    run = refresh(replace="swap", replaces="staging", target_cluster_id="fresh")

    assert run.error is None
    assert list(clusters(aws)) == ["fresh"]
    assert run.items[Step.RESTORE_SNAPSHOT]["details"]["new_cluster_id"] == "fresh"


@pytest.mark.long
def test_a_kept_cluster_is_deleted_by_a_later_refresh(refresh, aws: Sandbox):
    """
    It stays under another name, after its final snapshot, until its time is over.
    """
    [old] = clusters(aws).values()
    kept = refresh("op-001", replace="swap", keep_old_hours=5)
    after = clusters(aws)
    soon = refresh("op-002")

    aws.client("rds").remove_tags_from_resource(
        ResourceName=arn(aws, "staging-old-op001"), TagKeys=["aurora-restore:delete-after"]
    )
    aws.client("rds").add_tags_to_resource(
        ResourceName=arn(aws, "staging-old-op001"),
        Tags=[{"Key": "aurora-restore:delete-after", "Value": "2024-01-01T00:00:00Z"}],
    )
    later = refresh("op-003")

    assert (kept.error, soon.error, later.error) == (None, None, None)
    assert after["staging-old-op001"] == old
    assert kept.items[Step.DELETE_CLUSTER]["details"]["deleted_cluster_id"] is None
    assert "CreateDBClusterSnapshot" in kept.changes()
    assert "staging-old-op001" in clusters_of(soon)
    assert list(clusters(aws)) == ["staging"]


def arn(aws: Sandbox, cluster_id: str) -> str:
    """Return a cluster's ARN."""
    [found] = aws.client("rds").describe_db_clusters(DBClusterIdentifier=cluster_id)["DBClusters"]
    return str(found["DBClusterArn"])


def clusters_of(run) -> set[str]:
    """Return the clusters whose deletion a run has not begun, of those that were renamed away."""
    deleted = {
        event["resource"]
        for event in run.events
        if event["kind"] == "status" and event["to"] == "deleting"
    }
    return {"staging-old-op001"} - {each.removeprefix("cluster:") for each in deleted}
