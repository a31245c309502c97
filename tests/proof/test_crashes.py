"""The process dies at any moment, and the operation ends right all the same.

Two moments between which nothing outside the process is changed are one: whether it dies before or
after it has looked at something makes no difference to whoever goes on. So a run is killed once
after each change it makes (each call that changes something in AWS, each write to DynamoDB, each
COMMIT, each message), and before the first. Storms kill it at every kind of point: before each
call, look, login and statement.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from processes import Runner
from runner import KILLED
from safety import resources, serves_old_data, unmarked, unsafe_moments

from sandbox import Sandbox
from tests.flow.test_way_back import password

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scenario:
    """A mode, and what goes wrong in it so that it has to go back.

    `since`: the change up to which it is the same as without that; only what comes after it is.
    """

    name: str
    mode: str
    plant: Callable[[Sandbox], None] | None = None
    since: str | None = None

    def points(self, changes: list[str], part: int) -> range:
        """The changes after which it dies, in one of the parts."""
        begin = 0 if self.since is None else changes.index(self.since)
        return range(begin + part, len(changes) + 1, PARTS)

    @property
    def ends(self) -> str:
        """How the operation has to end."""
        return "SUCCESS" if self.plant is None else "FAILED"


def failing_restore(aws: Sandbox) -> None:
    aws.plant("restore-failed")


def refused_rename(aws: Sandbox) -> None:
    aws.plant("rename-refused", identifier="staging-new-*", code="AccessDenied", times=None)


SCENARIOS = [
    Scenario("delete-first", "delete-first"),
    Scenario("swap", "swap"),
    Scenario(
        "the way back of delete-first",
        "delete-first",
        failing_restore,
        "rds RestoreDBClusterFromSnapshot",
    ),
    Scenario("the way back of a swap", "swap", refused_rename, "postgres COMMIT"),
]
BY_NAME = {each.name: each for each in SCENARIOS}


@dataclass
class World:
    """What an operation has left behind."""

    resources: list[str]
    statuses: dict[str, str]
    messages: list[str]
    duplicates: int

    @classmethod
    def of(cls, aws: Sandbox) -> "World":
        ids = [json.loads(each["Message"])["id"] for each in aws.messages()]
        return cls(
            inventory(aws),
            {each["step"]: each["status"] for each in aws.items("op-001")},
            sorted(set(ids)),
            len(ids) - len(set(ids)),
        )


def inventory(aws: Sandbox) -> list[str]:
    """Return what there is, by name: clusters, instances, manual snapshots, who may copy."""
    target, source = aws.client("rds"), aws.client("rds", "source")
    [shared] = source.describe_db_cluster_snapshot_attributes(
        DBClusterSnapshotIdentifier=aws.facts["snapshot"]
    )["DBClusterSnapshotAttributesResult"]["DBClusterSnapshotAttributes"]
    found = [
        *(each["DBClusterIdentifier"] for each in target.describe_db_clusters()["DBClusters"]),
        *(each["DBInstanceIdentifier"] for each in target.describe_db_instances()["DBInstances"]),
        *(f"may copy: {each}" for each in shared["AttributeValues"]),
    ]
    for rds in (target, source):
        page = rds.describe_db_cluster_snapshots(SnapshotType="manual")
        found += [each["DBClusterSnapshotIdentifier"] for each in page["DBClusterSnapshots"]]
    return sorted(found)


def begin(aws: Sandbox, scenario: Scenario) -> None:
    aws.reset()
    if scenario.plant is not None:
        scenario.plant(aws)


def wrong(aws: Sandbox, scenario: Scenario, reference: World, word: str, died: str) -> list[str]:
    """Return what is not as it should be after a run that died and one that went on."""
    found, now = [], World.of(aws)
    if now.resources != reference.resources:
        found.append(f"resources {set(now.resources) ^ set(reference.resources)}")
    if now.statuses["operation"] != scenario.ends:
        found.append(f"operation {now.statuses['operation']}")
    if scenario.ends == "SUCCESS" and now.statuses != reference.statuses:
        found.append(f"records {now.statuses}")
    if now.messages != reference.messages:
        found.append(f"messages {now.messages}")
    # Whether SNS took a message nobody can know who died in between: it is sent again then.
    if now.duplicates > (died == "sns Publish"):
        found.append(f"{now.duplicates} messages twice")
    if scenario.ends == "FAILED" and not serves_old_data(aws, "staging", word):
        found.append("the old data is not served")
    found += unmarked(aws, BEFORE[aws.url])
    found += unsafe_moments(aws.events(), aws.facts["target_account"])
    return found


BEFORE: dict[str, set[str]] = {}
UNDISTURBED: dict[tuple[str, str], tuple[World, list[str]]] = {}


def undisturbed(aws: Sandbox, runner: Runner, scenario: Scenario) -> tuple[World, list[str]]:
    """Return what a run that nothing happens to leaves, and the changes it makes."""
    known = aws.url, scenario.name
    if known not in UNDISTURBED:
        UNDISTURBED[known] = run_undisturbed(aws, runner, scenario)
    return UNDISTURBED[known]


def run_undisturbed(aws: Sandbox, runner: Runner, scenario: Scenario) -> tuple[World, list[str]]:
    begin(aws, scenario)
    BEFORE[aws.url] = set(resources(aws))
    run = runner.run(replace=scenario.mode)
    assert (run["error"] is None) == (scenario.ends == "SUCCESS"), run["error"]
    world = World.of(aws)
    assert world.statuses["operation"] == scenario.ends
    assert world.duplicates == 0
    return world, run["changes"]


STRIDE = 5  # points of all kinds, so that a storm meets each kind and does not take all night
PARTS = 8  # so that no worker is left alone with much at the end


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param(name, part, marks=pytest.mark.long, id=f"{name}, part {part}")
        for name in BY_NAME
        for part in range(PARTS)
    ],
)
def test_run_that_dies_after_a_change_is_taken_up(
    sandbox: Sandbox, runner: Runner, record_property, name: str, part: int
) -> None:
    """
    Whoever goes on ends right: nothing twice, nothing left over, never without the old data, told
    once.
    """
    scenario = BY_NAME[name]
    reference, changes = undisturbed(sandbox, runner, scenario)
    word, points = password(sandbox), scenario.points(changes, part)

    bad = [
        found
        for point in points
        if (found := died_after(sandbox, runner, scenario, reference, point, word))
    ]

    record_property("cases", len(points))
    record_property("wrong", len(bad))
    assert not bad, bad


def died_after(
    aws: Sandbox,
    runner: Runner,
    scenario: Scenario,
    reference: World,
    point: int,
    word: str,
) -> list[str]:
    """Kill a run after so many changes, let another one go on; return what is wrong then."""
    begin(aws, scenario)
    died = runner.run(replace=scenario.mode, dies_after=point)
    # Not the reference's: how many percentages a run records, and so counts, differs.
    after = (died["changes"] or ["nothing"])[-1]
    if died["code"] != KILLED:
        return [f"{scenario.name} {point} ({after}): it did not die"]
    runner.run(replace=scenario.mode)
    found = wrong(aws, scenario, reference, word, after)
    logger.info("%s: killed after %d (%s): %s", scenario.name, point, after, found or "right")
    return [f"{scenario.name} {point} (after {after}): {each}" for each in found]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) for name in BY_NAME])
def test_run_that_dies_again_and_again_arrives(
    sandbox: Sandbox, runner: Runner, record_property, name: str
) -> None:
    """
    Each process that takes the operation up dies a few points later than the one before: all kinds
    of points are met, and in the end it is done.
    """
    scenario = BY_NAME[name]
    reference, _ = undisturbed(sandbox, runner, scenario)
    word = password(sandbox)
    begin(sandbox, scenario)
    for deaths in range(200):
        if runner.run(replace=scenario.mode, dies_at=deaths * STRIDE)["code"] != KILLED:
            break
    else:
        pytest.fail("it never arrived")

    found = wrong(sandbox, scenario, reference, word, "sns Publish")
    record_property("cases", deaths)
    assert not found, found


SAMPLE: list[Any] = ["dynamodb UpdateItem", "rds DeleteDBCluster", "sns Publish"]


def test_sample_of_runs_that_die_is_taken_up(sandbox: Sandbox, runner: Runner) -> None:
    """
    A sample: killed after the lease is taken, after the old cluster's deletion is asked for, and
    after the announcement.
    """
    scenario = BY_NAME["delete-first"]
    reference, changes = undisturbed(sandbox, runner, scenario)
    word = password(sandbox)

    for each in SAMPLE:
        point = changes.index(each) + 1
        assert died_after(sandbox, runner, scenario, reference, point, word) == []
