"""The way of a copy: who copies what to where, decided before anything is changed."""

from typing import Literal

from pydantic import BaseModel

from aurora_restore.errors import Refused
from aurora_restore.rds import names
from aurora_restore.rds.snapshots import Snapshot
from aurora_restore.request import RestoreRequest

# AWS Backup's are named here too: RDS shares neither. What another account shares is "shared".
UNSHAREABLE = frozenset({"automated", "awsbackup"})


class Hop(BaseModel, frozen=True):
    """One copy: made by the account `account` in `region` from `source_arn`.

    `names` are the identifiers it may have, the preferred one first. `kms_key_id` None keeps the
    source's key, or there is none; `key_field` is the request's field that names the key. `share`
    tells that the source must be shared with `account`; `withdraw` that we share it, and take that
    back at the end. `why` there is an intermediate copy.
    """

    account: str
    region: str
    source_arn: str
    names: list[str]
    kms_key_id: str | None
    key_field: Literal["kms_key_id", "hop_kms_key_id", "source_kms_key_id"] = "kms_key_id"
    share: bool = False
    withdraw: bool = False
    why: str = ""

    @property
    def arn(self) -> str:
        """The ARN of the copy if it has the preferred name."""
        partition = self.source_arn.split(":")[1]
        return f"arn:{partition}:rds:{self.region}:{self.account}:cluster-snapshot:{self.names[0]}"

    @property
    def source_region(self) -> str:
        """The Region of what is copied."""
        return self.source_arn.split(":")[3]

    @property
    def source_account(self) -> str:
        """The account that owns what is copied."""
        return self.source_arn.split(":")[4]

    @property
    def source_name(self) -> str:
        """The identifier of what is copied, in its own account and Region."""
        return self.source_arn.rsplit(":cluster-snapshot:", 1)[-1]

    @property
    def is_single_step(self) -> bool:
        """Whether the copy is across account and Region at once."""
        return self.source_account != self.account and self.source_region != self.region


class Route(BaseModel, frozen=True):
    """The hops in their order; all but the last make intermediate copies, removed at the end.

    `kind` is how the last account and Region are reached: within one Region (of the same account
    or another), from another Region of the same account, or across both.
    `otherwise` are the hops to take in place of the last one when AWS refuses to copy across
    account and Region in one step; none, if there are none that could be taken.
    """

    hops: list[Hop]
    otherwise: list[Hop] = []
    kind: Literal["same-region", "same-account", "one-step", "two-hops"]

    def sharing_anew(self) -> "Route":
        """Return the route on which all that has to be shared is shared by us, and taken back."""
        hops, otherwise = (
            [each.model_copy(update={"withdraw": each.share}) for each in several]
            for several in (self.hops, self.otherwise)
        )
        return self.model_copy(update={"hops": hops, "otherwise": otherwise})


def plan_route(  # noqa: PLR0913 - facts of different origin, none belongs to another
    request: RestoreRequest,
    snapshot: Snapshot,
    *,
    own: bool,
    shared: bool,
    default_key: bool,
    operation_id: str,
    target_key: str | None,
) -> Route:
    """Return the hops from the snapshot to its copy in the target account and Region.

    `own`: there is a client of the source account. `shared`: the snapshot is shared with the
    target account already. `default_key`: it is under its account's aws/rds key. `target_key`:
    the key of the last copy, None for a snapshot that is not encrypted.

    Raises:
        Refused: a key is missing that the way needs, or the snapshot cannot be shared and nobody
            may copy it in its account.

    Source: Aurora User Guide, "Sharing a DB cluster snapshot", "Copying a DB cluster snapshot";
    RDS API, CopyDBClusterSnapshot.
    """
    _require_target_key(request, snapshot, target_key)
    abroad = request.source_account_id != request.target_account_id
    away = request.source_region != request.target_region
    hops: list[Hop] = []
    source_arn = snapshot.arn
    share = withdraw = False
    if abroad and (snapshot.type in UNSHAREABLE or default_key):
        hops = [_source_copy(request, snapshot, operation_id, own=own, default_key=default_key)]
        source_arn, share, withdraw = hops[0].arn, True, True
    elif abroad:
        if not (own or shared):
            raise Refused(
                f"snapshot_id {snapshot.name}",
                f"it is not shared with account {request.target_account_id}, and there is no role "
                f"to share it in account {request.source_account_id}",
                "Share it, or set AURORA_RESTORE_SOURCE_ROLE_ARN.",
            )
        # Looked at even if it is shared: another operation may take back what it has added.
        share, withdraw = own, own and not shared

    last = Hop(
        account=request.target_account_id,
        region=request.target_region,
        source_arn=source_arn,
        names=names.copy_names(request, operation_id, snapshot.name),
        kms_key_id=target_key if snapshot.encrypted else None,
        share=share,
        withdraw=withdraw,
    )
    if not (abroad and away):
        return Route(hops=[*hops, last], kind="same-account" if away else "same-region")
    first = last.model_copy(
        update={
            "region": request.source_region,
            "names": [names.hop_copy_name(snapshot.name, operation_id)],
            "kms_key_id": request.hop_kms_key_id if snapshot.encrypted else None,
            "key_field": "hop_kms_key_id",
        }
    )
    second = last.model_copy(update={"source_arn": first.arn, "share": False, "withdraw": False})
    possible = not snapshot.encrypted or request.hop_kms_key_id is not None
    if request.copy_route == "one-step":
        first = first.model_copy(update={"why": "AWS refuses to copy in one step"})
        return Route(
            hops=[*hops, last], otherwise=[first, second] if possible else [], kind="one-step"
        )
    if not possible:
        raise Refused(
            "hop_kms_key_id",
            f"snapshot {snapshot.name} is encrypted, copy_route is two-hops, and no key is given "
            f"for the copy in Region {request.source_region}",
            f"Give a KMS key of account {request.target_account_id} in that Region, or set "
            "copy_route to one-step.",
        )
    first = first.model_copy(update={"why": "copy_route is two-hops"})
    return Route(hops=[*hops, first, second], kind="two-hops")


def _source_copy(
    request: RestoreRequest, snapshot: Snapshot, operation_id: str, *, own: bool, default_key: bool
) -> Hop:
    """Return the manual copy at the source that can be shared in the snapshot's place."""
    kind = f"an {snapshot.type} snapshot" if snapshot.type in UNSHAREABLE else "a snapshot"
    under = " under the default key aws/rds" if default_key else ""
    why = f"{kind}{under} cannot be shared with another account"
    if not own:
        raise Refused(
            f"snapshot_id {snapshot.name}",
            f"{why}, and there is no role to copy it in account {request.source_account_id}",
            "Set AURORA_RESTORE_SOURCE_ROLE_ARN, or make a manual copy of it there, under a key "
            "of your own, share that and name it.",
        )
    if default_key and request.source_kms_key_id is None:
        raise Refused(
            "source_kms_key_id",
            f"snapshot {snapshot.name} is under the default key aws/rds, which cannot be shared "
            "with another account",
            f"Give a KMS key of account {request.source_account_id} in Region "
            f"{request.source_region} that account {request.target_account_id} may use.",
        )
    return Hop(
        account=request.source_account_id,
        region=request.source_region,
        source_arn=snapshot.arn,
        names=[names.source_copy_name(snapshot.name, operation_id)],
        kms_key_id=request.source_kms_key_id if default_key else None,
        key_field="source_kms_key_id",
        why=why,
    )


def _require_target_key(
    request: RestoreRequest, snapshot: Snapshot, target_key: str | None
) -> None:
    if snapshot.encrypted and target_key is None:
        raise Refused(
            "kms_key_id",
            f"snapshot {snapshot.name} is encrypted and no key is given for its copy",
            "Give a KMS key of the target account and Region.",
        )
    if not snapshot.encrypted and request.kms_key_id is not None:
        raise Refused(
            "kms_key_id",
            f"snapshot {snapshot.name} is not encrypted, and AWS does not encrypt it by copying",
            "Leave kms_key_id out, or name an encrypted snapshot.",
        )
