"""Single reads of what the target Region offers, and of what there is to build with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora_restore.errors import NotFound

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBSubnetGroupTypeDef

ENGINE = "aurora-postgresql"


@dataclass(frozen=True)
class Version:
    """An engine version on offer: what it can be upgraded to, which logs and ACU it has."""

    number: str
    family: str
    targets: frozenset[str]
    logs: frozenset[str]
    acu: tuple[float, float] | None


@dataclass(frozen=True)
class Group:
    """A parameter group."""

    name: str
    family: str


def is_own_group(name: str | None) -> bool:
    """Whether a parameter group is somebody's own, not AWS's default of an engine version."""
    return name is not None and not name.startswith("default.")


def versions(rds: "RDSClient") -> dict[str, Version]:
    """Return the versions of Aurora PostgreSQL that the Region offers.

    Source: RDS API, DescribeDBEngineVersions.
    """
    pages = rds.get_paginator("describe_db_engine_versions").paginate(Engine=ENGINE)
    offered = {}
    for page in pages:
        for each in page["DBEngineVersions"]:
            number, range_ = each.get("EngineVersion", ""), each.get("ServerlessV2FeaturesSupport")
            offered[number] = Version(
                number=number,
                family=each.get("DBParameterGroupFamily", ""),
                targets=frozenset(
                    target.get("EngineVersion", "") for target in each.get("ValidUpgradeTarget", [])
                ),
                logs=frozenset(each.get("ExportableLogTypes", [])),
                acu=(range_.get("MinCapacity", 0.0), range_.get("MaxCapacity", 256.0))
                if range_
                else None,
            )
    return offered


def storage_types(rds: "RDSClient", version: str, instance_class: str) -> set[str]:
    """Return with which storage types a class can be ordered for a version; none if it cannot.

    Source: RDS API, DescribeOrderableDBInstanceOptions.
    """
    pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(
        Engine=ENGINE, EngineVersion=version, DBInstanceClass=instance_class
    )
    return {
        each.get("StorageType", "aurora")
        for page in pages
        for each in page["OrderableDBInstanceOptions"]
    }


def subnet_group(rds: "RDSClient", name: str) -> "DBSubnetGroupTypeDef":
    """Return a DB subnet group.

    Raises:
        NotFound: there is none.

    Source: RDS API, DescribeDBSubnetGroups.
    """
    try:
        found = rds.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"]
    except rds.exceptions.DBSubnetGroupNotFoundFault:
        found = []
    if not found:
        raise _missing(f"db_subnet_group_name {name}", "DB subnet group")
    return found[0]


def security_groups(ec2: "EC2Client", ids: list[str]) -> dict[str, str]:
    """Return the VPC of each security group that exists.

    Source: EC2 API, DescribeSecurityGroups; by filter, since by id it names only one missing.
    """
    pages = ec2.get_paginator("describe_security_groups").paginate(
        Filters=[{"Name": "group-id", "Values": ids}]
    )
    return {
        each.get("GroupId", ""): each.get("VpcId", "")
        for page in pages
        for each in page["SecurityGroups"]
    }


def cluster_group(rds: "RDSClient", name: str) -> Group:
    """Return a cluster parameter group.

    Raises:
        NotFound: there is none.

    Source: RDS API, DescribeDBClusterParameterGroups.
    """
    try:
        page = rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name)
        found = page["DBClusterParameterGroups"]
    except rds.exceptions.DBParameterGroupNotFoundFault:
        found = []
    if not found:
        raise _missing(f"cluster_parameter_group {name}", "DB cluster parameter group")
    return Group(name, found[0].get("DBParameterGroupFamily", ""))


def instance_group(rds: "RDSClient", name: str) -> Group:
    """Return an instance parameter group.

    Raises:
        NotFound: there is none.

    Source: RDS API, DescribeDBParameterGroups.
    """
    try:
        page = rds.describe_db_parameter_groups(DBParameterGroupName=name)
        found = page["DBParameterGroups"]
    except rds.exceptions.DBParameterGroupNotFoundFault:
        found = []
    if not found:
        raise _missing(f"instance_parameter_group {name}", "DB parameter group")
    return Group(name, found[0].get("DBParameterGroupFamily", ""))


def _missing(resource: str, kind: str) -> NotFound:
    problem = f"no such {kind} in the target Region"
    return NotFound(resource, problem, "Correct the name in the request, or make it.")
