"""The check before `prefect deploy`: whatever Prefect would let pass is told in a line."""

import pytest
import yaml

from deployments.check import PLACEHOLDER, PREFECT_YAML, problems

TEXT = PREFECT_YAML.read_text()
GOOD = {
    "AURORA_RESTORE_WORK_POOL": "ecs",
    "AURORA_RESTORE_CODE": "/app",
    "ECS_TASK_CPU": "256",
    "ECS_TASK_MEMORY": "512",
    "REFRESH_SOURCE_ACCOUNT_ID": "123456789012",
    "REFRESH_SOURCE_REGION": "us-east-1",
    "REFRESH_SOURCE_CLUSTER_ID": "production",
    "REFRESH_TARGET_ACCOUNT_ID": "987654321098",
    "REFRESH_TARGET_REGION": "us-west-2",
    "REFRESH_TARGET_CLUSTER_ID": "staging",
    "REFRESH_KMS_KEY_ID": "alias/aurora-target",
    "REFRESH_DB_SUBNET_GROUP_NAME": "aurora-restore",
    "REFRESH_SECURITY_GROUP_ID": "sg-0123456789abcdef0",
}


def test_full_environment_has_no_problem() -> None:
    """
    With every variable set, the deployments hold valid requests.
    """
    assert problems(TEXT, GOOD) == []


def test_every_variable_of_the_file_is_known_here() -> None:
    """
    The list above is complete, so that the tests below remove each one.
    """
    assert set(PLACEHOLDER.findall(TEXT)) == GOOD.keys()


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("how", ["unset", "empty"])
def test_missing_variable_is_named(name: str, how: str) -> None:
    """
    A variable that is not set, or empty, is named: Prefect would put an empty text in its place.
    """
    environment = {key: value for key, value in GOOD.items() if key != name}
    if how == "empty":
        environment[name] = ""

    assert problems(TEXT, environment) == [f"{name}: not set; prefect.yaml needs it"]


def test_wrong_request_is_told_for_each_deployment() -> None:
    """
    A malformed value is told with the deployment and the field, in one line each.
    """
    found = problems(TEXT, GOOD | {"REFRESH_TARGET_ACCOUNT_ID": "staging"})

    assert found == [
        rf"deployment {name}: target_account_id: malformed; it must match ^\d{{12}}$"
        for name in ("refresh", "nightly")
    ]


def test_source_that_is_the_target_is_told() -> None:
    """
    A deployment that would refresh the source itself is not registered.
    """
    same = {
        "REFRESH_TARGET_ACCOUNT_ID": "123456789012",
        "REFRESH_TARGET_REGION": "us-east-1",
        "REFRESH_TARGET_CLUSTER_ID": "Production",
    }

    found = problems(TEXT, GOOD | same)

    assert found[0].startswith("deployment refresh: target_cluster_id: 'production' is the source")


def test_deployments_have_no_switch_that_undoes_a_pause() -> None:
    """
    `active:` is left out: a deploy would undo an operator's pause.
    """
    assert not any(line.strip().startswith("active:") for line in TEXT.splitlines())


def test_schedule_that_is_not_what_it_seems_is_told() -> None:
    """
    Prefect takes EventBridge's cron, and would start a run every second of 02:00.
    """
    wrong = TEXT.replace('"30 1 * * *"', '"0 2 ? * FRI *"').replace(", timezone: UTC", "")

    assert problems(wrong, GOOD) == [
        "deployment nightly: cron '0 2 ? * FRI *': no timezone",
        (
            "deployment nightly: cron '0 2 ? * FRI *': "
            "6 fields, not 5 (minute, hour, day, month, day of the week)"
        ),
    ]


def test_schedule_without_a_name_or_with_a_switch_is_told() -> None:
    """
    The next deploy would add the one again, and undo an operator's pause of the other.
    """
    wrong = TEXT.replace("slug: watchdog, interval: 300", "interval: 300, active: true")

    assert problems(wrong, GOOD) == [
        "deployment watchdog: a schedule has no slug: the next deploy would add it once more",
        (
            "deployment watchdog: a schedule has active: it would undo an operator's pause at the "
            "next deploy"
        ),
    ]


def test_another_target_is_five_lines() -> None:
    """
    The lines that prefect.yaml shows as a comment make a deployment of their own.
    """
    lines = TEXT.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("  # - <<: *refresh"))
    shown = range(first, first + 5)
    text = "\n".join(
        line.replace("# ", "", 1) if i in shown else line for i, line in enumerate(lines)
    )

    assert problems(text, GOOD) == []
    made = {each["name"]: each for each in yaml.safe_load(text)["deployments"]}
    assert made["nightly-reporting"]["parameters"]["request"]["target_cluster_id"] == "reporting"
    assert made["nightly-reporting"]["schedules"][0]["timezone"] == "Europe/Berlin"
    assert made["nightly"]["parameters"]["request"]["target_cluster_id"] != "reporting"


def test_no_run_can_bring_parameters_of_its_own_making() -> None:
    """
    Prefect holds the parameters of every refresh against the form's schema.
    """
    made = yaml.safe_load(TEXT)["deployments"]

    assert [each["enforce_parameter_schema"] for each in made if "parameters" in each] == [
        True,
        True,
    ]
