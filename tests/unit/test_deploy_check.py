"""The check before `prefect deploy`: whatever Prefect would let pass is told in a line."""

import pytest

from deployments.check import PLACEHOLDER, PREFECT_YAML, problems

TEXT = PREFECT_YAML.read_text()
GOOD = {
    "AURORA_RESTORE_WORK_POOL": "ecs",
    "AURORA_RESTORE_CODE": "/app",
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
