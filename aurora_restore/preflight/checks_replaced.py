"""The cluster to be replaced: it may be deleted, and what is not given is taken from it."""

from aurora_restore.errors import RestoreError
from aurora_restore.preflight.check import Check, failed, found, ok
from aurora_restore.preflight.facts import Facts
from aurora_restore.rds import deleting, tags


def old_cluster(facts: Facts) -> list[Check]:
    """It may be deleted, or there is none; every reason against it is told."""
    name, request = "old-cluster", facts.request
    facts.clusters.get()
    facts.instances.get()
    cluster = facts.draft.cluster
    if cluster is None:
        return [ok(name, f"cluster {request.replaced_cluster_id}", "there is none to delete")]
    lift = request.lift_deletion_protection
    reasons: list[RestoreError] = [*deleting.obstacles(cluster, lift_protection=lift)]
    checks = found(name, reasons)
    if cluster.status == "deleting":
        checks.append(
            failed(
                name,
                f"cluster {cluster.id}",
                "somebody is deleting it already",
                "Wait until it is gone, then run again.",
            )
        )
    checks += [
        failed(
            name,
            f"instance {each.get('DBInstanceIdentifier')}",
            f"it lacks the tag {tags.MANAGED} = true",
            "Tag it as the cluster is: the role of this run deletes nothing without it.",
        )
        for each in facts.instances.get()
        if each.get("DBClusterIdentifier") == cluster.id
        and tags.from_api(each.get("TagList", [])).get(tags.MANAGED) != "true"
    ]
    fact = f"{cluster.status}, {1 + len(cluster.readers) if cluster.writer else 0} instances"
    return checks or [ok(name, f"cluster {cluster.id}", fact)]


def inheritance(facts: Facts) -> list[Check]:
    """Everything is given, or there is something to inherit it from."""
    name, request = "inheritance", facts.request
    facts.clusters.get()
    facts.instances.get()
    old = facts.draft.old
    missing = [field for field, owner in facts.draft.gaps.items() if owner == name]
    if missing:
        return [
            failed(
                name,
                ", ".join(missing),
                f"not given, and there is no cluster {request.replaced_cluster_id!r} to inherit "
                "from"
                if old is None
                else f"not given, and cluster {old.blueprint.cluster_id!r} has none to inherit",
                "Give a value.",
            )
        ]
    whence = "nothing" if old is None else f"cluster {old.blueprint.cluster_id}"
    return [ok(name, "request", f"what is left out is taken from {whence}")]
