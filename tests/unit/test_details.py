"""What is known after each step: the specification's records, field for field."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from examples import plan, request, state_flow
from pydantic import ValidationError

from aurora_restore.details import (
    ClusterDeleted,
    CopyAvailable,
    CopyStarted,
    Details,
    NotificationSent,
    OperationBegun,
    RestoreAvailable,
    RestoreStarted,
    SnapshotArchived,
    SnapshotFound,
    Step,
    UsersSetUp,
    steps_of,
)

ORDER: list[type[Details]] = [
    SnapshotFound,
    CopyStarted,
    CopyAvailable,
    ClusterDeleted,
    RestoreStarted,
    RestoreAvailable,
    UsersSetUp,
    SnapshotArchived,
    NotificationSent,
]
EXAMPLES = state_flow()


def begun() -> OperationBegun:
    return OperationBegun(operation_id="op-001", request=request(), plan=plan())


def walked(last: int) -> Details:
    """Return what is known after the first `last` examples, each adding only its new facts."""
    known: Details = begun()
    before: dict[str, Any] = {}
    for example, model in zip(EXAMPLES[:last], ORDER, strict=False):
        facts = example["details"]
        new = {name: value for name, value in facts.items() if before.get(name) != value}
        known = known.then(model, **new)
        before = facts
    return known


@pytest.mark.parametrize("last", range(1, 7))
def test_specifications_records_come_out_field_for_field(last: int) -> None:
    """
    Each step's `details` are the specification's example: the same keys, the same values.
    """
    example = EXAMPLES[last - 1]

    known = walked(last)

    assert known.step == example["step"]
    assert known.operation_id == example["operation_id"]
    assert known.facts() == example["details"]


def test_each_step_has_one_model_in_the_order_of_the_diagram() -> None:
    """
    Nine steps, nine models, in the same order.
    """
    order = steps_of("delete-first")

    assert tuple(model.step for model in ORDER) == order
    assert tuple(example["step"] for example in EXAMPLES) == order[:6]


def test_swap_has_the_same_steps_and_one_more() -> None:
    """
    A swap exchanges the names after the set-up, deletes after that, and leaves no step out.
    """
    order = steps_of("swap")

    assert set(order) == {*steps_of("delete-first"), Step.SWAP_CLUSTERS}
    assert order[5:8] == (Step.SETUP_DB_USERS, Step.SWAP_CLUSTERS, Step.DELETE_CLUSTER)


def test_each_model_extends_the_one_before() -> None:
    """
    From the copy on, a later step's facts hold all facts of the earlier ones.
    """
    for before, after in pairwise(ORDER[1:]):
        assert issubclass(after, before)
        assert after.model_fields.keys() >= before.model_fields.keys()


@pytest.mark.parametrize(
    ("model", "facts", "missing"),
    [
        (CopyAvailable, {"snapshot_arn": "arn"}, "copy_status"),
        (RestoreAvailable, {}, "restore_status"),
    ],
)
def test_step_cannot_be_skipped(model: type[Details], facts: dict[str, Any], missing: str) -> None:
    """
    What a later step needs to know cannot be left out on the way to it.
    """
    with pytest.raises(ValidationError, match=missing):
        walked(2).then(model, **facts)


def test_waiting_status_is_no_end() -> None:
    """
    A copy or a cluster that is not available does not make the next step's facts.
    """
    with pytest.raises(ValidationError, match="Input should be 'available'"):
        walked(2).then(CopyAvailable, copy_status="copying", snapshot_arn="arn")
    with pytest.raises(ValidationError, match="Input should be 'available'"):
        walked(5).then(
            RestoreAvailable, restore_status="creating", cluster_endpoint="e", cluster_port=1
        )


def test_then_keeps_what_is_known_and_leaves_the_old_as_it_was() -> None:
    """
    The next facts carry the request and the data's age on; the earlier ones do not change.
    """
    moment = datetime(2024, 3, 20, tzinfo=UTC)
    found = begun().then(SnapshotFound, data_from=moment, **EXAMPLES[0]["details"])

    started = found.then(CopyStarted, **EXAMPLES[1]["details"])

    assert (started.data_from, started.request) == (moment, found.request)
    assert found.facts() == EXAMPLES[0]["details"]
    assert started.facts() == EXAMPLES[1]["details"]


def test_operation_that_found_no_cluster_says_so() -> None:
    """
    A first refresh deletes nothing: `deleted_cluster_id` is there, and null.
    """
    cleared = walked(3).then(ClusterDeleted, deleted_cluster_id=None)

    assert cleared.facts() == EXAMPLES[2]["details"] | {"deleted_cluster_id": None}


def test_step_that_is_done_comes_back_from_its_record() -> None:
    """
    A resumed step makes its facts from the ones before and the recorded `details`.
    """
    recorded = walked(6).facts()

    again = walked(5).then(RestoreAvailable, **recorded)

    assert again == walked(6)
