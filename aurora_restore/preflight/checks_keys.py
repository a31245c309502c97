"""The KMS keys on the way: each is there, enabled, of the right kind, and may be used."""

from aurora_restore.errors import Refused
from aurora_restore.preflight.check import Check, failed, ok, unchecked
from aurora_restore.preflight.checks_snapshot import route_of
from aurora_restore.preflight.facts import Facts
from aurora_restore.preflight.keys import Key, KeyDenied, SharedKey
from aurora_restore.preflight.reading import Answer, Unknown
from aurora_restore.rds.route import Route

_USE = "kms:DescribeKey, kms:CreateGrant, kms:Decrypt, kms:Encrypt, kms:ReEncrypt*"


def source_key(facts: Facts) -> list[Check]:
    """The snapshot's own key lets the target account read it."""
    name, snapshot = "source-key", facts.snapshot.get()
    resource = f"snapshot's key {snapshot.kms_key_id}"
    if not snapshot.encrypted or facts.source_key is None:
        return [ok(name, f"snapshot {snapshot.name}", "it is not encrypted")]
    try:
        key = facts.source_key.get()
    except Unknown as unknown:
        return _denied(facts, name, unknown)
    if facts.abroad and key.is_default:
        return [ok(name, resource, "aws/rds, so a copy under another key is shared")]
    return _shared(facts, name, resource, key)


def target_key(facts: Facts) -> list[Check]:
    """The key of the copy and the cluster is there and may be used."""
    name, request = "target-key", facts.request
    new = facts.draft.need("kms_key_id")
    if facts.draft.snapshot is not None and not facts.draft.snapshot.encrypted:
        if request.kms_key_id is None:
            return [ok(name, "kms_key_id", "none is needed: the snapshot is not encrypted")]
        return [
            failed(
                name,
                f"kms_key_id {request.kms_key_id}",
                f"snapshot {facts.draft.snapshot.name} is not encrypted, and AWS does not encrypt "
                "it by copying",
                "Leave kms_key_id out, or name an encrypted snapshot.",
            )
        ]
    if facts.target_key is None:
        facts.snapshot.get()
        return [ok(name, "kms_key_id", "none is needed")]
    place = (request.target_account_id, request.target_region)
    return _own_key(facts, name, f"kms_key_id {new.kms_key_id}", facts.target_key, place)


def hop_key(facts: Facts) -> list[Check]:
    """The key of the copy in the target account but the source Region may be used."""
    name, request = "hop-key", facts.request
    if facts.hop_key is None:
        return [ok(name, "hop_kms_key_id", "not given")]
    place = (request.target_account_id, request.source_region)
    resource = f"hop_kms_key_id {request.hop_kms_key_id}"
    return _own_key(facts, name, resource, facts.hop_key, place)


def source_copy_key(facts: Facts) -> list[Check]:
    """The key under which a copy is shared in the snapshot's place lets the target account in."""
    name, request = "source-copy-key", facts.request
    if facts.source_copy_key is None:
        return [ok(name, "source_kms_key_id", "not given")]
    resource = f"source_kms_key_id {request.source_kms_key_id}"
    if not _is_used(facts, "source_kms_key_id"):
        return [ok(name, resource, "not used: the snapshot itself can be shared")]
    try:
        key = facts.source_copy_key.get()
    except Unknown as unknown:
        return _denied(facts, name, unknown)
    if key.is_default:
        return [
            failed(
                name,
                resource,
                "a key that AWS manages cannot be shared with another account",
                f"Name a key of account {request.source_account_id} of your own.",
            )
        ]
    place = (request.source_account_id, request.source_region)
    return _elsewhere(name, resource, key.seen, place) or _shared(facts, name, resource, key)


def _shared(facts: Facts, name: str, resource: str, key: SharedKey) -> list[Check]:
    """Judge a key of the source account, which must let the target account in."""
    if key.to_target is not None:
        return _usable(facts, name, resource, key.to_target)
    return _in_order(name, resource, key.seen) or [_closed(facts, name, resource)]


def _is_used(facts: Facts, field: str) -> bool:
    try:
        route: Route | None = route_of(facts, facts.operation_id)
    except Refused:
        return True
    hops = [*route.hops, *route.otherwise] if route is not None else []
    return any(each.key_field == field and each.kms_key_id is not None for each in hops)


def _own_key(
    facts: Facts, name: str, resource: str, answer: Answer[Key], place: tuple[str, str]
) -> list[Check]:
    try:
        key = answer.get()
    except Unknown as unknown:
        return _denied(facts, name, unknown)
    return _elsewhere(name, resource, key, place) or _usable(facts, name, resource, key)


def _denied(facts: Facts, name: str, unknown: Unknown) -> list[Check]:
    """Return what to do about a key that may not be looked at; anything else goes on."""
    if unknown.owner != name or not isinstance(unknown.error, KeyDenied):
        raise unknown
    return [_closed(facts, name, unknown.error.resource)]


def _closed(facts: Facts, name: str, resource: str) -> Check:
    return failed(
        name,
        resource,
        f"account {facts.request.target_account_id} may not use it (kms:DescribeKey is denied)",
        f"Let {facts.target.who()} use it, in the key's policy and in the role's: {_USE}.",
    )


def _elsewhere(name: str, resource: str, key: Key, place: tuple[str, str]) -> list[Check]:
    if (key.account, key.region) == place:
        return []
    problem = f"it is of account {key.account}, Region {key.region}"
    return [failed(name, resource, problem, f"Name a key of account {place[0]} in {place[1]}.")]


def _in_order(name: str, resource: str, key: Key) -> list[Check]:
    """Return what is wrong with the key itself."""
    if key.state == "PendingDeletion":
        return [failed(name, resource, "it is pending deletion", "Cancel its deletion, enable it.")]
    if key.state != "Enabled":
        return [failed(name, resource, f"its state is {key.state}", "Enable it.")]
    if (key.spec, key.usage) != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        return [
            failed(
                name,
                resource,
                f"it is a key of kind {key.spec} for {key.usage}",
                "Name a symmetric key for ENCRYPT_DECRYPT.",
            )
        ]
    return []


def _usable(facts: Facts, name: str, resource: str, key: Key) -> list[Check]:
    if wrong := _in_order(name, resource, key):
        return wrong
    if key.grant == "works" or key.managed_by_aws:
        return [ok(name, resource, f"enabled, in {key.region}")]
    return [
        unchecked(
            name,
            resource,
            "whether RDS may make a grant on it cannot be known: asking for one directly is "
            + ("denied" if key.grant == "denied" else "not answered"),
            "A policy that allows kms:CreateGrant to AWS services only "
            "(kms:GrantIsForAWSResource, kms:ViaService) denies the question too; see that it lets "
            f"{facts.target.who()} in.",
        )
    ]
