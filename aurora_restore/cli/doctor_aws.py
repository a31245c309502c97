"""What `doctor` looks at in AWS: account, table of the records, topic, source role."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from aurora_restore import sessions
from aurora_restore.announcements import require_topic
from aurora_restore.errors import RestoreError, aws_code
from aurora_restore.preflight.check import Check, failed, found, ok, unchecked
from aurora_restore.request import RestoreRequest
from aurora_restore.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
_KEYS = [("operation_id", "HASH"), ("step", "RANGE")]


def checks(
    known: Settings, requests: Mapping[str, RestoreRequest], task_role: str | None
) -> list[Check]:
    """Return what is in order in AWS and what is not. Only reads.

    `requests` are those of the deployments, `task_role` the ARN of the role that runs have, as far
    as Prefect tells them.
    """
    try:
        identity = sessions.target_client("sts", _region(known)).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        remedy = "Set AWS_PROFILE and AWS_DEFAULT_REGION, or renew the credentials of this shell."
        return [failed("account", "AWS credentials", _said(error), remedy)]
    account, who = identity["Account"], identity["Arn"]
    return [
        *_account(account, who, known, requests),
        *_asked("records-table", f"DynamoDB table {known.state_table}", lambda: _table(known)),
        *_asked("topic", f"topic {known.topic_arn}", lambda: _topic(known, account)),
        *_source(known, requests, is_run=_role_of(who) == _role_of(task_role or "")),
    ]


def _account(
    account: str, who: str, known: Settings, requests: Mapping[str, RestoreRequest]
) -> list[Check]:
    problems = [
        failed(
            "account",
            f"deployment {name}",
            f"it refreshes account {each.target_account_id}, these credentials are of {account}",
            "Correct REFRESH_TARGET_ACCOUNT_ID, or use the other account's credentials.",
        )
        for name, each in requests.items()
        if each.target_account_id != account
    ]
    allowed = known.allowed_target_accounts
    if allowed and account not in allowed:
        problems.append(
            failed(
                "account",
                f"account {account}",
                "not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS",
                "Correct that setting, or use the other account's credentials.",
            )
        )
    return problems or [ok("account", f"account {account}", who)]


def _asked(name: str, resource: str, look: Callable[[], list[Check]]) -> list[Check]:
    """Return what was found; what may not be looked at is unchecked, not wrong."""
    try:
        return look()
    except RestoreError as error:
        return found(name, [error])
    except ClientError as error:
        if aws_code(error) not in _REFUSED:
            remedy = "Create it (deployments/README.md), or correct its name and Region."
            return [failed(name, resource, _said(error), remedy)]
        operation = f"{error.operation_name}"
        return [unchecked(name, resource, f"this shell may not call {operation}")]
    except BotoCoreError as error:
        return [failed(name, resource, _said(error), "Check the network of this shell.")]


def _topic(known: Settings, account: str) -> list[Check]:
    region, owner = known.topic_arn.split(":")[3:5]
    resource = f"topic {known.topic_arn}"
    require_topic(sessions.target_client("sns", region), known.topic_arn)
    if owner != account:
        return [ok("topic", resource, f"it is there, in account {owner}")]
    return [ok("topic", resource, "it is there")]


def _table(known: Settings) -> list[Check]:
    dynamodb = sessions.target_client("dynamodb")
    table = dynamodb.describe_table(TableName=known.state_table)["Table"]
    problems = [
        *_shape(dict(table), known),
        *_keeping(dynamodb, known.state_table, dict(table)),
    ]
    name, resource = "records-table", f"DynamoDB table {known.state_table}"
    return [failed(name, resource, *each) for each in problems] or [
        ok(name, resource, "keys, both indexes, recovery and protection are as they must be")
    ]


def _shape(table: dict[str, Any], known: Settings) -> Iterator[tuple[str, str]]:
    kinds = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    if _schema(table) != _KEYS:
        yield "its keys are not operation_id and step", "Create another; keys cannot be changed."
    indexes = {each["IndexName"]: each for each in table.get("GlobalSecondaryIndexes", [])}
    for name, first in ((known.state_index, "step"), (known.target_index, "target")):
        wanted = [(first, "HASH"), ("timestamp", "RANGE")]
        index = indexes.get(name)
        if index is None:
            yield f"it has no index {name}", f"Add it, on {first} and timestamp, all attributes."
            continue
        if _schema(index) != wanted:
            yield f"index {name} is not on {first} and timestamp", "Delete it and add it rightly."
        if index["Projection"].get("ProjectionType") != "ALL":
            yield f"index {name} has not all attributes", "Delete it and add it with all of them."
        if index.get("IndexStatus", "ACTIVE") != "ACTIVE":
            yield f"index {name} is {index['IndexStatus']}", "Wait until it is ACTIVE."
    odd = sorted(name for name, kind in kinds.items() if kind != "S")
    if odd:
        yield f"{', '.join(odd)} is not a text", "Create another; keys cannot be changed."


def _keeping(
    dynamodb: "DynamoDBClient", name: str, table: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """What could lose records: they tell what was done to databases, and must stay."""
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if ttl.get("TimeToLiveStatus", "DISABLED") != "DISABLED":
        attribute = ttl.get("AttributeName")
        yield (
            f"records expire by {attribute}",
            "Turn time to live off: leases expire by themselves.",
        )
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        yield "point-in-time recovery is off", "Turn it on: a damaged record is mended by it."
    if not table.get("DeletionProtectionEnabled"):
        yield "deletion protection is off", "Turn it on."


def _schema(of: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(each["AttributeName"], each["KeyType"]) for each in of["KeySchema"]]


def _source(
    known: Settings, requests: Mapping[str, RestoreRequest], *, is_run: bool
) -> Iterator[Check]:
    name, role = "source-role", known.source_role_arn
    if role is None:
        yield ok(name, "source role", "none is set: snapshots must be shared with this account")
        return
    resource, account = f"role {role}", role.split(":")[4]
    for deployment, each in requests.items():
        if each.source_account_id not in {account, each.target_account_id}:
            yield failed(
                name,
                f"deployment {deployment}",
                f"its source is account {each.source_account_id}, the role is of {account}",
                "Correct REFRESH_SOURCE_ACCOUNT_ID or AURORA_RESTORE_SOURCE_ROLE_ARN.",
            )
    try:
        yield ok(name, resource, sessions.enter_source(_region(known)))
    except (BotoCoreError, ClientError) as error:
        remedy = "Its trust policy must name the task role, with the external id of the settings."
        if aws_code(error) in _REFUSED and not is_run:
            told = "this shell may not assume it; whether a run may cannot be told from here"
            yield unchecked(name, resource, told, remedy)
        else:
            yield failed(name, resource, _said(error), remedy)


def _region(known: Settings) -> str:
    """The Region of the topic: one that is known in any case."""
    return known.topic_arn.split(":")[3]


def _role_of(arn: str) -> str:
    """Return account and name of the role of an ARN, be it the role's or a session's."""
    parts = arn.split(":")
    kind, _, rest = parts[-1].partition("/")
    if kind == "role":
        return f"{parts[4]}/{rest.rpartition('/')[2]}"
    return f"{parts[4]}/{rest.partition('/')[0]}" if kind == "assumed-role" else arn or "nobody"


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
