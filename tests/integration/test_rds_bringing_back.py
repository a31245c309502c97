"""The way back of a refresh that deletes first: the old cluster serves again, as it was."""

from typing import Any

import examples
import pytest
from cluster_steps import (
    FINAL,
    LONG,
    MARKS,
    delete,
    done,
    found,
    plan,
    read,
    rename,
    renamed,
    restored,
    rows,
    secret,
    take_snapshot,
    waited,
    writer,
)
from product_fixtures import changes

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.plan import Plan
from aurora_restore.rds import bringing_back, clusters, restoring, tags
from aurora_restore.rds.clusters import Cluster
from sandbox import Sandbox

BACK = "staging-back-op001"


def bring(rds: Any, known: Plan, final: str | None = FINAL, *, aside: bool = False) -> Cluster:
    return bringing_back.bring_back(rds, known, final, MARKS, aside=aside)


@pytest.fixture
def gone(account: Sandbox, rds: Any, admin: Any) -> Plan:
    """The plan of an operation that has deleted staging, after its final snapshot."""
    known = plan(rds)
    take_snapshot(account, admin, FINAL)
    delete(account, admin)
    return known


def ended_badly(aws: Sandbox, rds: Any, known: Plan) -> str:
    """Restore the new cluster, which comes to no good end; return its resource id."""
    with pytest.raises(EndedBadly):
        restored(aws, rds, known.new, FINAL)
    return found(rds, known.new.cluster_id).resource_id


def test_cluster_that_is_untouched_is_left_so(account: Sandbox, rds: Any) -> None:
    """
    As long as nothing was deleted the way back changes nothing, with or without a snapshot.
    """
    known = plan(rds)

    assert bring(rds, known, None).endpoint.startswith("staging.cluster-")
    assert bring(rds, known, aside=True).id == "staging"

    assert changes(account) == []


@pytest.mark.parametrize("lost", ["staging-1", "staging-2"])
def test_deleted_instances_are_given_back(
    account: Sandbox, rds: Any, admin: Any, lost: str
) -> None:
    """
    A cluster that lost an instance, writer or reader, gets it back with all its settings.
    """
    known = plan(rds)
    admin.delete_db_instance(DBInstanceIdentifier=lost, SkipFinalSnapshot=True)

    cluster = waited(account, lambda: bring(rds, known))

    assert known.old is not None
    assert cluster.resource_id == known.old.resource_id
    before = {each.id: each for each in known.old.blueprint.instances}
    assert {each.id: each for each in read(rds).instances} == before
    assert [each["DBInstanceIdentifier"] for each in done(account, "CreateDBInstance")] == [lost]


def test_writer_that_goes_after_its_reader_is_the_writer_again(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    The reader's deletion ends first, but it is asked for only after the writer.
    """
    known = plan(rds)
    admin.delete_db_instance(DBInstanceIdentifier="staging-2", SkipFinalSnapshot=True)
    account.advance(600)
    account.set_durations(INSTANCE_DELETE=LONG)
    admin.delete_db_instance(DBInstanceIdentifier="staging-1", SkipFinalSnapshot=True)
    with pytest.raises(NotReady) as waiting:
        bring(rds, known)
    account.advance(LONG)

    waited(account, lambda: bring(rds, known))

    assert str(waiting.value) == "instance staging-1: status is 'deleting'."
    assert known.old is not None
    assert read(rds) == known.old.blueprint


def test_lifted_protection_is_put_back(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    Protection that was lifted for the deletion is on again.
    """
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)
    known = plan(rds)
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=False)

    waited(account, lambda: bring(rds, known))

    assert found(rds, "staging").protected


@pytest.mark.parametrize("failure", ["restore-failed", "instance-failed"])
def test_deleted_cluster_comes_back_in_the_place_of_the_failed_one(
    account: Sandbox, rds: Any, gone: Plan, failure: str
) -> None:
    """
    The failed cluster is removed, and the old one restored from its final snapshot: its settings,
    tags, instances, rows and password. Another look changes nothing.
    """
    protected = gone.new.model_copy(update={"deletion_protection": True})
    known = gone.model_copy(update={"new": protected})
    account.plant(failure)
    failed = ended_badly(account, rds, known)

    cluster = waited(account, lambda: bring(rds, known))

    assert gone.old is not None
    assert read(rds) == gone.old.blueprint
    assert read(rds).tags == {"team": "payments"}
    assert cluster.tags[tags.MANAGED] == "true"
    assert tags.BROUGHT_BACK in cluster.tags
    assert rows(account, cluster, secret(account, "aurora-restore/master")) == 3
    assert clusters.find_by_resource_id(rds, failed) == {}
    before = changes(account)
    assert bring(rds, known).resource_id == cluster.resource_id
    assert changes(account) == before


def test_protected_new_cluster_makes_room_too(account: Sandbox, rds: Any, gone: Plan) -> None:
    """
    A new cluster that was complete but could not be set up is unprotected and removed.
    """
    new = writer(account, "staging", deletion_protection=True)
    known = gone.model_copy(update={"new": new})
    failed = restored(account, rds, new, FINAL).resource_id

    cluster = waited(account, lambda: bring(rds, known))

    assert gone.old is not None
    assert cluster.resource_id != failed
    assert read(rds) == gone.old.blueprint


def test_managed_password_is_managed_again(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    A cluster whose password RDS kept comes back with a secret of RDS's own, which logs in.
    """
    admin.modify_db_cluster(
        DBClusterIdentifier="staging", ManageMasterUserPassword=True, ApplyImmediately=True
    )
    account.advance(3600)
    known = plan(rds)
    take_snapshot(account, admin, FINAL)
    delete(account, admin)

    cluster = waited(account, lambda: bring(rds, known))

    assert cluster.master_secret_arn is not None
    assert rows(account, cluster, secret(account, cluster.master_secret_arn)) == 3


def test_cluster_that_cannot_go_is_gone_round(account: Sandbox, rds: Any, gone: Plan) -> None:
    """
    AWS deletes no cluster that is being created: the old one serves under another identifier, with
    instances of other names, and stays there.
    """
    account.plant("restore-stuck", identifier="staging")
    restoring.start_restore(rds, gone.new, FINAL, MARKS)

    cluster = waited(account, lambda: bring(rds, gone))
    again = bring(rds, gone)

    assert gone.old is not None
    assert (cluster.id, again.resource_id) == (BACK, cluster.resource_id)
    assert read(rds, BACK) == renamed(gone.old.blueprint, BACK)
    assert found(rds, "staging").status == "creating"


def test_own_restore_that_hangs_is_gone_round_in_the_end(
    account: Sandbox, rds: Any, gone: Plan
) -> None:
    """
    When the old cluster's own restore does not end, aside means another one beside it.
    """
    account.plant("restore-stuck", identifier="staging")
    with pytest.raises(NotReady):
        bring(rds, gone)
    with pytest.raises(NotReady, match=r"^cluster staging: status is 'creating'"):
        bring(rds, gone)

    cluster = waited(account, lambda: bring(rds, gone, aside=True))

    assert cluster.id == BACK


def test_aside_does_not_wait_for_the_holders_instances(
    account: Sandbox, rds: Any, gone: Plan
) -> None:
    """
    Aside, what holds the identifier keeps it, with its instances, whose names are not wanted.
    """
    failed = restored(account, rds, gone.new, FINAL)

    cluster = waited(account, lambda: bring(rds, gone, aside=True))

    assert cluster.id == BACK
    assert found(rds, "staging").resource_id == failed.resource_id


def test_cluster_that_is_being_deleted_is_waited_for(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    It comes back under its own identifier once that is free; aside, under another one at once.
    """
    known = plan(rds)
    take_snapshot(account, admin, FINAL)
    account.plant("delete-stuck")
    delete(account, admin)

    with pytest.raises(NotReady) as waiting:
        bring(rds, known)
    cluster = waited(account, lambda: bring(rds, known, aside=True))

    assert str(waiting.value) == "cluster staging: it is being deleted; then it is restored."
    assert cluster.id == BACK
    assert found(rds, "staging").status == "deleting"


@pytest.mark.parametrize("final", [None, "staging-final-none"])
def test_without_final_snapshot_there_is_no_way_back(
    account: Sandbox, rds: Any, gone: Plan, final: str | None
) -> None:
    """
    A cluster that is gone without a final snapshot cannot be brought back by this program.
    """
    with pytest.raises(Refused) as refused:
        bring(rds, gone, final)

    assert str(refused.value) == (
        "cluster staging: it is gone and there is no final snapshot of it. "
        "Restore it from an automated backup that was retained."
    )
    assert changes(account) == []


def test_where_there_was_no_cluster_none_comes_back(rds: Any) -> None:
    """
    A first refresh has nothing to go back to.
    """
    with pytest.raises(Refused, match=r"^cluster staging: there was none before"):
        bring(rds, examples.plan(old=None))


def test_replaced_cluster_of_another_name_gets_its_own_back(
    account: Sandbox, rds: Any, admin: Any
) -> None:
    """
    With two identifiers the old cluster comes back under its own; the failed one keeps the other.
    """
    rename(account, admin, "staging", "blue")
    known = plan(rds, writer(account, "target"), old="blue")
    take_snapshot(account, admin, FINAL, "blue")
    delete(account, admin, "blue")
    account.plant("restore-failed")
    failed = ended_badly(account, rds, known)

    cluster = waited(account, lambda: bring(rds, known))

    assert known.old is not None
    assert cluster.id == "blue"
    assert read(rds, "blue") == known.old.blueprint
    assert found(rds, "target").resource_id == failed


@pytest.mark.parametrize("mark", [{}, {tags.OPERATION: "op-002", tags.BROUGHT_BACK: "true"}])
def test_somebody_elses_cluster_is_never_deleted(
    account: Sandbox, rds: Any, admin: Any, gone: Plan, mark: dict[str, str]
) -> None:
    """
    A cluster that somebody made under the identifier keeps it, also another operation's.
    """
    admin.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="staging",
        SnapshotIdentifier=FINAL,
        Engine="aurora-postgresql",
        Tags=tags.to_api(mark | {tags.MANAGED: "true"}),
    )
    account.advance(3600)

    cluster = waited(account, lambda: bring(rds, gone))

    assert cluster.id == BACK
    touched = done(account, "ModifyDBCluster", "DeleteDBCluster", "DeleteDBInstance")
    assert {each.get("DBClusterIdentifier") for each in touched} == {BACK}
    delete(account, admin)
    assert bring(rds, gone).resource_id == cluster.resource_id, "it stays where it is"
