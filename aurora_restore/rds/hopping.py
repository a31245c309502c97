"""One hop of a copy's route: found by its operation's tag, or requested."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aurora_restore.errors import NotReady, Refused, aws_code
from aurora_restore.faults import Act, looking_again, verdict
from aurora_restore.rds import tags
from aurora_restore.rds.route import Hop
from aurora_restore.rds.sharing import ensure_shared, is_shared
from aurora_restore.rds.snapshots import Snapshot, find_snapshot

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

ClientOf = Callable[[str, str], "RDSClient"]
"""Account and Region -> a client that acts there."""


class SingleStepRefused(Exception):
    """AWS does not copy across account and Region at once."""


class SharedNoMore(Exception):
    """Somebody else had shared the source, and has taken that back: `Route.sharing_anew`."""


def find_own(hop: Hop, client_of: ClientOf, operation_id: str) -> Snapshot | None:
    """Return the operation's copy of this hop, under whichever of its names, or None."""
    rds = client_of(hop.account, hop.region)
    found = (find_snapshot(rds, name) for name in hop.names)
    return next(
        (each for each in found if each is not None and is_own(each, operation_id)),
        None,
    )


def is_own(copy: Snapshot, operation_id: str) -> bool:
    """Whether the operation made this snapshot."""
    return copy.tags.get(tags.OPERATION) == operation_id


def ensure_requested(hop: Hop, client_of: ClientOf, marks: dict[str, str]) -> Snapshot:
    """Return the copy of this hop: found by the operation's tag, or requested now.

    Raises:
        NotReady: five copies into the Region are in flight, or the source is busy.
        Refused: every name is somebody else's, a quota is used up, or a key cannot be used.
        SingleStepRefused: it is across account and Region, and AWS does not do that at once.
        SharedNoMore: whoever had shared the source has taken that back.

    Source: RDS API, CopyDBClusterSnapshot.
    """
    rds = client_of(hop.account, hop.region)
    existing = {name: find_snapshot(rds, name) for name in hop.names}
    for copy in existing.values():
        if copy is not None and is_own(copy, marks[tags.OPERATION]):
            return copy
    free = next((name for name in hop.names if existing[name] is None), None)
    if free is None:
        raise Refused(
            f"cluster snapshot {hop.names[0]}",
            "a snapshot of this name exists and is not this operation's",
            "Delete it, then run again."
            if tags.INTERMEDIATE in marks
            else "Delete it, or give another target_snapshot.",
        )
    shared_now = hop.share and _ensure_shared(hop, client_of)
    try:
        with looking_again(f"cluster snapshot {free}", "it cannot be made yet"):
            return _request(rds, hop, free, marks)
    except rds.exceptions.DBClusterSnapshotNotFoundFault as fault:
        problem = _unseen(hop, client_of, shared_now=shared_now)
        if problem is None:
            raise
        raise NotReady(f"cluster snapshot {free}", problem) from fault


def _ensure_shared(hop: Hop, client_of: ClientOf) -> bool:
    """Share the source, if that is on the route to be taken back; return whether it was added."""
    source = client_of(hop.source_account, hop.source_region)
    if hop.withdraw:
        return ensure_shared(source, hop.source_name, hop.account)
    if not is_shared(source, hop.source_name, hop.account):
        raise SharedNoMore(hop.source_name)
    return False


def _unseen(hop: Hop, client_of: ClientOf, *, shared_now: bool) -> str | None:
    """Why a source that we share is not found, if that passes; None: it does not.

    AWS may not have seen the sharing yet, be it ours or that of another operation a moment ago. And
    an operation that has its copy takes back what it shared, perhaps between our look and our copy:
    the next look shares it again.
    """
    if not hop.share:
        return None
    if shared_now:
        return "its source was shared just now; not seen yet"
    source = client_of(hop.source_account, hop.source_region)
    if find_snapshot(source, hop.source_name) is None:
        return None
    return "its source is shared by another operation; not seen yet, or taken back"


def _request(rds: "RDSClient", hop: Hop, name: str, marks: dict[str, str]) -> Snapshot:
    key = {"KmsKeyId": hop.kms_key_id} if hop.kms_key_id is not None else {}
    resource = f"cluster snapshot {name}"
    try:
        # No SourceRegion: boto3 makes a PreSignedUrl of it, which AWS ignores by now.
        answer = rds.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=hop.source_arn,
            TargetDBClusterSnapshotIdentifier=name,
            CopyTags=False,
            Tags=tags.to_api(marks),
            **key,
        )
    except rds.exceptions.DBClusterSnapshotAlreadyExistsFault as fault:
        # botocore resends after a lost reply: the one that exists may be ours.
        copy = find_snapshot(rds, name)
        if copy is not None and is_own(copy, marks[tags.OPERATION]):
            return copy
        raise NotReady(resource, "its name was taken just now; not seen yet whose it is") from fault
    except rds.exceptions.SnapshotQuotaExceededFault as fault:
        if verdict(fault) is Act.WAIT:
            raise NotReady(resource, "five copies are in flight") from fault
        raise Refused(
            resource,
            "the account's quota of manual snapshots is used up",
            "Delete snapshots, or have the quota raised.",
        ) from fault
    except rds.exceptions.KMSKeyNotAccessibleFault as fault:
        raise _key_refused(hop, resource) from fault
    except rds.exceptions.ClientError as fault:
        if hop.is_single_step and _names_the_single_step(fault):
            raise SingleStepRefused from fault
        raise
    return Snapshot.from_api(answer["DBClusterSnapshot"])


def _names_the_single_step(fault: ClientError) -> bool:
    """Whether AWS refuses because account and Region are both others.

    Its words for that are not known. What it says of keys and names ("Must specify new KMS key
    for cross region …") speaks of no account and no sharing, and two hops would not help there.
    """
    text = str(fault).lower()
    return (
        aws_code(fault)
        in {
            "InvalidParameterCombination",
            "InvalidParameterValue",
            "InvalidDBClusterSnapshotStateFault",
        }
        and "region" in text
        and ("account" in text or "shared" in text)
    )


def _key_refused(hop: Hop, resource: str) -> Refused:
    otherwise = " If they do, set copy_route to two-hops." if hop.is_single_step else ""
    return Refused(
        resource if hop.kms_key_id is None else f"{hop.key_field} {hop.kms_key_id}",
        "the key cannot be used for the copy (KMSKeyNotAccessibleFault)",
        f"Check that it exists and is enabled in Region {hop.region}, and that the policies of "
        "this key and of the source's key admit the role that copies in account "
        f"{hop.account}.{otherwise}",
    )
