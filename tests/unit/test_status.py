"""Which statuses mean done, which mean wait, which never end."""

import pytest

from aurora_restore.errors import EndedBadly, NotReady
from aurora_restore.rds.status import require_available

WAITING = [
    "backing-up",
    "backtracking",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "copying",
    "creating",
    "delete-precheck",
    "deleting",
    "failing-over",
    "maintenance",
    "migrating",
    "modifying",
    "preparing-data-migration",
    "promoting",
    "rebooting",
    "renaming",
    "resetting-master-credentials",
    "scaling-compute",
    "scaling-storage",
    "starting",
    "stopping",
    "update-iam-db-auth",
    "upgrading",
]
TERMINAL = [
    "cloning-failed",
    "failed",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "migration-failed",
    "restore-error",
    "storage-full",
]
UNKNOWN = ["", "a-status-of-next-year", "failover", "AVAILABLE"]


def test_available_is_the_goal() -> None:
    """
    `available` ends the wait.
    """
    require_available("cluster c", "available")


@pytest.mark.parametrize("status", WAITING + UNKNOWN)
def test_status_that_changes_is_worth_another_look(status: str) -> None:
    """
    A status AWS still leaves, or one nobody has heard of, is waited for until the deadline.
    """
    with pytest.raises(NotReady, match=f"^cluster c: status is '{status}'\\.$") as waiting:
        require_available("cluster c", status, 33)

    assert waiting.value.percent == 33


@pytest.mark.parametrize("status", TERMINAL)
def test_status_that_stays_ends_the_wait(status: str) -> None:
    """
    A status AWS never leaves by itself is told at once, with what to do.
    """
    with pytest.raises(EndedBadly) as ended:
        require_available("cluster c", status)

    assert str(ended.value) == (
        f"cluster c: status is '{status}'. "
        "Read the resource's RDS events, remove it, then run again."
    )


def test_usable_status_counts_as_available() -> None:
    """
    An instance whose storage is being optimised already serves.
    """
    require_available(
        "instance i", "storage-optimization", usable=frozenset(["storage-optimization"])
    )

    with pytest.raises(NotReady):
        require_available("instance i", "storage-optimization")
