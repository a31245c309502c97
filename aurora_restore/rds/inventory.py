"""What is there of clusters and manual snapshots, with what its price depends on."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from aurora_restore.rds import deleting, tags
from aurora_restore.rds.clusters import Cluster, find_by_resource_id
from aurora_restore.rds.status import AVAILABLE, is_terminal

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterSnapshotTypeDef, DBClusterTypeDef

Kind = Literal["cluster", "cluster snapshot"]


@dataclass(frozen=True)
class Resource:
    """A cluster with its instances, or a manual cluster snapshot.

    `gib` is a snapshot's AllocatedStorage, `instance_classes` how many instances of which class a
    cluster has, `source_arn` what a snapshot was copied from; `ties` are the reasons why AWS or
    this program's rules let nobody delete a cluster.
    """

    kind: Kind
    id: str
    arn: str
    status: str
    created_at: datetime | None
    tags: Mapping[str, str] = field(default_factory=dict)
    resource_id: str = ""
    gib: int | None = None
    instance_classes: Mapping[str, int] = field(default_factory=dict)
    source_arn: str | None = None
    ties: tuple[str, ...] = ()

    @property
    def region(self) -> str:
        """The Region in which it lies."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """The account that owns it."""
        return self.arn.split(":")[4]

    @property
    def place(self) -> str:
        """Account and Region, as people read them."""
        return f"{self.account}/{self.region}"

    @property
    def is_ours(self) -> bool:
        """Whether it has both marks: that this program made it, and for which operation."""
        return self.tags.get(tags.MANAGED) == "true" and bool(self.tags.get(tags.OPERATION))


def list_clusters(rds: "RDSClient") -> list[Resource]:
    """Return the clusters of the client's account and Region.

    Source: RDS API, DescribeDBClusters, DescribeDBInstances.
    """
    classes: dict[str, Counter[str]] = {}
    for page in rds.get_paginator("describe_db_instances").paginate():
        for instance in page["DBInstances"]:
            counted = classes.setdefault(instance.get("DBClusterIdentifier", ""), Counter())
            counted[instance.get("DBInstanceClass", "?")] += 1
    pages = rds.get_paginator("describe_db_clusters").paginate()
    return [
        _cluster(each, classes.get(each["DBClusterIdentifier"], {}))
        for page in pages
        for each in page["DBClusters"]
    ]


def list_snapshots(rds: "RDSClient") -> list[Resource]:
    """Return the manual snapshots of the client's account and Region.

    Source: RDS API, DescribeDBClusterSnapshots.
    """
    pages = rds.get_paginator("describe_db_cluster_snapshots").paginate(SnapshotType="manual")
    return [_snapshot(each) for page in pages for each in page["DBClusterSnapshots"]]


def find_again(rds: "RDSClient", seen: Resource) -> tuple[Resource, Cluster | None] | None:
    """Return what a resource is now, a cluster also as it is deleted; None if it is gone.

    A cluster is sought by its resource id, whatever it is called now.

    Source: RDS API, DescribeDBClusters, DescribeDBClusterSnapshots.
    """
    if seen.kind == "cluster":
        cluster = find_by_resource_id(rds, seen.resource_id).get(seen.resource_id)
        if cluster is None:
            return None
        now = replace(
            seen, id=cluster.id, status=cluster.status, tags=cluster.tags, ties=_ties(cluster)
        )
        return now, cluster
    try:
        page = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=seen.id)
    except rds.exceptions.DBClusterSnapshotNotFoundFault:
        return None
    found = page["DBClusterSnapshots"]
    return (_snapshot(found[0]), None) if found else None


def being_copied(snapshots: list[Resource]) -> Iterator[str]:
    """Give the ARN of each snapshot from which one of these is being made at the moment."""
    return (
        each.source_arn
        for each in snapshots
        if each.source_arn is not None and each.status != AVAILABLE and not is_terminal(each.status)
    )


def _cluster(found: "DBClusterTypeDef", classes: Mapping[str, int]) -> Resource:
    cluster = Cluster.from_api(found)
    return Resource(
        kind="cluster",
        id=cluster.id,
        arn=cluster.arn,
        status=cluster.status,
        created_at=found.get("ClusterCreateTime"),
        tags=cluster.tags,
        resource_id=cluster.resource_id,
        instance_classes=dict(classes),
        ties=_ties(cluster),
    )


def _ties(cluster: Cluster) -> tuple[str, ...]:
    """No final snapshot is taken of a leftover: that none can be is no obstacle."""
    if is_terminal(cluster.status):
        cluster = replace(cluster, status=AVAILABLE)
    obstacles = deleting.obstacles(cluster, lift_protection=True)
    return tuple(each.problem for each in obstacles)


def _snapshot(found: "DBClusterSnapshotTypeDef") -> Resource:
    return Resource(
        kind="cluster snapshot",
        id=found["DBClusterSnapshotIdentifier"],
        arn=found["DBClusterSnapshotArn"],
        status=found["Status"],
        created_at=found.get("SnapshotCreateTime"),
        tags=tags.from_api(found.get("TagList", [])),
        gib=found.get("AllocatedStorage"),
        source_arn=found.get("SourceDBClusterSnapshotArn"),
    )
