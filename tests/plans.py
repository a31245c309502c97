"""Plans that tests start from, made by hand."""

from datetime import UTC, datetime
from typing import Any

from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT

from aurora_restore.plan import OldCluster, Plan
from aurora_restore.rds import names
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint
from aurora_restore.rds.route import Hop, Route
from aurora_restore.request import RestoreRequest

SOURCE, NEAR, HERE = (
    f"{SOURCE_ACCOUNT}/us-east-1",
    f"{TARGET_ACCOUNT}/us-east-1",
    f"{TARGET_ACCOUNT}/us-west-2",
)
DAILY = "daily-backup-2024-03-20"
ROLES = [
    {"name": "app", "secret_id": "secret/app", "access": "read_write"},
    {
        "name": "report",
        "secret_id": "secret/report",
        "access": "read_only",
        "schemas": ["sales", "stock"],
    },
]


def arn(place: str, snapshot_id: str) -> str:
    account, region = place.split("/")
    return f"arn:aws:rds:{region}:{account}:cluster-snapshot:{snapshot_id}"


def hop(place: str, source: tuple[str, str], name: str, **more: Any) -> Hop:
    account, region = place.split("/")
    known = {"names": [name], "kms_key_id": None} | more
    return Hop(account=account, region=region, source_arn=arn(*source), **known)


ONE_STEP = Route(
    kind="one-step",
    hops=[hop(HERE, (SOURCE, DAILY), "daily-copy", share=True, withdraw=True, kms_key_id="key-1")],
)
TWO_HOPS = Route(
    kind="two-hops",
    hops=[
        hop(SOURCE, (SOURCE, DAILY), "daily-share-op1", why="aws/rds cannot be shared"),
        hop(NEAR, (SOURCE, "daily-share-op1"), "daily-hop-op1", share=True, withdraw=True),
        hop(HERE, (NEAR, "daily-hop-op1"), "daily-copy"),
    ],
)


def blueprint(cluster_id: str, *instances: str, **more: Any) -> Blueprint:
    known: dict[str, Any] = {
        "cluster_id": cluster_id,
        "engine_version": "16.14",
        "port": 5432,
        "subnet_group": "aurora-restore",
        "security_group_ids": ["sg-12345678"],
        "kms_key_id": None,
        "instances": [
            InstanceBlueprint(id=each, instance_class="db.r6g.large") for each in instances
        ],
    }
    return Blueprint.model_validate(known | more)


def plan(
    asked: RestoreRequest,
    *,
    old: Blueprint | None = None,
    route: Route = ONE_STEP,
    operation_id: str = "op-1",
    **more: Any,
) -> Plan:
    name = asked.target_cluster_id if old is None else names.new_cluster_name(asked, operation_id)
    return Plan(
        target_cluster_id=asked.target_cluster_id,
        snapshot_arn=arn(SOURCE, DAILY),
        snapshot_id=DAILY,
        data_from=datetime(2024, 3, 20, 5, 7, tzinfo=UTC),
        master_username="postgres",
        vpc_id="vpc-1",
        subnet_ids=["subnet-1", "subnet-2"],
        route=route,
        roles=asked.roles,
        scripts={each.file: "0" * 64 for each in asked.scripts},
        old=old
        and OldCluster(arn="arn:aws:rds:::cluster:old", resource_id="cluster-X", blueprint=old),
        new=blueprint(
            name, "new-1", "new-2", managed_password=asked.master_secret_id is None
        ).model_copy(update=more),
    )


STAGING = blueprint("staging", "staging-1", "staging-2", "staging-3")
