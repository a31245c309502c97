"""Names of copies and final snapshots: valid whatever the request and the operation are called."""

import random
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from examples import TARGET_ACCOUNT, request

from aurora_restore.rds.names import copy_names, final_snapshot_name, instance_names
from aurora_restore.rds.snapshots import Snapshot, snapshot_arn, unfit

VALID = re.compile(r"[a-z](-?[a-z0-9])*")


def is_valid(name: str) -> bool:
    """Whether RDS takes the name and keeps it as it is."""
    return len(name) <= 63 and VALID.fullmatch(name) is not None


def _any_identifier(dice: random.Random) -> str:
    letters = string.ascii_letters
    parts = [
        "".join(dice.choices(letters + string.digits, k=dice.randint(1, 12)))
        for _ in range(dice.randint(1, 12))
    ]
    return (dice.choice(letters) + "-".join(parts))[: dice.randint(1, 63)].rstrip("-")


def _any_operation(dice: random.Random) -> str:
    alphabet = string.ascii_letters + string.digits
    rest = dice.choices(alphabet + "._-", k=dice.randint(0, 127))
    return dice.choice(alphabet) + "".join(rest)


def _cases() -> Iterator[tuple[str, str]]:
    dice = random.Random(20240320)  # noqa: S311 - names, no secrets
    yield from (
        ("a", "1"),
        ("a" * 63, "op-" + "f" * 36),
        ("A-" * 31 + "b", "-._".join("abcdefghijklmnop")),
        ("daily-backup-2024-03-20", "op-001"),
        ("x" * 44 + "-" + "y" * 18, "op-00000000-0000-0000-0000-123456789012"),
        ("x" * 57 + "-" + "y" * 5, "1---"),
    )
    for _ in range(2000):
        yield _any_identifier(dice), _any_operation(dice)


@pytest.mark.parametrize("prefix", ["", "rds:"])
def test_copy_has_a_valid_name_whatever_it_is_made_of(prefix: str) -> None:
    """
    RDS takes both names a copy may have, for every snapshot and operation a request can name.
    """
    for snapshot_id, operation_id in _cases():
        given = request(snapshot_id=prefix + snapshot_id, operation_id=operation_id)
        for name in copy_names(given, operation_id, prefix + snapshot_id):
            assert is_valid(name), (snapshot_id, operation_id, name)


def test_final_snapshot_has_a_valid_name_whatever_it_is_made_of() -> None:
    """
    RDS takes the final snapshot's name for every cluster and operation a request can name.
    """
    for cluster_id, operation_id in _cases():
        name = final_snapshot_name(request(replaces=cluster_id).replaced_cluster_id, operation_id)
        assert is_valid(name), (cluster_id, operation_id, name)


def test_instances_have_valid_and_different_names() -> None:
    """
    RDS takes each of sixteen instances' names for every target, and no two are the same.
    """
    for cluster_id, _ in _cases():
        names = instance_names(cluster_id.lower(), "op-001", 16)
        assert all(map(is_valid, names)), names
        assert len(set(names)) == 16


def test_copy_is_called_after_its_source() -> None:
    """
    The first choice is the snapshot's own name and -copy, the second is this operation's alone.
    """
    assert copy_names(request(), "op-001", "daily-backup-2024-03-20") == [
        "daily-backup-2024-03-20-copy",
        "daily-backup-2024-03-20-copy-op001",
    ]
    assert copy_names(request(), "op-001", "rds:prod-2024")[0] == "prod-2024-copy"


def test_second_choice_differs_between_operations() -> None:
    """
    Two operations never share the second name, also when both would be cut.
    """
    first, second = "op-00000000-0000-0000-0000-000000000001", "op-00000000-0000-0000-0000-2"
    names = {copy_names(request(), each, "s" * 63)[1] for each in (first, second)}

    assert len(names) == 2


def test_requested_name_is_the_only_choice() -> None:
    """
    A copy that the request names gets that name or none.
    """
    assert copy_names(request(target_snapshot="Mine"), "op-001", "s") == ["mine"]


def test_final_snapshot_is_called_after_cluster_and_operation() -> None:
    """
    The final snapshot's name tells which cluster's it is, and is another one in each operation.
    """
    assert final_snapshot_name("staging", "op-001") == "staging-final-op001"


@pytest.mark.parametrize(
    ("region", "partition"), [("us-east-1", "aws"), ("us-gov-west-1", "aws-us-gov")]
)
def test_snapshot_of_another_account_is_named_by_its_arn(region: str, partition: str) -> None:
    """
    The ARN is built from the source's account, Region and partition.
    """
    assert snapshot_arn(request(source_region=region), "s") == (
        f"arn:{partition}:rds:{region}:123456789012:cluster-snapshot:s"
    )


def shown(**changes: Any) -> Snapshot:
    """Return a snapshot that can be used, but for these changes."""
    arn = snapshot_arn(request(), "daily")
    found: Any = {
        "DBClusterSnapshotIdentifier": "daily",
        "DBClusterSnapshotArn": arn,
        "DBClusterIdentifier": "production",
        "Status": "available",
        "Engine": "aurora-postgresql",
        "StorageEncrypted": True,
        "KmsKeyId": "some-key",
        "SnapshotCreateTime": datetime.now(UTC) - timedelta(hours=30),
    }
    return Snapshot.from_api(found | changes)


@pytest.mark.parametrize(
    ("changed", "wished", "line"),
    [
        (
            {"Engine": "aurora-mysql"},
            {},
            (
                "snapshot_id daily: its engine is 'aurora-mysql', not 'aurora-postgresql'. "
                "Name a snapshot of an Aurora PostgreSQL cluster."
            ),
        ),
        (
            {"Status": "creating"},
            {},
            (
                "snapshot_id daily: its status is 'creating'. "
                "Wait until it is available, or name another."
            ),
        ),
        (
            {"Status": "failed"},
            {},
            (
                "snapshot_id daily: its status is 'failed', so it never becomes available. "
                "Name another snapshot."
            ),
        ),
        (
            {"Status": "deleting"},
            {},
            (
                "snapshot_id daily: its status is 'deleting', so it never becomes available. "
                "Name another snapshot."
            ),
        ),
        (
            {},
            {"max_snapshot_age_hours": 29},
            (
                "snapshot_id daily: it is 30 hours old, max_snapshot_age_hours is 29. "
                "Take a newer snapshot, or allow an older one."
            ),
        ),
        (
            {"DBClusterIdentifier": "staging"},
            {"source_account_id": TARGET_ACCOUNT, "source_region": "us-west-2"},
            (
                "target_cluster_id staging: snapshot daily was taken from the cluster that would "
                "be deleted. Name another target cluster, account or Region."
            ),
        ),
    ],
)
def test_snapshot_that_cannot_be_used_is_told(
    changed: dict[str, Any], wished: dict[str, Any], line: str
) -> None:
    """
    Of another engine, not finished, too old, or of the very cluster: one line with its remedy.
    """
    [reason] = unfit(shown(**changed), request(snapshot_id="daily", **wished))

    assert str(reason) == line


def test_every_reason_against_a_snapshot_is_told() -> None:
    """
    A snapshot with three faults gives three lines.
    """
    wanted = request(snapshot_id="daily", max_snapshot_age_hours=1)

    assert len(unfit(shown(Engine="aurora-mysql", Status="failed"), wanted)) == 3


def test_snapshot_that_is_young_enough_is_taken() -> None:
    """
    The age limit lets a younger snapshot pass.
    """
    assert unfit(shown(), request(snapshot_id="daily", max_snapshot_age_hours=31)) == []


def test_snapshot_is_known_by_name_and_key() -> None:
    """
    A shared snapshot, whose identifier is its ARN, has its bare name; the key is the snapshot's.
    """
    found = shown(DBClusterSnapshotIdentifier=snapshot_arn(request(), "daily"))

    assert (found.name, found.kms_key_id) == ("daily", "some-key")
