"""Which stopped tasks are told, and in which words."""

import json
from typing import Any

import pytest

from aurora_restore.announcements import Outcome, message
from tests.infra import stacks
from tests.infra.events import matches, transformed

HERE = f"{stacks.TARGET_REGION}:{stacks.TARGET_ACCOUNT}"
NO_IMAGE = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve "
    f'ref "{stacks.TARGET_ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/aurora-restore@sha256:0a": '
    "not found\nC:\\n"
)
NO_SECRET = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
    'retrieval failed: "AccessDeniedException": User is not authorized to perform GetSecretValue'
)
NOT_STARTED = {"stopCode": "TaskFailedToStart"}
EXITED = {
    "stopCode": "EssentialContainerExited",
    "stoppedReason": "Essential container in task exited",
}
STOPPED = {"stopCode": "UserInitiated", "stoppedReason": "Task stopped by user"}


def ended(*codes: int | None, **detail: Any) -> dict[str, Any]:
    """Return ECS's event of a task that has stopped, its containers with these exit codes."""
    task = f"arn:aws:ecs:{HERE}:task/aurora-restore/0123456789abcdef0123456789abcdef"
    containers = [
        {
            "containerArn": f"arn:aws:ecs:{HERE}:container/aurora-restore/01/{number}",
            "lastStatus": "STOPPED",
            "name": "prefect",
            "taskArn": task,
        }
        | ({} if code is None else {"exitCode": code})
        for number, code in enumerate(codes)
    ]
    return {
        "version": "0",
        "id": "11111111-2222-3333-4444-555555555555",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": stacks.TARGET_ACCOUNT,
        "time": "2026-03-20T03:00:00Z",
        "region": stacks.TARGET_REGION,
        "resources": [task],
        "detail": {
            "taskArn": task,
            "clusterArn": f"arn:aws:ecs:{HERE}:cluster/aurora-restore",
            "taskDefinitionArn": f"arn:aws:ecs:{HERE}:task-definition/aurora-restore:1",
            "group": "family:aurora-restore",
            "launchType": "FARGATE",
            "desiredStatus": "STOPPED",
            "lastStatus": "STOPPED",
            "containers": containers,
            "attachments": [],
        }
        | detail,
    }


TOLD = {
    "image not found": ended(None, **NOT_STARTED, stoppedReason=NO_IMAGE),
    "secret not there": ended(None, **NOT_STARTED, stoppedReason=NO_SECRET),
    "out of memory": ended(137, **EXITED),
    "ended with an error": ended(1, **EXITED),
    "one container of two failed": ended(0, 1, **EXITED),
    "taken back by Fargate": ended(
        143, stopCode="SpotInterruption", stoppedReason="Your Spot Task was interrupted."
    ),
}
NOT_TOLD = {
    "ended well": ended(0, **EXITED),
    "stopped by somebody": ended(143, **STOPPED),
    "killed by somebody": ended(137, **STOPPED),
    "stopped by somebody before it ran": ended(None, **STOPPED),
    "a service's": ended(1, **EXITED, group="service:ecs-target-workers"),
    "another cluster's": ended(
        1, **EXITED, clusterArn=f"arn:aws:ecs:{HERE}:cluster/aurora-restore-2"
    ),
    "running": ended(None, lastStatus="RUNNING"),
    "stopping": ended(None, **NOT_STARTED, lastStatus="DEPROVISIONING"),
    "of another kind": ended(1, **EXITED) | {"detail-type": "ECS Container Instance State Change"},
}


@pytest.fixture
def rule() -> dict[str, Any]:
    return stacks.target().resource("StoppedTasks")


@pytest.mark.parametrize("event", TOLD.values(), ids=TOLD.keys())
def test_what_ends_badly_is_told(rule: dict[str, Any], event: dict[str, Any]) -> None:
    """
    A task that did not start, that AWS stopped, or a container of which ended with an error.
    """
    assert matches(rule["EventPattern"], event)


@pytest.mark.parametrize("event", NOT_TOLD.values(), ids=NOT_TOLD.keys())
def test_all_else_is_not(rule: dict[str, Any], event: dict[str, Any]) -> None:
    """
    Good ends, stops by a person, of which the run tells, and what is not a flow run's.
    """
    assert not matches(rule["EventPattern"], event)


@pytest.mark.parametrize("event", TOLD.values(), ids=TOLD.keys())
def test_message_is_json_whatever_the_reason(rule: dict[str, Any], event: dict[str, Any]) -> None:
    """
    The reason is in it word for word, in the schema of the other announcements.
    """
    [target] = rule["Targets"]

    told = json.loads(transformed(target["InputTransformer"], event))

    detail = event["detail"]
    assert told["content"]["description"] == detail["stoppedReason"]
    assert told["content"]["title"] == f"ECS task stopped: {detail['stopCode']}"
    assert told["metadata"]["additionalContext"] == {"task": detail["taskArn"]}
    outcome = Outcome(
        operation_id="op-1",
        result="FAILED",
        target="staging",
        snapshot="daily",
        next_command="aurora-restore status op-1",
    )
    usual = json.loads(message(outcome))
    assert (told["version"], told["source"]) == (usual["version"], usual["source"])
    for part in ("content", "metadata"):
        assert told[part].keys() <= usual[part].keys()
    assert told.keys() <= usual.keys()
