"""How an operation ends: announced once, whatever its parameters are."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from examples import HANDED_OVER, parameters, plan, request, state_flow

from aurora_restore import ledger
from aurora_restore.announcements import TopicUnavailable
from aurora_restore.details import NotificationSent, OperationBegun, SnapshotArchived, Step
from aurora_restore.endings import Ending, RecordsIncomplete, announce_failure, conclude
from aurora_restore.endings import announce_success as announced
from aurora_restore.records import HEAD
from sandbox import Sandbox

ERROR = {"type": "Refused", "message": "cluster staging: no."}


@pytest.fixture
def begun(account: Sandbox) -> OperationBegun:
    return ledger.begin(request(), f"op-{uuid4()}")


@pytest.fixture
def archived(begun: OperationBegun) -> SnapshotArchived:
    return begun.then(
        SnapshotArchived,
        plan=plan(),
        **state_flow()[-1]["details"],
        **HANDED_OVER,
        archive_status="kept",
        pruned_snapshot_ids=[],
    )


@pytest.fixture
def told(account: Sandbox) -> Callable[[str], list[dict[str, Any]]]:
    """Return the bodies of the messages about an operation."""

    def bodies(operation_id: str) -> list[dict[str, Any]]:
        found = [json.loads(message["Message"]) for message in account.messages()]
        return [each for each in found if each["metadata"]["threadId"] == operation_id]

    return bodies


def ending(operation_id: str, **changes: Any) -> Ending:
    return Ending(
        f"run-of-{operation_id}",
        operation_id,
        "FAILED",
        ERROR,
        parameters(**changes),
        next_command="retry",
        run_again="anew",
    )


def test_success_is_announced_once(
    archived: SnapshotArchived, told: Callable[[str], list[dict[str, Any]]]
) -> None:
    """
    The last step, done again because its record was lost, does not announce a second time.
    """
    first = announced(archived)
    again = announced(archived)

    assert first == again
    [body] = told(archived.operation_id)
    assert body["metadata"]["additionalContext"]["result"] == "SUCCESS"


def test_failure_is_recorded_and_announced_once(
    account: Sandbox, begun: OperationBegun, told: Callable[[str], list[dict[str, Any]]]
) -> None:
    """
    The flow and Prefect's hook both tell a failure: one message, one FAILED record.
    """
    first = announce_failure(ending(begun.operation_id))
    again = announce_failure(ending(begun.operation_id))

    [body] = told(begun.operation_id)
    assert first == again
    assert body["metadata"]["additionalContext"]["error"] == ERROR["message"]
    items = {each["step"]: each for each in account.items(begun.operation_id)}
    assert items[HEAD]["status"] == items[Step.CHECK_SNAPSHOT]["status"] == "FAILED"
    assert items[Step.CHECK_SNAPSHOT]["details"]["error"] == ERROR


@pytest.mark.parametrize(
    "hostile", ["", None, "\n\x00", "x" * 300_000, 7, "\ud800", ["a"], {"a": 1}]
)
def test_run_with_impossible_parameters_is_announced(
    account: Sandbox,
    told: Callable[[str], list[dict[str, Any]]],
    hostile: object,
) -> None:
    """
    A request that was no request at all still gives a message that SNS takes.
    """
    operation_id = f"op-{uuid4()}"
    wrong = dict.fromkeys(("target_account_id", "target_cluster_id", "snapshot_id"), hostile)

    announce_failure(
        Ending(f"run-of-{operation_id}", operation_id, "FAILED", ERROR, wrong, "retry", "anew")
    )

    assert len(told(operation_id)) == 1


def test_failure_is_announced_when_the_records_are_down(
    account: Sandbox, told: Callable[[str], list[dict[str, Any]]]
) -> None:
    """
    Without the table the failure is announced all the same, once in this process.
    """
    operation_id = f"op-{uuid4()}"
    account.plant("dynamodb-denied", operation="Query", times=None)
    account.plant("dynamodb-denied", times=None)

    announce_failure(ending(operation_id))
    announce_failure(ending(operation_id))

    assert len(told(operation_id)) == 1


def test_failure_is_announced_when_it_cannot_be_recorded(
    account: Sandbox, begun: OperationBegun, told: Callable[[str], list[dict[str, Any]]]
) -> None:
    """
    A table that can be read but not written does not keep the failure from being announced.
    """
    account.plant("dynamodb-denied", times=None)

    announce_failure(ending(begun.operation_id))

    assert len(told(begun.operation_id)) == 1


def test_topic_that_refuses_is_told(account: Sandbox, archived: SnapshotArchived) -> None:
    """
    When SNS does not take the message, the error names the topic and the setting.
    """
    account.plant("sns-refused")

    with pytest.raises(TopicUnavailable) as refused:
        announced(archived)

    assert str(refused.value) == (
        f"topic {account.facts['topic_arn']}: Publish was refused (AuthorizationError). Check "
        "AURORA_RESTORE_TOPIC_ARN, its policy and its key, then run again."
    )


def test_operation_without_all_records_is_not_concluded(archived: SnapshotArchived) -> None:
    """
    An operation of which a step's record is missing is not called a success.
    """
    sent = archived.then(NotificationSent, message_id="m-1")

    with pytest.raises(RecordsIncomplete, match="no SUCCESS record of snapshot-check"):
        conclude(sent)
