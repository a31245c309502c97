"""The way of a deployed run: Prefect, a work pool, the real ECS worker, a task of its own.

The sandbox's ECS starts what the worker asks it to start: the task definition's command, with the
environment of image, definition, run and ECS, and nothing of this process.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from ecs_site import (
    AUTH,
    EXECUTION_ROLE,
    IMAGE,
    LOG_GROUP,
    POOL,
    Site,
    open_for_runs,
    wait_until,
)
from image_steps import Image
from limits import are_possible, limits
from test_worker import announced, head, statuses

from aurora_restore.details import Step, steps_of
from demo.footprint import Footprint
from demo.stack import REPOSITORY, PrefectStack
from sandbox import Sandbox
from tests.conftest import SPEED

pytestmark = pytest.mark.timeout(600)

QUICK = {"AURORA_RESTORE_LEASE_SECONDS": "15", "AURORA_RESTORE_LOST_AFTER": "0"}
HOLD = 600 * SPEED  # AWS seconds: longer than any of these tests looks on
STEPS = {
    Step.COPY_SNAPSHOT: {},
    Step.CHECK_COPY_STATUS: {"COPY": HOLD},
    Step.DELETE_CLUSTER: {"INSTANCE_DELETE": HOLD},
    Step.CHECK_RESTORE_STATUS: {"CLUSTER_RESTORE": HOLD},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, image: Image) -> Iterator[Site]:
    """An account, a Prefect server that asks for a word, the pool, the deployments, the worker.

    Never reset: what one run leaves is what the next one finds, as in an account.
    """
    guarded = {"PREFECT_SERVER_API_AUTH_STRING": ":".join(AUTH)}
    guarded["PREFECT_API_AUTH_STRING"] = ":".join(AUTH)
    with Sandbox(speed=SPEED, lasting_sessions=True) as aws, PrefectStack(guarded) as prefect:
        prefect.start_server()
        prefect.wait_until_ready()
        made = Site(aws, prefect, dict(QUICK))
        with open_for_runs(made, image, tmp_path_factory.mktemp("worker")):
            yield made


@pytest.fixture
def aws(site: Site) -> Iterator[Sandbox]:
    """The site's sandbox; nothing planted is left, and no task."""
    yield site.aws
    site.aws.clear()
    for task in site.aws.tasks():
        if task["status"] != "STOPPED" and task["pid"]:
            end(task["pid"])


@pytest.fixture
def operation() -> str:
    """The name of an operation of this test alone."""
    return f"op-{uuid4()}"


def end(pid: int) -> None:
    """Kill a task as a host that goes away does: all its processes at once."""
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        for each in (members := [*first.children(recursive=True), first]):
            with suppress(psutil.NoSuchProcess):
                each.suspend()
        for each in members:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)


def held_at(aws: Sandbox, step: Step) -> Callable[[], None]:
    """Let runs wait in a step; return what lets them go on."""
    if step is Step.COPY_SNAPSHOT:
        aws.plant("copies-in-flight", times=None)
        return aws.clear
    aws.set_durations(**STEPS[step])

    def release() -> None:
        aws.clear()
        aws.advance(HOLD)

    return release


def running_at(site: Site, operation: str, step: Step) -> tuple[str, dict[str, Any]]:
    """Start a run; return its id and its task once it is in a step."""
    flow_run = site.start(operation)
    wait_until(lambda: statuses(site.aws, operation).get(step) == "IN_PROGRESS", f"{step}")
    [task] = site.tasks(flow_run)
    return flow_run, task


def task_of(site: Site, flow_run: str, number: int = -1) -> dict[str, Any]:
    return site.tasks(flow_run)[number]


def is_done(aws: Sandbox, operation: str) -> bool:
    return bool(aws.items(operation)) and head(aws, operation)["status"] == "SUCCESS"


def test_whole_way(site: Site, aws: Sandbox, operation: str) -> None:
    """
    The operation ends in SUCCESS in the records and as Completed in Prefect; the task was asked for
    with its roles, network, log configuration and secret, and had no other environment.
    """
    flow_run = site.start(operation)

    wait_until(lambda: is_done(aws, operation), "the operation")
    wait_until(lambda: site.state(flow_run) == "Completed", "Completed")
    assert statuses(aws, operation) == {step.value: "SUCCESS" for step in steps_of("delete-first")}
    assert announced(aws, operation)["metadata"]["additionalContext"]["result"] == "SUCCESS"
    wait_until(lambda: task_of(site, flow_run)["status"] == "STOPPED", "STOPPED")
    assert task_of(site, flow_run)["exit_code"] == 0
    asked(site, flow_run)
    defined(site)


@pytest.mark.long
@pytest.mark.skipif(not are_possible(), reason="no control groups: nothing can be limited here")
def test_fits_the_smallest_task(
    site: Site, aws: Sandbox, operation: str, record_property: Callable[[str, object], None]
) -> None:
    """
    With a quarter of a CPU and 512 MiB the operation ends in success, and nothing is killed.
    """
    with limits(0.25, 512) as group:
        flow_run = site.start(operation)
        task = wait_until(lambda: [each for each in site.tasks(flow_run) if each["pid"]])[0]
        group.take(task["pid"])
        footprint = Footprint(task["pid"], itself=True)

        wait_until(lambda: is_done(aws, operation), "the operation", 300)
        wait_until(lambda: task_of(site, flow_run)["status"] == "STOPPED", "STOPPED")

        footprint.stop()
        assert not group.killed()
    first = next(each for each in aws.items(operation) if each["step"] == Step.CHECK_SNAPSHOT)
    began = datetime.fromisoformat(first["history"][0]["at"]).timestamp()
    assert footprint.started_at is not None
    record_property("peak", round(footprint.peak_mib))
    record_property("first", round(began - footprint.started_at))
    assert footprint.peak_mib < 400


def asked(site: Site, flow_run: str) -> None:
    """Check RunTask as the worker sent it."""
    calls = site.aws.events(kind="call", service="ecs", operation="RunTask", result="ok")
    [sent] = [each["parameters"] for each in calls if flow_run in str(each["parameters"])]
    assert sent["cluster"] == site.values["ECS_CLUSTER_ARN"]
    assert sent["launchType"] == "FARGATE"
    assert sent["networkConfiguration"] == {
        "awsvpcConfiguration": {
            "subnets": site.aws.facts["subnet_ids"],
            "securityGroups": site.aws.facts["security_group_ids"],
            "assignPublicIp": "DISABLED",
        }
    }
    assert {"taskRoleArn", "executionRoleArn"} & sent["overrides"].keys() == set()
    assert (sent["overrides"]["cpu"], sent["overrides"]["memory"]) == ("256", "512")
    [container] = sent["overrides"]["containerOverrides"]
    assert container["command"] == ["python", "-m", "prefect", "flow-run", "execute"]
    names = {each["name"] for each in container["environment"]}
    assert "PREFECT__FLOW_RUN_ID" in names
    assert not {"PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"} & names
    assert AUTH[1] not in str(sent)
    tags = {each["key"]: each["value"] for each in sent["tags"]}
    assert tags["prefect.io/flow-run-id"] == flow_run


def defined(site: Site) -> None:
    """Check the task definition as the worker registered it: once, however many runs."""
    ecs = site.aws.client("ecs")
    [arn] = ecs.list_task_definitions(familyPrefix=POOL)["taskDefinitionArns"]
    made = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert made["taskRoleArn"] == site.aws.facts["task_role_arn"]
    assert made["executionRoleArn"] == EXECUTION_ROLE
    assert (made["networkMode"], made["cpu"], made["memory"]) == ("awsvpc", "256", "512")
    [container] = made["containerDefinitions"]
    assert container["image"] == IMAGE
    assert (container["user"], container["readonlyRootFilesystem"]) == ("10001:10001", True)
    assert container["stopTimeout"] == 120
    assert container["logConfiguration"]["options"]["awslogs-group"] == LOG_GROUP
    secret = site.values["ECS_PREFECT_AUTH_STRING_SECRET_ARN"]
    assert container["secrets"] == [{"name": "PREFECT_API_AUTH_STRING", "valueFrom": secret}]
    assert {each["name"] for each in container["environment"]} >= {
        "AURORA_RESTORE_STATE_TABLE",
        "AURORA_RESTORE_TOPIC_ARN",
    }
    assert AUTH[1] not in str(made)


@pytest.mark.long
def test_task_sees_nothing_of_this_process(site: Site, aws: Sandbox, operation: str) -> None:
    """
    A task's environment is what image, definition, worker and ECS give it, name by name.
    """
    step = Step.CHECK_COPY_STATUS
    release = held_at(aws, step)
    _, task = running_at(site, operation, step)

    real = psutil.Process(task["pid"]).environ()

    release()
    assert {name: real[name] for name in task["environment"]} == task["environment"]
    assert real.keys() - task["environment"].keys() <= {"LC_CTYPE"}
    assert "PYTEST_CURRENT_TEST" not in real
    assert "REFRESH_KMS_KEY_ID" not in real
    wait_until(lambda: is_done(aws, operation), "the operation")


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_ending_stopped(site: Site, aws: Sandbox, operation: str, step: Step) -> None:
    """
    ECS stops the task: the run lets go within seconds and tells nobody; the worker starts another
    task for it, which goes on to the end.
    """
    release = held_at(aws, step)
    flow_run, task = running_at(site, operation, step)
    began = time.monotonic()

    site.stop(task["arn"])

    wait_until(lambda: task_of(site, flow_run, 0)["status"] == "STOPPED", "STOPPED")
    assert time.monotonic() - began < 60  # half of the stopTimeout, and on two busy cores
    first = task_of(site, flow_run, 0)
    assert (first["exit_code"], first["stop_code"]) == (0, "UserInitiated")
    release()
    wait_until(lambda: is_done(aws, operation), "the operation")
    wait_until(lambda: site.state(flow_run) == "Completed", "Completed")
    assert len(site.tasks(flow_run)) == 2
    assert [each["status"] for each in head(aws, operation)["history"]] == [
        "IN_PROGRESS",
        "INTERRUPTED",
        "IN_PROGRESS",
        "SUCCESS",
    ]
    assert announced(aws, operation)["metadata"]["additionalContext"]["result"] == "SUCCESS"


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_ending_cancelled(site: Site, aws: Sandbox, operation: str, step: Step) -> None:
    """
    Somebody cancels it in the UI: the task ends, the operation is CANCELLED and told, once.
    """
    release = held_at(aws, step)
    flow_run, _ = running_at(site, operation, step)

    site.ask(
        "POST",
        f"flow_runs/{flow_run}/set_state",
        json={"state": {"type": "CANCELLING", "name": "Cancelling"}},
    )

    told = announced(aws, operation)["metadata"]["additionalContext"]
    assert (told["result"], told["step"]) == ("CANCELLED", step)
    wait_until(lambda: site.state(flow_run) == "Cancelled", "Cancelled")
    wait_until(lambda: task_of(site, flow_run)["status"] == "STOPPED", "STOPPED")
    assert head(aws, operation)["status"] == "CANCELLED"
    release()
    resume(site, operation)
    assert is_done(aws, operation)


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_ending_killed(site: Site, aws: Sandbox, operation: str, step: Step) -> None:
    """
    The host is gone with all processes: the observer makes the run Crashed in Prefect, the watchdog
    tells it and starts the deployment again, and that ends in success.
    """
    release = held_at(aws, step)
    flow_run, task = running_at(site, operation, step)

    end(task["pid"])

    wait_until(lambda: site.state(flow_run) == "Crashed", "Crashed")
    assert task_of(site, flow_run)["exit_code"] == 137
    time.sleep(float(QUICK["AURORA_RESTORE_LEASE_SECONDS"]) + 1)
    site.ask("POST", f"deployments/{watchdog(site)}/create_flow_run", json={})
    told = announced(aws, operation)["metadata"]["additionalContext"]
    assert (told["result"], told["step"]) == ("CRASHED", step)
    release()
    wait_until(lambda: is_done(aws, operation), "the operation")


@pytest.mark.long
def test_ending_never_started(site: Site, aws: Sandbox, operation: str) -> None:
    """
    A task whose image is not there: the run is Crashed with ECS's reason, and nothing was begun.
    """
    kept, template = pool(site), pool(site)
    [container] = template["job_configuration"]["task_definition"]["containerDefinitions"]
    container["image"] = "nowhere:1"
    put(site, template)

    try:
        flow_run = site.start(operation)
        wait_until(lambda: site.state(flow_run) == "Crashed", "Crashed")
    finally:
        put(site, kept)

    said = site.ask("GET", f"flow_runs/{flow_run}")["state"]["message"]
    assert "CannotPullContainerError" in said
    assert aws.items(operation) == []


@pytest.mark.long
def test_doctor_finds_nothing_missing(site: Site, aws: Sandbox) -> None:
    """
    With the pool, the deployments, the worker and a protected table, all is there.
    """
    table, dynamodb = aws.facts["table"], aws.client("dynamodb")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    watchdogs = site.ask("GET", "deployments/name/watch-operations/watchdog")
    [schedule] = watchdogs["schedules"]
    place = f"deployments/{watchdogs['id']}/schedules/{schedule['id']}"

    paused = doctor(site)
    change(site, place, {"active": True})
    try:
        found = doctor(site)
    finally:
        change(site, place, {"active": False})

    wrong = [each for each in paused["result"]["checks"] if each["status"] == "failed"]
    assert [each["resource"] for each in wrong] == ["deployment watch-operations/watchdog"]
    statuses = {each["name"]: each["status"] for each in found["result"]["checks"]}
    assert found["ok"], found
    assert set(statuses.values()) == {"ok"}
    assert len(statuses) == 11


def doctor(site: Site) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "aurora_restore", "doctor", "--json"],
        env=site.prefect.environment | site.aws.env,
        cwd=site.values["AURORA_RESTORE_CODE"],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == found["exit_code"]
    return found


@pytest.mark.long
def test_restore_from_ci_ends_as_its_operation(site: Site, aws: Sandbox, operation: str) -> None:
    """
    What restore.yml runs: 0 for an operation that succeeds, 1 for one that does not.
    """
    good = from_ci(site, f"operation_id={operation}")
    aws.plant("copy-failed")
    bad = from_ci(site, f"operation_id={operation}-2")

    assert good.returncode == 0, good.stdout + good.stderr
    assert is_done(aws, operation)
    assert bad.returncode == 1
    assert head(aws, f"{operation}-2")["status"] == "FAILED"


def from_ci(site: Site, override: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "deployments.restore", "refresh", "--set", override],
        env=site.prefect.environment | site.aws.env,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("name", ["image", "command", "task_role_arn", "execution_role_arn", "env"])
def test_run_cannot_change_its_task(site: Site, aws: Sandbox, name: str) -> None:
    """
    Prefect's server refuses a run that brings job variables other than the size.
    """
    found = site.ask("GET", "deployments/name/restore-aurora-cluster/refresh")
    value: Any = {"PYTHONPATH": "/tmp"} if name == "env" else "something"  # noqa: S108

    with pytest.raises(httpx.HTTPStatusError) as refused:
        site.ask(
            "POST",
            f"deployments/{found['id']}/create_flow_run",
            json={"job_variables": {name: value}},
        )

    assert refused.value.response.status_code == 422
    assert name in refused.value.response.text


def watchdog(site: Site) -> str:
    return str(site.ask("GET", "deployments/name/watch-operations/watchdog")["id"])


def pool(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.ask("GET", f"work_pools/{POOL}")["base_job_template"]
    return found


def put(site: Site, template: dict[str, Any]) -> None:
    change(site, f"work_pools/{POOL}", {"base_job_template": template})


def change(site: Site, place: str, values: dict[str, Any]) -> None:
    url = f"{site.prefect.url}/api/{place}"
    httpx.patch(url, json=values, auth=AUTH, timeout=30).raise_for_status()


def resume(site: Site, operation: str) -> None:
    """Go on with an operation as a person does, to its end."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "aurora_restore", "resume", operation, "--watch"],
        env=site.prefect.environment | site.aws.env,
        cwd=site.values["AURORA_RESTORE_CODE"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
