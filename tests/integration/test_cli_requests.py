"""A request as people write it: JSON or YAML, from a file or a pipe, with overrides."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT, parameters, request

from aurora_restore.cli.exits import BadUsage
from aurora_restore.cli.requests import read_request

ROOT = Path(__file__).resolve().parents[2]
YAML = f"""
source_account_id: {SOURCE_ACCOUNT}
source_region: us-east-1
snapshot_id: daily-backup-2024-03-20
target_account_id: {TARGET_ACCOUNT}
target_region: us-west-2
target_cluster_id: staging
kms_key_id: alias/aurora-target
db_subnet_group_name: aurora-restore
security_group_ids: [sg-12345678]
"""


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """A function that writes a request and reads it as the command does."""

    def write(text: str, *overrides: str, operation_id: str | None = None) -> Any:
        (tmp_path / "request").write_text(text)
        return read_request(str(tmp_path / "request"), overrides, operation_id)

    return write


@pytest.mark.parametrize(
    "text",
    [
        YAML,
        json.dumps(parameters()),
        json.dumps(parameters(), indent="\t"),
        json.dumps({"request": parameters()}),
        json.dumps({"request": parameters(), "plan_hash": "0123"}),
        "request:" + YAML.replace("\n", "\n  "),
    ],
    ids=["yaml", "json", "tabs", "parameters", "with a hash", "yaml parameters"],
)
def test_fields_and_parameters_are_accepted_alike(written: Any, text: str) -> None:
    """
    JSON or YAML, the fields of a request or a deployment's parameters: it is the same request.
    """
    assert written(text) == request()


def test_words_stay_words(written: Any) -> None:
    """
    An account with a leading zero and a version that ends in 0 are not taken for numbers.
    """
    text = YAML.replace(TARGET_ACCOUNT, "012345670123") + "engine_version: 16.10\nport: 5433\n"

    made = written(text, "source_account_id=000000000011", "reader_count=2", "final_snapshot=no")

    assert (made.target_account_id, made.source_account_id) == ("012345670123", "000000000011")
    assert made.engine_version == "16.10"
    assert (made.port, made.reader_count, made.final_snapshot) == (5433, 2, False)


def test_numbers_of_json_are_numbers_where_a_field_is_one(written: Any) -> None:
    """
    What JSON writes as a number or a boolean arrives as the field's type.
    """
    more = {"serverless_min_acu": 0.5, "serverless_max_acu": 8, "iam_authentication": True}

    made = written(json.dumps(parameters(**more)))

    assert made == request(**more)


def test_override_takes_the_place_of_a_field(written: Any) -> None:
    """
    --set replaces a field by a YAML value, the last one wins, and an empty one leaves it out.
    """
    made = written(
        YAML,
        "snapshot_id=",
        "final_snapshot=",
        "source_cluster_id=orders",
        "source_cluster_id=production",
        "roles=[{name: app, secret_id: a=b, access: owner, schemas: [sales]}]",
    )

    assert made.final_snapshot is True
    assert (made.snapshot_id, made.source_cluster_id) == (None, "production")
    assert (made.roles[0].secret_id, made.roles[0].schemas) == ("a=b", ["sales"])


def test_operation_id_is_the_options(written: Any) -> None:
    """
    The option comes before the file, and is held to the same rules.
    """
    assert written(YAML + "operation_id: op-1\n").operation_id == "op-1"
    assert written(YAML + "operation_id: op-1\n", operation_id="op-2").operation_id == "op-2"
    with pytest.raises(BadUsage, match="operation_id: malformed"):
        written(YAML, operation_id="-")


def test_merge_keys_and_anchors_work(written: Any) -> None:
    """
    A request may be put together from parts, as YAML has it.
    """
    text = "request:\n  <<: &common {source_region: us-east-1}\n" + "".join(
        f"  {line}\n" for line in YAML.splitlines() if "source_region" not in line
    )

    assert written(text) == request()


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """
    Bytes that are not UTF-8 are bad usage.
    """
    (tmp_path / "request").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(BadUsage, match=r"request: it is not UTF-8 text\. Save it as UTF-8\.$"):
        read_request(str(tmp_path / "request"), [], None)


def test_hyphen_is_standard_input() -> None:
    """
    `-` reads the request from a pipe; what is wrong with it is said of that.
    """
    done = subprocess.run(
        [sys.executable, "-m", "aurora_restore", "plan", "-"],
        input="source_region: 1\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 2
    assert done.stderr.startswith(
        "aurora-restore plan: request from standard input: source_account_id: missing;"
    )
