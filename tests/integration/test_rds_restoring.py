"""The new cluster: restored by its blueprint, given instances, its last settings, a password."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cluster_steps import (
    LONG,
    MARKS,
    done,
    found,
    read,
    renamed,
    restored,
    rows,
    secret,
    take_snapshot,
    waited,
    writer,
)
from product_fixtures import calls, changes
from pydantic import SecretStr

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.rds import restoring, tags
from aurora_restore.rds.blueprint import Blueprint
from aurora_restore.rds.clusters import Cluster
from sandbox import Sandbox
from sandbox.faults import Fault


@pytest.fixture
def snapshot(account: Sandbox, admin: Any) -> str:
    """The ARN of an available snapshot of staging."""
    return take_snapshot(account, admin, "copy")


def complete(rds: Any, wanted: Blueprint, password: SecretStr | None = None) -> Cluster:
    return restoring.complete(rds, found(rds, wanted.cluster_id), wanted, MARKS, password)


def test_own_restore_is_adopted(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    A repeat finds the cluster of its operation and asks for no other, also after a lost reply.
    """
    account.plant(Fault("rds", "RestoreDBClusterFromSnapshot", lose_reply=True))

    first = restoring.start_restore(rds, writer(account), snapshot, MARKS)
    again = restoring.start_restore(rds, writer(account), snapshot, MARKS)

    assert again.arn == first.arn
    assert MARKS.items() <= first.tags.items()
    results = [each["result"] for each in calls(account, "RestoreDBClusterFromSnapshot")]
    assert results == ["ConnectionLost", "DBClusterAlreadyExistsFault"]


def test_foreign_cluster_is_not_adopted(account: Sandbox, rds: Any) -> None:
    """
    A cluster that has the name and is not this operation's is refused.
    """
    with pytest.raises(Refused) as refused:
        restoring.start_restore(rds, writer(account, "staging"), "arn", MARKS)

    assert str(refused.value) == (
        "cluster staging: a cluster of this name exists and is not this operation's. "
        "Name it in `replaces` to have it deleted, or choose another target_cluster_id."
    )
    assert changes(account) == []


def test_missing_capacity_is_waited_for(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    A restore for which there is no capacity just now is worth another look.
    """
    account.plant("cluster-capacity")

    with pytest.raises(NotReady, match=r"it now \(InsufficientDBClusterCapacityFault\)\.$"):
        restoring.start_restore(rds, writer(account), snapshot, MARKS)


def test_refused_restore_is_awss_own_error(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    A restore that AWS refuses for good fails at once.
    """
    account.plant("restore-refused")

    with pytest.raises(ClientError, match="InvalidRestoreFault"):
        restoring.start_restore(rds, writer(account), snapshot, MARKS)


def test_restored_cluster_gets_instances_and_a_managed_password(
    account: Sandbox, rds: Any, snapshot: str
) -> None:
    """
    A restore is complete when writer, reader and RDS's own secret are ready; each is asked for
    once, and progress never goes back.
    """
    wanted = renamed(read(rds), "restored").model_copy(update={"managed_password": True})
    restoring.start_restore(rds, wanted, snapshot, MARKS)
    percents: list[int] = []

    def look() -> Cluster:
        try:
            return complete(rds, wanted)
        except NotReady as waiting:
            percents.append(waiting.percent or 0)
            raise

    cluster = waited(account, look)

    assert [each["DBInstanceIdentifier"] for each in done(account, "CreateDBInstance")] == [
        "restored-1",
        "restored-2",
    ]
    assert all(
        MARKS.items() <= tags.from_api(each["Tags"]).items()
        for each in done(account, "CreateDBInstance")
    )
    assert (cluster.status, cluster.master_secret_status) == ("available", "active")
    assert (cluster.writer, cluster.readers) == ("restored-1", ["restored-2"])
    assert percents == sorted(percents)
    assert 0 <= percents[0] < percents[-1] < 100
    assert rows(account, cluster, secret(account, cluster.master_secret_arn)) == 3


def test_readers_come_after_the_writer(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    Readers are asked for once the cluster shows a writer, which need not be available yet.
    """

    def asked() -> str:
        with pytest.raises(NotReady) as waiting:
            complete(rds, wanted)
        return str(waiting.value)

    wanted = renamed(read(rds), "restored")
    restoring.start_restore(rds, wanted, snapshot, MARKS)
    account.advance(3600)
    account.set_durations(INSTANCE_CREATE=LONG)

    assert asked() == "cluster restored: instances requested: restored-1."
    assert asked() == "cluster restored: instances requested: restored-2."
    assert asked() == "instance restored-1: status is 'creating'."
    made = [each["DBInstanceIdentifier"] for each in done(account, "CreateDBInstance")]
    assert made == ["restored-1", "restored-2"]


def test_cluster_that_shows_no_writer_is_not_complete(
    account: Sandbox, rds: Any, snapshot: str
) -> None:
    """
    No reader is asked for, however available the instance that is to be the writer.
    """
    restored(account, rds, writer(account), snapshot)
    wanted = renamed(read(rds), "restored")
    shown = replace(found(rds, "restored"), writer=None)

    with pytest.raises(NotReady, match=r"^cluster restored: it shows no writer yet\.$"):
        restoring.complete(rds, shown, wanted, MARKS, None)

    assert len(done(account, "CreateDBInstance")) == 1


def test_named_secrets_password_is_set_once(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    A password from a named secret is set once, and is the one that logs in.
    """
    password, wanted = SecretStr("Marker-8-to-41"), writer(account)
    restoring.start_restore(rds, wanted, snapshot, MARKS)

    waited(account, lambda: complete(rds, wanted, password))
    cluster = complete(rds, wanted, password)
    account.advance(600)

    [modified] = done(account, "ModifyDBCluster")
    assert modified["MasterUserPassword"] == "***"
    assert cluster.tags[tags.MASTER_PASSWORD] == "true"
    assert cluster.master_secret_arn is None
    assert rows(account, cluster, password.get_secret_value()) == 3


def test_protection_comes_only_when_all_else_is_there(
    account: Sandbox, rds: Any, snapshot: str
) -> None:
    """
    A restore that ends badly can be removed: it was never protected.
    """
    wanted = writer(account, deletion_protection=True)
    account.plant("instance-failed")
    restoring.start_restore(rds, wanted, snapshot, MARKS)

    with pytest.raises(EndedBadly):
        waited(account, lambda: complete(rds, wanted))

    assert not found(rds, "restored").protected
    assert done(account, "ModifyDBCluster") == []


def test_data_api_is_switched_on_by_its_own_call(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    It is asked for once, after a lost reply too, before the protection and on no other cluster.
    """
    account.plant(Fault("rds", "EnableHttpEndpoint", lose_reply=True))
    wanted = writer(account, http_endpoint=True, deletion_protection=True)

    cluster = restored(account, rds, wanted, snapshot)

    assert (cluster.http_endpoint, found(rds, "staging").http_endpoint) == (True, False)
    assert changes(account)[-2:] == ["EnableHttpEndpoint", "ModifyDBCluster"]
    assert done(account, "EnableHttpEndpoint") == [{"ResourceArn": cluster.arn}]
    [modified] = done(account, "ModifyDBCluster")
    assert "EnableHttpEndpoint" not in modified


def test_data_api_that_is_not_wanted_is_left_off(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    A cluster without it needs no call.
    """
    restored(account, rds, writer(account), snapshot)

    assert calls(account, "EnableHttpEndpoint") == []


def test_data_api_that_is_on_is_left_on(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    What Describe shows as switched on is not switched on again.
    """
    admin.enable_http_endpoint(ResourceArn=found(rds, "staging").arn)

    assert complete(rds, read(rds)).http_endpoint

    assert changes(account) == []


def test_data_api_that_cannot_be_switched_on_now_is_waited_for(account: Sandbox, rds: Any) -> None:
    """
    A cluster that is busy gets its Data API at another look; other errors are AWS's own.
    """
    wanted = read(rds).model_copy(update={"http_endpoint": True})
    account.plant(Fault("rds", "EnableHttpEndpoint", "InvalidResourceStateFault", "busy"))

    with pytest.raises(NotReady, match="its Data API cannot be switched on now"):
        complete(rds, wanted)
    account.plant(Fault("rds", "EnableHttpEndpoint", "InvalidParameterCombination", "never"))
    with pytest.raises(ClientError, match="never"):
        complete(rds, wanted)
    with pytest.raises(NotReady, match="its Data API was requested"):
        complete(rds, wanted)


def test_complete_cluster_is_left_as_it_is(account: Sandbox, rds: Any, snapshot: str) -> None:
    """
    Another look at a complete cluster changes nothing.
    """
    wanted = writer(
        account,
        deletion_protection=True,
        managed_password=True,
        maintenance_window="mon:04:00-mon:04:30",
    )
    restored(account, rds, wanted, snapshot)
    before = changes(account)

    assert complete(rds, wanted).status == "available"

    assert changes(account) == before
    assert len(done(account, "ModifyDBCluster")) == 1


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        ("restore-failed", "cluster restored: status is 'incompatible-restore'"),
        ("capacity", "instance restored-1: status is 'insufficient-capacity'"),
        ("instance-failed", "instance restored-1: status is 'incompatible-network'"),
    ],
)
def test_restore_that_ended_badly_is_told(
    account: Sandbox, rds: Any, snapshot: str, failure: str, line: str
) -> None:
    """
    A cluster or an instance that reached a status it never leaves ends the wait.
    """
    account.plant(failure)
    restoring.start_restore(rds, writer(account), snapshot, MARKS)

    with pytest.raises(EndedBadly) as ended:
        waited(account, lambda: complete(rds, writer(account)))

    assert str(ended.value).startswith(line)


def test_cluster_that_is_creating_gets_no_instances_yet(
    account: Sandbox, rds: Any, snapshot: str
) -> None:
    """
    Instances are asked for only once the cluster is available.
    """
    account.plant("restore-stuck")
    restoring.start_restore(rds, writer(account), snapshot, MARKS)

    with pytest.raises(NotReady, match="status is 'creating'") as waiting:
        complete(rds, writer(account))

    assert waiting.value.percent == 0
    assert changes(account) == ["RestoreDBClusterFromSnapshot"]


def test_instance_of_another_cluster_is_not_taken_over(
    account: Sandbox, rds: Any, admin: Any, snapshot: str
) -> None:
    """
    An instance that has a wanted name in another cluster is in the way.
    """
    taken = renamed(writer(account), "staging").model_copy(update={"cluster_id": "restored"})

    with pytest.raises(Refused) as refused:
        restored(account, rds, taken, snapshot)

    assert str(refused.value) == (
        "instance staging-1: an instance of this name exists in another cluster. "
        "Delete or rename it, or choose another target_cluster_id."
    )


@pytest.mark.parametrize("code", ["InsufficientDBInstanceCapacity", "InvalidDBClusterStateFault"])
def test_instance_that_cannot_be_made_now_is_waited_for(
    account: Sandbox, rds: Any, code: str
) -> None:
    """
    Missing capacity for an instance passes, or the deadline comes.
    """
    account.plant(Fault("rds", "CreateDBInstance", code, "not now"))
    three = read(rds).instances[0].model_copy(update={"id": "staging-3"})
    wanted = read(rds).model_copy(update={"instances": [*read(rds).instances, three]})

    with pytest.raises(NotReady, match=f"it cannot be created now \\({code}\\)"):
        complete(rds, wanted)


def test_settings_that_cannot_be_changed_now_are_waited_for(account: Sandbox, rds: Any) -> None:
    """
    A cluster that is busy gets its last settings at another look.
    """
    account.plant(Fault("rds", "ModifyDBCluster", "InvalidDBClusterStateFault", "busy"))
    wanted = read(rds).model_copy(update={"deletion_protection": True})

    with pytest.raises(NotReady, match="its settings cannot be changed now"):
        complete(rds, wanted)
