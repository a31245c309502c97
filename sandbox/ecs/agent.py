"""The agent: starts the containers of tasks, stops them, tells of each change."""

import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.events.models import events_backends

from sandbox.ecs.container import Container, Image, NotStarted
from sandbox.ecs.surroundings import Output, given_by_ecs, secrets, variables
from sandbox.events import EventLog

STOP_TIMEOUT = 30  # seconds, if the definition names none


@dataclass
class _Run:
    """A task whose container runs or has run."""

    task: Any
    log: Path
    environment: Mapping[str, str]
    command: list[str]
    container: Container | None = None
    given_up: bool = False


class Agent:
    """All tasks of the sandbox. Safe for threads; waits in real time, since processes do."""

    def __init__(
        self, facts: Mapping[str, Any], events: EventLog, quiet: Callable[[], Any]
    ) -> None:
        """`facts` of the world are looked at when a task is started.

        `quiet` gives a context in which no call of ECS is half done.
        """
        self.facts = facts
        self._quiet = quiet
        self._events = events
        self._images: dict[str, Image] = {}
        self._runs: dict[str, _Run] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="aurora-restore-ecs-")
        self._lock = threading.RLock()

    def add_image(self, name: str, folder: str, environment: Mapping[str, str]) -> None:
        """Let a folder of this machine stand for an image."""
        self._images[name] = Image(folder, dict(environment))

    def start(self, task: Any) -> None:
        """Begin to start a task."""
        self._change(task, "PROVISIONING")
        threading.Thread(target=self._carry_out, args=[task], daemon=True).start()

    def stop(self, task: Any, reason: str) -> None:
        """Ask a task to stop: SIGTERM, and after its definition's stopTimeout SIGKILL. Repeatable.

        Source: ECS API reference, StopTask; ContainerDefinition.stopTimeout.
        """
        with self._lock:
            if task.desired_status == "STOPPED":
                return
            task.desired_status = "STOPPED"
            task.stop_code, task.stopped_reason = "UserInitiated", reason
            run = self._runs.get(task.id)
        if run is not None and run.container is not None:
            [defined] = task.definition.container_definitions
            run.container.ask_to_stop()
            timer = threading.Timer(defined.get("stopTimeout", STOP_TIMEOUT), run.container.kill)
            timer.daemon = True
            timer.start()

    def tasks(self) -> list[dict[str, Any]]:
        """Return each task that was started: what it is, how it is, what it printed."""
        with self._lock:
            runs = list(self._runs.values())
        return [
            {
                "arn": run.task.task_arn,
                "status": run.task.last_status,
                "exit_code": run.task.containers[0].exit_code,
                "stop_code": run.task.stop_code,
                "reason": run.task.stopped_reason,
                "pid": None if run.container is None else run.container.pid,
                "command": run.command,
                "environment": dict(run.environment),
                "log": run.log.read_text(errors="replace") if run.log.exists() else "",
            }
            for run in runs
        ]

    def forget(self) -> None:
        """Kill every container, and forget all tasks and images."""
        with self._lock:
            runs, self._runs = list(self._runs.values()), {}
            self._images.clear()
        for run in runs:
            run.given_up = True
            if run.container is not None and run.task.last_status != "STOPPED":
                run.container.kill()

    def close(self) -> None:
        """Kill every container, and remove what was printed."""
        self.forget()
        self._folder.cleanup()

    def _carry_out(self, task: Any) -> None:
        with self._quiet():
            pass  # RunTask's reply shows the task as it is before anything is done
        [defined] = task.definition.container_definitions
        asked: list[dict[str, Any]] = (task.overrides or {}).get("containerOverrides") or []
        override = next((each for each in asked if each.get("name") == defined["name"]), {})
        command = override.get("command") or defined.get("command") or []
        log = Path(self._folder.name) / f"{task.id}.log"
        try:
            image = self._image(defined["image"])
            output = Output(task, defined, self.facts["target_account"])
            given = given_by_ecs(task, self.facts) | secrets(task, defined)
            environment = variables(defined, override, image.environment, given)
            run = _Run(task, log, environment, command)
            with self._lock:
                self._runs[task.id] = run
                run.container = self._container(task, image, run)
        except NotStarted as problem:
            self._end(task, None, "TaskFailedToStart", str(problem))
            return
        task.started_at = datetime.now(UTC)
        task.containers[0].last_status = "RUNNING"
        self._change(task, "RUNNING")
        code = run.container.wait()
        if not run.given_up:
            output.keep(log)
            self._end(task, code, "EssentialContainerExited", "Essential container in task exited")

    @staticmethod
    def _container(task: Any, image: Image, run: _Run) -> Container:
        if task.desired_status == "STOPPED":
            raise NotStarted(task.stopped_reason)
        return Container(image, run.command, run.environment, run.log)

    def _image(self, name: str) -> Image:
        if name not in self._images:
            raise NotStarted(f"CannotPullContainerError: pull image manifest: {name}: not found")
        return self._images[name]

    def _end(self, task: Any, code: int | None, stop_code: str, reason: str) -> None:
        with self._lock:
            if task.desired_status != "STOPPED" or code is None:
                task.desired_status, task.stop_code = "STOPPED", stop_code
                task.stopped_reason = reason
        task.containers[0].exit_code, task.containers[0].last_status = code, "STOPPED"
        task.stopped_at = datetime.now(UTC)
        self._change(task, "STOPPED")

    def _change(self, task: Any, status: str) -> None:
        """Put a task into a status; log it, and let EventBridge tell it.

        Source: Amazon ECS developer guide, "Amazon ECS task state change events".
        """
        task.last_status = status
        account, region = task.account, task.region_name
        containers = [
            {
                "containerArn": each.container_arn,
                "taskArn": task.task_arn,
                "name": each.name,
                "lastStatus": each.last_status,
            }
            | ({} if each.exit_code is None else {"exitCode": each.exit_code})
            for each in task.containers
        ]
        detail = {
            "clusterArn": task.cluster_arn,
            "taskArn": task.task_arn,
            "taskDefinitionArn": task.task_definition_arn,
            "group": task.group,
            "launchType": "FARGATE",
            "lastStatus": status,
            "desiredStatus": task.desired_status,
            "containers": [] if task.stop_code == "TaskFailedToStart" else containers,
            "stopCode": task.stop_code,
            "stoppedReason": task.stopped_reason,
        }
        self._events.add("task", account=account, region=region, task=task.task_arn, status=status)
        event: Any = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "ECS Task State Change",
            "source": "aws.ecs",
            "account": account,
            "time": time.time(),  # this and the next as moto wants them
            "ingestion-time": time.time(),
            "region": region,
            "resources": [task.task_arn],
            "detail": {name: value for name, value in detail.items() if value is not None},
        }
        for bus in events_backends[account][region].event_buses.values():
            for rule in bus.rules.values():
                if rule.state == "ENABLED":
                    rule.send_to_targets(event)
