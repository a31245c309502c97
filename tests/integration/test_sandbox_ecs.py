"""The sandbox's ECS: a task is a process with the environment that ECS would give it, no other."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from sandbox import Sandbox

IMAGE = "987654321098.dkr.ecr.us-west-2.amazonaws.com/any:1"
PATIENCE_SECONDS = 30
EXECUTION_ROLE = "arn:aws:iam::987654321098:role/execution"
SLEEP = "import time; print('here', flush=True); time.sleep(300)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP


@pytest.fixture
def cluster(aws: Sandbox, tmp_path: Path) -> Sandbox:
    """The sandbox with an ECS cluster, a log group, and an image that has this Python."""
    aws.client("ecs").create_cluster(clusterName="c")
    aws.client("logs").create_log_group(logGroupName="/ecs/c")
    paths = {"PATH": str(Path(sys.executable).parent), "FROM_IMAGE": "image", "BOTH": "image"}
    aws.add_image(IMAGE, str(tmp_path), paths)
    return aws


def register(aws: Sandbox, *, image: str = IMAGE, **more: Any) -> str:
    container = {
        "name": "prefect",
        "image": image,
        "environment": [{"name": "BOTH", "value": "definition"}, {"name": "FROM_D", "value": "d"}],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "/ecs/c",
                "awslogs-region": "us-west-2",
                "awslogs-stream-prefix": "flow",
            },
        },
    }
    made = aws.client("ecs").register_task_definition(
        family="f",
        containerDefinitions=[container | more],
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        taskRoleArn=aws.facts["task_role_arn"],
        executionRoleArn=EXECUTION_ROLE,
    )
    return str(made["taskDefinition"]["taskDefinitionArn"])


def run(aws: Sandbox, definition: str, code: str, **override: Any) -> str:
    network = {"subnets": aws.facts["subnet_ids"], "securityGroups": []}
    made = aws.client("ecs").run_task(
        cluster="c",
        taskDefinition=definition,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
        overrides={
            "containerOverrides": [
                {"name": "prefect", "command": ["python", "-c", code]} | override
            ]
        },
        tags=[{"key": "a", "value": "b"}],
    )
    [task] = made["tasks"]
    assert task["lastStatus"] == "PROVISIONING"
    assert "exitCode" not in task["containers"][0]
    return str(task["taskArn"])


def described(aws: Sandbox, task: str) -> dict[str, Any]:
    [found] = aws.client("ecs").describe_tasks(cluster="c", tasks=[task])["tasks"]
    return found


def until(aws: Sandbox, task: str, status: str) -> dict[str, Any]:
    wait_for(lambda: described(aws, task)["lastStatus"] == status)
    return described(aws, task)


def wait_for(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)


def printed(aws: Sandbox) -> str:
    """What the latest task has printed: nothing before it is started."""
    return "".join(each["log"] for each in aws.tasks()[-1:])


def test_task_has_the_environment_it_is_given_and_no_other(cluster: Sandbox):
    """
    The image's, the definition's, the run's, in this order, and ECS's own: region, credentials.
    """
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    override = {"environment": [{"name": "BOTH", "value": "run"}]}

    task = run(cluster, register(cluster), code, **override)

    assert until(cluster, task, "STOPPED")["containers"][0]["exitCode"] == 0
    found = json.loads(printed(cluster))
    own = {"PATH", "FROM_IMAGE", "FROM_D", "BOTH", "AWS_EXECUTION_ENV"}
    own |= {"ECS_CONTAINER_METADATA_URI_V4", *cluster.env}
    assert found.keys() - {"LC_CTYPE"} == own
    assert (found["BOTH"], found["FROM_D"], found["FROM_IMAGE"]) == ("run", "d", "image")


def test_exit_code_and_reason_are_told(cluster: Sandbox):
    """
    A task that ends by itself has its exit code, and its output is in the log group.
    """
    task = run(cluster, register(cluster), "print('so'); raise SystemExit(3)")

    ended = until(cluster, task, "STOPPED")

    assert ended["containers"][0]["exitCode"] == 3
    assert ended["stopCode"] == "EssentialContainerExited"
    assert ended["stoppedReason"] == "Essential container in task exited"
    [stream] = cluster.client("logs").describe_log_streams(logGroupName="/ecs/c")["logStreams"]
    events = cluster.client("logs").get_log_events(
        logGroupName="/ecs/c", logStreamName=stream["logStreamName"]
    )
    assert stream["logStreamName"] == f"flow/prefect/{task.rpartition('/')[2]}"
    assert [each["message"] for each in events["events"]] == ["so"]


def test_stop_is_sigterm(cluster: Sandbox):
    """
    StopTask asks the process; what it says then is the reason.
    """
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5));" + SLEEP
    task = run(cluster, register(cluster), code)
    wait_for(lambda: "here" in printed(cluster))
    until(cluster, task, "RUNNING")

    cluster.client("ecs").stop_task(cluster="c", task=task, reason="a host is drained")

    ended = until(cluster, task, "STOPPED")
    assert ended["containers"][0]["exitCode"] == 5
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "a host is drained")


def test_stop_kills_what_does_not_stop(cluster: Sandbox):
    """
    After stopTimeout comes SIGKILL, for every process of the task, also in other sessions.
    """
    child = f"import subprocess, sys; c = [sys.executable, '-c', {STUBBORN!r}];"
    code = f"{child} subprocess.Popen(c, start_new_session=True); {STUBBORN}"
    task = run(cluster, register(cluster, stopTimeout=2), code)
    wait_for(lambda: printed(cluster).count("here") == 2)
    [top] = [each["pid"] for each in cluster.tasks()]
    [below] = psutil.Process(top).children()
    asked = time.monotonic()

    cluster.client("ecs").stop_task(cluster="c", task=task)

    assert until(cluster, task, "STOPPED")["containers"][0]["exitCode"] == 137
    assert time.monotonic() - asked >= 2
    wait_for(lambda: not below.is_running() or below.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"image": "other"}, "CannotPullContainerError: pull image manifest: other: not found"),
        (
            {
                "secrets": [
                    {"name": "S", "valueFrom": "arn:aws:secretsmanager:us-west-2:1:secret:x"}
                ]
            },
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: "
                "ResourceNotFoundException: arn:aws:secretsmanager:us-west-2:1:secret:x"
            ),
        ),
        (
            {
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": "/none",
                        "awslogs-region": "us-west-2",
                        "awslogs-stream-prefix": "flow",
                    },
                }
            },
            (
                "ResourceInitializationError: failed to validate logger args: The specified log "
                "group does not exist."
            ),
        ),
    ],
    ids=["image", "secret", "log-group"],
)
def test_what_is_missing_keeps_a_task_from_starting(
    cluster: Sandbox, more: dict[str, Any], reason: str
):
    """
    An image, a secret, a log group that is not there: the task stops with ECS's reason.
    """
    task = run(cluster, register(cluster, **more), "print(1)")

    ended = until(cluster, task, "STOPPED")

    assert (ended["stopCode"], ended["stoppedReason"]) == ("TaskFailedToStart", reason)


@pytest.mark.parametrize(("key", "value"), [("", '{"a": "b"}'), (":a::", "b")])
def test_secrets_become_variables(cluster: Sandbox, key: str, value: str):
    """
    A secret as a whole, or a key of its JSON.
    """
    keeper = cluster.client("secretsmanager")
    arn = keeper.create_secret(Name="s", SecretString='{"a": "b"}')["ARN"]
    definition = register(cluster, secrets=[{"name": "S", "valueFrom": f"{arn}{key}"}])

    task = run(cluster, definition, "import os; print(os.environ['S'])")

    until(cluster, task, "STOPPED")
    assert printed(cluster).strip() == value


def test_changes_are_told_by_eventbridge(cluster: Sandbox):
    """
    A rule for ECS's task events has its queue told of every change, with exit code and reason.
    """
    sqs, events = cluster.client("sqs"), cluster.client("events")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn["QueueArn"]}])

    task = run(cluster, register(cluster), "raise SystemExit(3)")

    until(cluster, task, "STOPPED")
    told = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    details = [json.loads(each["Body"])["detail"] for each in told]
    assert [each["lastStatus"] for each in details] == ["PROVISIONING", "RUNNING", "STOPPED"]
    assert details[-1]["containers"][0]["exitCode"] == 3
    assert details[-1]["taskArn"] == task


def test_reset_kills_every_task(cluster: Sandbox):
    """
    Nothing of a task outlives the sandbox's reset.
    """
    run(cluster, register(cluster), STUBBORN)
    wait_for(lambda: "here" in printed(cluster))
    [pid] = [each["pid"] for each in cluster.tasks()]

    cluster.reset()

    assert cluster.tasks() == []
    wait_for(lambda: not psutil.pid_exists(pid))


def test_unknown_task_cannot_be_stopped(cluster: Sandbox):
    """
    As on AWS it is an invalid parameter, in the words the worker looks for.
    """
    run(cluster, register(cluster), "print(1)")

    with pytest.raises(ClientError, match="The referenced task was not found"):
        cluster.client("ecs").stop_task(cluster="c", task="0" * 32)
