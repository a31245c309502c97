"""The sandbox's RDS: statuses that take time, and the log of them."""

from __future__ import annotations

from datetime import datetime

import pytest
from botocore.exceptions import ClientError
from rds_world import HOME, SOURCE, TARGET, VERSION, World

from sandbox import rds
from sandbox.rds import durations


def test_copy_goes_from_copying_to_available_with_percent(aurora: World) -> None:
    """
    A copy shows how far it is, and 100 % only once it is available.
    """
    seen = []
    reply = aurora.copy(aurora.facts["daily"], "copy-1")
    for _ in range(4):
        found = aurora.get_snapshot("copy-1")
        seen.append((found["Status"], found["PercentProgress"]))
        aurora.clock.advance(durations.COPY / 3 + 1)

    assert (reply["Status"], reply["PercentProgress"]) == ("copying", 0)
    assert seen == [("copying", 0), ("copying", 33), ("copying", 67), ("available", 100)]


def test_manual_snapshot_goes_from_creating_to_available(aurora: World) -> None:
    """
    A manual snapshot takes its time as well.
    """
    client = aurora.client("rds")
    made = client.create_db_cluster_snapshot(
        DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="manual"
    )["DBClusterSnapshot"]
    aurora.clock.advance(durations.SNAPSHOT / 2)
    halfway = aurora.get_snapshot("manual")
    aurora.clock.advance(durations.SNAPSHOT / 2)

    assert (made["Status"], made["PercentProgress"]) == ("creating", 0)
    assert (halfway["Status"], halfway["PercentProgress"]) == ("creating", 50)
    assert aurora.get_snapshot("manual")["Status"] == "available"


def test_restored_cluster_goes_from_creating_to_available(aurora: World) -> None:
    """
    A restored cluster is available only after the time a restore takes.
    """
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE - 5)
    before = aurora.get_cluster("new")["Status"]
    aurora.clock.advance(5)

    assert (before, aurora.get_cluster("new")["Status"]) == ("creating", "available")


def test_created_cluster_goes_from_creating_to_available(aurora: World) -> None:
    """
    A new cluster takes its time, shorter than a restore.
    """
    aurora.client("rds").create_db_cluster(
        DBClusterIdentifier="new",
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="long-enough",
    )
    aurora.clock.advance(durations.CLUSTER_CREATE - 5)
    before = aurora.get_cluster("new")["Status"]
    aurora.clock.advance(5)

    assert (before, aurora.get_cluster("new")["Status"]) == ("creating", "available")


def test_instance_goes_from_creating_to_available_and_only_then_has_an_endpoint(
    aurora: World,
) -> None:
    """
    While an instance is being created there is no address to connect to.
    """
    reply = aurora.instance("staging-3", "staging")
    aurora.clock.advance(durations.INSTANCE_CREATE)
    found = aurora.get_instance("staging-3")

    assert reply["DBInstanceStatus"] == "creating"
    assert "Endpoint" not in reply
    assert found["DBInstanceStatus"] == "available"
    assert found["Endpoint"]["Port"] == 5432


def test_deleted_instance_and_cluster_vanish_after_their_time(aurora: World) -> None:
    """
    What is being deleted can still be described, as `deleting`, until it is gone.
    """
    client = aurora.client("rds")
    for name in ("staging-2", "staging-1"):
        client.delete_db_instance(DBInstanceIdentifier=name)
    client.delete_db_cluster(DBClusterIdentifier="staging", SkipFinalSnapshot=True)
    statuses = (
        aurora.get_instance("staging-1")["DBInstanceStatus"],
        aurora.get_cluster("staging")["Status"],
    )
    aurora.clock.advance(max(durations.CLUSTER_DELETE, durations.INSTANCE_DELETE))

    assert statuses == ("deleting", "deleting")
    with pytest.raises(ClientError, match=r"DBClusterNotFoundFault.*staging not found"):
        aurora.get_cluster("staging")
    with pytest.raises(ClientError, match=r"DBInstanceNotFound.*staging-1 not found") as gone:
        aurora.get_instance("staging-1")
    assert gone.value.response["Error"]["Code"] == "DBInstanceNotFound"
    assert gone.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_reply_to_delete_cluster_still_shows_available(aurora: World) -> None:
    """
    The status flips only after DeleteDBCluster has answered.
    """
    client = aurora.client("rds")
    for name in ("staging-2", "staging-1"):
        client.delete_db_instance(DBInstanceIdentifier=name)

    reply = client.delete_db_cluster(DBClusterIdentifier="staging", SkipFinalSnapshot=True)

    assert reply["DBCluster"]["Status"] == "available"
    assert aurora.get_cluster("staging")["Status"] == "deleting"


def test_cluster_can_be_stopped_and_started_with_its_instances(aurora: World) -> None:
    """
    Stopping closes the endpoints, starting opens them again; both take time.
    """
    client = aurora.client("rds")
    key = aurora.get_cluster("staging")["DbClusterResourceId"]
    client.stop_db_cluster(DBClusterIdentifier="staging")
    stopping = aurora.get_instance("staging-1")["DBInstanceStatus"]
    aurora.clock.advance(durations.CLUSTER_STOP)
    stopped = aurora.get_cluster("staging")["Status"]
    running, routes = key in aurora.postgres.running, aurora.postgres.routes[key]
    client.start_db_cluster(DBClusterIdentifier="staging")
    aurora.clock.advance(durations.CLUSTER_START)

    assert (stopping, stopped) == ("stopping", "stopped")
    assert (running, routes) == (False, [])
    assert aurora.get_cluster("staging")["Status"] == "available"
    assert key in aurora.postgres.running
    assert aurora.postgres.routes[key]


def test_what_is_made_while_time_stands_still_is_ready_at_once(aurora: World) -> None:
    """
    With infinite speed a world can be built without waiting.
    """
    aurora.clock.speed = float("inf")
    aurora.restore("own", "new")
    aurora.instance("new-1", "new")

    assert aurora.get_cluster("new")["Status"] == "available"
    assert aurora.get_instance("new-1")["DBInstanceStatus"] == "available"


def test_each_change_is_logged_once_at_its_moment(aurora: World) -> None:
    """
    However late somebody looks, the log says when a status was reached; nothing is logged twice.
    """
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.clock.advance(durations.COPY * 5)
    rds.tick()
    aurora.get_snapshot("copy-1")
    rds.tick()

    entries = [e for e in aurora.events.entries() if e["resource"] == "snapshot:copy-1"]
    assert [(e["from"], e["to"], e["percent"]) for e in entries] == [
        (None, "copying", 0),
        ("copying", "available", 100),
    ]
    assert {(e["kind"], e["account"], e["region"]) for e in entries} == {
        ("status", TARGET, "us-west-2")
    }
    assert entries[1]["aws_seconds"] - entries[0]["aws_seconds"] == pytest.approx(
        durations.COPY, abs=1
    )


def test_changes_are_logged_without_any_request(aurora: World) -> None:
    """
    `tick` ages everything, so that the log can be read while nobody calls RDS.
    """
    aurora.restore("own", "new")
    aurora.clock.advance(durations.CLUSTER_RESTORE)

    assert aurora.statuses("cluster:new") == ["creating", "available"]


def test_no_status_is_reached_before_postgresql_has_done_its_part(aurora: World) -> None:
    """
    At a speed at which a restore would last no time, the cluster waits for its data.
    """
    aurora.postgres.restore_lasts = 0.3
    aurora.clock.start(1e9)
    aurora.restore("own", "new")
    during = aurora.postgres.named("restore")
    status = aurora.get_cluster("new")["Status"]

    assert (during, status, len(aurora.postgres.named("restore"))) == ([], "available", 1)
    made, ready = (
        datetime.fromisoformat(entry["at"])
        for entry in aurora.events.entries()
        if entry["resource"] == "cluster:new"
    )
    assert (ready - made).total_seconds() == pytest.approx(0.3, abs=0.15)


def test_accounts_and_regions_see_only_their_own(aurora: World) -> None:
    """
    The same names may exist elsewhere; nobody sees another account's or Region's resources.
    """
    target = aurora.client("rds").describe_db_clusters()["DBClusters"]
    source = aurora.client("rds", SOURCE).describe_db_clusters()["DBClusters"]
    elsewhere = aurora.client("rds", TARGET, "us-east-1").describe_db_clusters()["DBClusters"]

    assert [c["DBClusterIdentifier"] for c in target] == ["staging"]
    assert [c["DBClusterIdentifier"] for c in source] == ["production"]
    assert elsewhere == []


def test_endpoints_share_a_stable_hash_per_account_and_region(aurora: World) -> None:
    """
    Endpoint names are <id>.cluster-<hash>, .cluster-ro-<hash> and <instance>.<hash>.
    """
    cluster = aurora.get_cluster("staging")
    name, middle, region, *rest = cluster["Endpoint"].split(".")
    place = middle.removeprefix("cluster-")

    assert (name, region, rest) == ("staging", "us-west-2", ["rds", "amazonaws", "com"])
    assert len(place) == 12
    assert place.isalnum()
    suffix = f"{HOME[TARGET]}.rds.amazonaws.com"
    assert cluster["ReaderEndpoint"] == f"staging.cluster-ro-{place}.{suffix}"
    address = aurora.get_instance("staging-1")["Endpoint"]["Address"]
    assert address == f"staging-1.{place}.{suffix}"
    assert place not in aurora.get_cluster("production", SOURCE)["Endpoint"]


@pytest.mark.parametrize("name", ["1abc", "a--b", "ab-", "a_b", "a.b", "a" * 64, "ä"])
def test_malformed_identifiers_are_refused(aurora: World, name: str) -> None:
    """
    1 to 63 letters, digits and hyphens, a letter first, no hyphen last or twice.
    """
    client = aurora.client("rds")
    attempts = [
        lambda: aurora.restore("own", name),
        lambda: aurora.copy(aurora.facts["daily"], name),
        lambda: aurora.instance(name, "staging"),
        lambda: client.create_db_cluster_snapshot(
            DBClusterIdentifier="staging", DBClusterSnapshotIdentifier=name
        ),
        lambda: client.modify_db_cluster(
            DBClusterIdentifier="staging", NewDBClusterIdentifier=name, ApplyImmediately=True
        ),
    ]

    for attempt in attempts:
        with pytest.raises(ClientError, match=r"InvalidParameterValue.*not a valid identifier"):
            attempt()


def test_identifiers_are_stored_in_lower_case(aurora: World) -> None:
    """
    Case does not matter in a request; replies are in lower case.
    """
    aurora.copy(aurora.facts["daily"], "Copy-ONE")

    assert aurora.get_snapshot("COPY-one")["DBClusterSnapshotIdentifier"] == "copy-one"


def test_engine_versions_are_those_of_the_servers(aurora: World) -> None:
    """
    DescribeDBEngineVersions names the real servers' versions, and of each the next minor that the
    same server serves; the default is PostgreSQL 16's.
    """
    client = aurora.client("rds")
    every = client.describe_db_engine_versions(Engine="aurora-postgresql")["DBEngineVersions"]
    [default] = client.describe_db_engine_versions(Engine="aurora-postgresql", DefaultOnly=True)[
        "DBEngineVersions"
    ]

    assert [each["EngineVersion"] for each in every] == [VERSION, "16.15", "18.4", "18.5"]
    assert default["EngineVersion"] == VERSION
    assert default["DBParameterGroupFamily"] == "aurora-postgresql16"


def test_orderable_classes_can_be_listed(aurora: World) -> None:
    """
    DescribeOrderableDBInstanceOptions lists the classes that CreateDBInstance takes.
    """
    options = aurora.client("rds").describe_orderable_db_instance_options(
        Engine="aurora-postgresql", EngineVersion=VERSION
    )["OrderableDBInstanceOptions"]

    assert {option["DBInstanceClass"] for option in options} == {
        "db.r6g.large",
        "db.r6g.xlarge",
        "db.t4g.medium",
        "db.serverless",
    }


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("cluster:none", "DBClusterNotFoundFault"),
        ("db:none", "DBInstanceNotFound"),
        ("cluster-snapshot:none", "DBSnapshotNotFound"),
    ],
)
def test_tags_on_what_is_not_there_are_refused(aurora: World, kind: str, code: str) -> None:
    """
    AddTagsToResource and its siblings fail for a missing resource instead of keeping silent.
    """
    client, arn = aurora.client("rds"), f"arn:aws:rds:us-west-2:{TARGET}:{kind}"
    attempts = [
        lambda: client.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: client.remove_tags_from_resource(ResourceName=arn, TagKeys=["a"]),
        lambda: client.list_tags_for_resource(ResourceName=arn),
    ]

    for attempt in attempts:
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] == code


def test_tags_of_another_accounts_resource_cannot_be_changed(aurora: World) -> None:
    """
    An ARN of another account names nothing of ours, even if we have one of the same name.
    """
    other = f"arn:aws:rds:us-west-2:{SOURCE}:cluster:staging"

    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        aurora.client("rds").add_tags_to_resource(
            ResourceName=other, Tags=[{"Key": "a", "Value": "b"}]
        )


def test_tags_can_be_added_listed_and_removed(aurora: World) -> None:
    """
    Tags of an existing cluster behave as before.
    """
    client, arn = aurora.client("rds"), aurora.get_cluster("staging")["DBClusterArn"]
    client.add_tags_to_resource(
        ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    client.remove_tags_from_resource(ResourceName=arn, TagKeys=["a"])

    tags = client.list_tags_for_resource(ResourceName=arn)["TagList"]
    assert tags == [{"Key": "b", "Value": "2"}]
    assert aurora.get_cluster("staging")["TagList"] == tags
