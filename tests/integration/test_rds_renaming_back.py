"""The way back of a swap: both clusters get the names they had."""

from typing import Any

import pytest
from cluster_steps import MARKS, done, found, plan, rename, restored, take_snapshot, waited, writer
from product_fixtures import changes

from aurora_restore.errors import NotReady, Refused
from aurora_restore.plan import Plan
from aurora_restore.rds import bringing_back, swapping
from aurora_restore.rds.clusters import Cluster
from sandbox import Sandbox

AWAY = "staging-old-op001"


def bring(rds: Any, known: Plan, *, aside: bool = False) -> Cluster:
    return bringing_back.bring_back(rds, known, None, MARKS, aside=aside)


@pytest.fixture
def swap(account: Sandbox, rds: Any, admin: Any) -> Plan:
    """The plan of a swap that has restored `fresh`, which is to become `staging`."""
    known = plan(rds, writer(account, "fresh"))
    restored(account, rds, known.new, take_snapshot(account, admin, "copy"))
    return known


@pytest.mark.parametrize(
    ("before", "moves"),
    [
        ([], []),
        ([("staging", AWAY)], [(AWAY, "staging")]),
        ([("staging", AWAY), ("fresh", "staging")], [("staging", "fresh"), (AWAY, "staging")]),
    ],
    ids=["not begun", "half-way", "done"],
)
def test_names_are_given_back(
    account: Sandbox,
    rds: Any,
    admin: Any,
    swap: Plan,
    before: list[tuple[str, str]],
    moves: list[tuple[str, str]],
) -> None:
    """
    From each state of the exchange the old cluster gets its identifier, the new one its temporary
    one; nothing is deleted, and another look changes nothing.
    """
    new = found(rds, "fresh").resource_id
    for cluster_id, name in before:
        rename(account, admin, cluster_id, name)
    changed = len(done(account, "ModifyDBCluster"))

    cluster = waited(account, lambda: bring(rds, swap))

    assert swap.old is not None
    assert (cluster.id, cluster.resource_id) == ("staging", swap.old.resource_id)
    assert found(rds, "fresh").resource_id == new
    assert [
        (each["DBClusterIdentifier"], each["NewDBClusterIdentifier"])
        for each in done(account, "ModifyDBCluster")[changed:]
    ] == moves
    after = changes(account)
    bring(rds, swap)
    assert changes(account) == after


def test_rename_under_way_is_waited_for(account: Sandbox, rds: Any, admin: Any, swap: Plan) -> None:
    """
    While the new cluster is getting the identifier nobody has it, and nobody else can take it:
    that is no refusal. Aside, the old cluster serves under the name it has.
    """
    rename(account, admin, "staging", AWAY)
    account.plant("rename-stuck", identifier="fresh")
    with pytest.raises(NotReady):
        swapping.rename(rds, found(rds, "fresh"), "staging")

    for _ in range(2):
        with pytest.raises(NotReady, match="the name staging is being given"):
            bring(rds, swap)
        account.advance(600)

    assert bring(rds, swap, aside=True).id == AWAY


def test_name_that_somebody_else_has_is_left_to_him(
    account: Sandbox, rds: Any, admin: Any, swap: Plan
) -> None:
    """
    A third cluster under the identifier is neither renamed nor deleted.
    """
    rename(account, admin, "staging", AWAY)
    admin.create_db_cluster(
        DBClusterIdentifier="staging",
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="not-of-interest",
    )
    account.advance(3600)
    third = found(rds, "staging").resource_id

    with pytest.raises(Refused, match="a cluster 'staging' exists"):
        bring(rds, swap)

    assert found(rds, "staging").resource_id == third
    assert bring(rds, swap, aside=True).id == AWAY
