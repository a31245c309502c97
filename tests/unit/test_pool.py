"""The work pool's job template: filled from the environment, and closed to whoever starts a run."""

import asyncio
import copy
import json
from typing import Any

import pytest
from prefect_aws.workers import ECSWorker
from prefect_aws.workers.ecs_worker import ECSJobConfiguration

from aurora_restore.cli.job_template import template_problems
from deployments.check import PLACEHOLDER
from deployments.pool import OPTIONAL, TEMPLATE, _lost, filled, problems

TEXT = TEMPLATE.read_text()
ROLE = "arn:aws:iam::987654321098:role"
GOOD = {
    "AURORA_RESTORE_WORK_POOL": "ecs-target",
    "AURORA_RESTORE_IMAGE": "987654321098.dkr.ecr.us-west-2.amazonaws.com/aurora-restore:0123abc",
    "AURORA_RESTORE_STATE_TABLE": "aurora-restore-state",
    "AURORA_RESTORE_TOPIC_ARN": "arn:aws:sns:us-west-2:987654321098:aurora-restore",
    "ECS_CLUSTER_ARN": "arn:aws:ecs:us-west-2:987654321098:cluster/aurora-restore",
    "ECS_TASK_ROLE_ARN": f"{ROLE}/aurora-restore-task",
    "ECS_EXECUTION_ROLE_ARN": f"{ROLE}/aurora-restore-execution",
    "ECS_LOG_GROUP": "/ecs/aurora-restore",
    "ECS_SUBNET_IDS": "subnet-1,subnet-2",
    "ECS_SECURITY_GROUP_ID": "sg-1",
    "REFRESH_TARGET_REGION": "us-west-2",
}
SECRET = "arn:aws:secretsmanager:us-west-2:987654321098:secret:prefect-AbCdEf"


def container(template: dict[str, Any]) -> dict[str, Any]:
    [only] = template["job_configuration"]["task_definition"]["containerDefinitions"]
    return only


def test_full_environment_has_no_problem() -> None:
    """
    With every variable set the template is complete, and nothing in it is open.
    """
    assert problems(TEXT, GOOD) == []
    assert "$" not in json.dumps(filled(TEXT, GOOD))


@pytest.mark.parametrize("name", GOOD)
def test_missing_variable_is_named(name: str) -> None:
    """
    Also a setting without which the flow does not begin.
    """
    environment = GOOD | {name: ""}

    assert problems(TEXT, environment) == [f"{name}: not set; the work pool needs it"]


def test_every_variable_of_the_template_is_known_here() -> None:
    """
    The list above is complete but for what is optional.
    """
    asked = set(PLACEHOLDER.findall(TEXT))

    assert (
        asked | {"AURORA_RESTORE_STATE_TABLE", "AURORA_RESTORE_TOPIC_ARN"} == set(GOOD) | OPTIONAL
    )


def test_lists_are_taken_apart() -> None:
    """
    Subnets are given with commas between, as a stack's output has them.
    """
    network = filled(TEXT, GOOD)["job_configuration"]["task_run_request"]["networkConfiguration"]

    assert network == {
        "awsvpcConfiguration": {
            "subnets": ["subnet-1", "subnet-2"],
            "securityGroups": ["sg-1"],
            "assignPublicIp": "DISABLED",
        }
    }


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_optional_secret_is_taken_or_left_out(name: str) -> None:
    """
    What is not set is left out: an empty ARN would keep every task from starting.
    """
    key = name.removeprefix("ECS_").lower().replace("prefect_auth", "prefect_api_auth")

    assert key not in filled(TEXT, GOOD)["job_configuration"]
    assert filled(TEXT, GOOD | {name: SECRET})["job_configuration"][key] == SECRET


def test_settings_become_the_containers_environment() -> None:
    """
    Every setting of the product that is set, those of a wait as well; no other variable.
    """
    more = {
        "AURORA_RESTORE_COPY_POLL__AT_MOST": "60",
        "AURORA_RESTORE_SOURCE_ROLE_ARN": "arn:aws:iam::123456789012:role/source",
        "AURORA_RESTORE_SOURCE_EXTERNAL_ID": "",
        "AURORA_RESTORE_CODE": "/opt/aurora-restore",
        "AWS_SECRET_ACCESS_KEY": "x",
    }

    environment = container(filled(TEXT, GOOD | more))["environment"]

    assert [each["name"] for each in environment] == [
        "AURORA_RESTORE_COPY_POLL__AT_MOST",
        "AURORA_RESTORE_SOURCE_ROLE_ARN",
        "AURORA_RESTORE_STATE_TABLE",
        "AURORA_RESTORE_TOPIC_ARN",
    ]


def test_source_role_needs_its_external_id() -> None:
    """
    In a new shell that lacks it the pool stays as it is: each run would be refused by the role.
    """
    role = {"AURORA_RESTORE_SOURCE_ROLE_ARN": "arn:aws:iam::123456789012:role/source"}

    assert problems(TEXT, GOOD | role) == [
        (
            "AURORA_RESTORE_SOURCE_EXTERNAL_ID: not set; the source role asks for it "
            "(ExternalId of the source account's stack)"
        )
    ]
    assert problems(TEXT, GOOD | role | {"AURORA_RESTORE_SOURCE_EXTERNAL_ID": "word"}) == []


def test_settings_that_go_are_named() -> None:
    """
    By name only; what stays or comes is not told.
    """
    had = filled(TEXT, GOOD | {"AURORA_RESTORE_COPY_POLL__AT_MOST": "60"})
    has = filled(TEXT, GOOD | {"AURORA_RESTORE_LEASE_SECONDS": "60"})

    assert _lost(had, has) == ["AURORA_RESTORE_COPY_POLL__AT_MOST"]
    assert _lost({}, has) == []


def test_task_is_locked_down() -> None:
    """
    No root, no capabilities, no writing but in its own folder, and two minutes to stop.
    """
    made = container(filled(TEXT, GOOD))

    assert made["user"] == "10001:10001"
    assert made["readonlyRootFilesystem"] is True
    assert made["linuxParameters"] == {"capabilities": {"drop": ["ALL"]}}
    assert made["stopTimeout"] == 120
    assert made["logConfiguration"]["options"]["awslogs-group"] == "/ecs/aurora-restore"


def test_variables_are_the_size_only() -> None:
    """
    The form of a run offers the size of the task; the smallest is the default.
    """
    schema = filled(TEXT, GOOD)["variables"]

    assert schema["additionalProperties"] is False
    assert {name: each["default"] for name, each in schema["properties"].items()} == {
        "cpu": "256",
        "memory": "512",
    }


NAMES = ECSWorker.get_default_base_job_template()["variables"]["properties"]


def as_the_worker_takes_it(values: dict[str, Any]) -> dict[str, Any]:
    """Return the job that the worker makes of the template and a run's variables."""
    template = filled(TEXT, GOOD)
    # It holds nothing that Prefect's API would have to be asked for.
    nobody: Any = object()
    made = asyncio.run(
        ECSJobConfiguration.from_template_and_values(template, values, client=nobody)
    )
    return made.model_dump()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"cpu", "memory"}))
def test_worker_takes_no_other_variable(name: str) -> None:
    """
    Also where the server does not refuse it: each variable of Prefect's own template, and each of
    them by a dotted name, changes nothing of the job.
    """
    assert as_the_worker_takes_it({name: "something"}) == as_the_worker_takes_it({})
    assert as_the_worker_takes_it({f"{name}.x": "something"}) == as_the_worker_takes_it({})


def test_worker_takes_the_size() -> None:
    """
    The two that are left change the run's task, not the task definition.
    """
    usual, large = as_the_worker_takes_it({}), as_the_worker_takes_it({"cpu": "512"})

    assert usual["task_run_request"]["overrides"]["cpu"] == "256"
    assert large["task_run_request"]["overrides"]["cpu"] == "512"
    assert large["task_definition"] == usual["task_definition"]


def test_prefects_own_template_is_open() -> None:
    """
    The template that `prefect work-pool create` would take lets a run choose whatever it likes.
    """
    told = template_problems(ECSWorker.get_default_base_job_template())

    image = "task_definition.containerDefinitions.0.image: a run may change it by the variable"
    assert f"{image} 'image'" in told
    for name in ("command", "task_role_arn", "execution_role_arn", "env", "cluster"):
        assert any(line.endswith(f"by the variable {name!r}") for line in told)


PLACES = [
    ("command",),
    ("env",),
    ("aws_credentials",),
    ("task_definition", "taskRoleArn"),
    ("task_definition", "executionRoleArn"),
    ("task_definition", "containerDefinitions", 0, "image"),
    ("task_definition", "containerDefinitions", 0, "command"),
    ("task_definition", "containerDefinitions", 0, "user"),
    ("task_run_request", "taskDefinition"),
    ("task_run_request", "overrides", "taskRoleArn"),
    ("task_run_request", "overrides", "executionRoleArn"),
    ("task_run_request", "overrides", "containerOverrides", 0, "environment"),
    ("task_run_request", "cluster"),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place[-1]))
@pytest.mark.parametrize("text", ["{{ x }}", "a{{x}}", "{{ $X }}", "{{ prefect.variables.x }}"])
def test_each_opening_is_told(place: tuple[Any, ...], text: str) -> None:
    """
    A variable, a piece of the worker's environment or of Prefect's store, wherever it is put.
    """
    template = filled(TEXT, GOOD)
    template["variables"]["properties"]["x"] = {"type": "string"}
    where: Any = template["job_configuration"]
    for name in place[:-1]:
        where = where[name]
    where[place[-1]] = text

    told = template_problems(template)

    assert [line for line in told if line.startswith(".".join(map(str, place)) + ": a run may")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t["job_configuration"].update(env={"A": "b"}), "env: a run may add to it"),
        (lambda t: container(t).pop("image"), "containerDefinitions: an image is not fixed"),
        (
            lambda t: t["job_configuration"]["task_definition"].pop("taskRoleArn"),
            "task_definition.taskRoleArn: not fixed",
        ),
        (
            lambda t: t["job_configuration"]["task_run_request"].pop("networkConfiguration"),
            "task_run_request.networkConfiguration: not fixed",
        ),
        (lambda t: t["variables"].pop("additionalProperties"), "additionalProperties is not false"),
        (
            lambda t: t["variables"]["properties"].update(image={"type": "string"}),
            "variables.image: nothing uses it",
        ),
        (lambda t: t.pop("job_configuration"), "task_definition.taskRoleArn: not fixed"),
    ],
)
def test_what_is_missing_is_open_as_well(change: Any, told: str) -> None:
    """
    The worker fills in what is missing, and merges what a run sends into `env`.
    """
    template = copy.deepcopy(filled(TEXT, GOOD))
    change(template)

    assert [line for line in template_problems(template) if told in line]
