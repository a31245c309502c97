"""The workflows for CI: nothing stored, nothing that can be moved, no more rights than needed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.restore import overrides_of, parameters, parse

FOLDER = Path(__file__).resolve().parents[2] / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
PINNED = re.compile(r"^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param.read_text())


def test_there_are_three() -> None:
    """
    Test, deploy, restore.
    """
    assert [file.stem for file in FILES] == ["deploy", "restore", "test"]


def test_actions_are_pinned_by_commit(text: str) -> None:
    """
    A tag can be moved to other code; the version stands beside the commit for people.
    """
    used = re.findall(r"^ *-? *uses: (.+)$", text, re.MULTILINE)

    assert used
    assert [each for each in used if not PINNED.match(each)] == []


def test_no_secret_is_stored(text: str) -> None:
    """
    Roles are assumed by OpenID Connect, Prefect's key is read from Secrets Manager.
    """
    assert "secrets." not in text
    assert "aws-access-key-id" not in text


def test_rights_are_given_job_by_job(text: str) -> None:
    """
    None for the workflow; a job may read the code, and where it assumes a role ask for a token.
    """
    workflow: dict[str, Any] = yaml.safe_load(text)

    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"].items() <= {"contents": "read", "id-token": "write"}.items()
        assumes = any("configure-aws" in str(step.get("uses")) for step in job["steps"])
        assert ("id-token" in job["permissions"]) is assumes


def test_no_input_becomes_code(text: str) -> None:
    """
    What a person types reaches a shell as a variable, never as a part of the script.
    """
    workflow: dict[str, Any] = yaml.safe_load(text)
    scripts = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]

    assert not any("${{" in script for script in scripts)


def test_every_variable_is_listed() -> None:
    """
    Whoever copies the files sets what is named at their heads, and all of it is used.
    """
    texts = [(FOLDER / f"{name}.yml").read_text() for name in ("deploy", "restore")]
    heads = " ".join(text.partition("\nname: ")[0] for text in texts)
    used = set(re.findall(r"\bvars\.(\w+)", " ".join(texts)))

    kinds = {"PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "AURORA_RESTORE_"}
    assert set(re.findall(r"\b[A-Z][A-Z_]{4,}\b", heads)) - kinds == used


def test_both_ways_to_restore_take_the_same() -> None:
    """
    By hand and from another workflow.
    """
    # YAML reads the word `on` as true.
    on = yaml.safe_load((FOLDER / "restore.yml").read_text())[True]

    by_hand, by_call = on["workflow_dispatch"]["inputs"], on["workflow_call"]["inputs"]
    assert {name: (each["type"], each["default"]) for name, each in by_hand.items()} == {
        name: (each["type"], each["default"]) for name, each in by_call.items()
    }


def test_fields_of_the_request_are_overridden() -> None:
    """
    Values are YAML; the rest of the deployment's request stays.
    """
    given = {"request": {"a": 1, "b": "x"}, "plan_hash": None}

    made = parameters(given, ["b=[1, 2]", "c=no"], dry_run=True)

    assert made == {
        "request": {"a": 1, "b": [1, 2], "c": False},
        "plan_hash": None,
        "dry_run": True,
    }
    assert given["request"] == {"a": 1, "b": "x"}


@pytest.mark.parametrize("wrong", ["b", "=1", " =1"])
def test_override_without_a_field_is_refused(wrong: str) -> None:
    """
    It is told as it was typed.
    """
    with pytest.raises(ValueError, match="not FIELD=VALUE"):
        parameters({"request": {}}, [wrong], dry_run=False)


def test_form_gives_a_line_for_each_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The workflow's field is one text; empty lines are none.
    """
    monkeypatch.setenv("SET", "a=1\n\n  \nb=2\n")

    assert overrides_of(parse(["refresh", "--set", "c=3"])) == ["c=3", "a=1", "b=2"]
