"""The sandbox's RDS: sharing, copying, describing and deleting cluster snapshots."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import SOURCE, TARGET, VERSION, World

from sandbox.rds import durations

STRANGER = "111122223333"


def share(aurora: World, name: str, *accounts: str, account: str = SOURCE) -> Any:
    return aurora.client("rds", account).modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=name, AttributeName="restore", ValuesToAdd=list(accounts)
    )


def automated(aurora: World, account: str) -> Any:
    [found] = aurora.client("rds", account).describe_db_cluster_snapshots(SnapshotType="automated")[
        "DBClusterSnapshots"
    ]
    return found


def test_shared_snapshot_is_copied_across_account_and_region_in_one_step(aurora: World) -> None:
    """
    The copy is ours, in our Region, under our key, and says where it comes from.
    """
    reply = aurora.copy(aurora.facts["daily"], "copy-1")
    source = aurora.get_snapshot("daily", SOURCE)

    assert (
        reply["DBClusterSnapshotArn"] == f"arn:aws:rds:us-west-2:{TARGET}:cluster-snapshot:copy-1"
    )
    assert reply["SourceDBClusterSnapshotArn"] == aurora.facts["daily"]
    assert reply["KmsKeyId"] == aurora.facts[TARGET]["key"]
    assert reply["StorageEncrypted"]
    assert reply["SnapshotType"] == "manual"
    assert reply["DBClusterIdentifier"] == "production"
    assert reply["VpcId"] == aurora.facts[SOURCE]["vpc"]
    assert (reply["Engine"], reply["EngineVersion"]) == ("aurora-postgresql", VERSION)
    assert (reply["MasterUsername"], reply["Port"]) == ("postgres", 5432)
    assert reply["SnapshotCreateTime"] > source["SnapshotCreateTime"]
    assert reply["ClusterCreateTime"] == source["ClusterCreateTime"]
    assert "SourceDBClusterSnapshotArn" not in source


def test_data_of_a_copy_is_a_copy_of_the_sources_data(aurora: World) -> None:
    """
    PostgreSQL copies the source snapshot's data under a key of its own.
    """
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.clock.advance(durations.COPY)
    aurora.get_snapshot("copy-1")
    [(source, target)] = aurora.postgres.named("copy_snapshot")

    assert source != target


def test_snapshot_of_another_region_of_the_same_account_is_copied(aurora: World) -> None:
    """
    A snapshot hops Regions within an account too (the second half of a two-step copy).
    """
    client = aurora.client("rds", SOURCE, "us-west-2")
    kms = aurora.client("kms", SOURCE, "us-west-2")
    reply = client.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=aurora.facts["daily"],
        TargetDBClusterSnapshotIdentifier="hop",
        KmsKeyId=kms.create_key()["KeyMetadata"]["KeyId"],
    )["DBClusterSnapshot"]

    assert reply["DBClusterSnapshotArn"] == f"arn:aws:rds:us-west-2:{SOURCE}:cluster-snapshot:hop"


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_snapshot_that_is_not_shared_is_not_found(aurora: World, region: str) -> None:
    """
    An unshared snapshot looks as if it did not exist; so does one of the wrong Region.
    """
    aurora.snapshot("private", "production", SOURCE)
    arn = f"arn:aws:rds:{region}:{SOURCE}:cluster-snapshot:private"

    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault") as refused:
        aurora.copy(arn, "copy-1")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_shared_snapshot_needs_its_full_arn(aurora: World) -> None:
    """
    By its name alone, another account's snapshot is not found.
    """
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.copy("daily", "copy-1")


def test_own_snapshot_is_copied_by_name_and_keeps_its_key(aurora: World) -> None:
    """
    Within account and Region the key may be left out: the copy has the source's.
    """
    reply = aurora.copy("own", "again", KmsKeyId=None)

    assert reply["KmsKeyId"] == aurora.facts[TARGET]["key"]


def _wrong_keys(aurora: World) -> dict[str, str | None]:
    kms = aurora.client("kms")
    disabled = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=disabled)
    doomed = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=doomed)
    return {
        "missing": None,
        "unknown alias": "alias/none",
        "unknown id": "00000000-0000-0000-0000-000000000000",
        "source Region's": aurora.facts[SOURCE]["key"],
        "disabled": disabled,
        "pending deletion": doomed,
    }


@pytest.mark.parametrize(
    "case",
    ["missing", "unknown alias", "unknown id", "source Region's", "disabled", "pending deletion"],
)
def test_encrypted_copy_needs_an_enabled_key_of_the_destination(aurora: World, case: str) -> None:
    """
    For a shared or cross-Region encrypted source the key must be given, there and enabled.
    """
    with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
        aurora.copy(aurora.facts["daily"], "copy-1", KmsKeyId=_wrong_keys(aurora)[case])


def test_copy_needs_the_sources_key_as_well(aurora: World) -> None:
    """
    Data under a disabled key cannot be read.
    """
    aurora.client("kms", SOURCE).disable_key(KeyId=aurora.facts[SOURCE]["key"].rsplit("/", 1)[-1])

    with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
        aurora.copy(aurora.facts["daily"], "copy-1")


def test_key_on_an_unencrypted_source_is_refused(aurora: World) -> None:
    """
    KmsKeyId does not encrypt what was not encrypted; without it the copy is unencrypted too.
    """
    aurora.cluster("plain", SOURCE, StorageEncrypted=False, KmsKeyId=None)
    arn = aurora.snapshot("plain-1", "plain", SOURCE, TARGET)

    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*KmsKeyId"):
        aurora.copy(arn, "copy-1")
    assert not aurora.copy(arn, "copy-2", KmsKeyId=None)["StorageEncrypted"]


def test_tags_are_copied_only_if_asked_for(aurora: World) -> None:
    """
    CopyTags copies, explicit Tags win, the default is none.
    """
    aurora.client("rds").add_tags_to_resource(
        ResourceName=aurora.facts["own"], Tags=[{"Key": "a", "Value": "1"}]
    )
    explicit = [{"Key": "b", "Value": "2"}]

    assert aurora.copy("own", "none")["TagList"] == []
    assert aurora.copy("own", "all", CopyTags=True)["TagList"] == [{"Key": "a", "Value": "1"}]
    assert aurora.copy("own", "own-tags", CopyTags=True, Tags=explicit)["TagList"] == explicit


def test_name_of_an_existing_snapshot_is_refused(aurora: World) -> None:
    """
    A copy overwrites nothing, not even a copy under way.
    """
    aurora.copy(aurora.facts["daily"], "copy-1")

    with pytest.raises(ClientError) as refused:
        aurora.copy(aurora.facts["daily"], "copy-1")
    assert refused.value.response["Error"]["Code"] == "DBClusterSnapshotAlreadyExistsFault"


def test_source_must_be_available(aurora: World) -> None:
    """
    What is still being made cannot be copied.
    """
    aurora.copy(aurora.facts["daily"], "copy-1")

    with pytest.raises(ClientError, match=r"InvalidDBClusterSnapshotStateFault.*copying"):
        aurora.copy("copy-1", "copy-2")


def test_sixth_copy_in_flight_is_refused(aurora: World) -> None:
    """
    Five copies per destination Region; one more is possible when one has ended.
    """
    for number in range(5):
        aurora.copy(aurora.facts["daily"], f"copy-{number}")

    message = "Cannot copy more than 5 snapshots across regions"
    with pytest.raises(ClientError, match=message) as refused:
        aurora.copy(aurora.facts["daily"], "copy-5")
    assert refused.value.response["Error"]["Code"] == "SnapshotQuotaExceeded"
    aurora.clock.advance(durations.COPY)
    assert aurora.copy(aurora.facts["daily"], "copy-5")["Status"] == "copying"


def test_one_hundred_manual_snapshots_are_the_most(aurora: World) -> None:
    """
    Copies and manual snapshots count, automated ones do not; the listing has pages.
    """
    aurora.clock.speed = float("inf")
    for number in range(99):
        aurora.copy("own", f"copy-{number}")
    client = aurora.client("rds")
    message = "Cannot create more than 100 manual snapshots"
    attempts = [
        lambda: aurora.copy("own", "more"),
        lambda: client.create_db_cluster_snapshot(
            DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="more"
        ),
    ]

    for attempt in attempts:
        with pytest.raises(ClientError, match=message) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] == "SnapshotQuotaExceeded"
    first = client.describe_db_cluster_snapshots()
    pages = client.get_paginator("describe_db_cluster_snapshots").paginate()
    assert len(first["DBClusterSnapshots"]) == 100
    assert sum(len(page["DBClusterSnapshots"]) for page in pages) == 101


def test_deleting_a_copy_in_flight_cancels_it(aurora: World) -> None:
    """
    A copy can be deleted while `copying`; then it is gone.
    """
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="copy-1")
    aurora.clock.advance(durations.COPY)

    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.get_snapshot("copy-1")
    assert aurora.statuses("snapshot:copy-1") == ["copying", "deleted"]


def test_deleting_the_source_fails_a_copy_in_flight(aurora: World) -> None:
    """
    A copy whose source disappears ends as `failed`, which can be deleted.
    """
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.client("rds", SOURCE).delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="daily")

    assert aurora.get_snapshot("copy-1")["Status"] == "failed"
    aurora.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="copy-1")
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.get_snapshot("copy-1")


def test_snapshot_being_created_cannot_be_deleted(aurora: World) -> None:
    """
    Only an available snapshot (or a copy) can be deleted.
    """
    client = aurora.client("rds")
    client.create_db_cluster_snapshot(
        DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="manual"
    )

    with pytest.raises(ClientError, match="InvalidDBClusterSnapshotStateFault"):
        client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="manual")


def test_data_of_a_deleted_snapshot_is_dropped(aurora: World) -> None:
    """
    Nothing is left behind.
    """
    aurora.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="own")
    aurora.clock.speed = float("inf")
    aurora.get_cluster("staging")

    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.get_snapshot("own")
    assert len(aurora.postgres.named("drop_snapshot")) == 1


def test_others_snapshots_cannot_be_deleted_or_shared_on(aurora: World) -> None:
    """
    Whoever may copy a snapshot may not change it.
    """
    arn = aurora.facts["daily"]
    client = aurora.client("rds", TARGET, "us-east-1")
    attempts = [
        lambda: client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=arn),
        lambda: client.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=arn, AttributeName="restore", ValuesToAdd=[STRANGER]
        ),
        lambda: client.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier=arn),
    ]

    for attempt in attempts:
        with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
            attempt()


def test_shared_snapshots_are_described_in_their_region_when_asked_for(aurora: World) -> None:
    """
    SnapshotType=shared or IncludeShared shows them, by ARN or in the list.
    """
    client, arn = aurora.client("rds", TARGET, "us-east-1"), aurora.facts["daily"]

    def arns(**wish: Any) -> list[str]:
        found = client.describe_db_cluster_snapshots(**wish)["DBClusterSnapshots"]
        return [each["DBClusterSnapshotArn"] for each in found]

    assert arns(SnapshotType="shared") == [arn]
    assert arns(IncludeShared=True) == [arn]
    assert arns(DBClusterSnapshotIdentifier=arn, SnapshotType="shared") == [arn]
    assert arns(DBClusterSnapshotIdentifier=arn, IncludeShared=True) == [arn]
    assert arns() == []
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        arns(DBClusterSnapshotIdentifier=arn)


def test_own_snapshot_is_described_by_its_arn(aurora: World) -> None:
    """
    Name and ARN are both identifiers.
    """
    assert aurora.get_snapshot(aurora.facts["own"])["DBClusterSnapshotIdentifier"] == "own"


def test_sharing_with_a_stranger_shows_nothing_to_us(aurora: World) -> None:
    """
    Only the accounts in the `restore` attribute see a shared snapshot.
    """
    aurora.snapshot("private", "production", SOURCE, STRANGER)
    client = aurora.client("rds", TARGET, "us-east-1")
    found = client.describe_db_cluster_snapshots(SnapshotType="shared")["DBClusterSnapshots"]

    assert [each["DBClusterSnapshotIdentifier"] for each in found] == ["daily"]


def test_snapshots_can_be_filtered_by_cluster_and_engine(aurora: World) -> None:
    """
    DBClusterIdentifier, DbClusterResourceId and Filters select.
    """
    client = aurora.client("rds")
    resource = aurora.get_cluster("staging")["DbClusterResourceId"]
    wishes = [
        {"DBClusterIdentifier": "staging", "SnapshotType": "manual"},
        {"DbClusterResourceId": resource, "SnapshotType": "manual"},
        {"Filters": [{"Name": "db-cluster-snapshot-id", "Values": ["own"]}]},
    ]

    for wish in wishes:
        [found] = client.describe_db_cluster_snapshots(**wish)["DBClusterSnapshots"]
        assert found["DBClusterSnapshotIdentifier"] == "own"
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        client.describe_db_cluster_snapshots(
            DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="own"
        )


def test_automated_snapshot_exists_and_needs_its_type_to_be_described(aurora: World) -> None:
    """
    RDS backs a new cluster up as rds:<cluster>-<date>; by name it is found only with SnapshotType.
    """
    name = automated(aurora, SOURCE)["DBClusterSnapshotIdentifier"]

    assert name.startswith("rds:production-")
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.get_snapshot(name, SOURCE)
    assert aurora.get_snapshot(name, SOURCE, SnapshotType="automated")["Status"] == "available"


def test_automated_snapshot_cannot_be_shared_but_copied(aurora: World) -> None:
    """
    First a manual copy in the own account, then sharing.
    """
    name = automated(aurora, SOURCE)["DBClusterSnapshotIdentifier"]
    aurora.clock.speed = float("inf")

    with pytest.raises(ClientError, match="InvalidDBClusterSnapshotStateFault"):
        share(aurora, name, TARGET)
    aurora.client("rds", SOURCE).copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=name, TargetDBClusterSnapshotIdentifier="manual"
    )
    result = share(aurora, "manual", TARGET)["DBClusterSnapshotAttributesResult"]
    assert result["DBClusterSnapshotAttributes"][0]["AttributeValues"] == [TARGET]


def test_encrypted_snapshot_cannot_be_public(aurora: World) -> None:
    """
    An encrypted snapshot is shared with named accounts, never with `all`.
    """
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        share(aurora, "daily", "all")


def test_snapshot_under_the_default_key_cannot_be_shared(aurora: World) -> None:
    """
    aws/rds belongs to the account; it has to be copied to a key of one's own first.
    """
    aurora.cluster("default-key", SOURCE, KmsKeyId=None)
    aurora.snapshot("default-key-1", "default-key", SOURCE)

    with pytest.raises(ClientError, match="default service key for RDS"):
        share(aurora, "default-key-1", TARGET)


def test_sharing_is_taken_back(aurora: World) -> None:
    """
    After ValuesToRemove the snapshot is not found any more.
    """
    aurora.client("rds", SOURCE).modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier="daily", AttributeName="restore", ValuesToRemove=[TARGET]
    )

    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        aurora.copy(aurora.facts["daily"], "copy-1")


def test_sharing_takes_twelve_digit_accounts_and_available_snapshots(aurora: World) -> None:
    """
    A malformed account is refused, and a snapshot that is not ready.
    """
    aurora.client("rds", SOURCE).create_db_cluster_snapshot(
        DBClusterIdentifier="production", DBClusterSnapshotIdentifier="young"
    )

    with pytest.raises(ClientError, match="InvalidParameterValue"):
        share(aurora, "daily", "1234")
    with pytest.raises(ClientError, match="InvalidDBClusterSnapshotStateFault"):
        share(aurora, "young", TARGET)


def test_at_most_twenty_accounts_share_a_snapshot(aurora: World) -> None:
    """
    The twenty-first is one too many.
    """
    with pytest.raises(ClientError, match="SharedSnapshotQuotaExceeded"):
        share(aurora, "daily", *(f"{number:012}" for number in range(1, 21)))


def test_snapshot_needs_an_available_cluster(aurora: World) -> None:
    """
    A cluster that is being restored cannot be backed up; an unknown one is not found.
    """
    client = aurora.client("rds")
    aurora.restore("own", "new")

    with pytest.raises(ClientError, match="InvalidDBClusterStateFault"):
        client.create_db_cluster_snapshot(
            DBClusterIdentifier="new", DBClusterSnapshotIdentifier="manual"
        )
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        client.create_db_cluster_snapshot(
            DBClusterIdentifier="none", DBClusterSnapshotIdentifier="manual"
        )
