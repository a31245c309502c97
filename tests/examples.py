"""Requests that tests start from."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora_restore.plan import OldCluster, Plan
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint
from aurora_restore.rds.route import Hop, Route
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


def request_of_everything() -> RestoreRequest:
    """Return a request with each field set that can be, and numbers of every kind in it."""
    select = "SELECT count(*) FROM t"
    return request(
        snapshot_id=None,
        source_cluster_id="prod",
        snapshot_type="automated",
        max_snapshot_age_hours=36,
        replaces="old",
        replace="swap",
        keep_old_hours=24,
        lift_deletion_protection=True,
        final_snapshot=False,
        final_snapshots_keep_newest=2,
        copy_route="two-hops",
        source_kms_key_id="alias/source",
        hop_kms_key_id="alias/hop",
        engine_version="16.14",
        port=5433,
        instance_class="db.serverless",
        reader_count=0,
        serverless_min_acu=1,
        serverless_max_acu=64.0,
        cluster_parameter_group="cluster-group",
        instance_parameter_group="group",
        storage_type="aurora-iopt1",
        backup_retention_days=7,
        iam_authentication=False,
        deletion_protection=True,
        log_exports=[],
        master_secret_id="staging/master",
        database="app",
        roles=[
            {
                "name": "Zoë",
                "secret_id": "staging/app",
                "make_secret": True,
                "access": "read_only",
                "schemas": ["sales"],
                "member_of": ["analysts"],
                "connection_limit": 50,
                "valid_until": "2099-01-01T00:00:00.250000+02:00",
                "settings": {"search_path": "", "statement_timeout": "30s"},
            },
            {"name": "reporting", "iam": True},
            {
                "name": "analysts",
                "privileges": [
                    {
                        "database": "app",
                        "schemas": ["sales"],
                        "preset": "read_write",
                        "on_database": ["CONNECT"],
                        "on_schemas": ["USAGE"],
                        "on_tables": ["SELECT"],
                        "on_sequences": ["USAGE"],
                        "on_functions": ["EXECUTE"],
                    }
                ],
            },
        ],
        roles_file="roles.yaml",
        undeclared_logins="drop",
        scripts=[{"file": "mask.sql", "database": "app", "timeout_seconds": 600}],
        verify=[
            {"name": "zero", "sql": select, "database": "app", "at_most": 0.0},
            {"name": "minus zero", "sql": select, "at_least": -0.0, "at_most": 7},
            {"name": "parts", "sql": select, "at_least": 0.1, "at_most": 1e22},
            {"name": "tiny", "sql": select, "at_least": 5e-324, "at_most": 1.7e308},
            {"name": "long", "sql": select, "at_most": 10**50, "timeout_seconds": 5},
        ],
        archive="delete",
        archive_keep_newest=4,
        resume_if_lost=False,
        operation_id="op-001",
    )


def state_flow() -> list[dict[str, Any]]:
    """Return the specification's six records, in the order of the steps."""
    text = (Path(__file__).parent / "data" / "state-flow.json").read_text()
    examples: list[dict[str, Any]] = json.loads(text)
    return examples


def plan(**changes: Any) -> Plan:
    """Return a plan: a writer in the place of a cluster that had one too."""
    new = Blueprint(
        cluster_id="staging",
        engine_version="16.14",
        port=5432,
        subnet_group="aurora-restore",
        security_group_ids=["sg-12345678"],
        kms_key_id="alias/aurora-target",
        instances=[InstanceBlueprint(id="staging-1", instance_class="db.r6g.large")],
    )
    arn = f"arn:aws:rds:us-east-1:{SOURCE_ACCOUNT}:cluster-snapshot:daily-backup-2024-03-20"
    hop = Hop(
        account=TARGET_ACCOUNT,
        region="us-west-2",
        source_arn=arn,
        names=["daily-backup-2024-03-20-copy"],
        kms_key_id="alias/aurora-target",
        share=True,
    )
    given: dict[str, Any] = {
        "target_cluster_id": "staging",
        "snapshot_arn": arn,
        "snapshot_id": "daily-backup-2024-03-20",
        "data_from": datetime(2024, 3, 20, 2, 0, tzinfo=UTC),
        "master_username": "postgres",
        "vpc_id": "vpc-12345678",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "route": Route(hops=[hop], kind="one-step"),
        "old": OldCluster(
            arn=f"arn:aws:rds:us-west-2:{TARGET_ACCOUNT}:cluster:staging",
            resource_id="cluster-OLD",
            blueprint=new,
        ),
        "new": new,
    }
    return Plan.model_validate(given | changes)


# What a hand-over without roles, scripts and assertions has to tell.
HANDED_OVER: dict[str, Any] = {
    "master_secret_arn": "arn",
    "db_users": [],
    "server_version": "16.14",
    "databases": [{"name": "postgres", "bytes": 8_000_000}],
    "roles_made": [],
    "roles_locked": [],
    "roles_dropped": [],
    "scripts_run": [],
    "assertions_held": [],
    "logins_tried": [],
    "data_age_seconds": 3600,
    "restore_seconds": 1800,
}
