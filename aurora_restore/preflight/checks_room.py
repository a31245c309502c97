"""Quotas, and identifiers that are free: room for what the refresh makes."""

from aurora_restore.preflight.check import Check, failed, ok
from aurora_restore.preflight.checks_snapshot import route_of
from aurora_restore.preflight.facts import Facts
from aurora_restore.preflight.reads import Quota
from aurora_restore.rds import names, tags

_MOST_IN_FLIGHT = 5
_QUOTA = "Delete some that are not needed, or have the quota raised."


def snapshot_quota(facts: Facts) -> list[Check]:
    """There is room for the copy, and for the final snapshot of the old cluster."""
    name, request = "snapshot-quota", facts.request
    quota = facts.quotas.get().get("ManualClusterSnapshots")
    made = {each.name for each in facts.snapshots.get() if _is_ours(facts, each.tags)}
    hops = route_of(facts, facts.operation_id).hops
    wanted = [hops[-1].names]
    if facts.draft.cluster is not None and request.final_snapshot:
        wanted.append([names.final_snapshot_name(request.replaced_cluster_id, facts.operation_id)])
    more = sum(not made & set(each) for each in wanted)
    checks = [_room(name, "manual cluster snapshots", quota, more)]
    for hop in hops[:-1]:
        resource = f"manual cluster snapshots of account {hop.account} in {hop.region}"
        answer = facts.quotas_elsewhere.get((hop.account, hop.region))
        there = answer.get().get("ManualClusterSnapshots") if answer is not None else None
        checks.append(_room(name, resource, there, 1))
    return checks


def copies_in_flight(facts: Facts) -> list[Check]:
    """How many copies are under way: a sixth has to wait, which it does by itself."""
    copying = [each for each in facts.snapshots.get() if each.status == "copying"]
    fact = f"{len(copying)} of {_MOST_IN_FLIGHT}"
    if len(copying) >= _MOST_IN_FLIGHT:
        fact += ", so this one will wait"
    return [ok("copies-in-flight", f"Region {facts.request.target_region}", fact)]


def cluster_quota(facts: Facts) -> list[Check]:
    """There is room for the new cluster: beside the old one in a swap, else in its place."""
    quota = facts.quotas.get().get("DBClusters")
    exists = any(each["DBClusterIdentifier"] == facts.draft.new.cluster_id for each in _ours(facts))
    return [_room("cluster-quota", "clusters", quota, int(not exists) - _gone(facts, 1))]


def instance_quota(facts: Facts) -> list[Check]:
    """There is room for the new instances: beside the old ones in a swap, else in their place."""
    new = facts.draft.need("reader_count", "instance_class")
    quota = facts.quotas.get().get("DBInstances")
    clusters = {each["DBClusterIdentifier"] for each in _ours(facts)}
    made = [each for each in facts.instances.get() if each.get("DBClusterIdentifier") in clusters]
    old = facts.draft.old
    before = len(old.blueprint.instances) if old is not None else 0
    more = len(new.instances) - len(made) - _gone(facts, before)
    return [_room("instance-quota", "instances", quota, more)]


def identifiers(facts: Facts) -> list[Check]:
    """Every identifier that will be given is free, or this operation's own already."""
    request = facts.request
    checks = _clusters(facts) + _instances(facts) + _snapshots(facts)
    return checks or [ok("identifiers", f"cluster {request.target_cluster_id}", "all are free")]


def _clusters(facts: Facts) -> list[Check]:
    request, new = facts.request, facts.draft.new
    taken = {each["DBClusterIdentifier"] for each in facts.clusters.get()}
    taken -= {each["DBClusterIdentifier"] for each in _ours(facts)}
    checks = []
    if request.target_cluster_id != request.replaced_cluster_id and (
        request.target_cluster_id in taken
    ):
        checks.append(
            failed(
                "identifiers",
                f"target_cluster_id {request.target_cluster_id}",
                "a cluster of this name exists, and `replaces` names another",
                "Name it in `replaces` to have it deleted, or choose another target_cluster_id.",
            )
        )
    wanted = {new.cluster_id} - {request.target_cluster_id}
    if request.replace == "swap" and facts.draft.cluster is not None:
        wanted.add(names.old_cluster_name(request, facts.operation_id))
    return checks + [_taken("cluster", each) for each in sorted(wanted & taken)]


def _instances(facts: Facts) -> list[Check]:
    request, ours = facts.request, {each["DBClusterIdentifier"] for each in _ours(facts)}
    free = set(ours)
    if request.replace == "delete-first":
        free.add(request.replaced_cluster_id)
    taken = {
        each["DBInstanceIdentifier"]: each.get("DBClusterIdentifier", "no cluster")
        for each in facts.instances.get()
        if each.get("DBClusterIdentifier") not in free
    }
    return [
        _taken("instance", each.id, f"of cluster {taken[each.id]}")
        for each in facts.draft.new.instances
        if each.id in taken
    ]


def _snapshots(facts: Facts) -> list[Check]:
    request = facts.request
    taken = {each.name for each in facts.snapshots.get() if not _is_ours(facts, each.tags)}
    checks = []
    if facts.draft.snapshot is not None:
        possible = names.copy_names(request, facts.operation_id, facts.draft.snapshot.name)
        if set(possible) <= taken:
            field = "target_snapshot" if request.target_snapshot is not None else "snapshot copy"
            checks.append(_taken(field, possible[-1]))
    final = names.final_snapshot_name(request.replaced_cluster_id, facts.operation_id)
    if request.final_snapshot and facts.draft.cluster is not None and final in taken:
        checks.append(_taken("final snapshot", final))
    return checks


def _ours(facts: Facts) -> list[dict[str, str]]:
    """Return the clusters that this operation has made in an earlier run."""
    return [
        {"DBClusterIdentifier": each["DBClusterIdentifier"]}
        for each in facts.clusters.get()
        if _is_ours(facts, tags.from_api(each.get("TagList", [])))
    ]


def _is_ours(facts: Facts, marks: dict[str, str]) -> bool:
    return marks.get(tags.OPERATION) == facts.operation_id


def _gone(facts: Facts, count: int) -> int:
    """Return how much of the old cluster is gone before anything new is made."""
    first = facts.request.replace == "delete-first"
    return count if first and facts.draft.cluster is not None else 0


def _room(name: str, what: str, quota: Quota | None, more: int) -> Check:
    if quota is None:
        return Check(
            name=name,
            status="unchecked",
            resource=what,
            problem="AWS does not tell this quota",
            remedy="Make sure that there is room.",
        )
    fact = f"{quota.used} of {quota.limit} used, {max(more, 0)} more needed"
    if quota.used + more > quota.limit:
        return failed(name, what, f"the quota is used up: {fact}", _QUOTA)
    return ok(name, what, fact)


def _taken(kind: str, identifier: str, whose: str = "and is not this operation's") -> Check:
    problem = "it exists" if whose.startswith("and") else "it exists as one"
    return failed(
        "identifiers",
        f"{kind} {identifier}",
        f"{problem} {whose}",
        "Delete or rename it, or choose another name.",
    )
