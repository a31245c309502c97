"""What a container finds around it: environment, secrets, where its output goes."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends

from sandbox.ecs.container import MARK, NotStarted
from sandbox.environment import environment as aws_environment

CREDENTIALS = "AWS_CONTAINER_"


def variables(
    defined: Mapping[str, Any],
    override: Mapping[str, Any],
    image: Mapping[str, str],
    given: Mapping[str, str],
) -> dict[str, str]:
    """Return a container's environment: the image's, the definition's, the run's, ECS's own.

    Source: Amazon ECS developer guide, "Pass environment variables"; RunTask, ContainerOverride.
    """
    named: dict[str, str] = dict(image)
    for source in (defined, override):
        named |= {each["name"]: each["value"] for each in source.get("environment") or []}
    return named | dict(given)


def secrets(task: Any, defined: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets of a container as variables, read under the execution role.

    Raises:
        NotStarted: there is no such role or secret.

    Source: Amazon ECS developer guide, "Pass Secrets Manager secrets through environment
    variables" (ARN, then optionally json-key, version-stage and version-id).
    """
    return {each["name"]: _secret(task, each["valueFrom"]) for each in defined.get("secrets") or []}


def _secret(task: Any, source: str) -> str:
    failed = "ResourceInitializationError: unable to pull secrets or registry auth: "
    definition = task.definition
    if not getattr(definition, "execution_role_arn", None):
        raise NotStarted(f"{failed}the task definition has no execution role")
    parts = source.split(":")
    arn, key = ":".join(parts[:7]), "".join(parts[7:8])
    _, _, _, region, account, *_ = parts
    keeper: Any = secretsmanager_backends[account][region]
    try:
        found = keeper.get_secret_value(arn, None, None)
    except Exception as problem:
        raise NotStarted(f"{failed}ResourceNotFoundException: {arn}") from problem
    text = str(found["SecretString"])
    return str(json.loads(text)[key]) if key else text


def given_by_ecs(task: Any, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what ECS itself puts into a container, and what stands for the network here.

    Credentials are there only for the role that the sandbox hands out those of: its task role.

    Source: Amazon ECS developer guide, "Amazon ECS environment variables", "Task IAM role".
    """
    own = aws_environment(facts)
    if getattr(task.definition, "task_role_arn", None) != facts["task_role_arn"]:
        own = {name: text for name, text in own.items() if not name.startswith(CREDENTIALS)}
    return own | {"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", MARK: f"{facts['url']}/v4/{task.id}"}


class Output:
    """Where a container's output goes: the log group of its definition."""

    def __init__(self, task: Any, defined: Mapping[str, Any], account: str) -> None:
        """Find the log group.

        Raises:
            NotStarted: there is none of that name.

        Source: Amazon ECS developer guide, "awslogs" (stream: prefix/container/task).
        """
        options = (defined.get("logConfiguration") or {}).get("options") or {}
        self._group = str(options.get("awslogs-group", ""))
        if not self._group:
            return
        self._logs = logs_backends[account][options["awslogs-region"]]
        if self._group not in self._logs.groups:
            raise NotStarted(
                "ResourceInitializationError: failed to validate logger args: The specified log "
                "group does not exist."
            )
        self._stream = f"{options['awslogs-stream-prefix']}/{defined['name']}/{task.id}"

    def keep(self, log: Path) -> None:
        """Put what was printed into the log group."""
        if not self._group:
            return
        now = int(time.time() * 1000)
        lines = log.read_text(errors="replace").splitlines()
        events = [{"timestamp": now, "message": each} for each in lines if each]
        self._logs.create_log_stream(self._group, self._stream)
        self._logs.put_log_events(self._group, self._stream, events)
