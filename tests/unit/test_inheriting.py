"""What a request leaves out: taken from the cluster being replaced, or asked for by name."""

from typing import Any

import pytest
from examples import request

from aurora_restore.errors import Refused
from aurora_restore.inheriting import differences, missing_fields, resolve
from aurora_restore.rds.blueprint import (
    AssociatedRole,
    Blueprint,
    InstanceBlueprint,
    Serverless,
)
from aurora_restore.rds.snapshots import Snapshot
from aurora_restore.request import RestoreRequest

LEFT_OUT: dict[str, Any] = {
    "kms_key_id": None,
    "db_subnet_group_name": None,
    "security_group_ids": None,
}
OLD = Blueprint(
    cluster_id="staging",
    engine_version="16.4",
    port=6432,
    subnet_group="theirs",
    security_group_ids=["sg-1", "sg-2"],
    kms_key_id="arn:aws:kms:us-west-2:987654321098:key/1",
    storage_type="aurora-iopt1",
    cluster_parameter_group="tuned",
    iam_authentication=True,
    log_exports=["instance", "postgresql"],
    deletion_protection=True,
    backup_retention_days=9,
    backup_window="03:00-03:30",
    maintenance_window="sun:05:00-sun:05:30",
    copy_tags_to_snapshot=True,
    network_type="IPV4",
    extended_support="open-source-rds-extended-support",
    serverless=Serverless(min_acu=0.5, max_acu=8),
    http_endpoint=True,
    associated_roles=[AssociatedRole(role_arn="arn:aws:iam::987654321098:role/s3")],
    tags={"team": "payments"},
    instances=[
        InstanceBlueprint(
            id="staging-writer",
            instance_class="db.serverless",
            promotion_tier=2,
            parameter_group="theirs",
            monitoring_interval=60,
            monitoring_role_arn="arn:aws:iam::987654321098:role/monitoring",
            publicly_accessible=True,
        ),
        InstanceBlueprint(id="staging-1", instance_class="db.r6g.large", promotion_tier=5),
    ],
)


def snapshot(**changes: Any) -> Snapshot:
    """Return an encrypted snapshot of version 16.3."""
    facts: dict[str, Any] = {
        "id": "s",
        "arn": "arn",
        "status": "available",
        "type": "manual",
        "engine": "aurora-postgresql",
        "engine_version": "16.3",
        "master_username": "postgres",
        "cluster_id": "production",
        "encrypted": True,
        "percent": 100,
        "created_at": None,
    }
    return Snapshot(**(facts | changes))


def made(wish: RestoreRequest, old: Blueprint | None = OLD, **changes: Any) -> Blueprint:
    """Return what the new cluster is made by."""
    return resolve(wish, old, snapshot(**changes), "op-001")


def test_everything_that_is_left_out_is_as_before() -> None:
    """
    A request that names only source and target makes the cluster there was, but for public access
    and the password, which RDS manages.
    """
    new = made(request(**LEFT_OUT))

    assert differences(new, OLD) == [
        ("managed_password", "no", "yes"),
        ("writer: publicly_accessible", "yes", "no"),
    ]
    assert [each.id for each in new.instances] == ["staging-writer", "staging-1"]


@pytest.mark.parametrize(
    ("wish", "field", "value"),
    [
        ({"port": 5433}, "port", 5433),
        ({"db_subnet_group_name": "ours"}, "subnet_group", "ours"),
        ({"security_group_ids": ["sg-9"]}, "security_group_ids", ["sg-9"]),
        ({"kms_key_id": "alias/ours"}, "kms_key_id", "alias/ours"),
        ({"storage_type": "aurora"}, "storage_type", "aurora"),
        ({"cluster_parameter_group": "ours"}, "cluster_parameter_group", "ours"),
        ({"iam_authentication": False}, "iam_authentication", False),
        ({"log_exports": []}, "log_exports", []),
        ({"deletion_protection": False}, "deletion_protection", False),
        ({"backup_retention_days": 1}, "backup_retention_days", 1),
        ({"engine_version": "16.9"}, "engine_version", "16.9"),
    ],
)
def test_what_is_asked_for_comes_before_what_was(
    wish: dict[str, Any], field: str, value: object
) -> None:
    """
    A field of the request changes that setting alone.
    """
    new = made(request(**LEFT_OUT | wish))

    assert getattr(new, field) == value
    changed = {name for name, *_ in differences(new, OLD)}
    assert changed == {field, "managed_password", "writer: publicly_accessible"}


@pytest.mark.parametrize(
    ("snapshots", "clusters", "expected"),
    [
        ("16.3", "16.4", "16.4"),
        ("16.10", "16.4", "16.10"),
        ("16.3", "16.3", "16.3"),
        ("16.3", "15.9", "16.3"),
        ("16.3", "17.2", "16.3"),
    ],
)
def test_version_is_the_newer_minor_of_the_same_major(
    snapshots: str, clusters: str, expected: str
) -> None:
    """
    A refresh neither undoes a minor upgrade of the target nor makes a major one by itself.
    """
    old = OLD.model_copy(update={"engine_version": clusters})

    assert made(request(**LEFT_OUT), old, engine_version=snapshots).engine_version == expected


def test_unencrypted_snapshot_takes_no_key() -> None:
    """
    The old cluster's key is not inherited for a snapshot that AWS does not encrypt by copying.
    """
    assert made(request(**LEFT_OUT), encrypted=False).kms_key_id is None


@pytest.mark.parametrize(
    ("readers", "classes"),
    [
        (None, ["db.serverless", "db.r6g.large"]),
        (0, ["db.serverless"]),
        (3, ["db.serverless", "db.r6g.large", "db.r6g.large", "db.r6g.large"]),
    ],
)
def test_further_readers_are_like_the_last_one(readers: int | None, classes: list[str]) -> None:
    """
    Instances are inherited one by one; the names of added ones are free.
    """
    new = made(request(**LEFT_OUT, reader_count=readers))

    assert [each.instance_class for each in new.instances] == classes
    assert len({each.id for each in new.instances}) == len(classes)
    assert [each.promotion_tier for each in new.instances][:2] == [2, 5][: len(classes)]


def test_another_class_leaves_the_serverless_range_behind() -> None:
    """
    A provisioned class for all instances needs no capacity range.
    """
    new = made(request(**LEFT_OUT, instance_class="db.r6g.xlarge"))

    assert new.serverless is None
    assert {each.instance_class for each in new.instances} == {"db.r6g.xlarge"}


def test_swap_names_what_stands_beside_the_old_cluster() -> None:
    """
    Cluster and instances have names of the operation's own while the old ones have theirs.
    """
    new = made(request(**LEFT_OUT, replace="swap"))

    assert new.cluster_id == "staging-new-op001"
    assert [each.id for each in new.instances] == ["staging-op001-1", "staging-op001-2"]


def test_swap_without_an_old_cluster_needs_no_other_name() -> None:
    """
    Where nothing is in the way the new cluster has its identifier from the start.
    """
    wish = request(replace="swap", instance_class="db.r6g.large")

    assert made(wish, None).cluster_id == "staging"


def test_second_identifier_is_restored_under_at_once() -> None:
    """
    A cluster of another name does not stand in the way, and its instances keep their names.
    """
    new = made(request(**LEFT_OUT, replaces="staging", target_cluster_id="fresh"))

    assert new.cluster_id == "fresh"
    assert [each.id for each in new.instances] == ["fresh-1", "fresh-2"]


def test_without_an_old_cluster_the_rest_is_a_default() -> None:
    """
    A first restore into an empty account needs its network, a class and a key, nothing else.
    """
    new = made(request(instance_class="db.r6g.large"), None)

    assert (new.port, new.log_exports, new.storage_type) == (5432, ["postgresql"], "aurora")
    assert (new.backup_retention_days, new.deletion_protection) == (1, False)
    assert [each.id for each in new.instances] == ["staging-1"]


@pytest.mark.parametrize(
    ("wish", "old", "fields"),
    [
        (
            LEFT_OUT,
            None,
            ["db_subnet_group_name", "security_group_ids", "instance_class", "kms_key_id"],
        ),
        (LEFT_OUT, OLD.model_copy(update={"kms_key_id": None}), ["kms_key_id"]),
        (LEFT_OUT, OLD.model_copy(update={"instances": []}), ["instance_class"]),
        (
            {"instance_class": "db.serverless"},
            OLD.model_copy(update={"serverless": None}),
            ["serverless_min_acu", "serverless_max_acu"],
        ),
        (LEFT_OUT, OLD, []),
    ],
)
def test_what_cannot_be_inherited_is_asked_for_by_name(
    wish: dict[str, Any], old: Blueprint | None, fields: list[str]
) -> None:
    """
    All missing fields are named at once, and nothing is guessed.
    """
    assert missing_fields(request(**wish), old, snapshot()) == fields
    if fields:
        with pytest.raises(Refused, match=f"^{', '.join(fields)}: not given, and "):
            made(request(**wish), old)


def test_differences_name_instances_that_come_and_go() -> None:
    """
    A reader less is a difference of its own.
    """
    new = made(request(**LEFT_OUT, reader_count=0))

    assert ("reader 1", "db.r6g.large", "none") in differences(new, OLD)
