"""Keys of another account, which moto's KMS does not find."""

import json
from typing import Any

from moto.kms.models import kms_backends

from sandbox.wire import AwsError, Call

# Source: KMS developer guide, "Allowing users in other accounts to use a KMS key": these only.
ACROSS_ACCOUNTS = frozenset(
    {
        "CreateGrant",
        "Decrypt",
        "DescribeKey",
        "Encrypt",
        "GenerateDataKey",
        "ListGrants",
        "ReEncrypt",
    }
)


def owner_of_key(call: Call) -> str:
    """Return the account whose KMS answers: the key's own, if a key of another one is named.

    Raises:
        AwsError: AccessDeniedException, if that key's policy does not let the caller's account in;
            the same if there is no such key.
    """
    parts = str(call.parameters.get("KeyId", "")).split(":")
    if call.service != "kms" or parts[0] != "arn" or parts[4] == call.account:
        return call.account
    found = kms_backends[parts[4]][call.region].keys.get(parts[5].removeprefix("key/"))
    allowed = found is not None and _lets_in(json.loads(found.policy), call)
    if not allowed or call.operation not in ACROSS_ACCOUNTS:
        raise AwsError(
            "AccessDeniedException",
            f"User: {call.caller} is not authorized to perform: kms:{call.operation} on this "
            "resource because the resource does not exist in this Region, no resource-based "
            "policies allow access, or a resource-based policy explicitly denies access",
        )
    return parts[4]


def _lets_in(policy: dict[str, Any], call: Call) -> bool:
    """Tell whether a statement allows the operation to the caller's account as a whole."""
    accepted = {"*", "kms:*", f"kms:{call.operation}"}
    everybody = {"*", call.account, f"arn:aws:iam::{call.account}:root"}
    return any(
        statement.get("Effect") == "Allow"
        and _texts(statement.get("Action")) & accepted
        and _texts(statement.get("Principal")) & everybody
        for statement in policy["Statement"]
    )


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        value = value.get("AWS", [])
    return {value} if isinstance(value, str) else set(value or [])
