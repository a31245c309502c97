"""Two processes want the same cluster: one gets it, and one that slept too long does no harm.

What they did is read from the sandbox: its event log, the table, the messages. That a process says
so is no evidence.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import pytest
from processes import Runner, frozen, let_leases_run_out, record, told
from runner import is_change

from aurora_restore import takeover
from demo.stack import PrefectStack
from sandbox import Sandbox

AGES = 1_000_000.0  # AWS seconds: a copy that does not end by itself
COPY_BEGUN = 2  # changes: the snapshot is shared, its copy is asked for
PATIENT = {
    "AURORA_RESTORE_COPY_POLL__GIVE_UP_AFTER": "150",
    "AURORA_RESTORE_LEASE_SECONDS": "15",  # 8 s were too short once, on a busy machine
}
STAGING = "987654321098/us-west-2/staging"


@pytest.fixture(scope="module")
def other(sandbox: Sandbox, prefect: PrefectStack) -> Iterator[Runner]:
    """A second process that can run the flow."""
    started = Runner(sandbox, prefect)
    yield started
    started.close()


# ── one after the other ──────────────────────────────────────────────────────


@pytest.mark.parametrize("death", ["rds CreateDBInstance", "postgres COMMIT"])
def test_operation_whose_cluster_was_replaced_touches_the_new_one_no_more(
    aws: Sandbox, runner: Runner, death: str
) -> None:
    """
    It died while its cluster was set up, and a later operation has replaced that: taken up again it
    is refused, changes nothing, and brings nothing back.
    """
    runner.run("op-a", dies_after=runner.run("op-0")["changes"].index(death) + 1)
    aws.clear()
    assert runner.run("op-b")["error"] is None
    before, counted = serving(aws), len(aws.events())

    said = runner.run("op-a")

    assert said["error"].startswith("Superseded: cluster staging: it is not the one")
    assert serving(aws) == before
    calls = [each for each in aws.events()[counted:] if each["kind"] == "call"]
    changed = {each["operation"] for each in calls if each["service"] == "rds"}
    assert {each for each in changed if is_change(f"rds {each}")} == set()
    assert record(aws, "op-b")["status"] == "SUCCESS"


def serving(aws: Sandbox) -> list[tuple[str, str]]:
    """Return the clusters of the target account, each with its resource id."""
    found = aws.client("rds").describe_db_clusters()["DBClusters"]
    return sorted((each["DBClusterIdentifier"], each["DbClusterResourceId"]) for each in found)


# ── rivals ───────────────────────────────────────────────────────────────────

ROUNDS = 50
SAMPLE = 3  # one of each kind

# What the first and the second ask for.
SAME_TARGET = ({"operation_id": "op-a"}, {"operation_id": "op-b"})
OLD_CLUSTER_OF_ANOTHER = (
    {"operation_id": "op-a"},
    {"operation_id": "op-b", "target_cluster_id": "reporting", "replaces": "staging"},
)
SAME_OPERATION = ({"operation_id": "op-a"}, {"operation_id": "op-a"})
KINDS = [SAME_TARGET, OLD_CLUSTER_OF_ANOTHER, SAME_OPERATION]


@pytest.mark.parametrize(
    "number",
    [pytest.param(each, marks=[pytest.mark.long] * (each >= SAMPLE)) for each in range(ROUNDS)],
)
def test_one_of_two_rivals_proceeds(
    aws: Sandbox, runner: Runner, other: Runner, number: int
) -> None:
    """
    Started together, one goes on; the other stops at once, changes nothing, and says who has won.
    """
    wishes = KINDS[number % len(KINDS)]
    # The winner's copy does not end until the loser has its answer; then it fails.
    aws.set_durations(COPY=AGES)
    aws.plant("copy-failed")

    answers = race(aws, [runner, other], wishes)

    won = winner_of(aws)
    lost = ({each["operation_id"] for each in wishes} - {won["operation_id"]}) or {None}
    assert refresh_changes(aws) == [
        ("ModifyDBClusterSnapshotAttribute", None),
        ("CopyDBClusterSnapshot", won["operation_id"]),
        ("ModifyDBClusterSnapshotAttribute", None),
    ]
    assert records(aws) == {
        (won["operation_id"], "operation"): "FAILED",
        (won["operation_id"], "snapshot-check"): "SUCCESS",
        (won["operation_id"], "copy-snapshot"): "SUCCESS",
        (won["operation_id"], "check-copy-status"): "FAILED",
    } | {
        (each, step): "FAILED" for each in lost - {None} for step in ("operation", "snapshot-check")
    }
    assert told(aws) == sorted(f"{each}-failed" for each in {won["operation_id"], *lost} - {None})
    says = f"operation {won['operation_id']} (flow run {won['flow_run_id']}, since "
    assert answers[0]["error"].startswith(f"LeaseHeld: cluster {STAGING}: {says}")
    assert answers[1]["error"].startswith("EndedBadly: ")
    for each in lost - {None}:
        error = record(aws, each, "snapshot-check")["details"]["error"]
        assert error["type"] == "LeaseHeld"
        assert says in error["message"]


def race(
    aws: Sandbox, runners: list[Runner], wishes: tuple[dict[str, Any], ...]
) -> list[dict[str, Any]]:
    """Start both at the same moment; return what they answer, the one that ends first first."""
    start = threading.Barrier(2)

    def run(where: Runner, wish: dict[str, Any]) -> dict[str, Any]:
        start.wait()
        return where.run(**wish, environment=PATIENT)

    with ThreadPoolExecutor(2) as threads:
        started = [threads.submit(run, *each) for each in zip(runners, wishes, strict=True)]
        first, last = wait(started, return_when=FIRST_COMPLETED)
        while wait(last, timeout=0.1).not_done and len(refresh_changes(aws)) < COPY_BEGUN:
            pass
        aws.advance(2 * AGES)
        return [each.result() for each in (*first, *last)]


def winner_of(aws: Sandbox) -> dict[str, Any]:
    """Return who has held the lease of the cluster, which was taken once."""
    [lease] = aws.items(f"target:{STAGING}")
    assert lease["fence"] == 1
    return dict(lease["details"])


# ── a frozen process ─────────────────────────────────────────────────────────

# Moments, each by a text of the last request before it.
COPYING = "Action=CopyDBClusterSnapshot"
BEFORE_DELETION = "Action=CreateDBClusterSnapshot"
HALF_DELETED = "Action=DeleteDBInstance"
RESTORING = "Action=RestoreDBClusterFromSnapshot"
HALF_RESTORED = "Action=CreateDBInstance"
RENAMED = "NewDBClusterIdentifier"
BEFORE_TELLING = '"next_command"'


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(COPYING, marks=pytest.mark.long),
        BEFORE_DELETION,
        pytest.param(HALF_DELETED, marks=pytest.mark.long),
        pytest.param(RESTORING, marks=pytest.mark.long),
        pytest.param(HALF_RESTORED, marks=pytest.mark.long),
        pytest.param(BEFORE_TELLING, marks=pytest.mark.long),
    ],
)
def test_sleeper_changes_nothing_once_another_operation_has_its_target(
    aws: Sandbox, runner: Runner, other: Runner, after: str
) -> None:
    """
    Frozen for longer than its lease, it wakes when the next operation is done, and only ends.
    """
    with frozen(aws, runner, after, operation_id="op-a") as sleeper:
        let_leases_run_out()
        assert other.run("op-b")["error"] is None

        assert sleeper.wake() == []

    assert sleeper.says["error"].startswith("LeaseLost: ")
    ending = "SUCCESS" if after == BEFORE_TELLING else "CRASHED"
    assert record(aws, "op-a")["status"] == ending
    assert record(aws, "op-b")["status"] == "SUCCESS"
    assert told(aws) == [f"op-a-{ending.lower()}", "op-b-success"]


@pytest.mark.parametrize(
    ("mode", "after"),
    [
        pytest.param("delete-first", BEFORE_DELETION, marks=pytest.mark.long),
        pytest.param("delete-first", HALF_RESTORED, marks=pytest.mark.long),
        pytest.param("delete-first", BEFORE_TELLING, marks=pytest.mark.long),
        pytest.param("swap", RENAMED, marks=pytest.mark.long),
    ],
)
def test_sleeper_changes_nothing_once_its_operation_goes_on_elsewhere(
    aws: Sandbox, runner: Runner, other: Runner, mode: str, after: str
) -> None:
    """
    The same operation, resumed by another process, ends in success; the sleeper only ends.
    """
    with frozen(aws, runner, after, replace=mode) as sleeper:
        assert other.run(replace=mode)["error"] is None  # it waits for the lease's end itself

        assert sleeper.wake() == []

    assert sleeper.says["error"].startswith("LeaseLost: ")
    assert record(aws, "op-001")["status"] == "SUCCESS"
    assert told(aws) == ["op-001-success"]


@pytest.mark.long
def test_sleeper_changes_nothing_once_the_watchdog_has_told_its_end(
    aws: Sandbox, account: None, runner: Runner
) -> None:
    """
    Found with a lease that has run out, it is told as vanished; when it wakes, it only ends.
    """
    with frozen(aws, runner, HALF_DELETED) as sleeper:
        let_leases_run_out()
        takeover.watch()

        assert sleeper.wake() == []

    assert sleeper.says["error"].startswith("LeaseLost: ")
    assert told(aws) == ["op-001-crashed"]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(BEFORE_DELETION, marks=pytest.mark.long),
        HALF_RESTORED,
        pytest.param(BEFORE_TELLING, marks=pytest.mark.long),
    ],
)
def test_sleeper_that_nobody_has_replaced_goes_on(aws: Sandbox, runner: Runner, after: str) -> None:
    """
    Its lease has run out, but it is still its own: it takes it again and ends in success.
    """
    with frozen(aws, runner, after) as sleeper:
        let_leases_run_out()

        assert sleeper.wake()

    assert sleeper.says["error"] is None
    assert record(aws, "op-001")["status"] == "SUCCESS"
    assert told(aws) == ["op-001-success"]


# ── what the sandbox knows ───────────────────────────────────────────────────


def refresh_changes(aws: Sandbox) -> list[tuple[str, str | None]]:
    """Return what was changed in RDS, in order, with the operation of what was made."""
    made = []
    for each in aws.events(kind="call", service="rds", result="ok"):
        if is_change(f"rds {each['operation']}"):
            tags = {tag["Key"]: tag["Value"] for tag in each["parameters"].get("Tags", [])}
            made.append((each["operation"], tags.get("aurora-restore:operation-id")))
    return made


def records(aws: Sandbox) -> dict[tuple[str, str], str]:
    """Return the status of every record, by operation and step."""
    return {
        (each["operation_id"], each["step"]): each["status"]
        for each in aws.items()
        if each["step"] != "lease"
    }
