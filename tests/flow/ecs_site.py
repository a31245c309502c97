"""A target account with an ECS work pool, as deployments/ makes one, and a real ECS worker."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from image_steps import Image

from demo.facts import deployment_values, settings
from demo.stack import REPOSITORY, PrefectStack, prefect_command
from sandbox import Sandbox
from sandbox.keys import admin_keys

POOL = "ecs-target"
CLUSTER = "aurora-restore"
LOG_GROUP = "/ecs/aurora-restore"
IMAGE = "987654321098.dkr.ecr.us-west-2.amazonaws.com/aurora-restore@sha256:" + "0" * 64
EXECUTION_ROLE = "arn:aws:iam::987654321098:role/aurora-restore-execution"
AUTH = ("admin", "a-word-of-this-test")
QUEUE = "prefect-ecs-tasks-events"
EVENTS = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]}
PATIENCE_SECONDS = 120


@dataclass
class Site:
    """All of it. `values` are what `make pool` and `make deploy` find in their environment."""

    aws: Sandbox
    prefect: PrefectStack
    values: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return what Prefect's API answers."""
        return self.prefect.ask(method, path, auth=AUTH, **more).json()

    def build(self, image: Image) -> None:
        """Make cluster, log group, secret and events queue; let a folder stand for the image."""
        aws = self.aws
        cluster = aws.client("ecs").create_cluster(clusterName=CLUSTER)["cluster"]
        aws.client("logs").create_log_group(logGroupName=LOG_GROUP)
        secret = aws.client("secretsmanager").create_secret(
            Name="prefect-auth-string", SecretString=":".join(AUTH)
        )
        url = aws.client("sqs").create_queue(QueueName=QUEUE)["QueueUrl"]
        attributes = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
        arn = aws.client("sqs").get_queue_attributes(**attributes)["Attributes"]["QueueArn"]
        events = aws.client("events")
        events.put_rule(Name="tasks", EventPattern=json.dumps(EVENTS))
        events.put_targets(Rule="tasks", Targets=[{"Id": "worker", "Arn": arn}])
        aws.add_image(IMAGE, str(image.code), image.environment)
        known = {
            name: text
            for name, text in (settings(aws) | deployment_values(aws)).items()
            if name.startswith(("AURORA_RESTORE_", "REFRESH_"))
        }
        self.values = (
            known
            | self.values
            | {
                "AURORA_RESTORE_WORK_POOL": POOL,
                "AURORA_RESTORE_CODE": str(image.code),
                "AURORA_RESTORE_IMAGE": IMAGE,
                "ECS_CLUSTER_ARN": cluster["clusterArn"],
                "ECS_TASK_ROLE_ARN": aws.facts["task_role_arn"],
                "ECS_EXECUTION_ROLE_ARN": EXECUTION_ROLE,
                "ECS_LOG_GROUP": LOG_GROUP,
                "ECS_SUBNET_IDS": ",".join(aws.facts["subnet_ids"]),
                "ECS_SECURITY_GROUP_ID": aws.facts["security_group_ids"][0],
                "ECS_PREFECT_AUTH_STRING_SECRET_ARN": secret["ARN"],
                "ECS_TASK_CPU": "256",
                "ECS_TASK_MEMORY": "512",
            }
        )
        self.prefect.environment |= self.values

    def make(self, *module: str) -> str:
        """Run a module of deployments/ as `make` does; return what it printed."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", *module],
            env=self.prefect.environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def worker_environment(self, home: Path) -> dict[str, str]:
        """Return what the worker's service gives it: no settings of the product, no image's."""
        key, secret = admin_keys(self.aws.facts["target_account"])
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_DEFAULT_REGION": self.aws.facts["target_region"],
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "NO_PROXY": self.aws.env["NO_PROXY"],
            "PREFECT_API_URL": f"{self.prefect.url}/api",
            "PREFECT_API_AUTH_STRING": ":".join(AUTH),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DO_NOT_TRACK": "1",
        }

    def start(self, operation: str, deployment: str = "refresh", **wishes: Any) -> str:
        """Start a deployment as the UI does; return the flow run's id."""
        found = self.ask("GET", f"deployments/name/restore-aurora-cluster/{deployment}")
        request = found["parameters"]["request"] | {"operation_id": operation} | wishes
        path = f"deployments/{found['id']}/create_flow_run"
        made = self.ask("POST", path, json={"parameters": {"request": request}})
        return str(made["id"])

    def state(self, flow_run: str) -> str:
        """Return the name of a flow run's state."""
        return str(self.ask("GET", f"flow_runs/{flow_run}")["state"]["name"])

    def tasks(self, flow_run: str) -> list[dict[str, Any]]:
        """Return the ECS tasks of a flow run, in the order in which they were started."""
        return [
            each
            for each in self.aws.tasks()
            if each["environment"].get("PREFECT__FLOW_RUN_ID") == flow_run
        ]

    def stop(self, task: str) -> None:
        """Stop a task as ECS does when a host is drained."""
        self.aws.client("ecs").stop_task(cluster=CLUSTER, task=task, reason="a host is drained")


@contextmanager
def open_for_runs(site: Site, image: Image, home: Path) -> Iterator[None]:
    """Have the pool, the deployments (schedules paused) and a worker; the server must answer."""
    site.build(image)
    site.make("deployments.pool")
    site.make("deployments.check")
    site.prefect.prefect("--no-prompt", "deploy", "--all")
    for deployment in ("restore-aurora-cluster/nightly", "watch-operations/watchdog"):
        for schedule in site.ask("GET", f"deployments/name/{deployment}")["schedules"]:
            site.prefect.prefect("deployment", "schedule", "pause", deployment, schedule["id"])
    with running_worker(site, home):
        yield


@contextmanager
def running_worker(site: Site, home: Path) -> Iterator[None]:
    """Have a worker that Prefect knows; it makes the pool if there is none."""
    with (home / "worker.log").open("wb") as log:
        worker = subprocess.Popen(  # noqa: S603
            worker_command(),
            env=site.worker_environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: has_worker(site), "the worker")
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(timeout=20)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def has_worker(site: Site) -> bool:
    """Return whether Prefect knows of a worker of the pool."""
    pools = site.ask("POST", "work_pools/filter", json={})
    return bool(pools and site.ask("POST", f"work_pools/{POOL}/workers/filter", json={}))


def worker_command() -> list[str]:
    """Return what the worker's service runs."""
    return list(prefect_command("worker", "start", "--pool", POOL, "--type", "ecs", "--name", "w"))


def wait_until(true: Callable[[], Any], what: str = "it", seconds: float = PATIENCE_SECONDS) -> Any:
    """Return what becomes true."""
    deadline = time.monotonic() + seconds
    while not (found := quietly(true)):
        assert time.monotonic() < deadline, f"{what} never became true"
        time.sleep(0.2)
    return found


def quietly(true: Callable[[], Any]) -> Any:
    """Return what is true now; a server that is busy has no answer yet."""
    try:
        return true()
    except httpx.TransportError:
        return None
