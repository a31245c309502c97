"""Cluster snapshots: found, shared, copied, kept; each step is safe to repeat."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError
from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT, request
from product_fixtures import calls, changes

from aurora_restore.errors import EndedBadly, NotFound, NotReady, Refused
from aurora_restore.rds import archiving, copying, deleting, snapshots, tags
from aurora_restore.rds.snapshots import Snapshot
from aurora_restore.sessions import source_client, target_client
from sandbox import Sandbox
from sandbox.faults import Fault

T = TypeVar("T")
MARKS = tags.marks("op-001", "staging")
FOREIGN = tags.marks("op-000", "staging")
NAMES = ["daily-backup-2024-03-20-copy", "daily-backup-2024-03-20-copy-op001"]
HOUR = 3600


@pytest.fixture
def arn(account: Sandbox, source_admin: Any) -> str:
    """The source snapshot's ARN, shared with the target account."""
    source_admin.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=account.facts["snapshot"],
        AttributeName="restore",
        ValuesToAdd=[TARGET_ACCOUNT],
    )
    return str(account.facts["snapshot_arn"])


@pytest.fixture
def take(account: Sandbox, admin: Any) -> Callable[..., None]:
    """Make an available snapshot of staging, with these tags."""

    def taken(name: str, marks: dict[str, str]) -> None:
        admin.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name,
            DBClusterIdentifier="staging",
            Tags=tags.to_api(marks),
        )
        account.advance(HOUR)

    return taken


def waited(aws: Sandbox, look: Callable[[], T]) -> T:
    """Return what `look` returns once it is ready."""
    for _ in range(20):
        try:
            return look()
        except NotReady:
            aws.advance(600)
    pytest.fail("never ready")


def copied(rds: Any, arn: str, names: list[str] = NAMES, **changes: Any) -> Snapshot:
    return copying.start_copy(rds, arn, request(**changes), names, MARKS)


def test_named_snapshot_is_found(account: Sandbox) -> None:
    """
    The snapshot the request names is found in the source account, with what the copy needs.
    """
    given = request()

    found = snapshots.get_source_snapshot(source_client("rds", given), given, own=True)

    assert (found.id, found.arn) == (account.facts["snapshot"], account.facts["snapshot_arn"])
    assert (found.cluster_id, found.type, found.encrypted) == ("production", "manual", True)
    assert (found.engine, found.engine_version) == (
        "aurora-postgresql",
        account.facts["engine_version"],
    )


def test_newest_snapshot_of_the_cluster_is_found(account: Sandbox, source_admin: Any) -> None:
    """
    Of a source cluster the newest available snapshot of the wanted type is taken.
    """
    for name in ("newer", "unfinished"):
        account.advance(HOUR)
        if name == "unfinished":
            account.plant("snapshot-failed")
        source_admin.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name, DBClusterIdentifier="production"
        )
    account.advance(HOUR)
    given = request(snapshot_id=None, source_cluster_id="production")

    found = snapshots.get_source_snapshot(source_client("rds", given), given, own=True)

    assert found.id == "newer"


def test_automated_snapshot_is_found_in_ones_own_account(account: Sandbox, rds: Any) -> None:
    """
    Within one account an automated snapshot, whose name has a colon, can be named or be newest.
    """
    own = {"source_account_id": TARGET_ACCOUNT, "source_region": "us-west-2"}
    newest = request(
        **own,
        snapshot_id=None,
        source_cluster_id="staging",
        target_cluster_id="copy",
        snapshot_type="automated",
    )

    found = snapshots.get_source_snapshot(rds, newest, own=True)
    named = snapshots.get_source_snapshot(rds, request(**own, snapshot_id=found.id), own=True)

    assert found.id.startswith("rds:staging-")
    assert found == named
    assert changes(account) == []


def test_missing_snapshot_is_told(account: Sandbox) -> None:
    """
    A snapshot that does not exist is told with account and Region.
    """
    given = request(snapshot_id="none")

    with pytest.raises(NotFound) as missing:
        snapshots.get_source_snapshot(source_client("rds", given), given, own=True)

    assert str(missing.value) == (
        "snapshot_id none: no such cluster snapshot in account 123456789012, Region us-east-1. "
        "Check the name, the account and the Region in the request."
    )


def test_snapshot_that_is_not_shared_is_told(account: Sandbox) -> None:
    """
    Without a source role, a snapshot that is not shared is told with both ways out.
    """
    given = request()

    with pytest.raises(NotFound) as missing:
        snapshots.get_source_snapshot(target_client("rds", "us-east-1"), given, own=False)

    assert str(missing.value) == (
        "snapshot_id daily-backup-2024-03-20: not found, or not shared with account 987654321098 "
        "(account 123456789012, Region us-east-1). Share the snapshot, or set "
        "AURORA_RESTORE_SOURCE_ROLE_ARN."
    )


def test_shared_snapshot_is_found_without_a_role(arn: str) -> None:
    """
    Without a source role, a snapshot that is shared is found by its ARN.
    """
    rds = target_client("rds", "us-east-1")

    assert snapshots.get_source_snapshot(rds, request(), own=False).arn == arn


def test_own_copy_is_not_taken_for_the_sources_newest(account: Sandbox, arn: str) -> None:
    """
    A copy that the target account keeps in the source's Region is not the source's snapshot.
    """
    key = account.client("kms", "target", "us-east-1").create_key()["KeyMetadata"]["Arn"]
    account.client("rds", "target", "us-east-1").copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=arn,
        TargetDBClusterSnapshotIdentifier="stale",
        KmsKeyId=key,
    )
    account.advance(HOUR)
    given = request(snapshot_id=None, source_cluster_id="production")

    with pytest.raises(NotFound) as missing:
        snapshots.get_source_snapshot(target_client("rds", "us-east-1"), given, own=False)

    assert str(missing.value) == (
        "source_cluster_id production: its newest snapshot cannot be told without a role in the "
        "source account. Name the snapshot in snapshot_id, or set AURORA_RESTORE_SOURCE_ROLE_ARN."
    )


def test_snapshot_is_shared_once(account: Sandbox, source_admin: Any) -> None:
    """
    The snapshot is shared with the target account alone; a repeat changes nothing.
    """
    client = source_client("rds", request())
    found = snapshots.get_source_snapshot(client, request(), own=True)

    added = [copying.ensure_shared(client, found.id, TARGET_ACCOUNT) for _ in range(2)]

    shown = source_admin.describe_db_cluster_snapshot_attributes(
        DBClusterSnapshotIdentifier=found.id
    )
    [attribute] = shown["DBClusterSnapshotAttributesResult"]["DBClusterSnapshotAttributes"]
    assert added == [True, False]
    assert attribute == {"AttributeName": "restore", "AttributeValues": [TARGET_ACCOUNT]}
    assert changes(account) == ["ModifyDBClusterSnapshotAttribute"]


def test_copy_is_requested_with_our_marks(account: Sandbox, rds: Any, arn: str) -> None:
    """
    The copy is made by the target, from the full ARN, under the target's key, with our tags only.
    """
    copy = copied(rds, arn)

    [call] = calls(account, "CopyDBClusterSnapshot")
    assert call["parameters"] == {
        "SourceDBClusterSnapshotIdentifier": arn,
        "TargetDBClusterSnapshotIdentifier": NAMES[0],
        "KmsKeyId": "alias/aurora-target",
        "CopyTags": False,
        "Tags": tags.to_api(MARKS),
    }
    assert (call["account"], call["region"]) == (TARGET_ACCOUNT, "us-west-2")
    assert (copy.id, copy.status) == (NAMES[0], "copying")


def test_own_copy_is_adopted(account: Sandbox, rds: Any, arn: str) -> None:
    """
    A repeat finds the copy of its operation by the tag, under either name, and makes no other.
    """
    first = copied(rds, arn, NAMES[1:])

    again = copied(rds, arn)

    assert again.id == first.id == NAMES[1]
    assert changes(account) == ["CopyDBClusterSnapshot"]


def test_copy_of_an_earlier_operation_keeps_its_name(
    rds: Any, arn: str, take: Callable[..., None]
) -> None:
    """
    When another operation's copy has the first name, this one takes its second.
    """
    take(NAMES[0], FOREIGN)

    assert copied(rds, arn).id == NAMES[1]


def test_foreign_snapshot_of_the_requested_name_is_refused(
    account: Sandbox, rds: Any, arn: str, take: Callable[..., None]
) -> None:
    """
    A snapshot that is not ours is neither overwritten nor adopted.
    """
    take("mine", FOREIGN)

    with pytest.raises(Refused) as refused:
        copied(rds, arn, ["mine"])

    assert str(refused.value) == (
        "cluster snapshot mine: a snapshot of this name exists and is not this operation's. "
        "Delete it, or give another target_snapshot."
    )
    assert changes(account) == []


def test_five_copies_in_flight_are_waited_for(account: Sandbox, rds: Any, arn: str) -> None:
    """
    The quota of copies in flight passes by itself: not ready, then copied.
    """
    account.plant("copies-in-flight")

    with pytest.raises(NotReady, match=f"^cluster snapshot {NAMES[0]}: five copies are in flight"):
        copied(rds, arn)

    assert waited(account, lambda: copied(rds, arn)).id == NAMES[0]


def test_full_quota_of_snapshots_is_refused(account: Sandbox, rds: Any, arn: str) -> None:
    """
    The quota of manual snapshots does not pass by itself: it ends the step.
    """
    account.plant("snapshot-quota")

    with pytest.raises(Refused) as refused:
        copied(rds, arn)

    assert str(refused.value) == (
        f"cluster snapshot {NAMES[0]}: the account's quota of manual snapshots is used up. "
        "Delete snapshots, or have the quota raised."
    )


@pytest.mark.parametrize("how", ["denied", "alias/none"])
def test_key_that_cannot_be_used_is_refused(account: Sandbox, rds: Any, arn: str, how: str) -> None:
    """
    A key that is missing or not admitted is told with the field that names it.
    """
    if how == "denied":
        account.plant("kms-denied")
    key = "alias/aurora-target" if how == "denied" else how

    with pytest.raises(Refused) as refused:
        copied(rds, arn, kms_key_id=key)

    assert str(refused.value) == (
        f"kms_key_id {key}: the key cannot be used for the copy (KMSKeyNotAccessibleFault). Check "
        "that it exists and is enabled in the target Region, and that the policies of this key "
        "and of the source's key admit the task role."
    )


def test_busy_source_is_waited_for(account: Sandbox, rds: Any, arn: str) -> None:
    """
    A source snapshot that is in use just now is worth another look.
    """
    code = "InvalidDBClusterSnapshotStateFault"
    account.plant(Fault("rds", "CopyDBClusterSnapshot", code, "in use"))

    with pytest.raises(NotReady, match="its source is busy; no copy yet"):
        copied(rds, arn)

    assert copied(rds, arn).id == NAMES[0]


def test_copy_whose_reply_was_lost_is_adopted(account: Sandbox, rds: Any, arn: str) -> None:
    """
    botocore resends after a lost reply and is told that the copy exists: it is ours.
    """
    account.plant(Fault("rds", "CopyDBClusterSnapshot", lose_reply=True))

    assert copied(rds, arn).id == NAMES[0]
    assert [each["result"] for each in calls(account, "CopyDBClusterSnapshot")] == [
        "ConnectionLost",
        "DBClusterSnapshotAlreadyExistsFault",
    ]


def test_unshared_source_is_awss_own_error(account: Sandbox, rds: Any) -> None:
    """
    A copy of what is not shared fails at once with what AWS says.
    """
    with pytest.raises(ClientError, match="DBClusterSnapshotNotFoundFault"):
        copied(rds, account.facts["snapshot_arn"])


def test_finished_copy_is_available(account: Sandbox, rds: Any, arn: str) -> None:
    """
    The wait ends with the copy's own ARN, in the target account and Region.
    """
    copied(rds, arn)

    copy = waited(account, lambda: copying.require_copied(rds, NAMES[0]))

    assert copy.arn == f"arn:aws:rds:us-west-2:{TARGET_ACCOUNT}:cluster-snapshot:{NAMES[0]}"
    assert copy.tags == MARKS
    assert arn.split(":")[4] == SOURCE_ACCOUNT


def test_copy_under_way_is_waited_for(account: Sandbox, rds: Any, arn: str) -> None:
    """
    A copy that is still copying is not ready and tells its percentage.
    """
    account.plant("copy-stuck")
    copied(rds, arn)

    with pytest.raises(NotReady, match="status is 'copying'") as waiting:
        copying.require_copied(rds, NAMES[0])

    assert waiting.value.percent == 0


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        ("copy-failed", "status is 'failed'"),
        ("copy-vanished", "the copy has vanished while it was made"),
    ],
)
def test_copy_that_ended_badly_is_told(
    account: Sandbox, rds: Any, arn: str, failure: str, problem: str
) -> None:
    """
    A copy that failed or vanished ends the wait at once.
    """
    account.plant(failure)
    copied(rds, arn)
    account.advance(HOUR)

    with pytest.raises(EndedBadly) as ended:
        copying.require_copied(rds, NAMES[0])

    assert str(ended.value) == (
        f"cluster snapshot {NAMES[0]}: {problem}. "
        "Read the resource's RDS events, remove it, then run again."
    )


def test_final_snapshot_is_requested_once_and_waited_for(account: Sandbox, rds: Any) -> None:
    """
    The final snapshot is ours by its tags, and ready only when it is available.
    """

    def look() -> Snapshot:
        return deleting.ensure_final_snapshot(rds, "staging", "staging-final", MARKS)

    with pytest.raises(NotReady, match="the final snapshot was requested"):
        look()
    final = waited(account, look)

    assert (final.status, final.cluster_id, final.tags) == ("available", "staging", MARKS)
    assert changes(account) == ["CreateDBClusterSnapshot"]


def test_final_snapshot_that_failed_is_told(account: Sandbox, rds: Any) -> None:
    """
    A final snapshot that ends badly ends the step.
    """
    account.plant("snapshot-failed")

    with pytest.raises(EndedBadly, match=r"^cluster snapshot final: status is 'failed'"):
        waited(account, lambda: deleting.ensure_final_snapshot(rds, "staging", "final", MARKS))


def test_foreign_snapshot_is_no_final_snapshot(rds: Any, take: Callable[..., None]) -> None:
    """
    A snapshot of the same name that is not ours does not count as the final one.
    """
    take("final", FOREIGN)

    with pytest.raises(Refused) as refused:
        deleting.ensure_final_snapshot(rds, "staging", "final", MARKS)

    assert str(refused.value) == (
        "cluster snapshot final: a snapshot of this name exists and is not this operation's. "
        "Delete it, then run again."
    )


def test_busy_cluster_gets_its_final_snapshot_later(account: Sandbox, rds: Any) -> None:
    """
    A cluster that is being modified is waited for.
    """
    code = "InvalidDBClusterStateFault"
    account.plant(Fault("rds", "CreateDBClusterSnapshot", code, "modifying"))

    with pytest.raises(NotReady, match="it is busy; no final snapshot yet"):
        deleting.ensure_final_snapshot(rds, "staging", "final", MARKS)

    assert waited(account, lambda: deleting.ensure_final_snapshot(rds, "staging", "final", MARKS))


def test_copy_is_archived_once(account: Sandbox, rds: Any, take: Callable[..., None]) -> None:
    """
    A kept copy is tagged with the moment, the first one.
    """
    take("copy", MARKS)

    archiving.archive(rds, "copy", keep=True)
    first = snapshots.find_snapshot(rds, "copy")
    archiving.archive(rds, "copy", keep=True)

    assert first is not None
    assert first.tags.keys() == MARKS.keys() | {tags.ARCHIVED}
    assert changes(account) == ["AddTagsToResource"]


def test_copy_is_deleted_once(account: Sandbox, rds: Any, take: Callable[..., None]) -> None:
    """
    A copy that is not kept is deleted; a repeat finds it gone.
    """
    take("copy", MARKS)

    archiving.archive(rds, "copy", keep=False)
    account.advance(HOUR)
    archiving.archive(rds, "copy", keep=False)

    assert snapshots.find_snapshot(rds, "copy") is None
    assert changes(account) == ["DeleteDBClusterSnapshot"]


def test_copy_that_is_gone_cannot_be_kept(account: Sandbox, rds: Any) -> None:
    """
    To keep what is gone is an error.
    """
    with pytest.raises(NotFound, match=r"^cluster snapshot copy: the copy to archive is gone\.$"):
        archiving.archive(rds, "copy", keep=True)


def test_only_our_oldest_archives_are_pruned(
    account: Sandbox, rds: Any, take: Callable[..., None]
) -> None:
    """
    Of the archived copies of one target the newest stay; what is not marked so is never touched.
    """
    ours = {tags.MANAGED: "true", tags.TARGET: "staging"}
    for name, marks in {
        "older": ours | {tags.ARCHIVED: "2024-03-19T00:00:00Z"},
        "newest": ours | {tags.ARCHIVED: "2024-03-20T00:00:00Z"},
        "of-another-target": ours | {tags.TARGET: "other", tags.ARCHIVED: "2020-01-01T00:00:00Z"},
        "not-managed": {tags.TARGET: "staging", tags.ARCHIVED: "2020-01-01T00:00:00Z"},
        "not-archived": ours,
    }.items():
        take(name, marks)

    pruned = [archiving.prune_archives(rds, "staging", keep) for keep in (2, 1, 1)]

    assert pruned == [[], ["older"], []]
    assert changes(account) == ["DeleteDBClusterSnapshot"]


def test_snapshot_in_use_is_deleted_later(account: Sandbox, rds: Any) -> None:
    """
    A snapshot whose state forbids its deletion is worth another look; a missing one is done.
    """
    code = "InvalidDBClusterSnapshotStateFault"
    account.plant(Fault("rds", "DeleteDBClusterSnapshot", code, "in use"))

    with pytest.raises(NotReady, match=r"^cluster snapshot none: it is in use"):
        archiving.delete_snapshot(rds, "none")

    archiving.delete_snapshot(rds, "none")
