"""The identifiers this program gives: deterministic from the request and the operation."""

from aurora_restore.request import RestoreRequest

MAX_IDENTIFIER = 63
PLACEHOLDER = "<operation>"


def copy_names(request: RestoreRequest, operation_id: str, snapshot_id: str) -> list[str]:
    """Return the identifiers the copy may have, the preferred one first.

    The second one is this operation's alone: it serves when an earlier operation's copy of the
    same snapshot still has the first.
    """
    if request.target_snapshot is not None:
        return [request.target_snapshot]
    base = snapshot_id.removeprefix("rds:").lower()
    return [_shortened(base, "-copy"), _shortened(base, "-copy-" + short(operation_id))]


def source_copy_name(snapshot_id: str, operation_id: str) -> str:
    """Return the identifier of the manual copy that is made where a snapshot cannot be shared."""
    return _shortened(snapshot_id.removeprefix("rds:").lower(), "-share-" + short(operation_id))


def hop_copy_name(snapshot_id: str, operation_id: str) -> str:
    """Return the identifier of the copy in the target account but still in the source Region."""
    return _shortened(snapshot_id.removeprefix("rds:").lower(), "-hop-" + short(operation_id))


def final_snapshot_name(cluster_id: str, operation_id: str) -> str:
    """Return the identifier of the final snapshot an operation takes of a cluster."""
    return _shortened(cluster_id, "-final-" + short(operation_id))


def new_cluster_name(request: RestoreRequest, operation_id: str) -> str:
    """Return the identifier under which the new cluster is restored.

    Beside a cluster that has the target's identifier it is a temporary one.
    """
    beside = request.replace == "swap" and request.replaced_cluster_id == request.target_cluster_id
    if not beside:
        return request.target_cluster_id
    return _shortened(request.target_cluster_id, "-new-" + short(operation_id))


def old_cluster_name(request: RestoreRequest, operation_id: str) -> str:
    """Return the identifier the old cluster gets when the new one takes its own."""
    return _shortened(request.replaced_cluster_id, "-old-" + short(operation_id))


def brought_back_name(cluster_id: str, operation_id: str) -> str:
    """Return the identifier for an old cluster whose own one is held by one that cannot go."""
    return _shortened(cluster_id, "-back-" + short(operation_id))


def instance_names(cluster_id: str, operation_id: str | None, count: int) -> list[str]:
    """Return the identifiers of the writer and the readers, the writer first.

    With an operation they are its alone: beside the old cluster's, whose names are still taken.
    """
    suffix = "" if operation_id is None else "-" + short(operation_id)
    return [_shortened(cluster_id, f"{suffix}-{number}") for number in range(1, count + 1)]


def short(operation_id: str) -> str:
    """Return what tells an operation's resources from another's: the end of its id."""
    if operation_id == PLACEHOLDER:
        return PLACEHOLDER
    return "".join(each for each in operation_id.lower() if each.isalnum())[-12:]


def _shortened(base: str, suffix: str) -> str:
    return base[: MAX_IDENTIFIER - len(suffix)].rstrip("-") + suffix
