"""What RDS checks before it does anything: names, passwords, keys, networks, groups, versions."""

import re
from typing import Final

from moto.ec2.models import ec2_backends
from moto.kms.models import Key, kms_backends
from moto.rds.models import RDSBackend

from sandbox.key_policy import service_may_use
from sandbox.kms import find_key
from sandbox.rds.faults import bad_combination, bad_value, fault, key_not_accessible

ENGINE: Final = "aurora-postgresql"

_KEY_ACTIONS: Final = ("kms:DescribeKey", "kms:Decrypt", "kms:CreateGrant")
_IDENTIFIER = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_PASSWORD = re.compile(r"[!-~]{8,41}")


def identifier(value: str | None, parameter: str, longest: int = 63) -> str:
    """Return the identifier as RDS stores it, in lower case; refuse a malformed one."""
    if not value:
        raise bad_value(f"The parameter {parameter} must be provided and must not be blank.")
    if len(value) > longest or not _IDENTIFIER.fullmatch(value):
        raise bad_value(
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a "
            "letter; must contain only ASCII letters, digits, and hyphens; and must not end with "
            "a hyphen or contain two consecutive hyphens."
        )
    return value.lower()


def password(value: str) -> str:
    """Return the master password; refuse one Aurora PostgreSQL does not take."""
    if len(value) < 8:  # noqa: PLR2004  # AWS's own number
        problem = "it is shorter than 8 characters"
    elif len(value) > 41:  # noqa: PLR2004  # AWS's own number
        problem = "it is longer than 41 characters"
    elif not _PASSWORD.fullmatch(value) or set(value) & set("/\"@'"):
        problem = "only printable ASCII characters besides '/', '@', '\"', ' ' may be used"
    else:
        return value
    raise bad_value(f"The parameter MasterUserPassword is not a valid password because {problem}.")


def key(backend: RDSBackend, key_id: str | None, *, account: str | None = None) -> str:
    """Return the ARN of an enabled KMS key of the backend's Region which the caller may use.

    `key_id` is a key id, an alias name, or the ARN of either; another account's only by ARN.
    `account` is the caller's, if not the backend's.

    Source: Aurora User Guide, sharing encrypted snapshots (the key policy's actions).
    """
    found = _find_key(backend, key_id)
    if found is None or not found.enabled or found.key_state != "Enabled":
        raise key_not_accessible(key_id)
    if not service_may_use(found, account or backend.account_id, *_KEY_ACTIONS):
        raise key_not_accessible(key_id)
    return str(found.arn)


def is_default_key(backend: RDSBackend, key_arn: str) -> bool:
    """Whether the key is the account's aws/rds key, which cannot be shared."""
    found = _find_key(backend, key_arn)
    return found is not None and "alias/aws/rds" in found.aliases


def _find_key(backend: RDSBackend, key_id: str | None) -> Key | None:
    if not key_id:
        return None
    account = backend.account_id
    if key_id.startswith("arn:") and key_id.count(":") > 4:  # noqa: PLR2004  # parts of an ARN
        account = key_id.split(":")[4]
    return find_key(kms_backends[account][backend.region_name], key_id)


def network(
    backend: RDSBackend, subnet_group: str | None, security_groups: list[str] | None
) -> tuple[str, str, list[str]]:
    """Return the subnet group's name, its VPC and the security groups to use.

    An omitted subnet group is the default VPC's, omitted security groups are the VPC's default.
    """
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    if subnet_group is None:
        name, vpc = "default", str(ec2.default_vpc.id)
    elif subnet_group in backend.subnet_groups:
        group = backend.subnet_groups[subnet_group]
        name, vpc = group.name, str(group.vpc_id)
        zones = {subnet["SubnetAvailabilityZone"]["Name"] for subnet in group.subnets}
        if len(zones) < 2:  # noqa: PLR2004  # AWS's own number
            raise fault(
                "DBSubnetGroupDoesNotCoverEnoughAZs",
                "DB Subnet Group doesn't meet availability zone coverage requirement. "
                "Please add subnets to cover at least 2 availability zones.",
            )
    else:
        raise fault("DBSubnetGroupNotFoundFault", f"DB subnet group '{subnet_group}' not found.")
    if not security_groups:
        default = ec2.get_default_security_group(vpc)
        return name, vpc, [str(default.id)] if default else []
    for group_id in security_groups:
        found = ec2.get_security_group_from_id(group_id)
        if found is None:
            raise bad_value(f"Invalid security group , groupId= {group_id}, groupName=.")
        if found.vpc_id != vpc:
            raise bad_combination(
                "The DB instance and EC2 security group are in different VPCs. The DB instance is "
                f"in {vpc} and the EC2 security group is in {found.vpc_id}"
            )
    return name, vpc, list(security_groups)


def has_internet_gateway(backend: RDSBackend, vpc: str) -> bool:
    """Whether an internet gateway is attached to the VPC."""
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    return any(gateway.vpc and gateway.vpc.id == vpc for gateway in ec2.internet_gateways.values())


def major(version: str) -> str:
    """Return the major part of an engine version."""
    return version.partition(".")[0]


def family(version: str) -> str:
    """Return the parameter group family of an engine version."""
    return f"{ENGINE}{major(version)}"


def cluster_parameter_group(backend: RDSBackend, name: str | None, version: str) -> str:
    """Return the name of the cluster parameter group to use (default: the engine's own)."""
    default = f"default.{family(version)}"
    if name is None or name == default:
        return default
    group = backend.db_cluster_parameter_groups.get(name)
    if group is None:
        raise fault("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {name}")
    _same_family(str(group.name), str(group.db_parameter_group_family), version)
    return str(group.name)


def parameter_group(backend: RDSBackend, name: str | None, version: str) -> str | None:
    """Return the name of the instance parameter group, None for the engine's default."""
    if name is None or name == f"default.{family(version)}":
        return None
    group = backend.db_parameter_groups.get(name)
    if group is None:
        raise fault("DBParameterGroupNotFound", f"DBParameterGroup not found: {name}")
    _same_family(str(group.name), str(group.family), version)
    return str(group.name)


def _same_family(name: str, group_family: str, version: str) -> None:
    if group_family != family(version):
        raise bad_combination(
            f"The Parameter Group {name} with DBParameterGroupFamily {group_family} cannot be "
            f"used for this instance. Please use a Parameter Group with DBParameterGroupFamily "
            f"{family(version)}"
        )
