"""The way back: the old cluster serves again, whatever the refresh had got to."""

from typing import TYPE_CHECKING

from aurora_restore.errors import NotReady, Refused
from aurora_restore.plan import OldCluster, Plan
from aurora_restore.rds import deleting, names, restoring, swapping, tags
from aurora_restore.rds.blueprint import Blueprint
from aurora_restore.rds.clusters import Cluster, find_by_resource_id, find_cluster
from aurora_restore.rds.snapshots import find_snapshot
from aurora_restore.rds.status import AVAILABLE

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


def bring_back(
    rds: "RDSClient",
    plan: Plan,
    final_snapshot_id: str | None,
    marks: dict[str, str],
    *,
    aside: bool,
) -> Cluster:
    """Return the old cluster once it serves as it did before. Safe to repeat at any moment.

    If it is still there it gets back its name, its instances and its settings. If it is gone, it
    is restored from the final snapshot by its own blueprint: under its own identifier once that is
    free, or under another one if what holds it cannot go. With `aside` its identifier is not waited
    for: it serves under another one.

    AWS shows a rename only some seconds after it was requested. An old cluster that is found in
    that time under its own name, available, is taken as serving: nothing in AWS's answers tells
    it from one whose name is not being exchanged.

    Raises:
        NotReady: it is on its way.
        EndedBadly: it came back in a status it never leaves.
        Refused: it is gone and there is no final snapshot of it.
    """
    if plan.old is None:
        raise Refused(f"cluster {plan.target_cluster_id}", "there was none before", "")
    old = find_by_resource_id(rds, plan.old.resource_id).get(plan.old.resource_id)
    if old is not None and old.status != "deleting":
        if not aside:
            _take_name(rds, old, plan, marks)
        return restoring.complete(rds, old, plan.old.blueprint, marks, None)
    if old is not None and not aside:
        raise NotReady(f"cluster {old.id}", "it is being deleted; then it is restored")
    return _restore(rds, plan.old, final_snapshot_id, marks, aside=aside)


def _take_name(rds: "RDSClient", old: Cluster, plan: Plan, marks: dict[str, str]) -> None:
    """Rename both clusters back; the new one, which is ours by its tag, makes room first."""
    wanted = plan.old.blueprint.cluster_id if plan.old else old.id
    if old.id == wanted:
        return
    holder = find_cluster(rds, wanted)
    if holder is not None and _is_ours(holder, marks):
        swapping.rename(rds, holder, plan.new.cluster_id)
    swapping.rename(rds, old, wanted)


def _restore(
    rds: "RDSClient",
    old: OldCluster,
    final_snapshot_id: str | None,
    marks: dict[str, str],
    *,
    aside: bool,
) -> Cluster:
    resource = f"cluster {old.blueprint.cluster_id}"
    final = find_snapshot(rds, final_snapshot_id) if final_snapshot_id is not None else None
    if final is None:
        raise Refused(
            resource,
            "it is gone and there is no final snapshot of it",
            "Restore it from an automated backup that was retained.",
        )
    marks = marks | {tags.BROUGHT_BACK: "true"}
    name = _free_name(rds, old.blueprint.cluster_id, marks, aside=aside)
    blueprint = old.blueprint if name == old.blueprint.cluster_id else _called(old.blueprint, name)
    cluster = restoring.start_restore(rds, blueprint, final.arn, marks)
    return restoring.complete(rds, cluster, blueprint, marks, None)


def _called(blueprint: Blueprint, name: str) -> Blueprint:
    """Return it under another name, its instances too: what holds its own may hold theirs."""
    ids = names.instance_names(name, None, len(blueprint.instances))
    instances = [
        each.model_copy(update={"id": id_})
        for each, id_ in zip(blueprint.instances, ids, strict=True)
    ]
    return blueprint.model_copy(update={"cluster_id": name, "instances": instances})


def _is_ours(cluster: Cluster, marks: dict[str, str]) -> bool:
    return cluster.tags.get(tags.OPERATION) == marks[tags.OPERATION]


def _free_name(rds: "RDSClient", wanted: str, marks: dict[str, str], *, aside: bool) -> str:
    """Return the identifier to restore under; removes this operation's own cluster from it.

    Raises:
        NotReady: that one is being removed.
    """
    other = names.brought_back_name(wanted, marks[tags.OPERATION])
    if find_cluster(rds, other) is not None:
        return other
    holder = find_cluster(rds, wanted)
    if holder is None:
        return wanted
    ours = _is_ours(holder, marks)
    if ours and tags.BROUGHT_BACK in holder.tags and not (aside and holder.status != AVAILABLE):
        return wanted
    # AWS deletes no cluster that is being created, and one that hangs there never ends.
    if aside or not ours or holder.status == "creating":
        return other
    if holder.status == "deleting":
        raise NotReady(f"cluster {wanted}", "the failed one is being deleted")
    if holder.protected:
        deleting.lift_protection(rds, holder)
    deleting.delete_cluster(rds, holder)
    raise NotReady(f"cluster {wanted}", "the failed one is being deleted")
