"""The old cluster's end: checked, secured, recorded, and only then deleted; or put off."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import examples
import pytest
from cluster_steps import delete, done, found, plan, rename, waited
from examples import request, state_flow
from product_fixtures import calls, changes

from aurora_restore import ledger, replacing
from aurora_restore.details import CopyAvailable, Step
from aurora_restore.errors import NotReady, RecordsUnavailable, Refused
from aurora_restore.plan import Plan
from aurora_restore.rds import clusters, deleting, names, tags
from aurora_restore.records import HEAD
from aurora_restore.restored import copy_to_restore
from sandbox import Sandbox

FACTS = state_flow()[2]["details"] | {"copy_status": "available"}
FACTS = {name: value for name, value in FACTS.items() if name in CopyAvailable.model_fields}
PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def known(made: Plan, **wishes: Any) -> CopyAvailable:
    """Return what an operation knows whose copy is available."""
    begun = ledger.begin(request(**wishes), f"op-{uuid4()}")
    return begun.then(CopyAvailable, plan=made, **({"snapshot_arn": "arn"} | FACTS))


def there() -> None:
    """Say that what takes the old cluster's place is there."""


def deletion(of: CopyAvailable) -> Any:
    return ledger.store().read(of.operation_id).note("deletion")


def final_of(of: CopyAvailable) -> str:
    return names.final_snapshot_name("staging", of.operation_id)


def test_old_cluster_is_secured_recorded_and_deleted(account: Sandbox, rds: Any) -> None:
    """
    What is deleted is on record, with its final snapshot; the snapshot tells whose it is.
    """
    copied = known(plan(rds))

    gone = waited(account, lambda: replacing.remove_old(copied, "staging", there))

    assert gone == "staging"
    assert clusters.find_cluster(rds, "staging") is None
    assert copied.plan.old is not None
    assert deletion(copied) == {
        "cluster_id": "staging",
        "resource_id": copied.plan.old.resource_id,
        "final_snapshot_id": final_of(copied),
    }
    [snapshot] = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=final_of(copied))[
        "DBClusterSnapshots"
    ]
    kept = tags.from_api(snapshot["TagList"])
    assert (kept[tags.FINAL_OF], kept[tags.OPERATION]) == ("staging", copied.operation_id)
    assert replacing.remove_old(copied, "staging", there) == "staging"


def test_nothing_is_deleted_before_the_snapshot_is_available(account: Sandbox, rds: Any) -> None:
    """
    While the final snapshot is in the making nothing else is done, and no deletion is on record.
    """
    copied = known(plan(rds))

    with pytest.raises(NotReady, match="the final snapshot was requested"):
        replacing.remove_old(copied, "staging", there)

    assert changes(account) == ["CreateDBClusterSnapshot"]
    assert deletion(copied) is None


def test_nothing_is_deleted_that_nothing_can_take_the_place_of(account: Sandbox, rds: Any) -> None:
    """
    The last look before the deletion is recorded finds nothing to restore: the old cluster stays.
    """
    copied = known(plan(rds), final_snapshot=False)

    with pytest.raises(Refused, match="the copy is gone, so there is nothing to restore"):
        replacing.remove_old(copied, "staging", lambda: copy_to_restore(rds, "none"))

    assert changes(account) == []
    assert deletion(copied) is None


def test_final_snapshot_of_an_earlier_run_is_taken_anew(account: Sandbox, rds: Any) -> None:
    """
    The cluster has served since that was taken; one of this run is left as it is.
    """
    copied = known(plan(rds))
    cluster, name = clusters.get_cluster(rds, "staging"), final_of(copied)
    marks = tags.marks(copied.operation_id, "staging")
    first = waited(account, lambda: deleting.ensure_final_snapshot(rds, cluster.id, name, marks))
    assert first.created_at is not None
    since = first.created_at + timedelta(seconds=0.5)
    time.sleep(1)  # the emulator stamps snapshots with this machine's time

    with pytest.raises(NotReady, match="an earlier run's is taken anew"):
        deleting.ensure_final_snapshot(rds, cluster.id, name, marks, since)
    again = waited(
        account, lambda: deleting.ensure_final_snapshot(rds, cluster.id, name, marks, since)
    )

    assert again.created_at is not None
    assert again.created_at >= since
    assert changes(account).count("CreateDBClusterSnapshot") == 2


def test_deletion_after_a_long_pause_takes_its_final_snapshot_anew(
    account: Sandbox, rds: Any
) -> None:
    """
    What a run secured long before this attempt of the step does not hold the hours since.
    """
    copied = known(plan(rds))
    with pytest.raises(NotReady, match="the final snapshot was requested"):
        replacing.remove_old(copied, "staging", there)
    account.advance(600)
    # The emulator stamps snapshots with this machine's time, so the attempt begins later instead.
    later = datetime.now(UTC) + replacing.FRESH + timedelta(minutes=1)
    start_at(account, copied, later)

    with pytest.raises(NotReady, match="an earlier run's is taken anew"):
        replacing.remove_old(copied, "staging", there)

    assert clusters.get_cluster(rds, "staging").status == "available"
    assert deletion(copied) is None


def start_at(aws: Sandbox, of: CopyAvailable, moment: datetime) -> None:
    """Record that the attempt to delete began at a moment."""
    ledger.store().start(of.operation_id, Step.DELETE_CLUSTER, {})
    aws.client("dynamodb").update_item(
        TableName=aws.facts["table"],
        Key={"operation_id": {"S": of.operation_id}, "step": {"S": Step.DELETE_CLUSTER}},
        UpdateExpression="SET history[0].#at = :at",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues={":at": {"S": moment.isoformat()}},
    )


def test_deletion_that_cannot_be_recorded_does_not_begin(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    Without the record neither protection is lifted nor anything deleted.
    """
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)
    copied = known(plan(rds), lift_deletion_protection=True, final_snapshot=False)
    account.plant("dynamodb-denied", step=HEAD, times=None)

    with pytest.raises(RecordsUnavailable):
        replacing.remove_old(copied, "staging", there)

    assert changes(account) == []


def test_protection_is_lifted_after_the_record_and_before_the_deletion(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    A protected cluster is deleted if the request says so: recorded, lifted, then its instances.
    """
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)
    copied = known(plan(rds), lift_deletion_protection=True, final_snapshot=False)

    with pytest.raises(NotReady, match="its deletion protection is being lifted"):
        replacing.remove_old(copied, "staging", there)
    lifted = changes(account)
    gone = waited(account, lambda: replacing.remove_old(copied, "staging", there))

    assert lifted == ["ModifyDBCluster"]
    assert gone == "staging"
    assert deletion(copied)["final_snapshot_id"] is None
    assert calls(account, "CreateDBClusterSnapshot") == []


def test_protected_cluster_is_refused_by_default(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    Protection holds unless the request lifts it; nothing is changed, not even a snapshot taken.
    """
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)
    copied = known(plan(rds))

    with pytest.raises(Refused, match="deletion protection is on"):
        replacing.remove_old(copied, "staging", there)

    assert changes(account) == []
    assert deletion(copied) is None


def test_another_cluster_than_the_checked_one_is_refused(account: Sandbox, rds: Any) -> None:
    """
    A cluster that was made anew under the name since preflight is not deleted.
    """
    old = plan(rds).old
    assert old is not None
    stale = examples.plan(old=old.model_copy(update={"resource_id": "cluster-THEN"}))
    copied = known(stale)

    with pytest.raises(Refused) as refused:
        replacing.remove_old(copied, "staging", there)

    assert str(refused.value) == (
        "cluster staging: it is not the one that was checked (resource id "
        f"{old.resource_id}, then cluster-THEN). Somebody made another cluster of this name "
        "meanwhile; start another operation."
    )
    assert changes(account) == []


def test_cluster_that_was_not_there_then_is_refused(account: Sandbox, rds: Any) -> None:
    """
    Where preflight saw no cluster none is deleted.
    """
    copied = known(examples.plan(old=None))

    with pytest.raises(Refused, match=r"it is not the one that was checked .*, then none\)"):
        replacing.remove_old(copied, "staging", there)

    assert changes(account) == []


def test_first_refresh_deletes_nothing(account: Sandbox) -> None:
    """
    Where there was no cluster and there is none, there is nothing to do.
    """
    copied = known(examples.plan(old=None), target_cluster_id="first")

    assert replacing.remove_old(copied, "first", there) is None

    assert changes(account) == []


def test_deletion_under_way_is_only_waited_for(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    A cluster that is being deleted is neither secured nor deleted again.
    """
    copied = known(plan(rds))
    account.plant("delete-stuck")
    delete(account, admin)

    with pytest.raises(NotReady, match=r"^cluster staging: it is being deleted\.$"):
        replacing.remove_old(copied, "staging", there)

    assert changes(account) == []


def test_kept_cluster_is_secured_and_marked(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    With hours to keep it the old cluster stays under its other name, secured, marked and on record.
    """
    copied = known(plan(rds), replace="swap", keep_old_hours=2)
    rename(account, admin, "staging", "away")

    kept = waited(account, lambda: replacing.remove_old(copied, "away", there, keep_hours=2))

    assert kept is None
    assert changes(account) == ["CreateDBClusterSnapshot", "AddTagsToResource"]
    marks = found(rds, "away").tags
    assert marks[tags.TARGET] == "staging"
    assert PAST < marks[tags.DELETE_AFTER] < FUTURE
    operation = ledger.store().read(copied.operation_id)
    assert operation.note("kept")["cluster_id"] == "away"
    assert operation.note("deletion") is None


def mark(admin: Any, aws: Sandbox, **changed: str | None) -> None:
    """Mark staging as an old cluster of the target `staging` whose time is over."""
    given = {"TARGET": "staging", "DELETE_AFTER": PAST, "MANAGED": "true"} | changed
    marks = {getattr(tags, name): value for name, value in given.items()}
    arn = aws.facts["target_cluster_arn"]
    unset = [name for name, value in marks.items() if value is None]
    admin.remove_tags_from_resource(ResourceName=arn, TagKeys=unset)
    kept = {name: value for name, value in marks.items() if value is not None}
    admin.add_tags_to_resource(ResourceName=arn, Tags=tags.to_api(kept))


@pytest.mark.parametrize("protected", [False, True])
def test_overdue_cluster_is_removed(
    account: Sandbox, rds: Any, admin: Any, *, protected: bool
) -> None:
    """
    An old cluster of this target whose time is over is deleted, also one that had been protected
    if the request lifts that.
    """
    mark(admin, account)
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=protected)

    waited(account, lambda: deleting.remove_kept(rds, "staging", may_lift=protected))

    assert clusters.find_cluster(rds, "staging") is None
    assert len(done(account, "ModifyDBCluster")) == protected


@pytest.mark.parametrize(
    "changed",
    [
        {"DELETE_AFTER": FUTURE},
        {"DELETE_AFTER": None},
        {"TARGET": "other"},
        {"TARGET": None},
        {"MANAGED": None},
    ],
)
def test_cluster_that_is_not_due_or_not_ours_is_left(
    account: Sandbox,
    rds: Any,
    admin: Any,
    caplog: pytest.LogCaptureFixture,
    changed: dict[str, str | None],
) -> None:
    """
    Neither one whose time is not over, nor another target's, nor an unmarked one is deleted, or
    even spoken of.
    """
    mark(admin, account, **changed)

    deleting.remove_kept(rds, "staging", may_lift=True)

    assert changes(account) == []
    assert [each for each in caplog.messages if "its time is over" in each] == []


def test_overdue_cluster_that_was_stopped_is_left(
    account: Sandbox, rds: Any, admin: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """
    One that AWS does not delete does not hold up later refreshes for ever; it is told.
    """
    mark(admin, account)
    admin.stop_db_cluster(DBClusterIdentifier="staging")
    account.advance(3600)

    deleting.remove_kept(rds, "staging", may_lift=True)

    assert changes(account) == []
    assert "its status is 'stopped', so AWS does not delete it" in caplog.text


def test_overdue_cluster_that_is_protected_is_left(
    account: Sandbox, rds: Any, admin: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Without consent nobody's deletion protection is lifted, nor any of its instances deleted: it is
    told.
    """
    mark(admin, account)
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)

    deleting.remove_kept(rds, "staging", may_lift=False)

    assert changes(account) == []
    assert "Not deleted although its time is over" in caplog.text
    assert "deletion protection is on" in caplog.text
