"""The identifiers this program gives: deterministic from the request and the operation."""

from aurora_restore.request import RestoreRequest

MAX_IDENTIFIER = 63


def copy_names(request: RestoreRequest, operation_id: str, snapshot_id: str) -> list[str]:
    """Return the identifiers the copy may have, the preferred one first.

    The second one is this operation's alone: it serves when an earlier operation's copy of the
    same snapshot still has the first.
    """
    if request.target_snapshot is not None:
        return [request.target_snapshot]
    base = snapshot_id.removeprefix("rds:").lower()
    own = "-copy-" + _short(operation_id)
    return [_shortened(base, "-copy"), _shortened(base, own)]


def final_snapshot_name(cluster_id: str, operation_id: str) -> str:
    """Return the identifier of the final snapshot an operation takes of a cluster."""
    return _shortened(cluster_id, "-final-" + _short(operation_id))


def instance_names(request: RestoreRequest) -> list[str]:
    """Return the identifiers of the writer and the readers, the writer first."""
    base = request.target_cluster_id[:60].rstrip("-")
    return [f"{base}-{number}" for number in range(1, request.reader_count + 2)]


def _short(operation_id: str) -> str:
    return "".join(each for each in operation_id.lower() if each.isalnum())[-12:]


def _shortened(base: str, suffix: str) -> str:
    return base[: MAX_IDENTIFIER - len(suffix)].rstrip("-") + suffix
