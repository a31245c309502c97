"""The sandbox's RDS: what a Region offers and how much of it an account may have."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import SOURCE, TARGET, VERSION, World

from sandbox import rds
from sandbox.rds import durations

NEXT_MINOR = "16.15"


def quotas(aurora: World, account: str = TARGET) -> dict[str, tuple[int, int]]:
    found = aurora.client("rds", account).describe_account_attributes()["AccountQuotas"]
    return {each["AccountQuotaName"]: (each["Used"], each["Max"]) for each in found}


def offered(aurora: World, **wish: Any) -> dict[str, Any]:
    found = aurora.client("rds").describe_db_engine_versions(Engine="aurora-postgresql", **wish)
    return {each["EngineVersion"]: each for each in found["DBEngineVersions"]}


def orderable(aurora: World, **wish: Any) -> set[tuple[str, str]]:
    found = aurora.client("rds").describe_orderable_db_instance_options(
        Engine="aurora-postgresql", **wish
    )["OrderableDBInstanceOptions"]
    return {(each["DBInstanceClass"], each["StorageType"]) for each in found}


def create(aurora: World, name: str) -> None:
    aurora.client("rds").create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="long-enough",
    )


# quotas


def test_quotas_are_shown_with_what_is_used(aurora: World) -> None:
    """
    DescribeAccountAttributes counts what there is in account and Region, automated copies not.
    """
    before = quotas(aurora)
    aurora.instance("staging-3", "staging")
    aurora.copy(aurora.facts["daily"], "copy-1")
    aurora.restore("own", "new")

    assert before == {
        "DBClusters": (1, 40),
        "DBInstances": (2, 40),
        "ManualClusterSnapshots": (1, 100),
    }
    assert quotas(aurora) == {
        "DBClusters": (2, 40),
        "DBInstances": (3, 40),
        "ManualClusterSnapshots": (2, 100),
    }
    assert quotas(aurora, SOURCE)["DBInstances"] == (1, 40)


@pytest.mark.parametrize(
    ("name", "limit", "code"),
    [
        ("DBClusters", 1, "DBClusterQuotaExceededFault"),
        ("DBInstances", 2, "InstanceQuotaExceeded"),
        ("ManualClusterSnapshots", 1, "SnapshotQuotaExceeded"),
    ],
)
def test_a_full_quota_refuses_one_more(aurora: World, name: str, limit: int, code: str) -> None:
    """
    However it would be made; until the plant is cleared.
    """
    client = aurora.client("rds")
    attempts = {
        "DBClusters": [lambda: create(aurora, "new"), lambda: aurora.restore("own", "new")],
        "DBInstances": [lambda: aurora.instance("staging-3", "staging")],
        "ManualClusterSnapshots": [
            lambda: aurora.copy(aurora.facts["daily"], "new"),
            lambda: client.create_db_cluster_snapshot(
                DBClusterIdentifier="staging", DBClusterSnapshotIdentifier="new"
            ),
        ],
    }[name]
    rds.plant("quota", name=name, limit=limit)
    used = quotas(aurora)[name]

    for attempt in attempts:
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] == code
    rds.clear()
    attempts[0]()
    assert used == (limit, limit)


def test_an_unknown_quota_cannot_be_planted() -> None:
    """
    A typing error in a test's plan is said.
    """
    with pytest.raises(ValueError, match="no quota 'Clusters'"):
        rds.plant("quota", name="Clusters", limit=1)
    with pytest.raises(TypeError, match="often"):
        rds.plant("version-withdrawn", often=1)


# engine versions


def test_each_version_names_what_it_can_become(aurora: World) -> None:
    """
    The later minor versions, and those of the next major one; each major has two minors.
    """
    found = {
        version: [
            (each["EngineVersion"], each["IsMajorVersionUpgrade"])
            for each in facts["ValidUpgradeTarget"]
        ]
        for version, facts in offered(aurora).items()
    }

    majors = [("18.4", True), ("18.5", True)]
    assert found == {
        VERSION: [(NEXT_MINOR, False), *majors],
        NEXT_MINOR: majors,
        "18.4": [("18.5", False)],
        "18.5": [],
    }


def test_a_snapshot_is_restored_as_its_own_version_or_a_later_minor(aurora: World) -> None:
    """
    A lower minor and another major version are refused.
    """
    later = aurora.restore("own", "later", EngineVersion=NEXT_MINOR)
    aurora.clock.advance(durations.CLUSTER_RESTORE)
    aurora.snapshot("later-1", "later", TARGET)

    assert later["EngineVersion"] == NEXT_MINOR
    for version in (VERSION, "18.5"):
        with pytest.raises(ClientError, match=r"InvalidParameterCombination.*cannot be restored"):
            aurora.restore("later-1", "lower", EngineVersion=version)
    assert aurora.restore("later-1", "same", EngineVersion=NEXT_MINOR)["Status"] == "creating"


def test_a_withdrawn_version_is_neither_listed_nor_restored(aurora: World) -> None:
    """
    Clusters that have it stay; the next minor becomes the default.
    """
    rds.plant("version-withdrawn", version=VERSION)

    assert set(offered(aurora)) == {NEXT_MINOR, "18.4", "18.5"}
    assert offered(aurora, EngineVersion=VERSION) == {}
    assert set(offered(aurora, DefaultOnly=True)) == {NEXT_MINOR}
    with pytest.raises(ClientError, match=rf"InvalidParameterCombination.*find version {VERSION}"):
        aurora.restore("own", "new", EngineVersion=VERSION)
    assert aurora.get_cluster("staging")["EngineVersion"] == VERSION
    assert aurora.restore("own", "new", EngineVersion=NEXT_MINOR)["Status"] == "creating"


# instance classes


def test_each_class_can_be_ordered_with_either_storage(aurora: World) -> None:
    """
    One option per class and storage type.
    """
    assert orderable(aurora, EngineVersion=VERSION, DBInstanceClass="db.r6g.large") == {
        ("db.r6g.large", "aurora"),
        ("db.r6g.large", "aurora-iopt1"),
    }


def test_a_withdrawn_class_cannot_be_ordered(aurora: World) -> None:
    """
    Instances that have it stay.
    """
    rds.plant("class-withdrawn", instance_class="db.r6g.large")
    message = r"InvalidParameterCombination.*RDS does not support creating a DB instance"

    assert "db.r6g.large" not in {name for name, _ in orderable(aurora)}
    with pytest.raises(ClientError, match=message):
        aurora.instance("staging-3", "staging")
    made = aurora.instance("staging-3", "staging", DBInstanceClass="db.r6g.xlarge")
    assert made["DBInstanceClass"] == "db.r6g.xlarge"
    assert aurora.get_instance("staging-1")["DBInstanceClass"] == "db.r6g.large"
