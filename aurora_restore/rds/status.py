"""Which statuses mean done, which mean wait, which never end.

Source: Aurora User Guide, "Viewing DB cluster status" and "Viewing DB instance status".
"""

from aurora_restore.errors import EndedBadly, NotReady

AVAILABLE = "available"

# Statuses a resource does not leave by itself. Whatever is in neither set waits: AWS grows
# statuses it does not document, and every wait has a deadline.
_TERMINAL = frozenset(
    {
        "failed",
        "restore-error",
        "inaccessible-encryption-credentials",
        "inaccessible-encryption-credentials-recoverable",
        "insufficient-capacity",
        "storage-full",
    }
)


def is_terminal(status: str) -> bool:
    """Whether a snapshot, cluster or instance stays in `status` until somebody acts."""
    return status in _TERMINAL or status.startswith("incompatible-") or status.endswith("-failed")


def require_available(
    resource: str, status: str, percent: int | None = None, *, usable: frozenset[str] = frozenset()
) -> None:
    """Return if `status` is available (or one of `usable`).

    Raises:
        NotReady: AWS is still working; carries `percent`.
        EndedBadly: the status is one that is never left.
    """
    if status == AVAILABLE or status in usable:
        return
    if is_terminal(status):
        raise EndedBadly(resource, f"status is {status!r}")
    raise NotReady(resource, f"status is {status!r}", percent)
