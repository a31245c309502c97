"""What may be removed and what is kept: one table, and each rule once more for all resources."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from examples import request
from plans import HERE, NEAR, ONE_STEP, SOURCE, STAGING, TWO_HOPS, arn, plan

from aurora_restore.details import Step, steps_of
from aurora_restore.leftovers import Kept, Known, Leftover, judge
from aurora_restore.rds import tags
from aurora_restore.rds.inventory import Kind, Resource
from aurora_restore.records import HEAD, Operation, StepRecord
from aurora_restore.request import RestoreRequest

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
STALE, FRESH = "2026-01-01 11:59:59", "2026-01-01 12:00:01"
KNOWN = Known(now=NOW, older_than=timedelta(hours=24), places=frozenset({SOURCE, NEAR, HERE}))
NEW, OLD = "cluster-NEW", "cluster-X"  # OLD is what plans.plan replaces
TARGET = f"{HERE}/staging"


def operation(
    status: Any = "FAILED",
    *,
    failed: Step | None = Step.SETUP_DB_USERS,
    changed: str = STALE,
    asked: RestoreRequest | None = None,
    operation_id: str = "op-1",
    **notes: Any,
) -> Operation:
    """An operation that has come as far as `failed` (None: to its end); a swap by default."""
    asked = asked or request(replace="swap")
    made = plan(asked, old=STAGING, route=TWO_HOPS).model_dump(mode="json")
    noted: dict[str, Any] = {"plan": made, "restored": {"resource_id": NEW}} | notes
    order = steps_of(asked.replace)
    done = order if failed is None else order[: order.index(failed)]
    steps = {each: StepRecord(operation_id, each, "SUCCESS", changed) for each in done}
    if failed is not None:
        steps[failed] = StepRecord(operation_id, failed, "FAILED", changed)
    details = {"request": asked.model_dump(mode="json")}
    head = StepRecord(operation_id, HEAD, status, changed, details, notes=noted)
    return Operation(operation_id, head, steps)


def resource(kind: Kind, name: str, place: str = HERE, **more: Any) -> Resource:
    account, region = place.split("/")
    made = arn(place, name)
    if kind == "cluster":
        made = f"arn:aws:rds:{region}:{account}:cluster:{name}"
    marks = tags.marks("op-1", "staging") | more.pop("tags", {})
    known: dict[str, Any] = {"status": "available", "created_at": NOW, "tags": marks}
    return Resource(kind=kind, id=name, arn=made, **(known | more))


def snapshot(name: str = "daily-copy", place: str = HERE, **more: Any) -> Resource:
    return resource("cluster snapshot", name, place, **more)


BESIDE = resource("cluster", "staging-new-op1", resource_id=NEW)
COPY = snapshot()
BETWEEN = {tags.INTERMEDIATE: "true"}
HOP, SHARE = (
    snapshot("daily-hop-op1", NEAR, tags=BETWEEN),
    snapshot("daily-share-op1", SOURCE, tags=BETWEEN),
)
AFTER = "2026-01-02T11:59:59Z"
OLD_KEPT = resource("cluster", "staging-old-op2", resource_id=OLD, tags={tags.DELETE_AFTER: AFTER})
KEEPER = operation("SUCCESS", failed=None, operation_id="op-2", kept={"cluster_id": OLD_KEPT.id})
MADE_OLD = operation("SUCCESS", failed=None, restored={"resource_id": OLD})


def with_tags(of: Resource, **changed: str) -> Resource:
    return replace(of, tags={**of.tags, **{getattr(tags, k): v for k, v in changed.items()}})


def first_refresh() -> Operation:
    """One with a plan that replaces nothing."""
    made = plan(request(), old=None, route=TWO_HOPS).model_dump(mode="json")
    return operation(asked=request(), plan=made)


def went_back(**more: Any) -> Operation:
    """A swap that failed while the names were exchanged, and whose old cluster serves again."""
    made = operation(failed=Step.SWAP_CLUSTERS, going_back=True, changed=FRESH, **more)
    back = StepRecord("op-1", Step.BRING_BACK, "SUCCESS", FRESH)
    return replace(made, steps={**made.steps, Step.BRING_BACK: back})


SUCCEEDED = operation("SUCCESS", failed=None)
DELETE_FIRST = request()
ALONE = replace(KNOWN, operations=[KEEPER])
LEFTOVERS: dict[str, tuple[Resource, Operation, Known, str, bool]] = {
    "beside, stale": (
        BESIDE, operation(), KNOWN,
        "restored beside staging; its refresh is FAILED at setup-db-users", True,
    ),
    "beside, after the way back": (
        BESIDE, went_back(), KNOWN,
        "restored beside staging; its refresh is FAILED at swap-clusters", False,
    ),
    "beside, in a terminal status": (
        replace(BESIDE, status="incompatible-restore"), operation(), KNOWN,
        "restored beside staging; its refresh is FAILED at setup-db-users", True,
    ),
    "copy, stale": (
        COPY, operation(failed=Step.RESTORE_SNAPSHOT), KNOWN,
        "copy; its refresh is FAILED at restore-snapshot", True,
    ),
    "copy, after the way back": (
        COPY, went_back(), KNOWN, "copy; its refresh is FAILED at swap-clusters", False,
    ),
    "copy that failed, fresh": (
        replace(COPY, status="failed"), operation(failed=Step.CHECK_COPY_STATUS, changed=FRESH),
        KNOWN, "copy; its refresh is FAILED at check-copy-status", True,
    ),
    "copy of a run that vanished, stale": (
        COPY, operation("CRASHED", failed=Step.RESTORE_SNAPSHOT), KNOWN,
        "copy; its refresh is CRASHED at restore-snapshot", True,
    ),
    "hop, fresh": (
        HOP, operation(failed=Step.COPY_SNAPSHOT, changed=FRESH), KNOWN,
        "intermediate copy; its refresh is FAILED at copy-snapshot", False,
    ),
    "share, of a success": (
        SHARE, SUCCEEDED, KNOWN, "intermediate copy; its refresh has succeeded", False,
    ),
    "old, its hour over": (
        OLD_KEPT, MADE_OLD, ALONE, f"the old staging; it was kept until {AFTER}", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "made", "known", "reason", "ends"), LEFTOVERS.values(), ids=LEFTOVERS.keys()
)
def test_leftovers(
    seen: Resource, made: Operation, known: Known, reason: str, *, ends: bool
) -> None:
    """
    What its operation has made, and neither it nor anybody works with, is a leftover.
    """
    charge = "op-2" if tags.DELETE_AFTER in seen.tags else "op-1"
    assert judge(seen, made, known) == Leftover(reason, charge, ends)


ENDED = operation()
ANOTHER = operation(operation_id="op-3", failed=Step.COPY_SNAPSHOT)
UNKNOWN = "unknown operation: no request and plan of it are on record"
RESUMED = "operation op-1 may be resumed; it last changed 2026-01-01 12:00 UTC"
NOT_RESTORED = "it is not the cluster that its operation has restored"
NOT_BESIDE = "it has not the temporary identifier under which it was restored"
NOT_A_COPY = "it has not the name and the place of a copy of its operation"
IS_TARGET = "it has the identifier of a refresh's target"
SUCCESS = "its refresh has succeeded"
NOT_BACK = "the old cluster of operation op-1 is not brought back"
LOCKED = replace(KNOWN, at_work={TARGET: "op-9 works on it"})
KEPT: dict[str, tuple[Resource, Operation | None, Known, str]] = {
    # clusters
    "no records": (BESIDE, None, KNOWN, UNKNOWN),
    "serving": (
        resource("cluster", "staging", resource_id=NEW), SUCCEEDED, KNOWN, IS_TARGET,
    ),
    "serving, its refresh failed at the notification": (
        resource("cluster", "staging", resource_id=NEW),
        operation(failed=Step.SEND_NOTIFICATION), KNOWN, IS_TARGET,
    ),
    "serving under a name that people gave": (
        resource("cluster", "staging-blue", resource_id=NEW),
        operation(failed=Step.SEND_NOTIFICATION), KNOWN, NOT_BESIDE,
    ),
    "under the temporary name, succeeded": (BESIDE, SUCCEEDED, KNOWN, SUCCESS),
    "has another operation's target's name": (
        BESIDE, ENDED,
        replace(KNOWN, operations=[operation(asked=request(target_cluster_id=BESIDE.id))]),
        IS_TARGET,
    ),
    "restored by delete-first": (
        resource("cluster", "blue", resource_id=NEW),
        operation(
            asked=DELETE_FIRST, plan=plan(DELETE_FIRST, old=STAGING).model_dump(mode="json"),
            deletion={"cluster_id": "staging"}, failed=Step.ARCHIVE_SNAPSHOT,
        ),
        KNOWN, NOT_BESIDE,
    ),
    "first refresh": (
        resource("cluster", "staging", resource_id=NEW), first_refresh(), KNOWN, IS_TARGET,
    ),
    "another resource id": (replace(BESIDE, resource_id="cluster-Z"), ENDED, KNOWN, NOT_RESTORED),
    "not noted as restored": (BESIDE, operation(restored=None), KNOWN, NOT_RESTORED),
    "no resource ids": (
        replace(BESIDE, resource_id=""), operation(restored={}), KNOWN, NOT_RESTORED,
    ),
    "in another Region": (
        resource("cluster", "staging-new-op1", NEAR, resource_id=NEW), ENDED, KNOWN, NOT_BESIDE,
    ),
    "brought back": (
        with_tags(BESIDE, BROUGHT_BACK="true"), ENDED, KNOWN, "it is the old cluster, brought back",
    ),
    "old cluster of another that failed": (
        replace(BESIDE, resource_id=OLD), operation(restored={"resource_id": OLD}),
        replace(KNOWN, operations=[ANOTHER]),
        "it is the old cluster of operation op-3, not succeeded",
    ),
    "tied": (replace(BESIDE, ties=("it has read replicas",)), ENDED, KNOWN, "it has read replicas"),
    "being created": (
        replace(BESIDE, status="creating"), ENDED, KNOWN, "its status is 'creating'",
    ),
    "being deleted": (
        replace(BESIDE, status="deleting"), ENDED, KNOWN, "its status is 'deleting'",
    ),
    "beside, may be resumed": (BESIDE, operation(changed=FRESH), KNOWN, RESUMED),
    "beside, a moment that cannot be read": (
        BESIDE, operation(changed="soon"), KNOWN,
        "operation op-1 may be resumed; it last changed at an unknown moment",
    ),
    "beside, its target at work": (BESIDE, went_back(), LOCKED, "op-9 works on it"),
    "beside, itself a target at work": (
        BESIDE, went_back(), replace(KNOWN, at_work={f"{HERE}/{BESIDE.id}": "op-9 has it"}),
        "op-9 has it",
    ),
    "names being exchanged": (
        BESIDE, operation(failed=Step.SWAP_CLUSTERS), KNOWN, NOT_BACK,
    ),
    # old clusters that are kept
    "old, its hour not over": (
        with_tags(OLD_KEPT, DELETE_AFTER="2026-01-02T12:00:01Z"), MADE_OLD, ALONE,
        "it is an old cluster that is kept until 2026-01-02T12:00:01Z",
    ),
    "old, an hour that cannot be read": (
        with_tags(OLD_KEPT, DELETE_AFTER="soon"), MADE_OLD, ALONE,
        "its tag aurora-restore:delete-after cannot be read",
    ),
    "old, of no operation on record": (
        OLD_KEPT, MADE_OLD, KNOWN, "unknown operation: none that has kept it is on record",
    ),
    "old, its swap has not succeeded": (
        OLD_KEPT, MADE_OLD, replace(KNOWN, operations=[ANOTHER]),
        "it is the old cluster of operation op-3, not succeeded",
    ),
    "old, renamed by people": (
        resource("cluster", "rescued", resource_id=OLD, tags={tags.DELETE_AFTER: AFTER}),
        MADE_OLD, ALONE, "it has not the identifier under which it was kept",
    ),
    "old, serves again by its old name": (
        resource("cluster", "staging", resource_id=OLD, tags={tags.DELETE_AFTER: AFTER}),
        MADE_OLD, ALONE, IS_TARGET,
    ),
    "old, its target at work": (
        OLD_KEPT, MADE_OLD, replace(ALONE, at_work=LOCKED.at_work), "op-9 works on it",
    ),
    # snapshots
    "final": (
        with_tags(COPY, FINAL_OF="staging"), went_back(), KNOWN,
        "final snapshots are pruned by the refreshes of their target",
    ),
    "archived": (
        with_tags(COPY, ARCHIVED=AFTER), went_back(), KNOWN,
        "archived copies are pruned by the refreshes of their target",
    ),
    "copy of a success": (COPY, SUCCEEDED, KNOWN, SUCCESS),
    "people's snapshot with tags that AWS has copied": (
        snapshot("before-the-demo"), went_back(), KNOWN, NOT_A_COPY,
    ),
    "copy's name in another Region": (snapshot(place=NEAR), went_back(), KNOWN, NOT_A_COPY),
    "hop without its mark": (snapshot("daily-hop-op1", NEAR), went_back(), KNOWN, NOT_A_COPY),
    "copy with a hop's mark": (snapshot(tags=BETWEEN), went_back(), KNOWN, NOT_A_COPY),
    "copy, may be resumed": (
        COPY, operation(failed=Step.RESTORE_SNAPSHOT, changed=FRESH), KNOWN, RESUMED,
    ),
    "failed copy, its run may be started again": (
        replace(COPY, status="failed"),
        operation("CRASHED", failed=Step.CHECK_COPY_STATUS, changed=FRESH), KNOWN, RESUMED,
    ),
    "copy, still copying": (
        replace(COPY, status="copying"), went_back(), KNOWN, "its status is 'copying'",
    ),
    "copy, way back not finished": (
        COPY, operation(failed=Step.SWAP_CLUSTERS, going_back=True), KNOWN, NOT_BACK,
    ),
    "copy, old cluster deleted and nobody came back": (
        COPY,
        operation(
            "CRASHED", asked=DELETE_FIRST, failed=Step.RESTORE_SNAPSHOT,
            deletion={"cluster_id": "staging"},
        ),
        KNOWN, NOT_BACK,
    ),
    "copy, another works on the target": (COPY, went_back(), LOCKED, "op-9 works on it"),
    "hop, a copy is made from it": (
        HOP, operation(failed=Step.COPY_SNAPSHOT), replace(KNOWN, copied=frozenset({HOP.arn})),
        "a copy is being made from it",
    ),
    "hop, of a run that was interrupted": (
        HOP, operation("INTERRUPTED", failed=Step.COPY_SNAPSHOT, changed=FRESH), KNOWN, RESUMED,
    ),
    "hop, of a run that has vanished": (
        HOP, operation("IN_PROGRESS", failed=Step.COPY_SNAPSHOT, changed=FRESH), KNOWN, RESUMED,
    ),
    "hop, its copy's place not seen": (
        HOP, operation(failed=Step.COPY_SNAPSHOT), replace(KNOWN, places=frozenset({NEAR, SOURCE})),
        f"nobody has looked whether it is copied to {HERE}",
    ),
    # the platform team's limits
    "account not allowed": (
        COPY, went_back(), replace(KNOWN, allowed_accounts=["111111111111"]),
        "its target account is not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "made", "known", "reason"), KEPT.values(), ids=KEPT.keys())
def test_kept(seen: Resource, made: Operation | None, known: Known, reason: str) -> None:
    """
    What serves, may serve, is needed, or is not certain stays, and the reason is told.
    """
    assert judge(seen, made, known) == Kept(reason)


@pytest.mark.parametrize("mark", [tags.MANAGED, tags.OPERATION])
@pytest.mark.parametrize("seen", [case[0] for case in LEFTOVERS.values()], ids=LEFTOVERS.keys())
def test_strangers_are_kept(seen: Resource, mark: str) -> None:
    """
    Whatever lacks one of the two tags is not this program's, whatever the records say.
    """
    tagless = {name: text for name, text in seen.tags.items() if name != mark}

    verdict = judge(replace(seen, tags=tagless), went_back(), KNOWN)

    assert verdict == Kept("it does not carry both tags of this program")


@pytest.mark.parametrize(
    "broken",
    [
        {"plan": None},
        {"plan": "gone"},
        {"plan": {"old": "x"}},
        {"operation_id": "op-2"},
    ],
    ids=str,
)
@pytest.mark.parametrize("seen", [case[0] for case in LEFTOVERS.values()], ids=LEFTOVERS.keys())
def test_records_that_cannot_be_read_keep_all(seen: Resource, broken: Any) -> None:
    """
    Damaged or foreign records are as good as none.
    """
    made = operation(**broken)

    verdict = judge(seen, made, replace(KNOWN, operations=[made] if "plan" in broken else []))

    assert isinstance(verdict, Kept)
    assert verdict.reason.startswith("unknown operation")


def test_one_step_copies_have_either_name() -> None:
    """
    The copy may have any of the names its hop gives, and only those.
    """
    hops = [ONE_STEP.hops[0].model_copy(update={"names": ["daily-copy", "daily-copy-op1"]})]
    route = ONE_STEP.model_copy(update={"hops": hops})
    made = plan(request(replace="swap"), old=STAGING, route=route).model_dump(mode="json")
    back = went_back(plan=made)

    verdicts = [
        judge(snapshot(name), back, KNOWN)
        for name in ("daily-copy", "daily-copy-op1", "daily-copy-op2")
    ]

    assert [type(each) for each in verdicts] == [Leftover, Leftover, Kept]


def test_targets_that_are_not_allowed_are_kept() -> None:
    """
    The pattern of the platform team must match the target and the cluster it replaces.
    """
    known = [replace(KNOWN, allowed_clusters=re.compile(each)) for each in ("stag.*", "stag")]

    verdicts = [judge(COPY, went_back(), each) for each in known]

    assert [type(each) for each in verdicts] == [Leftover, Kept]
