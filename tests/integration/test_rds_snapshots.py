"""Cluster snapshots: found, shared, copied, kept; each step is safe to repeat."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from examples import TARGET_ACCOUNT, request
from product_fixtures import changes

from aurora_restore.errors import EndedBadly, NotFound, NotReady, Refused
from aurora_restore.rds import archiving, deleting, snapshots, tags
from aurora_restore.rds.snapshots import Snapshot
from aurora_restore.sessions import source_client, target_client
from sandbox import Sandbox
from sandbox.faults import Fault

T = TypeVar("T")
MARKS = tags.marks("op-001", "staging")
FOREIGN = tags.marks("op-000", "staging")
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


def test_named_snapshot_is_found(account: Sandbox) -> None:
    """
    The snapshot the request names is found in the source account, with what the copy needs.
    """
    given = request()

    found = snapshots.find_source_snapshot(source_client("rds", given), given, own=True)

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

    found = snapshots.find_source_snapshot(source_client("rds", given), given, own=True)

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

    found = snapshots.find_source_snapshot(rds, newest, own=True)
    named = snapshots.find_source_snapshot(rds, request(**own, snapshot_id=found.id), own=True)

    assert found.id.startswith("rds:staging-")
    assert found == named
    assert changes(account) == []


def test_missing_snapshot_is_told(account: Sandbox) -> None:
    """
    A snapshot that does not exist is told with account and Region.
    """
    given = request(snapshot_id="none")

    with pytest.raises(NotFound) as missing:
        snapshots.find_source_snapshot(source_client("rds", given), given, own=True)

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
        snapshots.find_source_snapshot(target_client("rds", "us-east-1"), given, own=False)

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

    assert snapshots.find_source_snapshot(rds, request(), own=False).arn == arn


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
        snapshots.find_source_snapshot(target_client("rds", "us-east-1"), given, own=False)

    assert str(missing.value) == (
        "source_cluster_id production: its newest snapshot cannot be told without a role in the "
        "source account. Name the snapshot in snapshot_id, or set AURORA_RESTORE_SOURCE_ROLE_ARN."
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

    with pytest.raises(NotReady, match="no final snapshot can be taken yet"):
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

    with pytest.raises(NotReady, match=r"^cluster snapshot none: it cannot be deleted yet"):
        archiving.delete_snapshot(rds, "none")

    archiving.delete_snapshot(rds, "none")
