"""What the sandbox's world means to the product: its settings, a request, prefect.yaml's values."""

from pathlib import Path
from typing import Any

from sandbox import Sandbox

FILES = Path(__file__).parent / "files"
POLL_SECONDS = 0.5
GIVE_UP_SECONDS = 60.0


def settings(aws: Sandbox) -> dict[str, str]:
    """Return the environment of a flow run, as the ECS task definition would give it."""
    facts = aws.facts
    polls = {
        f"AURORA_RESTORE_{wait}_POLL__{name}": str(value)
        for wait in ("COPY", "DELETE", "RESTORE", "DATABASE")
        for name, value in (
            ("AT_LEAST", POLL_SECONDS),
            ("AT_MOST", POLL_SECONDS),
            ("GIVE_UP_AFTER", GIVE_UP_SECONDS),
        )
    }
    return (
        aws.env
        | polls
        | {
            "AURORA_RESTORE_STATE_TABLE": facts["table"],
            "AURORA_RESTORE_TOPIC_ARN": facts["topic_arn"],
            "AURORA_RESTORE_FILES": str(FILES),
            "AURORA_RESTORE_SOURCE_ROLE_ARN": facts["source_role_arn"],
            "AURORA_RESTORE_SOURCE_EXTERNAL_ID": facts["external_id"],
            "AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS": f'["{facts["target_account"]}"]',
        }
    )


def deployment_values(aws: Sandbox) -> dict[str, str]:
    """Return the variables prefect.yaml asks for."""
    facts = aws.facts
    return {
        "REFRESH_SOURCE_ACCOUNT_ID": facts["source_account"],
        "REFRESH_SOURCE_REGION": facts["source_region"],
        "REFRESH_SOURCE_CLUSTER_ID": facts["source_cluster"],
        "REFRESH_TARGET_ACCOUNT_ID": facts["target_account"],
        "REFRESH_TARGET_REGION": facts["target_region"],
        "REFRESH_TARGET_CLUSTER_ID": facts["target_cluster"],
        "REFRESH_KMS_KEY_ID": facts["target_key_alias"],
        "REFRESH_DB_SUBNET_GROUP_NAME": facts["subnet_group"],
        "REFRESH_SECURITY_GROUP_ID": facts["security_group_ids"][0],
    }


def request(aws: Sandbox, **wishes: Any) -> dict[str, Any]:
    """Return a whole request for the sandbox: a writer, a reader and two roles."""
    facts = aws.facts
    return {
        "source_account_id": facts["source_account"],
        "source_region": facts["source_region"],
        "snapshot_id": facts["snapshot"],
        "target_account_id": facts["target_account"],
        "target_region": facts["target_region"],
        "target_cluster_id": facts["target_cluster"],
        "kms_key_id": facts["target_key_alias"],
        "db_subnet_group_name": facts["subnet_group"],
        "security_group_ids": facts["security_group_ids"],
        "port": facts["postgres_port"],
        "instance_class": facts["instance_class"],
        "reader_count": 1,
        "cluster_parameter_group": facts["cluster_parameter_group"],
        "instance_parameter_group": facts["instance_parameter_group"],
        "roles": [
            {
                "name": "app",
                "secret_id": facts["app_secret_arn"],
                "access": "read_write",
                "schemas": ["sales", "inventory"],
            },
            {
                "name": "reporting",
                "secret_id": facts["reporting_secret_arn"],
                "access": "read_only",
                "schemas": ["sales"],
            },
        ],
    } | wishes


def safe_data() -> dict[str, Any]:
    """Return what the demo asks for beside that: masking, and proofs of it."""
    return {
        "scripts": [{"file": "mask-customers.sql"}, {"file": "forget-audit.sql"}],
        "verify": [
            {
                "name": "no real address is left",
                "sql": "SELECT count(*) FROM sales.customers "
                "WHERE email NOT LIKE '%@example.invalid'",
                "at_most": 0,
            },
            {
                "name": "all customers are there",
                "sql": "SELECT count(*) FROM sales.customers",
                "at_least": 20000,
            },
            {
                "name": "the audit is empty",
                "sql": "SELECT NOT EXISTS (SELECT FROM audit.entries)",
            },
        ],
    }
