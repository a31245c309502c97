"""Requests that tests start from."""

import json
from pathlib import Path
from typing import Any

from aurora_restore.request import RestoreRequest

SOURCE_ACCOUNT, TARGET_ACCOUNT = "123456789012", "987654321098"


def parameters(**changes: Any) -> dict[str, Any]:
    """Return a valid request as a caller writes it; a change to None leaves the field out."""
    given = {
        "source_account_id": SOURCE_ACCOUNT,
        "source_region": "us-east-1",
        "snapshot_id": "daily-backup-2024-03-20",
        "target_account_id": TARGET_ACCOUNT,
        "target_region": "us-west-2",
        "target_cluster_id": "staging",
        "kms_key_id": "alias/aurora-target",
        "db_subnet_group_name": "aurora-restore",
        "security_group_ids": ["sg-12345678"],
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def request(**changes: Any) -> RestoreRequest:
    """Return that request, validated."""
    return RestoreRequest.model_validate(parameters(**changes))


def state_flow() -> list[dict[str, Any]]:
    """Return the specification's six records, in the order of the steps."""
    text = (Path(__file__).parent / "data" / "state-flow.json").read_text()
    examples: list[dict[str, Any]] = json.loads(text)
    return examples
