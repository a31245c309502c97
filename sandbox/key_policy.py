"""Who may use a KMS key: what its policy says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any

from moto.kms.models import Key

FOR_SERVICE = frozenset({"kms:GrantIsForAWSResource", "kms:ViaService"})
"""Conditions that RDS meets when it uses a key for its caller, and nobody else does."""

_caller: ContextVar[frozenset[str]] = ContextVar("caller", default=frozenset())


@contextmanager
def called_by(names: frozenset[str]) -> Iterator[None]:
    """Let keys be used in the name of this caller; without names every check of ours passes."""
    token = _caller.set(names)
    try:
        yield
    finally:
        _caller.reset(token)


def names_of(account: str, caller: str) -> frozenset[str]:
    """Return what a policy may call somebody: everybody, account, user or session, its role."""
    names = {"*", account, f"arn:aws:iam::{account}:root", caller}
    if ":assumed-role/" in caller:
        role = caller.rpartition(":assumed-role/")[2].partition("/")[0]
        names.add(f"arn:aws:iam::{account}:role/{role}")
    return frozenset(names)


def is_administrator(account: str, caller: str) -> bool:
    """Tell whether this is the account's administrator, who may do anything in it."""
    return caller == f"arn:aws:iam::{account}:user/admin"


def is_managed_by_aws(key: Key) -> bool:
    """Whether the key is one of AWS's own in the account, such as aws/rds."""
    return any(alias.startswith("alias/aws/") for alias in key.aliases)


def service_may_use(key: Key, account: str, *actions: str) -> bool:
    """Tell whether RDS may use the key for a caller of `account`, the one of `called_by`."""
    caller = _caller.get()
    if key.account_id == account and (
        not caller or any(is_administrator(account, name) for name in caller)
    ):
        return True
    names = caller or names_of(account, "")
    return all(lets_in(key, names, action, for_service=True) for action in actions)


def lets_in(key: Key, names: frozenset[str], action: str, *, for_service: bool = False) -> bool:
    """Tell whether the key's policy allows `action` to a principal that has these names.

    A statement with a condition counts only for what a service does (`for_service`), and only if
    its conditions are all of `FOR_SERVICE`.

    Source: KMS developer guide, "Key policies in AWS KMS" and "AWS managed keys"; IAM user guide,
    policy evaluation (an explicit Deny wins).
    """
    policy = _policy_of_aws(key) if is_managed_by_aws(key) else json.loads(key.policy)
    statements = policy["Statement"]
    effects = {
        statement.get("Effect")
        for statement in (statements if isinstance(statements, list) else [statements])
        if _texts(statement.get("Principal")) & names
        and any(fnmatchcase(action, pattern) for pattern in _texts(statement.get("Action")))
        and _conditions(statement) <= (FOR_SERVICE if for_service else frozenset())
    }
    return "Allow" in effects and "Deny" not in effects


def _policy_of_aws(key: Key) -> dict[str, Any]:
    """Return the policy of a key that AWS manages: through its service all, else metadata."""
    account = key.account_id
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    via = {"StringEquals": {"kms:ViaService": "rds"}}
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
    look = ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"]
    through = [*use, "kms:CreateGrant", "kms:ListGrants", "kms:DescribeKey"]
    return {
        "Statement": [
            {"Effect": "Allow", "Principal": root, "Action": through, "Condition": via},
            {"Effect": "Allow", "Principal": root, "Action": look},
        ]
    }


def _conditions(statement: dict[str, Any]) -> set[str]:
    return {name for test in statement.get("Condition", {}).values() for name in test}


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        value = value.get("AWS", [])
    return {value} if isinstance(value, str) else set(value or [])
