"""What AWS asks IAM about a call: each action, resource and condition key it is judged by.

One call is often several requests: for each resource it names, for the tags it sets, and for what
RDS then does in the caller's name. Source of each rule: the Service Authorization Reference for
actions, resources and keys; the Aurora User Guide, "Sharing encrypted snapshots", for keys;
"Password management with AWS Secrets Manager" for managed master passwords.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aurora_restore.rds import tags

SECRETS_MANAGERS_KEY = "alias/aws/secretsmanager"
KEEPERS = ("rds", "secretsmanager")  # of master passwords
_OF_AWS = re.compile(r"-of-aws-(\w+)$")
# Of these alone AWS asks nobody.
FREE = {"GetCallerIdentity"}
THROUGH_RDS = (
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
)


@dataclass(frozen=True)
class Asked:
    """One request to IAM."""

    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A call as botocore makes it, and what was there at that moment.

    `account` is the caller's. `tags_of` gives the tags of a resource by its ARN, `key_of` the ARN
    of a key by id or alias and Region (with `-of-aws-rds` after it, if it is AWS's for RDS),
    `key_behind` the key that a snapshot or cluster is encrypted with, if any. What is
    read, secrets and files, is taken to be under the stack's key, `state_key`.
    """

    account: str
    region: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    tags_of: Callable[[str], Mapping[str, str]]
    key_of: Callable[[str, str], str]
    key_behind: Callable[[str], str | None]
    state_key: str

    def asks(self) -> Iterator[Asked]:
        """Give every request to IAM that this call is judged by."""
        if self.operation in FREE:
            return
        rule: Callable[[], Iterator[Asked]] | None = getattr(
            self, f"_{self.service}_{self.operation}", None
        )
        if rule is not None:
            yield from rule()
        elif self.operation.startswith("Describe"):
            yield self._asked(self.operation, self._listed())
        else:
            raise AssertionError(f"{self.service}:{self.operation}: nothing says what it asks for")

    # ── what requests have in common ─────────────────────────────────────────

    def _asked(self, operation: str, resource: str, **context: Any) -> Asked:
        action = operation if ":" in operation else f"{self.service}:{operation}"
        return Asked(action, resource, {"aws:RequestedRegion": self.region} | context)

    def _arn(self, kind: str, name: str) -> str:
        if name.startswith("arn:"):
            return name
        return f"arn:aws:rds:{self.region}:{self.account}:{kind}:{name}"

    def _listed(self) -> str:
        """Return what is looked at: the one that is named, or any of its kind."""
        for parameter, kind in LISTED.items():
            if parameter in self.parameters:
                return self._arn(kind, self.parameters[parameter])
        kind_of_all = ALL.get(self.operation)
        return "*" if kind_of_all is None else self._arn(kind_of_all, "*")

    @property
    def _request_tags(self) -> dict[str, Any]:
        given = tags.from_api(self.parameters.get("Tags", []))
        return {f"aws:RequestTag/{name}": value for name, value in given.items()} | {
            "aws:TagKeys": sorted(given)
        }

    def _resource_tags(self, arn: str) -> dict[str, Any]:
        return {f"aws:ResourceTag/{name}": value for name, value in self.tags_of(arn).items()}

    def _makes(self, *resources: str, marked: str) -> Iterator[Asked]:
        for each in resources:
            yield self._asked(self.operation, each, **self._request_tags)
        yield self._asked("AddTagsToResource", marked, **self._request_tags)

    def _changes(self, arn: str) -> Iterator[Asked]:
        yield self._asked(self.operation, arn, **self._resource_tags(arn))

    def _uses(self, key: str | None) -> Iterator[Asked]:
        """RDS uses a key, if there is one, in the caller's name."""
        if key is not None:
            yield from through_rds(key)

    def _passes(self, role: str, service: str) -> Asked:
        return Asked("iam:PassRole", role, {"iam:PassedToService": service})

    def _state_key(self, service: str, *operations: str) -> Iterator[Asked]:
        for operation in operations:
            via = {"kms:ViaService": f"{service}.{self.region}.amazonaws.com"}
            yield Asked(f"kms:{operation}", self.state_key, via)

    # ── RDS ──────────────────────────────────────────────────────────────────

    def _rds_CopyDBClusterSnapshot(self) -> Iterator[Asked]:  # noqa: N802 - AWS's name
        source = self._arn("cluster-snapshot", self.parameters["SourceDBClusterSnapshotIdentifier"])
        copy = self._arn("cluster-snapshot", self.parameters["TargetDBClusterSnapshotIdentifier"])
        yield from self._makes(source, copy, marked=copy)
        behind = self.key_behind(source)
        yield from self._uses(behind)
        if "KmsKeyId" in self.parameters:
            yield from self._uses(self.key_of(self.parameters["KmsKeyId"], self.region))

    def _rds_CreateDBClusterSnapshot(self) -> Iterator[Asked]:  # noqa: N802
        cluster = self._arn("cluster", self.parameters["DBClusterIdentifier"])
        made = self._arn("cluster-snapshot", self.parameters["DBClusterSnapshotIdentifier"])
        yield from self._makes(cluster, made, marked=made)
        yield from self._uses(self.key_behind(cluster))

    def _rds_RestoreDBClusterFromSnapshot(self) -> Iterator[Asked]:  # noqa: N802
        given = self.parameters
        cluster = self._arn("cluster", given["DBClusterIdentifier"])
        major = given["EngineVersion"].split(".")[0]
        yield from self._makes(
            cluster,
            self._arn("cluster-snapshot", given["SnapshotIdentifier"]),
            self._arn("subgrp", given["DBSubnetGroupName"]),
            self._arn(
                "cluster-pg",
                given.get("DBClusterParameterGroupName", f"default.aurora-postgresql{major}"),
            ),
            self._arn("og", f"default:aurora-postgresql-{major}"),
            marked=cluster,
        )
        if "KmsKeyId" in given:
            yield from self._uses(self.key_of(given["KmsKeyId"], self.region))
        for role in given.get("AssociatedRoles", []):
            yield self._passes(role["RoleArn"], "rds.amazonaws.com")

    def _rds_CreateDBInstance(self) -> Iterator[Asked]:  # noqa: N802
        given = self.parameters
        instance = self._arn("db", given["DBInstanceIdentifier"])
        cluster = self._arn("cluster", given["DBClusterIdentifier"])
        group = given.get("DBParameterGroupName")
        groups = [] if group is None else [self._arn("pg", group)]
        yield from self._makes(instance, cluster, *groups, marked=instance)
        yield from self._uses(self.key_behind(cluster))
        if "MonitoringRoleArn" in given:
            yield self._passes(given["MonitoringRoleArn"], "monitoring.rds.amazonaws.com")

    def _rds_ModifyDBCluster(self) -> Iterator[Asked]:  # noqa: N802
        yield from self._changes(self._arn("cluster", self.parameters["DBClusterIdentifier"]))
        if self.parameters.get("ManageMasterUserPassword"):
            secret = f"arn:aws:secretsmanager:{self.region}:{self.account}:secret:rds!cluster-new"
            for operation in ("CreateSecret", "TagResource"):
                yield self._asked(f"secretsmanager:{operation}", secret)
            key = self.parameters.get("MasterUserSecretKmsKeyId", SECRETS_MANAGERS_KEY)
            yield from of_master_password(self.key_of(key, self.region), self.region)

    def _rds_DeleteDBCluster(self) -> Iterator[Asked]:  # noqa: N802
        name = self.parameters["DBClusterIdentifier"]
        yield from self._changes(self._arn("cluster", name))
        # There is none with SkipFinalSnapshot, but the reference calls the resource required.
        yield self._asked(self.operation, self._arn("cluster-snapshot", f"{name}-final"))

    def _rds_DeleteDBInstance(self) -> Iterator[Asked]:  # noqa: N802
        return self._changes(self._arn("db", self.parameters["DBInstanceIdentifier"]))

    def _rds_DeleteDBClusterSnapshot(self) -> Iterator[Asked]:  # noqa: N802
        name = self.parameters["DBClusterSnapshotIdentifier"]
        return self._changes(self._arn("cluster-snapshot", name))

    _rds_ModifyDBClusterSnapshotAttribute = _rds_DeleteDBClusterSnapshot  # noqa: N815
    _rds_DescribeDBClusterSnapshotAttributes = _rds_DeleteDBClusterSnapshot  # noqa: N815

    def _rds_EnableHttpEndpoint(self) -> Iterator[Asked]:  # noqa: N802
        return self._changes(self.parameters["ResourceArn"])

    def _rds_AddTagsToResource(self) -> Iterator[Asked]:  # noqa: N802
        arn = self.parameters["ResourceName"]
        yield self._asked(self.operation, arn, **self._resource_tags(arn) | self._request_tags)

    # ── the others ───────────────────────────────────────────────────────────

    def _table(self, name: str) -> str:
        return f"arn:aws:dynamodb:{self.region}:{self.account}:table/{name}"

    def _dynamodb_GetItem(self) -> Iterator[Asked]:  # noqa: N802
        table, index = self._table(self.parameters["TableName"]), self.parameters.get("IndexName")
        yield self._asked(self.operation, table if index is None else f"{table}/index/{index}")
        yield from self._state_key("dynamodb", "Decrypt")

    _dynamodb_Query = _dynamodb_UpdateItem = _dynamodb_GetItem  # noqa: N815

    def _dynamodb_TransactWriteItems(self) -> Iterator[Asked]:  # noqa: N802
        for item in self.parameters["TransactItems"]:
            [(kind, change)] = item.items()
            yield self._asked(f"{kind}Item", self._table(change["TableName"]))
        yield from self._state_key("dynamodb", "Decrypt")

    def _dynamodb_DescribeTable(self) -> Iterator[Asked]:  # noqa: N802
        yield self._asked(self.operation, self._table(self.parameters["TableName"]))

    _dynamodb_DescribeContinuousBackups = _dynamodb_DescribeTable  # noqa: N815
    _dynamodb_DescribeTimeToLive = _dynamodb_DescribeTable  # noqa: N815

    def _sns_Publish(self) -> Iterator[Asked]:  # noqa: N802
        yield self._asked(self.operation, self.parameters["TopicArn"])
        yield from self._state_key("sns", "Decrypt", "GenerateDataKey")

    def _sns_GetTopicAttributes(self) -> Iterator[Asked]:  # noqa: N802
        yield self._asked(self.operation, self.parameters["TopicArn"])

    def _secret(self, name: str) -> str:
        if name.startswith("arn:"):
            return name
        return f"arn:aws:secretsmanager:{self.region}:{self.account}:secret:{name}-AbCdEf"

    def _secretsmanager_GetSecretValue(self) -> Iterator[Asked]:  # noqa: N802
        secret = self._secret(self.parameters["SecretId"])
        yield from self._changes(secret)
        if ":rds!" not in secret:  # what RDS keeps is under another key
            yield from self._state_key("secretsmanager", "Decrypt")

    def _secretsmanager_CreateSecret(self) -> Iterator[Asked]:  # noqa: N802
        secret = self._secret(self.parameters["Name"])
        for operation in ("CreateSecret", "TagResource"):
            yield self._asked(operation, secret, **self._request_tags)

    def _secretsmanager_GetRandomPassword(self) -> Iterator[Asked]:  # noqa: N802
        yield self._asked(self.operation, "*")

    def _s3_GetObject(self) -> Iterator[Asked]:  # noqa: N802
        version = "Version" if "VersionId" in self.parameters else ""
        resource = f"arn:aws:s3:::{self.parameters['Bucket']}/{self.parameters['Key']}"
        yield self._asked(f"GetObject{version}", resource)
        yield from self._state_key("s3", "Decrypt")

    def _kms_DescribeKey(self) -> Iterator[Asked]:  # noqa: N802
        key = self.key_of(self.parameters["KeyId"], self.region)
        yield self._asked(self.operation, key, **_aliases(key))

    def _kms_CreateGrant(self) -> Iterator[Asked]:  # noqa: N802
        key = self.key_of(self.parameters["KeyId"], self.region)
        grant = {
            "kms:GranteePrincipal": self.parameters["GranteePrincipal"],
            "kms:GrantOperations": self.parameters["Operations"],
        }
        yield self._asked(self.operation, key, **grant)

    def _sts_AssumeRole(self) -> Iterator[Asked]:  # noqa: N802
        external = self.parameters.get("ExternalId")
        given = {} if external is None else {"sts:ExternalId": external}
        yield self._asked(self.operation, self.parameters["RoleArn"], **given)


def through_rds(key: str) -> Iterator[Asked]:
    """Give what RDS asks of a key that it uses in the caller's name."""
    via = {"kms:ViaService": f"rds.{key.split(':')[3]}.amazonaws.com"}
    for operation in THROUGH_RDS:
        grant = {"kms:GrantIsForAWSResource": "true"} if operation == "CreateGrant" else {}
        yield Asked(f"kms:{operation}", key, via | grant)


def _aliases(key: str) -> dict[str, Any]:
    """Return the condition key of the alias, of a key that AWS manages."""
    found = _OF_AWS.search(key)
    return {"kms:ResourceAliases": [f"alias/aws/{found[1]}"]} if found else {}


def of_master_password(key: str, region: str) -> Iterator[Asked]:
    """Give what RDS asks of the key of a master password that it keeps, in the caller's name.

    Which service uses a customer's key then, RDS or Secrets Manager, the guide leaves open.
    """
    through = {name: {"kms:ViaService": f"{name}.{region}.amazonaws.com"} for name in KEEPERS}
    yield Asked("kms:DescribeKey", key, through["rds"] | _aliases(key))
    if _OF_AWS.search(key):
        return
    yield Asked("kms:CreateGrant", key, through["rds"] | {"kms:GrantIsForAWSResource": "true"})
    for each in through.values():
        yield Asked("kms:Decrypt", key, each)
        yield Asked("kms:GenerateDataKey", key, each)


LISTED = {
    "DBClusterSnapshotIdentifier": "cluster-snapshot",
    "DBClusterIdentifier": "cluster",
    "DBInstanceIdentifier": "db",
    "DBSubnetGroupName": "subgrp",
    "DBClusterParameterGroupName": "cluster-pg",
    "DBParameterGroupName": "pg",
}
ALL = {
    "DescribeDBClusterParameterGroups": "cluster-pg",
    "DescribeDBClusterSnapshots": "cluster-snapshot",
    "DescribeDBClusters": "cluster",
    "DescribeDBInstances": "db",
    "DescribeDBParameterGroups": "pg",
    "DescribeDBSubnetGroups": "subgrp",
}


class Alike:
    """Gives what is random in a sandbox, or of one run, the name that the stacks have for it."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def text(self, text: str) -> str:
        """Return a text with names in place of what is random."""
        for found, name in self._names.items():
            text = text.replace(found, name)
        for pattern, name in _RANDOM:
            text = pattern.sub(name, text)
        return text

    def asked(self, asked: Asked) -> Asked:
        """The same of a whole request."""
        context = {
            name: [self.text(each) for each in value]
            if isinstance(value, list)
            else self.text(value)
            for name, value in asked.context.items()
            if not _MOMENT.match(name)
        }
        return Asked(asked.action, self.text(asked.resource), context)


_RANDOM = (
    (re.compile(r"key/[0-9a-f-]{36}-of-aws-(\w+)$"), r"key/id-of-aws-\1"),
    (re.compile(r"rds!cluster-[0-9a-f-]{36}-\w{6}"), "rds!cluster-1-AbCdEf"),
    (re.compile(r"(secret:[\w/-]+)-[A-Za-z0-9]{6}$"), r"\1-AbCdEf"),
    (re.compile(r"(assumed-role/[\w-]+)/[\w.@-]+"), r"\1/session"),
    (re.compile(r"\d{4}-\d\d-\d\d-\d\d-\d\d"), "2024-03-20-03-00"),
)
# Of a tag with a moment only the key is of interest, and that is in aws:TagKeys.
_MOMENT = re.compile(r"aws:(Request|Resource)Tag/aurora-restore:(archived-at|delete-after)")
