"""Prefect's stack for the worker, as the guide deploys it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import prefect_aws.settings
from prefect.settings import Settings

from deployments.worker import BOUNDARY, RENAMED, SECRET, mended, upstream


def found(document: Any, key: str) -> Iterator[Any]:
    """Give each value of a key, however deep it lies."""
    if isinstance(document, dict):
        if key in document:
            yield document[key]
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from found(each, key)


def known() -> set[str]:
    """Return the variables that Prefect and its ECS worker read."""
    models = (
        Settings,
        prefect_aws.settings.EcsObserverSettings,
        prefect_aws.settings.EcsWorkerSettings,
    )
    schemas = [model.model_json_schema() for model in models]
    return {name for lists in found(schemas, "supported_environment_variables") for name in lists}


def given(template: dict[str, Any]) -> set[str]:
    """Return the variables that the worker's container gets."""
    [containers] = found(template, "ContainerDefinitions")
    lists = [*found(containers, "Environment"), *found(containers, "Secrets")]
    return {name for name in found(lists, "Name") if name.startswith("PREFECT_")}


def test_prefect_reads_every_variable_of_the_worker() -> None:
    """
    Address, key or auth string and the observer's queue: each under a name that is read.
    """
    names = given(mended(upstream()))

    assert names >= {"PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"}
    assert names <= known()


def test_upstream_still_needs_it() -> None:
    """
    Once this fails, the package gives the auth string rightly: empty RENAMED, and say so in the
    guide.
    """
    assert given(upstream()) - known() == set(RENAMED)


def test_image_is_of_the_locked_version() -> None:
    """
    Not the newest: what was tested is what runs.
    """
    default = mended(upstream())["Parameters"]["DockerImage"]["Default"]

    assert re.fullmatch(r"prefecthq/prefect-aws:\d+\.\d+\.\d+-python3\.12", default)
    assert upstream()["Parameters"]["DockerImage"]["Default"] == "prefecthq/prefect-aws:latest"


def test_worker_is_within_the_boundary() -> None:
    """
    The one role that the worker has, and only that: the other one is ECS's.
    """
    roles = {
        each["Properties"]["RoleName"]["Fn::Join"][1][1]: each["Properties"]
        for each in mended(upstream())["Resources"].values()
        if each["Type"] == "AWS::IAM::Role"
    }

    assert roles["-task-role"]["PermissionsBoundary"] == {"Ref": BOUNDARY}
    assert "PermissionsBoundary" not in roles["-task-execution-role"]


def test_worker_of_a_prefect_that_asks_for_nothing_reads_no_secret() -> None:
    """
    The policy for the secret is there only with a secret: IAM refuses one for "".
    """
    conditional = {
        name: each
        for name, each in mended(upstream())["Resources"].items()
        if each.get("Condition") == SECRET
    }

    [policy] = conditional.values()
    assert policy["Type"] == "AWS::IAM::Policy"
    assert "PrefectAuthStringSecretArn" in json.dumps(policy)
    needing = {name for each in mended(upstream())["Resources"].values() for name in needs(each)}
    assert needing & conditional.keys() == set()


def needs(resource: dict[str, Any]) -> list[str]:
    """Return the resources that one has to wait for by name."""
    said = resource.get("DependsOn", [])
    return [said] if isinstance(said, str) else said


def test_nothing_else_is_changed() -> None:
    """
    The stack is Prefect's: with the changes taken back it is theirs to the letter.
    """
    changed = mended(upstream())
    del changed["Parameters"][BOUNDARY], changed["Conditions"][SECRET]
    changed["Parameters"]["DockerImage"] = upstream()["Parameters"]["DockerImage"]
    for each in changed["Resources"].values():
        each.get("Properties", {}).pop("PermissionsBoundary", None)
        if each.get("Condition") == SECRET:
            del each["Condition"]
    text = json.dumps(changed)
    for old, new in RENAMED.items():
        text = text.replace(f'"{new}"', f'"{old}"')

    assert json.loads(text) == upstream()
