"""Clusters and their instances, as RDS shows them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aurora_restore.errors import NotFound
from aurora_restore.rds import tags

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef


@dataclass(frozen=True)
class Cluster:
    """A DB cluster as AWS shows it."""

    id: str
    arn: str
    status: str
    engine: str
    resource_id: str
    endpoint: str
    port: int
    protected: bool
    writer: str | None
    readers: list[str]
    master_username: str
    master_secret_arn: str | None
    master_secret_status: str | None
    subnet_group: str
    security_group_ids: list[str]
    maintenance_window: str | None = None
    http_endpoint: bool = False
    global_cluster_id: str | None = None
    replica_ids: list[str] = field(default_factory=list)
    replicates: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_api(cls, found: "DBClusterTypeDef") -> Self:
        """Return the cluster of an API answer."""
        members = found.get("DBClusterMembers", [])
        secret = found.get("MasterUserSecret", {})
        return cls(
            id=found["DBClusterIdentifier"],
            arn=found["DBClusterArn"],
            status=found["Status"],
            engine=found.get("Engine", ""),
            resource_id=found.get("DbClusterResourceId", ""),
            endpoint=found.get("Endpoint", ""),
            port=found.get("Port", 0),
            protected=found.get("DeletionProtection", False),
            writer=next(
                (each["DBInstanceIdentifier"] for each in members if each.get("IsClusterWriter")),
                None,
            ),
            readers=[
                each["DBInstanceIdentifier"] for each in members if not each.get("IsClusterWriter")
            ],
            master_username=found.get("MasterUsername", ""),
            master_secret_arn=secret.get("SecretArn"),
            master_secret_status=secret.get("SecretStatus"),
            subnet_group=found.get("DBSubnetGroup", ""),
            security_group_ids=[
                each["VpcSecurityGroupId"] for each in found.get("VpcSecurityGroups", [])
            ],
            maintenance_window=found.get("PreferredMaintenanceWindow"),
            http_endpoint=found.get("HttpEndpointEnabled", False),
            global_cluster_id=found.get("GlobalClusterIdentifier"),
            replica_ids=list(found.get("ReadReplicaIdentifiers", [])),
            replicates=found.get("ReplicationSourceIdentifier"),
            tags=tags.from_api(found.get("TagList", [])),
        )


@dataclass(frozen=True)
class Network:
    """Where a DB subnet group lies."""

    vpc_id: str
    subnet_ids: list[str]


def find_cluster(rds: "RDSClient", cluster_id: str) -> Cluster | None:
    """Return one cluster of the client's account and Region, or None.

    Source: RDS API, DescribeDBClusters.
    """
    try:
        page = rds.describe_db_clusters(DBClusterIdentifier=cluster_id)
    except rds.exceptions.DBClusterNotFoundFault:
        return None
    found = page["DBClusters"]
    return Cluster.from_api(found[0]) if found else None


def get_cluster(rds: "RDSClient", cluster_id: str) -> Cluster:
    """Return one cluster.

    Raises:
        NotFound: there is none.
    """
    found = find_cluster(rds, cluster_id)
    if found is None:
        raise NotFound(f"cluster {cluster_id}", "it does not exist")
    return found


def find_by_resource_id(rds: "RDSClient", *resource_ids: str) -> dict[str, Cluster]:
    """Return those of the clusters that exist, by resource id, whatever they are called now.

    Source: RDS API, DescribeDBClusters, filter db-cluster-resource-id.
    """
    page = rds.describe_db_clusters(
        Filters=[{"Name": "db-cluster-resource-id", "Values": list(resource_ids)}]
    )
    found = map(Cluster.from_api, page["DBClusters"])
    return {cluster.resource_id: cluster for cluster in found}


def get_network(rds: "RDSClient", subnet_group: str) -> Network:
    """Return the VPC and the subnets of a DB subnet group.

    Raises:
        NotFound: there is no such group.

    Source: RDS API, DescribeDBSubnetGroups.
    """
    try:
        page = rds.describe_db_subnet_groups(DBSubnetGroupName=subnet_group)
    except rds.exceptions.DBSubnetGroupNotFoundFault as fault:
        raise NotFound(
            f"db_subnet_group_name {subnet_group}", "no such DB subnet group in the target Region"
        ) from fault
    [group] = page["DBSubnetGroups"]
    return Network(
        vpc_id=group.get("VpcId", ""),
        subnet_ids=sorted(each["SubnetIdentifier"] for each in group.get("Subnets", [])),
    )


def instance_statuses(rds: "RDSClient", cluster_id: str) -> dict[str, str]:
    """Return the status of each instance of a cluster, by identifier.

    Source: RDS API, DescribeDBInstances, filter db-cluster-id.
    """
    pages = rds.get_paginator("describe_db_instances").paginate(
        Filters=[{"Name": "db-cluster-id", "Values": [cluster_id]}]
    )
    return {
        instance["DBInstanceIdentifier"]: instance["DBInstanceStatus"]
        for page in pages
        for instance in page["DBInstances"]
    }
