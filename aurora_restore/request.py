"""The parameters of a run: what to restore into what. Also the form of the Prefect UI."""

import hashlib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.functional_validators import AfterValidator

from aurora_restore.access.declared import DatabaseRole, Name, conflicts
from aurora_restore.demands import Assertion, Script, script_conflicts

AccountId = Annotated[str, Field(pattern=r"^\d{12}$", examples=["123456789012"])]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", examples=["us-east-1"])]
Identifier = Annotated[
    str,
    Field(pattern=r"^[A-Za-z](-?[A-Za-z0-9])*$", max_length=63),
    AfterValidator(str.lower),
]
AcuHalfSteps = Annotated[float, Field(multiple_of=0.5)]

SERVERLESS = "db.serverless"
INHERITED = "Empty: as the replaced cluster has it."


class RestoreRequest(BaseModel):
    """Which snapshot becomes which cluster, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_account_id: AccountId = Field(
        title="Source account", description="AWS account that owns the snapshot."
    )
    source_region: Region = Field(
        title="Source Region", description="AWS Region in which the snapshot lies."
    )
    snapshot_id: str | None = Field(
        default=None,
        title="Snapshot",
        max_length=255,
        pattern=r"^(rds:)?[A-Za-z](-?[A-Za-z0-9])*$",
        description="Identifier of the cluster snapshot to restore. Leave empty to take the newest "
        "one of the source cluster.",
    )
    source_cluster_id: Identifier | None = Field(
        default=None,
        title="Source cluster",
        description="Take this cluster's newest snapshot. Leave empty when a snapshot is named.",
    )
    snapshot_type: Literal["manual", "automated"] = Field(
        default="manual",
        title="Newest of which type",
        description="Which snapshots of the source cluster to choose from.",
    )
    max_snapshot_age_hours: int | None = Field(
        default=None,
        title="Oldest allowed snapshot (hours)",
        ge=1,
        description="Refuse a snapshot older than this.",
    )
    target_account_id: AccountId = Field(
        title="Target account", description="AWS account in which this runs and restores."
    )
    target_region: Region = Field(
        title="Target Region", description="AWS Region in which the cluster is restored."
    )
    target_cluster_id: Identifier = Field(
        title="Target cluster", description="Identifier of the cluster that will exist afterwards."
    )
    replaces: Identifier | None = Field(
        default=None,
        title="Replaces",
        description="Identifier of the cluster to DELETE. Empty: the one that has the target "
        "cluster's identifier now, if any.",
    )
    replace: Literal["delete-first", "swap"] = Field(
        default="delete-first",
        title="How to replace",
        description="delete-first: take a final snapshot, delete the old cluster, then restore. "
        "swap: restore beside the old cluster, exchange the names, delete the old one last.",
    )
    keep_old_hours: int = Field(
        default=0,
        title="Keep the old cluster (hours)",
        ge=0,
        le=720,
        description="After a swap, leave the old cluster under another name for so long; a later "
        "refresh of the same target deletes it.",
    )
    lift_deletion_protection: bool = Field(
        default=False,
        title="Lift deletion protection",
        description="Turn the old cluster's deletion protection off right before deleting it. "
        "Otherwise a protected cluster is refused.",
    )
    final_snapshot: bool = Field(
        default=True,
        title="Final snapshot",
        description="Take a snapshot of the old cluster, and wait for it, before deleting it. "
        "Without it there is no way back once the old cluster is deleted.",
    )
    final_snapshots_keep_newest: int = Field(
        default=3,
        title="Final snapshots to keep",
        ge=1,
        le=90,
        description="Older final snapshots of the replaced cluster are deleted after a success.",
    )
    target_snapshot: Identifier | None = Field(
        default=None,
        title="Name of the copy",
        description="Identifier of the snapshot copy in the target account. Empty: the source "
        "snapshot's name followed by -copy.",
    )
    copy_route: Literal["one-step", "two-hops"] = Field(
        default="one-step",
        title="Way of the copy",
        description="one-step: across account and Region at once, in two hops only if AWS refuses "
        "that. two-hops: to the target account in the source Region, then to the target Region.",
    )
    source_kms_key_id: str | None = Field(
        default=None,
        title="KMS key for sharing",
        min_length=1,
        description="Key (ARN) of the source account and Region under which a snapshot is copied "
        "there first when it is under the default key aws/rds, which cannot be shared.",
    )
    hop_kms_key_id: str | None = Field(
        default=None,
        title="KMS key of the hop",
        min_length=1,
        description="Key (id, ARN or alias) of the target account in the source Region. Needed "
        "for a copy in two hops of an encrypted snapshot.",
    )
    kms_key_id: str | None = Field(
        default=None,
        title="KMS key",
        min_length=1,
        description="Key (id, ARN or alias) of the target account and Region that encrypts the "
        "copy and the cluster. " + INHERITED,
    )
    engine_version: str | None = Field(
        default=None,
        title="Engine version",
        pattern=r"^\d+(\.\d+)*$",
        description="Empty: the snapshot's, or the replaced cluster's if that is a newer minor "
        "version of the same major one.",
    )
    db_subnet_group_name: str | None = Field(
        default=None,
        title="DB subnet group",
        min_length=1,
        description="Where the cluster lies in the network. " + INHERITED,
    )
    security_group_ids: list[Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$")]] | None = Field(
        default=None,
        title="Security groups",
        min_length=1,
        description="VPC security groups of the cluster. " + INHERITED,
    )
    port: int | None = Field(
        default=None,
        title="Port",
        ge=1150,
        le=65535,
        description="Port of the endpoint. " + INHERITED,
    )
    instance_class: str | None = Field(
        default=None,
        title="Instance class",
        pattern=r"^db\.[a-z0-9.-]+$",
        description="Class of the writer and the readers, e.g. db.r6g.large or db.serverless. "
        + INHERITED,
    )
    reader_count: int | None = Field(
        default=None,
        title="Readers",
        ge=0,
        le=15,
        description="Instances beside the writer. " + INHERITED,
    )
    serverless_min_acu: AcuHalfSteps | None = Field(
        default=None,
        title="Serverless v2 minimum (ACU)",
        ge=0,
        le=256,
        description="For db.serverless. " + INHERITED,
    )
    serverless_max_acu: AcuHalfSteps | None = Field(
        default=None,
        title="Serverless v2 maximum (ACU)",
        ge=1,
        le=256,
        description="For db.serverless. " + INHERITED,
    )
    cluster_parameter_group: str | None = Field(
        default=None,
        title="Cluster parameter group",
        description=INHERITED + " default.aurora-postgresqlNN names AWS's own.",
    )
    instance_parameter_group: str | None = Field(
        default=None,
        title="Instance parameter group",
        description=INHERITED + " default.aurora-postgresqlNN names AWS's own.",
    )
    storage_type: Literal["aurora", "aurora-iopt1"] | None = Field(
        default=None, title="Storage type", description="Standard or I/O-Optimized. " + INHERITED
    )
    backup_retention_days: int | None = Field(
        default=None,
        title="Backup retention (days)",
        ge=1,
        le=35,
        description="Automated backups. " + INHERITED,
    )
    iam_authentication: bool | None = Field(
        default=None,
        title="IAM authentication",
        description="Allow logins by IAM token. " + INHERITED,
    )
    deletion_protection: bool | None = Field(
        default=None,
        title="Deletion protection",
        description="Protect the new cluster. A refresh of a protected cluster needs "
        "lift_deletion_protection. " + INHERITED,
    )
    log_exports: list[Literal["postgresql", "instance", "iam-db-auth-error"]] | None = Field(
        default=None, title="Log exports", description="Logs sent to CloudWatch. " + INHERITED
    )
    master_secret_id: str | None = Field(
        default=None,
        title="Master password secret",
        min_length=1,
        description="Name or ARN of a secret with the master password to set. Empty: RDS makes "
        "and rotates one.",
    )
    database: Name = Field(
        default="postgres",
        title="Database",
        description="Database of the roles' privileges, the scripts and the assertions, where "
        "they name no other.",
    )
    roles: list[DatabaseRole] = Field(
        default=[],
        title="Roles",
        description="Logins and groups the restored database shall have, with exactly these "
        "privileges.",
    )
    roles_file: str | None = Field(
        default=None,
        title="Role file",
        min_length=1,
        description="YAML file with more roles: in the image, or s3://bucket/key?versionId=...",
    )
    undeclared_logins: Literal["lock", "drop"] = Field(
        default="lock",
        title="Logins that are not declared",
        description="What becomes of the source's other logins. lock: they cannot log in. drop: "
        "they are dropped, and what they own belongs to the master user.",
    )
    scripts: list[Script] = Field(
        default=[],
        title="Scripts",
        description="SQL run in this order before anybody can log in: masking, configuration.",
    )
    verify: list[Assertion] = Field(
        default=[],
        title="Assertions",
        description="What must be true of the database before anybody can log in.",
    )
    archive: Literal["keep", "delete"] = Field(
        default="keep",
        title="Archive",
        description="Keep the snapshot copy after the restore, or delete it.",
    )
    archive_keep_newest: int = Field(
        default=3,
        title="Archived copies to keep",
        ge=1,
        le=90,
        description="Older archived copies made for this target cluster are deleted.",
    )
    resume_if_lost: bool = Field(
        default=True,
        title="Resume if lost",
        description="Let the watchdog start the run again if it vanishes with its machine.",
    )
    operation_id: str | None = Field(
        default=None,
        title="Operation",
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name of the operation in the records. Empty: made from the flow run's id.",
    )

    @property
    def replaced_cluster_id(self) -> str:
        """The identifier of the cluster that makes room."""
        return self.replaces or self.target_cluster_id

    @property
    def target_name(self) -> str:
        """The target as people read it: account, Region and cluster."""
        return f"{self.target_account_id}/{self.target_region}/{self.target_cluster_id}"

    @property
    def touched(self) -> tuple[str, ...]:
        """The clusters this operation may change, named likewise; the target first."""
        place = f"{self.target_account_id}/{self.target_region}"
        ids = dict.fromkeys([self.target_cluster_id, self.replaced_cluster_id])
        return tuple(f"{place}/{each}" for each in ids)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.snapshot_id is None) == (self.source_cluster_id is None):
            raise ValueError("snapshot_id, source_cluster_id: give exactly one of the two")
        same_place = (self.source_account_id, self.source_region) == (
            self.target_account_id,
            self.target_region,
        )
        if same_place and self.source_cluster_id in {
            self.target_cluster_id,
            self.replaced_cluster_id,
        }:
            message = (
                f"target_cluster_id: {self.source_cluster_id!r} is the source itself; name another "
                "target cluster, account or Region"
            )
            raise ValueError(message)
        given = {self.serverless_min_acu is not None, self.serverless_max_acu is not None}
        if len(given) > 1 or (True in given and self.instance_class not in {None, SERVERLESS}):
            message = (
                "serverless_min_acu, serverless_max_acu: give both with instance_class "
                "db.serverless, and neither with another class"
            )
            raise ValueError(message)
        if self.keep_old_hours and self.replace != "swap":
            message = (
                "keep_old_hours: delete-first deletes the old cluster before it restores; "
                "leave it out, or set replace to swap"
            )
            raise ValueError(message)
        if (self.serverless_min_acu or 0) > (self.serverless_max_acu or 0):
            raise ValueError(
                "serverless_min_acu: greater than serverless_max_acu; exchange the two"
            )
        found = conflicts(self.roles, self.database)
        if found := [*found, *script_conflicts(self.scripts, self.database)]:
            raise ValueError("; ".join(found))
        asserted = [each.name for each in self.verify]
        if twice := {name for name in asserted if asserted.count(name) > 1}:
            raise ValueError(f"verify: {sorted(twice)} stand twice; name each assertion once")
        return self


def request_digest(request: RestoreRequest) -> str:
    """Return a hash of everything a request asks for, except the operation's name."""
    text = request.model_dump_json(exclude={"operation_id"})
    return hashlib.sha256(text.encode()).hexdigest()


def one_line(error: ValidationError) -> str:
    """Return what is wrong with a request, naming each field, in one line without the values."""
    return "; ".join(_finding(dict(each)) for each in error.errors(include_url=False))


def _finding(error: dict[str, Any]) -> str:
    field = ".".join(" ".join(str(part).split()) for part in error["loc"])
    match error["type"]:
        case "extra_forbidden":
            problem = "unknown field; remove it or correct its name"
        case "missing":
            problem = "missing; give a value"
        case "string_pattern_mismatch":
            problem = f"malformed; it must match {error['ctx']['pattern']}"
        case _:
            problem = re.sub(r"^Value error, ", "", error["msg"])
    return f"{field}: {problem}" if field else problem
