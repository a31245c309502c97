"""The snapshot, the version it is restored as, the way of its copy."""

from aurora_restore.errors import Refused
from aurora_restore.preflight.check import Check, failed, found, ok, unchecked
from aurora_restore.preflight.facts import Facts
from aurora_restore.preflight.reading import Unknown
from aurora_restore.preflight.reads_region import Version
from aurora_restore.rds import snapshots
from aurora_restore.rds.route import Route, plan_route

_MOST_SHARED_WITH = 20


def source_snapshot(facts: Facts) -> list[Check]:
    """The snapshot is there, and fit to be restored."""
    snapshot = facts.snapshot.get()
    age = f", of {snapshot.created_at:%Y-%m-%d %H:%M} UTC" if snapshot.created_at else ""
    return found("source-snapshot", [*snapshots.unfit(snapshot, facts.request)]) or [
        ok("source-snapshot", snapshots.source_name(facts.request), f"{snapshot.name}{age}")
    ]


def engine_version(facts: Facts) -> list[Check]:
    """The Region offers the version, and the snapshot can be restored as it."""
    name, offered = "engine-version", facts.versions.get()
    version = facts.draft.need("engine_version").engine_version
    resource = f"engine_version {version}"
    region = facts.request.target_region
    if version not in offered:
        near = [
            each
            for each in sorted(offered, key=_sortable)
            if _major(each) == _major(version) and _sortable(each) > _sortable(version)
        ]
        remedy = (
            f"Set engine_version to one of {', '.join(near)}."
            if near
            else "Set engine_version to one that is offered."
        )
        return [failed(name, resource, f"Region {region} does not offer it", remedy)]
    was = facts.snapshot.get().engine_version
    if version == was:
        return [ok(name, resource, f"the snapshot's, offered in {region}")]
    return [_upgrade(resource, offered, was, version)]


def _upgrade(resource: str, offered: dict[str, Version], was: str, version: str) -> Check:
    """Judge a version that is not the snapshot's own."""
    name = "engine-version"
    if _sortable(version) < _sortable(was):
        return failed(
            name,
            resource,
            f"the snapshot is of {was}, and AWS restores none as an older version",
            "Leave engine_version out, or name a newer one.",
        )
    if was not in offered and _major(version) == _major(was):
        problem = f"the snapshot's own version {was} is not offered any more"
        return unchecked(name, resource, problem, "A minor version of the same major should do.")
    if was not in offered or version not in offered[was].targets:
        listed = ", ".join(sorted(offered[was].targets, key=_sortable)) if was in offered else ""
        remedy = "Leave engine_version out" + f", or set it to one of {listed}" * bool(listed) + "."
        return failed(name, resource, f"AWS does not upgrade {was} to it", remedy)
    if _major(version) != _major(was):
        return unchecked(
            name,
            resource,
            f"AWS upgrades {was} to it, but does not say that a snapshot can be restored so",
            "If that is refused a swap leaves the old cluster as it is.",
        )
    return ok(name, resource, f"an upgrade of the snapshot's {was}")


def copy_route(facts: Facts) -> list[Check]:
    """The copy can reach the target account and Region."""
    name, request = "copy-route", facts.request
    try:
        route = route_of(facts, facts.operation_id)
    except Refused as refused:
        return found(name, [refused])
    shared_with = facts.shared_with.get() if facts.shared_with is not None else []
    first = route.hops[0]
    adds = first.share and first.withdraw
    if adds and len(shared_with) >= _MOST_SHARED_WITH:
        return [
            failed(
                name,
                snapshots.source_name(request),
                f"it is shared with {len(shared_with)} accounts already, AWS allows "
                f"{_MOST_SHARED_WITH}",
                "Withdraw one of them, or share it with the target account in another's place.",
            )
        ]
    last = route.hops[-1]
    steps = f"{len(route.hops)} copies" if len(route.hops) > 1 else "one copy"
    return [ok(name, f"snapshot copy {last.names[0]}", f"{route.kind}, {steps}")]


def route_of(facts: Facts, operation_id: str) -> Route:
    """Return the hops of the copy.

    Raises:
        Refused: there is no way.
        Unknown: something is not known that decides it.
    """
    snapshot = facts.snapshot.get()
    shared = not facts.own
    if facts.shared_with is not None:
        accounts = facts.shared_with.get()
        shared = facts.request.target_account_id in accounts or "all" in accounts
    default = facts.abroad and facts.source_key is not None and facts.source_key.get().is_default
    return plan_route(
        facts.request,
        snapshot,
        own=facts.own,
        shared=shared,
        default_key=default,
        operation_id=operation_id,
        target_key=target_key_arn(facts),
    )


def target_key_arn(facts: Facts) -> str | None:
    """Return the key of the last copy, by its ARN: what an alias leads to may change meanwhile.

    Raises:
        Unknown: it is not known which.
    """
    key_id = facts.draft.need("kms_key_id").kms_key_id
    if key_id is None or facts.target_key is None:
        return key_id
    try:
        return facts.target_key.get().arn
    except Unknown:
        return key_id  # told by the check of the key; the way does not depend on it


def _major(version: str) -> str:
    return version.partition(".")[0]


def _sortable(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
