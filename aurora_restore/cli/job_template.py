"""What a flow run may change of the task that it becomes: the guard of an ECS work pool. Pure."""

import re
from collections.abc import Iterator
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_SIZE = {"task_run_request.overrides.cpu", "task_run_request.overrides.memory"}
_FREE = {"name", "labels", "task_run_request.tags", *_SIZE}
_ROLES = ("task_definition.taskRoleArn", "task_definition.executionRoleArn")
_FIXED = (*_ROLES, "task_run_request.cluster", "task_run_request.networkConfiguration")


def template_problems(template: dict[str, Any]) -> list[str]:
    """Return what a base job template leaves open that it must not, a line each.

    Whoever may start a flow run may send job variables with it. A variable is harmless only where
    its value goes: the size of the task, its name, its labels. A value that is missing is open as
    well: the worker puts one of its own in its place.

    Source: prefect.workers.base, BaseJobConfiguration.from_template_and_values;
    prefect_aws.workers.ecs_worker.
    """
    fixed = template.get("job_configuration") or {}
    texts = dict(_texts(fixed))
    found = [
        f"{place}: a run may change it by the variable {name!r}"
        for place, text in texts.items()
        if place not in _FREE
        for name in _PLACEHOLDER.findall(text)
    ]
    if isinstance(fixed.get("env"), dict):
        found.append("env: a run may add to it; set the container's environment instead")
    found += [f"{place}: not fixed" for place in _FIXED if not _is_there(fixed, place)]
    containers = (fixed.get("task_definition") or {}).get("containerDefinitions") or []
    if not containers or not all(each.get("image") for each in containers):
        found.append("task_definition.containerDefinitions: an image is not fixed")
    found += _of_schema(template.get("variables") or {}, texts)
    return found


def environment_of(template: dict[str, Any]) -> dict[str, str]:
    """Return what the template puts into the environment of a run."""
    definition = (template.get("job_configuration") or {}).get("task_definition") or {}
    return {
        each["name"]: each["value"]
        for container in definition.get("containerDefinitions") or []
        for each in container.get("environment") or []
    }


def _of_schema(schema: dict[str, Any], texts: dict[str, str]) -> list[str]:
    """What Prefect's server would take from a run and the worker drop without a word."""
    found = []
    if schema.get("additionalProperties") is not False:
        found.append("variables: additionalProperties is not false, so a wrong one is not refused")
    used = {name for text in texts.values() for name in _PLACEHOLDER.findall(text)}
    found += [
        f"variables.{name}: nothing uses it"
        for name in schema.get("properties") or {}
        if name not in used
    ]
    return found


def _texts(document: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give each text of a document with its place."""
    if isinstance(document, str):
        yield place, document
        return
    pairs: Any = ()
    if isinstance(document, dict):
        pairs = document.items()
    elif isinstance(document, list):
        pairs = enumerate(document)
    for name, value in pairs:
        yield from _texts(value, f"{place}.{name}" if place else str(name))


def _is_there(document: Any, place: str) -> bool:
    for name in place.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return bool(document)
