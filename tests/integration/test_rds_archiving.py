"""The final snapshots of replaced clusters: the newest stay, only ours go."""

from collections.abc import Callable
from typing import Any

import pytest
from examples import TARGET_ACCOUNT
from product_fixtures import calls, changes

from aurora_restore.errors import NotReady
from aurora_restore.rds import archiving, tags
from sandbox import Sandbox
from sandbox.faults import Fault

DELETE = "DeleteDBClusterSnapshot"
HOUR = 3600


def final_of(cluster_id: str, operation_id: str) -> dict[str, str]:
    return tags.marks(operation_id, cluster_id) | {tags.FINAL_OF: cluster_id}


@pytest.fixture
def take(account: Sandbox, admin: Any) -> Callable[..., None]:
    """Make a snapshot of staging with these tags, an hour after the one before."""

    def taken(name: str, marks: dict[str, str]) -> None:
        admin.create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name,
            DBClusterIdentifier="staging",
            Tags=tags.to_api(marks),
        )
        account.advance(HOUR)

    return taken


def left(admin: Any) -> set[str]:
    shown = admin.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    return {each["DBClusterSnapshotIdentifier"] for each in shown}


def test_newest_final_snapshots_stay(
    account: Sandbox, rds: Any, admin: Any, take: Callable[..., None]
) -> None:
    """
    The newest by the moment they were taken stay, whatever they are called; a repeat does nothing.
    """
    for name, operation in (("z-first", "op-1"), ("m-second", "op-2"), ("a-third", "op-3")):
        take(name, final_of("staging", operation))

    pruned = [archiving.prune_final_snapshots(rds, "staging", keep, "op-9") for keep in (3, 1, 1)]

    assert pruned == [[], ["m-second", "z-first"], []]
    assert left(admin) == {"a-third"}
    assert changes(account) == [DELETE, DELETE]
    assert len(calls(account, "DescribeDBClusterSnapshots")) == 3


def test_only_our_final_snapshots_of_the_cluster_are_pruned(
    account: Sandbox, rds: Any, admin: Any, take: Callable[..., None]
) -> None:
    """
    Neither people's snapshots nor another cluster's nor copies nor archives are touched.
    """
    ours = final_of("staging", "op-1")
    others = {
        "not-managed": {tags.FINAL_OF: "staging", tags.OPERATION: "op-1"},
        "of-another-cluster": final_of("other", "op-1"),
        "a-copy": tags.marks("op-1", "staging"),
        "an-archive": tags.marks("op-1", "staging") | {tags.ARCHIVED: "2020-01-01T00:00:00Z"},
        "by-hand": {},
    }
    for name, marks in {"older": ours, **others, "newest": ours}.items():
        take(name, marks)

    assert archiving.prune_final_snapshots(rds, "staging", 1, "op-9") == ["older"]
    assert left(admin) == others.keys() | {"newest"}


def test_own_final_snapshot_stays(rds: Any, admin: Any, take: Callable[..., None]) -> None:
    """
    The operation that prunes never takes its own way back, however old it is.
    """
    for name, operation in (("own", "op-1"), ("between", "op-2"), ("newest", "op-3")):
        take(name, final_of("staging", operation))

    assert archiving.prune_final_snapshots(rds, "staging", 1, "op-1") == ["between"]
    assert left(admin) == {"own", "newest"}


@pytest.mark.parametrize("failed", [False, True])
def test_only_available_final_snapshots_count(
    account: Sandbox,
    rds: Any,
    admin: Any,
    source_admin: Any,
    take: Callable[..., None],
    *,
    failed: bool,
) -> None:
    """
    One in progress or failed is no way back: it neither counts nor is it deleted.
    """
    for name in ("oldest", "older"):
        take(name, final_of("staging", "op-1"))
    if failed:
        account.plant("snapshot-failed", identifier="newest")
        take("newest", final_of("staging", "op-2"))
    else:
        source_admin.modify_db_cluster_snapshot_attribute(
            DBClusterSnapshotIdentifier=account.facts["snapshot"],
            AttributeName="restore",
            ValuesToAdd=[TARGET_ACCOUNT],
        )
        account.plant("copy-stuck")
        admin.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=account.facts["snapshot_arn"],
            TargetDBClusterSnapshotIdentifier="newest",
            KmsKeyId="alias/aurora-target",
            Tags=tags.to_api(final_of("staging", "op-2")),
        )

    assert archiving.prune_final_snapshots(rds, "staging", 1, "op-9") == ["oldest"]
    assert left(admin) == {"older", "newest"}


def test_final_snapshot_in_use_is_pruned_later(
    account: Sandbox, rds: Any, take: Callable[..., None]
) -> None:
    """
    One whose state forbids its deletion is worth another look.
    """
    for name in ("older", "newest"):
        take(name, final_of("staging", "op-1"))
    account.plant(Fault("rds", DELETE, "InvalidDBClusterSnapshotStateFault", "in use"))

    with pytest.raises(NotReady, match=r"^cluster snapshot older: it cannot be deleted yet"):
        archiving.prune_final_snapshots(rds, "staging", 1, "op-9")

    assert archiving.prune_final_snapshots(rds, "staging", 1, "op-9") == ["older"]
