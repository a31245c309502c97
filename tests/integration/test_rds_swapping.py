"""The exchange of two clusters' names: from whatever state, by resource id, and no third one's."""

from typing import Any

import pytest
from cluster_steps import MARKS, done, found, rename, waited
from product_fixtures import changes

from aurora_restore.errors import EndedBadly, NotReady, Refused
from aurora_restore.rds import clusters, deleting, swapping, tags
from aurora_restore.rds.clusters import Cluster
from sandbox import Sandbox


@pytest.fixture
def fresh(account: Sandbox, rds: Any, admin: Any) -> Cluster:
    """The cluster that takes staging's place."""
    return made(account, rds, admin, "fresh")


def made(aws: Sandbox, rds: Any, admin: Any, name: str) -> Cluster:
    admin.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="not-of-interest",
        Tags=tags.to_api(MARKS),
    )
    aws.advance(3600)
    return found(rds, name)


def exchange(rds: Any, old: Cluster, new: Cluster) -> Cluster:
    return swapping.exchange(rds, old.resource_id, new.resource_id, "staging", "away")


def renames(aws: Sandbox) -> list[tuple[str, str]]:
    return [
        (each["DBClusterIdentifier"], each["NewDBClusterIdentifier"])
        for each in done(aws, "ModifyDBCluster")
    ]


@pytest.mark.parametrize(
    ("before", "moves"),
    [
        ([], [("staging", "away"), ("fresh", "staging")]),
        ([("staging", "away")], [("fresh", "staging")]),
        ([("staging", "away"), ("fresh", "staging")], []),
    ],
    ids=["not begun", "half-way", "done"],
)
def test_exchange_goes_on_from_where_it_is(
    account: Sandbox,
    rds: Any,
    admin: Any,
    fresh: Cluster,
    before: list[tuple[str, str]],
    moves: list[tuple[str, str]],
) -> None:
    """
    The old cluster steps aside, then the new one takes its name; what is done is not done again.
    """
    old = found(rds, "staging")
    for cluster_id, name in before:
        rename(account, admin, cluster_id, name)

    new = waited(account, lambda: exchange(rds, old, fresh))

    assert renames(account) == moves
    assert (new.id, new.resource_id) == ("staging", fresh.resource_id)
    assert new.endpoint.startswith("staging.cluster-")
    assert found(rds, "away").resource_id == old.resource_id


@pytest.mark.parametrize("stuck", ["staging", "fresh"])
def test_rename_that_does_not_end_is_waited_for(
    account: Sandbox, rds: Any, fresh: Cluster, stuck: str
) -> None:
    """
    While a cluster is being renamed, each look waits and asks for nothing more.
    """
    old = found(rds, "staging")
    account.plant("rename-stuck", identifier=stuck)

    for _ in range(6):
        with pytest.raises(NotReady):
            exchange(rds, old, fresh)
        account.advance(600)

    with pytest.raises(NotReady, match="status is 'renaming'"):
        exchange(rds, old, fresh)
    assert renames(account)[-1][0] == stuck
    assert len(renames(account)) == len({each for each, _ in renames(account)})


def test_name_of_a_third_cluster_is_not_taken(
    account: Sandbox, rds: Any, admin: Any, fresh: Cluster
) -> None:
    """
    A name that a third cluster has, or is getting, ends the step with what to do.
    """
    old = found(rds, "staging")
    made(account, rds, admin, "away")

    with pytest.raises(Refused) as refused:
        exchange(rds, old, fresh)

    assert str(refused.value) == (
        "cluster staging: it cannot be renamed: a cluster 'away' exists. "
        "Rename or delete that one, then start another operation."
    )
    assert renames(account) == []


def test_busy_cluster_is_renamed_later(account: Sandbox, rds: Any, fresh: Cluster) -> None:
    """
    AWS's "not now" is waited for.
    """
    account.plant("rename-refused", times=1)

    with pytest.raises(NotReady, match="it cannot be renamed to away yet"):
        exchange(rds, found(rds, "staging"), fresh)


def test_new_cluster_takes_the_name_only_while_the_old_one_could_come_back(
    account: Sandbox, rds: Any, admin: Any, fresh: Cluster
) -> None:
    """
    An old cluster that has stepped aside but is not available is waited for.
    """
    old = found(rds, "staging")
    rename(account, admin, "staging", "away")
    admin.stop_db_cluster(DBClusterIdentifier="away")
    account.advance(600)

    with pytest.raises(NotReady, match=r"^cluster away: status is 'stopped'"):
        exchange(rds, old, fresh)

    assert renames(account) == []


def test_new_cluster_that_is_gone_takes_no_name(account: Sandbox, rds: Any, fresh: Cluster) -> None:
    """
    Without the new cluster the old one keeps its name.
    """
    old = found(rds, "staging")
    waited(account, lambda: _gone(rds, fresh))
    before = changes(account)

    with pytest.raises(EndedBadly) as ended:
        exchange(rds, old, fresh)

    assert str(ended.value).startswith(
        f"cluster staging: the restored cluster ({fresh.resource_id}) is gone."
    )
    assert changes(account) == before


def _gone(rds: Any, cluster: Cluster) -> None:
    if clusters.find_cluster(rds, cluster.id) is not None:
        deleting.delete_cluster(rds, cluster)


def test_resource_ids_decide_not_names(
    account: Sandbox, rds: Any, admin: Any, fresh: Cluster
) -> None:
    """
    A third cluster that has the temporary name meanwhile is not taken for the new one.
    """
    old = found(rds, "staging")
    rename(account, admin, "fresh", "elsewhere")
    made(account, rds, admin, "fresh")

    waited(account, lambda: exchange(rds, old, fresh))

    assert renames(account) == [("staging", "away"), ("elsewhere", "staging")]
