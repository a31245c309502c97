"""What moto's KMS leaves out: keys of other accounts, key policies, states, DryRun."""

from http import HTTPStatus

from moto.kms.models import Key, KmsBackend, kms_backends

from sandbox.key_policy import is_administrator, is_managed_by_aws, lets_in, names_of
from sandbox.wire import AwsError, Call

USING = frozenset(
    {
        "CreateGrant",
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncrypt",
    }
)
"""Operations that need an enabled key and know DryRun."""

# Source: KMS developer guide, "Allowing users in other accounts to use a KMS key": these only.
ACROSS_ACCOUNTS = USING | {"DescribeKey", "ListGrants"}
_OPEN = frozenset({"CreateKey", "CreateAlias", "UpdateAlias", "DeleteAlias", "ListAliases"})


def owner_of_key(call: Call) -> str:
    """Return the account whose KMS answers: the key's own, if a key of another one is named.

    Raises:
        AwsError: AccessDeniedException, if the key's policy does not let the caller in, or if it
            is another account's and does not exist; NotFoundException for a missing key of one's
            own; DisabledException, KMSInvalidStateException for one that cannot be used;
            DryRunOperationException, if all is well and the caller only wanted to know.

    Source: KMS API, CreateGrant (DryRun, errors); KMS developer guide, "Testing your permissions".
    """
    name = str(call.parameters.get("KeyId") or call.parameters.get("DestinationKeyId") or "")
    if call.service != "kms" or not name or call.operation in _OPEN:
        return call.account
    account = _account_of(name) or call.account
    key = find_key(kms_backends[account][call.region], name)
    if account != call.account:
        _check_access(call, key, foreign=True)
    elif key is not None and not is_administrator(account, call.caller):
        _check_access(call, key, foreign=False)
    if call.operation in USING:
        _check_use(call, key, name)
    return account


def find_key(kms: KmsBackend, name: str) -> Key | None:
    """Return the key of this id, ARN, alias or alias's ARN, in this account and Region.

    Asking for an alias of AWS, such as alias/aws/rds, makes its key.

    Source: KMS API, DescribeKey (AWS managed keys; KeyManager).
    """
    if name.startswith("arn:"):
        parts = name.split(":", 5)
        if len(parts) != 6 or parts[3:5] != [kms.region_name, kms.account_id]:  # noqa: PLR2004
            return None
        name = parts[5].removeprefix("key/")
    if name.startswith("alias/"):
        name = kms.get_key_id_from_alias(name) or ""
    found = kms.keys.get(name)
    if found is not None and is_managed_by_aws(found):
        found.key_manager = "AWS"
    return found


def _account_of(name: str) -> str | None:
    parts = name.split(":")
    return parts[4] if parts[0] == "arn" and len(parts) > 5 else None  # noqa: PLR2004  of an ARN


def _check_access(call: Call, key: Key | None, *, foreign: bool) -> None:
    action = f"kms:{call.operation}"
    if call.operation == "ReEncrypt":  # what it does to the key that is named
        action = "kms:ReEncryptTo"
    names = names_of(call.account, call.caller)
    if (
        key is None
        or not lets_in(key, names, action)
        or (foreign and call.operation not in ACROSS_ACCOUNTS)
    ):
        raise AwsError(
            "AccessDeniedException",
            f"User: {call.caller} is not authorized to perform: kms:{call.operation} on this "
            "resource because the resource does not exist in this Region, no resource-based "
            "policies allow access, or a resource-based policy explicitly denies access",
        )


def _check_use(call: Call, key: Key | None, name: str) -> None:
    if key is None:
        raise AwsError("NotFoundException", f"Key '{name}' does not exist")
    if key.key_state == "Disabled":
        raise AwsError("DisabledException", f"{key.arn} is disabled.")
    if key.key_state != "Enabled":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if call.parameters.get("DryRun"):
        raise AwsError(
            "DryRunOperationException",
            "The request would have succeeded, but the DryRun option is set.",
            HTTPStatus.BAD_REQUEST,
        )
