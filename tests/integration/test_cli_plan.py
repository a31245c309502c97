"""`aurora-restore plan` on the sandbox: what stands in the way, what is done, and no change."""

import json
from pathlib import Path
from typing import Any

import pytest
from examples import parameters
from product_fixtures import calls, changes, forget_caches
from test_cli_golden import GOLDEN

from aurora_restore.cli import main
from sandbox import Sandbox

ROLES = [{"name": "app", "secret_id": "aurora-restore/app"}]
INHERITING: dict[str, Any] = {
    "kms_key_id": None,
    "db_subnet_group_name": None,
    "security_group_ids": None,
    "roles": ROLES,
}
READS = ("Query", "GetItem", "DescribeTable")


@pytest.fixture
def asked(account: Sandbox, tmp_path: Path, capsys: Any) -> Any:
    """A function that runs `plan --json` with a request and returns exit code and document."""

    def ask(*arguments: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        file = tmp_path / "request.json"
        file.write_text(json.dumps(parameters(**(INHERITING | fields))))
        code = main(["plan", str(file), *arguments, "--json"])
        out, err = capsys.readouterr()
        assert err == ""
        document: dict[str, Any] = json.loads(out)
        return code, document

    return ask


def signed(document: dict[str, Any]) -> list[str]:
    return [f"{a['sign']} {a['kind']} {a['name']}" for a in document["result"]["actions"]]


def shape(document: Any) -> Any:
    """What a program may rely on: the fields, at every depth."""
    match document:
        case dict():
            return {name: shape(each) for name, each in document.items()}
        case [first, *_]:
            return [shape(first)]
        case _:
            return None


def test_clean_request_gives_the_plan_and_changes_nothing(asked: Any, account: Sandbox) -> None:
    """
    Actions, hash and the command that starts it are told; no call changes or records anything.
    """
    recorded, told = account.items(), account.messages()

    code, document = asked("--operation-id", "op-1")

    assert (code, document["ok"], document["error"]) == (0, True, None)
    assert "- cluster staging" in signed(document)
    assert "+ cluster snapshot staging-final-op1" in signed(document)
    result = document["result"]
    assert result["parameters"]["plan_hash"] == result["plan_hash"]
    assert result["parameters"]["request"]["operation_id"] == "op-1"
    assert {each["status"] for each in result["checks"]} <= {"ok", "unchecked"}
    assert changes(account) == []
    touched = {each["operation"] for each in calls(account) if each["service"] == "dynamodb"}
    assert touched <= set(READS)
    assert account.items() == recorded
    assert account.messages() == told


def test_document_of_a_real_plan_has_the_shape_of_the_kept_one(asked: Any) -> None:
    """
    What a real run prints has exactly the fields of the kept file.
    """
    _, document = asked(
        "--set", "replace=swap", "--set", "port=5433", "--set", "snapshot_type=manual"
    )

    wanted = json.loads((GOLDEN / "plan-clean.json").read_text())
    for each in (document, wanted):
        each["result"]["parameters"]["request"] = None
    assert shape(document) == shape(wanted)


def test_three_faults_are_all_listed(asked: Any, account: Sandbox, admin: Any) -> None:
    """
    A protected cluster, a missing secret and a missing subnet group are told at once.
    """
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)

    code, document = asked(
        db_subnet_group_name="nowhere", roles=[{"name": "app", "secret_id": "aurora-restore/none"}]
    )

    failed = {
        each["name"]: each for each in document["result"]["checks"] if each["status"] == "failed"
    }
    assert code == document["exit_code"] == 1
    assert failed.keys() == {"old-cluster", "secrets", "subnet-group"}
    assert all(each["problem"] and each["remedy"] for each in failed.values())
    assert document["error"]["type"] == "PreflightFailed"
    assert "3 of " in document["error"]["message"]
    assert document["result"]["parameters"] is None
    assert document["result"]["next"].startswith("aurora-restore plan ")
    assert changes(account) == []


def test_differences_and_swap_are_told(asked: Any) -> None:
    """
    What is overridden differs from the cluster of now, and a swap renames before it deletes.
    """
    _, document = asked("--set", "replace=swap", "--set", "port=5433")

    different = [(d["field"], d["new"]) for d in document["result"]["differences"]]
    assert ("port", "5433") in different
    told = signed(document)
    assert told.index("~ cluster staging") < told.index("- cluster staging-old-<operation>")


def test_hash_is_the_same_for_each_operation_and_another_for_another_plan(asked: Any) -> None:
    """
    The hash stands for what would be done: the operation's name is no part of it, a setting is.
    """
    hashes = [
        asked(*more)[1]["result"]["plan_hash"]
        for more in ([], ["--operation-id", "op-1"], ["--set", "reader_count=3"])
    ]

    assert hashes[0] == hashes[1] != hashes[2]


def test_people_read_the_same(
    account: Sandbox, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    """
    Without --json the same is printed as text, at 40 columns too, and the command is the last line.
    """
    monkeypatch.setenv("COLUMNS", "40")
    (tmp_path / "request.json").write_text(json.dumps(parameters(**INHERITING)))

    code = main(["plan", str(tmp_path / "request.json")])

    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert {"daily-backup-2024-03-20-copy", "staging-final-<operation>"} <= set(out.split())
    assert "OK source-snapshot" in out
    assert "unknown: no finished refresh of staging" in " ".join(out.split())
    assert out.splitlines()[-1].startswith(
        "prefect deployment run 'restore-aurora-cluster/refresh'"
    )
    assert "\x1b" not in out


def test_without_credentials_nothing_is_reached(
    asked: Any, account: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    A shell without credentials ends with exit code 3 and says where to look.
    """
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    forget_caches()

    code, document = asked()

    forget_caches()
    assert code == document["exit_code"] == 3
    assert document["error"]["type"] == "NoCredentialsError"
    assert "Check the credentials" in document["error"]["message"]
