"""Single reads of what the accounts have: only looking."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora_restore.errors import Refused, aws_code
from aurora_restore.rds.snapshots import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef


@dataclass(frozen=True)
class Quota:
    """How much of something an account has in a Region, and how much it may have."""

    used: int
    limit: int


Quotas = dict[str, Quota]


def try_table(dynamodb: "DynamoDBClient", table: str) -> None:
    """Return if records can be read as the product reads them.

    Raises:
        Refused: there is no such table, it is not ready, or it has other keys.

    Source: DynamoDB API, Query (ConsistentRead).
    """
    resource = f"DynamoDB table {table}"
    try:
        dynamodb.query(
            TableName=table,
            ConsistentRead=True,
            Limit=1,
            KeyConditionExpression="operation_id = :operation_id AND step = :step",
            ExpressionAttributeValues={":operation_id": {"S": "preflight"}, ":step": {"S": "-"}},
        )
    except dynamodb.exceptions.ResourceNotFoundException as fault:
        raise Refused(
            resource,
            f"no such table in Region {dynamodb.meta.region_name}, or it is not ACTIVE",
            "Correct AURORA_RESTORE_STATE_TABLE, or make the table.",
        ) from fault
    except dynamodb.exceptions.ClientError as error:
        if aws_code(error) != "ValidationException":
            raise
        raise Refused(
            resource,
            "its keys are not operation_id and step, both strings",
            "Make a table with partition key operation_id and sort key step.",
        ) from error


def all_clusters(rds: "RDSClient") -> "list[DBClusterTypeDef]":
    """Return the clusters of the client's account and Region.

    Source: RDS API, DescribeDBClusters.
    """
    pages = rds.get_paginator("describe_db_clusters").paginate()
    return [each for page in pages for each in page["DBClusters"]]


def all_instances(rds: "RDSClient") -> "list[DBInstanceTypeDef]":
    """Return the instances of the client's account and Region.

    Source: RDS API, DescribeDBInstances.
    """
    pages = rds.get_paginator("describe_db_instances").paginate()
    return [each for page in pages for each in page["DBInstances"]]


def manual_snapshots(rds: "RDSClient") -> list[Snapshot]:
    """Return the manual cluster snapshots of the client's account and Region.

    Source: RDS API, DescribeDBClusterSnapshots.
    """
    pages = rds.get_paginator("describe_db_cluster_snapshots").paginate(SnapshotType="manual")
    return [Snapshot.from_api(each) for page in pages for each in page["DBClusterSnapshots"]]


def shared_with(rds: "RDSClient", snapshot_id: str) -> list[str]:
    """Return the accounts that a snapshot is shared with.

    Source: RDS API, DescribeDBClusterSnapshotAttributes.
    """
    answer = rds.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier=snapshot_id)
    attributes = answer["DBClusterSnapshotAttributesResult"]["DBClusterSnapshotAttributes"]
    return [
        value
        for each in attributes
        if each.get("AttributeName") == "restore"
        for value in each.get("AttributeValues", [])
    ]


def quotas(rds: "RDSClient") -> Quotas:
    """Return what is used of each quota, and how much that may be.

    Source: RDS API, DescribeAccountAttributes.
    """
    found = rds.describe_account_attributes()["AccountQuotas"]
    return {
        each.get("AccountQuotaName", ""): Quota(each.get("Used", 0), each.get("Max", 0))
        for each in found
    }
