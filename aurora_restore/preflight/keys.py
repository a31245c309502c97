"""What KMS tells about a key, and whether RDS may use it for us."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aurora_restore.errors import NotFound, Refused, aws_code
from aurora_restore.preflight.reading import DENIED

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.literals import GrantOperationType

# What is asked for is what a role must be let grant itself, dry run or not: nothing that it could
# use. Whether grants can be made does not depend on it; RDS's own are for operations that it needs.
_OPERATIONS: "list[GrantOperationType]" = ["DescribeKey"]


@dataclass(frozen=True)
class Key:
    """A KMS key as its account or another one sees it.

    `grant` is whether the caller may make grants on it: what a dry run of CreateGrant says. RDS
    makes its own in the caller's name.
    """

    arn: str
    state: str
    managed_by_aws: bool
    spec: str
    usage: str
    grant: Literal["works", "denied", "not asked"] = "not asked"

    @property
    def region(self) -> str:
        """The Region it lies in."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """The account it belongs to."""
        return self.arn.split(":")[4]


class KeyDenied(Refused):
    """The key's policy, or the role's, does not let the caller look at the key."""


def read_key(kms: "KMSClient", key_id: str, caller: str | None, resource: str) -> Key:
    """Return a key by id, ARN or alias; asks for a grant, without making it, for `caller`.

    Raises:
        NotFound: there is none in the client's Region.
        KeyDenied: it may not be looked at.

    Source: KMS API, DescribeKey, CreateGrant (DryRun).
    """
    try:
        found = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    except (kms.exceptions.NotFoundException, kms.exceptions.InvalidArnException) as fault:
        raise NotFound(resource, f"no such KMS key in Region {kms.meta.region_name}") from fault
    except kms.exceptions.ClientError as error:
        if aws_code(error) not in DENIED:
            raise
        raise KeyDenied(resource, "the key may not be looked at (kms:DescribeKey)", "") from error
    key = Key(
        arn=found["Arn"],
        state=found.get("KeyState", "Enabled"),
        managed_by_aws=found.get("KeyManager") == "AWS",
        spec=found.get("KeySpec", "SYMMETRIC_DEFAULT"),
        usage=found.get("KeyUsage", "ENCRYPT_DECRYPT"),
    )
    usable = key.state == "Enabled" and key.usage == "ENCRYPT_DECRYPT"
    # Of its own keys AWS lets nobody make grants; RDS uses them without.
    if caller is None or not usable or key.managed_by_aws:
        return key
    return Key(**key.__dict__ | {"grant": _try_grant(kms, key.arn, caller)})


def _try_grant(kms: "KMSClient", arn: str, caller: str) -> Literal["works", "denied", "not asked"]:
    try:
        kms.create_grant(KeyId=arn, GranteePrincipal=caller, Operations=_OPERATIONS, DryRun=True)
    except kms.exceptions.DryRunOperationException:
        return "works"
    except kms.exceptions.ClientError as error:
        return "denied" if aws_code(error) in DENIED else "not asked"
    return "works"


@dataclass(frozen=True)
class SharedKey:
    """A key of the source account: as the target account sees it, else as its own account does."""

    seen: Key
    by_target: bool

    @property
    def to_target(self) -> Key | None:
        """The key as the target account sees it, if it may."""
        return self.seen if self.by_target else None

    @property
    def is_default(self) -> bool:
        """Whether it is the account's aws/rds key, which cannot be shared."""
        return self.seen.managed_by_aws


def read_shared_key(
    target: "KMSClient", source: "KMSClient | None", key_id: str, caller: str, resource: str
) -> SharedKey:
    """Return a key of the source account; its own account is asked only if it must be.

    Raises:
        NotFound: there is none.
        KeyDenied: neither account lets it be looked at.
    """
    try:
        return SharedKey(read_key(target, key_id, caller, resource), by_target=True)
    except (KeyDenied, NotFound):
        if source is None:
            raise
    return SharedKey(read_key(source, key_id, None, resource), by_target=False)
