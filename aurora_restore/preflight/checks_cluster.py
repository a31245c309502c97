"""What the new cluster is made of: network, parameter groups, classes, logs."""

from aurora_restore.errors import Refused
from aurora_restore.preflight.check import Check, failed, ok, unchecked
from aurora_restore.preflight.facts import Facts
from aurora_restore.preflight.reading import Answer, Unknown
from aurora_restore.preflight.reads_region import Group, Version
from aurora_restore.request import SERVERLESS

_FEWEST_ZONES = 2
_ACU = (0.0, 256.0)


def subnet_group(facts: Facts) -> list[Check]:
    """The DB subnet group is there and lies in two zones at least."""
    name, new = "subnet-group", facts.draft.need("db_subnet_group_name")
    resource = f"db_subnet_group_name {new.subnet_group}"
    group = facts.subnet_group.get() if facts.subnet_group is not None else {}
    zones = {
        each.get("SubnetAvailabilityZone", {}).get("Name", "") for each in group.get("Subnets", [])
    }
    if len(zones) < _FEWEST_ZONES:
        return [
            failed(
                name,
                resource,
                f"its subnets lie in {len(zones)} availability zone, Aurora needs {_FEWEST_ZONES}",
                "Add a subnet of another zone, or name another group.",
            )
        ]
    return [ok(name, resource, f"{len(zones)} zones of {group.get('VpcId', '')}")]


def security_groups(facts: Facts) -> list[Check]:
    """The security groups are there, and of the subnet group's VPC."""
    name, new = "security-groups", facts.draft.need("security_group_ids")
    found = facts.security_groups.get() if facts.security_groups is not None else {}
    remedy = "Correct security_group_ids."
    if missing := [each for each in new.security_group_ids if each not in found]:
        resource = f"security_group_ids {', '.join(missing)}"
        return [failed(name, resource, "no such security group in the target Region", remedy)]
    facts.draft.need("db_subnet_group_name")
    vpc = facts.subnet_group.get().get("VpcId", "") if facts.subnet_group is not None else ""
    resource = f"security_group_ids {', '.join(new.security_group_ids)}"
    if strange := sorted(set(found.values()) - {vpc}):
        return [
            failed(
                name,
                resource,
                f"of VPC {', '.join(strange)}; the subnet group {new.subnet_group} is of {vpc}",
                remedy,
            )
        ]
    return [ok(name, resource, f"of {vpc}")]


def cluster_parameter_group(facts: Facts) -> list[Check]:
    """The cluster parameter group is there and fits the version."""
    field = "cluster_parameter_group"
    group = facts.draft.need(field).cluster_parameter_group
    return _fits(facts, "cluster-parameter-group", field, group, facts.cluster_group)


def instance_parameter_group(facts: Facts) -> list[Check]:
    """Each instance's parameter group is there and fits the version."""
    field = "instance_parameter_group"
    new = facts.draft.need(field)
    groups = sorted({each.parameter_group for each in new.instances}, key=str)
    return [
        check
        for group in groups
        for check in _fits(
            facts, "instance-parameter-group", field, group, facts.instance_groups.get(str(group))
        )
    ]


def _fits(
    facts: Facts, name: str, field: str, group: str | None, answer: Answer[Group] | None
) -> list[Check]:
    if group is None:
        return [ok(name, field, "AWS's default of the engine version")]
    family = answer.get().family if answer is not None else group.removeprefix("default.")
    version = _version(facts)
    if version.family and family != version.family:
        return [
            failed(
                name,
                f"{field} {group}",
                f"it is of family {family}, and version {version.number} needs {version.family}",
                f"Name a group of that family, or default.{version.family}.",
            )
        ]
    return [ok(name, f"{field} {group}", f"of family {family}")]


def instance_class(facts: Facts) -> list[Check]:
    """Each class can be ordered for the version and the storage type."""
    name, new = "instance-class", facts.draft.need("instance_class", "storage_type")
    version = _version(facts)
    checks = []
    for each, answer in facts.classes.items():
        resource = f"instance_class {each}"
        storage = answer.get()
        if not storage:
            problem = (
                f"Region {facts.request.target_region} does not offer it for version "
                f"{version.number}"
            )
            checks.append(failed(name, resource, problem, "Set instance_class to another."))
        elif new.storage_type not in storage:
            problem = f"it is not offered with storage type {new.storage_type}"
            remedy = "Set another instance_class or storage_type."
            checks.append(failed(name, resource, problem, remedy))
        else:
            checks.append(ok(name, resource, f"offered for {version.number}"))
    return checks


def serverless_range(facts: Facts) -> list[Check]:
    """The range of Serverless v2 is one that AWS takes."""
    name = "serverless-range"
    new = facts.draft.need("instance_class", "serverless_min_acu", "serverless_max_acu")
    range_ = new.serverless
    if range_ is None:
        if any(each.instance_class == SERVERLESS for each in new.instances):
            return [
                failed(
                    name,
                    "serverless_min_acu, serverless_max_acu",
                    "an instance is db.serverless and no range is given",
                    "Give both.",
                )
            ]
        return [ok(name, "serverless", "none")]
    resource = f"Serverless v2 {range_.min_acu:g} to {range_.max_acu:g} ACU"
    low, high = _version(facts).acu or _ACU
    halves = all((each * 2).is_integer() for each in (range_.min_acu, range_.max_acu))
    if not halves or not low <= range_.min_acu <= range_.max_acu <= high or range_.max_acu < 1:
        return [
            failed(
                name,
                resource,
                f"AWS takes half steps from {low:g} to {high:g}, and 1 at least as the maximum",
                "Correct serverless_min_acu and serverless_max_acu.",
            )
        ]
    return [ok(name, resource, f"within {low:g} to {high:g}")]


def log_exports(facts: Facts) -> list[Check]:
    """The version can export these logs."""
    name, new = "log-exports", facts.draft.need("log_exports")
    if not new.log_exports:
        return [ok(name, "log_exports", "none")]
    version, resource = _version(facts), f"log_exports {', '.join(new.log_exports)}"
    if strange := sorted(set(new.log_exports) - version.logs):
        return [
            failed(
                name,
                resource,
                f"version {version.number} has no log {', '.join(strange)}",
                f"Choose among {', '.join(sorted(version.logs)) or 'none'}.",
            )
        ]
    return [ok(name, resource, f"version {version.number} has them")]


def associated_roles(facts: Facts) -> list[Check]:
    """The roles that the cluster acts under: whether they may be passed is not to be known."""
    name, roles = "associated-roles", facts.draft.need("cluster_parameter_group").associated_roles
    if not roles:
        return [ok(name, "associated roles", "none")]
    return [
        unchecked(
            name,
            f"role {each.role_arn}",
            "whether it may be given to the new cluster cannot be asked",
            f"Make sure that {facts.target.who()} has iam:PassRole on it.",
        )
        for each in roles
    ]


def capacity(facts: Facts) -> list[Check]:
    """Whether AWS has machines left: nobody knows before."""
    return [
        unchecked(
            "capacity",
            f"Region {facts.request.target_region}",
            "whether AWS has capacity left is told only when it is asked for it",
            "Nothing to do: a swap keeps the old cluster if there is none.",
        )
    ]


def _version(facts: Facts) -> Version:
    """Return what is known of the version to restore as.

    Raises:
        Unknown: the version is not known, or not offered.
    """
    number = facts.draft.need("engine_version").engine_version
    offered = facts.versions.get()
    if number not in offered:
        raise Unknown("engine-version", Refused(f"engine_version {number}", "not offered"))
    return offered[number]
