"""What nobody may do: each case differs in one thing from what is allowed."""

from authorizing import Asked
from declared import (
    CLUSTER,
    DEPLOY_ROLE,
    EXECUTION_ROLE,
    FAMILY,
    FROM_HERE,
    HERE,
    IN_REGION,
    MARKS,
    PREFECT_SECRET,
    REPOSITORY,
    RESTORE_ROLE,
    RULE,
    STACK,
    TASK_ROLE,
    TO_TASKS,
    TOKEN,
    TOPIC,
)
from recording import Recorded

from tests.infra import stacks

ELSEWHERE = f"eu-west-1:{stacks.TARGET_ACCOUNT}"
STRANGER = "111111111111"
MARKED = {"aws:ResourceTag/aurora-restore:managed": "true"}
NOT_MARKED = {"aws:ResourceTag/aurora-restore:managed": "false"}
SOURCE_ROLE = f"arn:aws:iam::{stacks.SOURCE_ACCOUNT}:role/aurora-restore-source"
SOURCE_HERE = f"{stacks.SOURCE_REGION}:{stacks.SOURCE_ACCOUNT}"
EXTERNAL = {"sts:ExternalId": "aurora-restore"}
TABLE = f"arn:aws:dynamodb:{HERE}:table/aurora-restore-state"
VIA_RDS = {"kms:ViaService": f"rds.{stacks.TARGET_REGION}.amazonaws.com"}
ITSELF = f"arn:aws:sts::{stacks.TARGET_ACCOUNT}:assumed-role/aurora-restore-task/session"


def _rds(operation: str, resource: str, **context: str) -> Asked:
    return Asked(f"rds:{operation}", f"arn:aws:rds:{resource}", context)


def _secret(name: str) -> str:
    return f"arn:aws:secretsmanager:{HERE}:secret:{name}-AbCdEf"


def _grant(key: str, *operations: str, to: str = ITSELF) -> Asked:
    given: dict[str, object] = {"kms:GranteePrincipal": to}
    if operations:
        given["kms:GrantOperations"] = list(operations)
    return Asked("kms:CreateGrant", key, given)


def _token(**claims: str) -> dict[str, str]:
    """Return what AWS takes of a job's token, some of it other than usual."""
    return TOKEN | {f"{stacks.GITHUB_HOST}:{name}": text for name, text in claims.items()}


# Each is a token for which GitHub or somebody else could be asked, but for the environment's job.
_REPOSITORY = stacks.GITHUB_PARAMETERS["Repository"]
TOKENS = {
    "another repository": _token(sub="repo:example/other:environment:production"),
    "another owner's repository": _token(sub="repo:stranger/aurora-restore:environment:production"),
    "a repository made anew": _token(
        sub="repo:example@1/aurora-restore@2:environment:production",
    ),
    "another environment": _token(sub=f"repo:{_REPOSITORY}:environment:development"),
    "an environment called alike": _token(sub=f"repo:{_REPOSITORY}:environment:production-2"),
    "a branch without the environment": _token(sub=f"repo:{_REPOSITORY}:ref:refs/heads/main"),
    "a pull request": _token(sub=f"repo:{_REPOSITORY}:pull_request"),
    "a token for another audience": _token(aud="https://github.com/example"),
}

KEYS = {
    "the clusters' key": stacks.CLUSTER_KEY,
    "the hop's key": stacks.HOP_KEY,
    "the snapshots' key": stacks.SOURCE_KEY,
    "the key of master passwords": stacks.MASTER_SECRET_KEY,
}
GRANTS = {
    "to somebody else": (f"arn:aws:iam::{STRANGER}:root", "DescribeKey"),
    "to the whole account": (f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:root", "DescribeKey"),
    "to itself, to decrypt": (ITSELF, "Decrypt"),
    "to itself, to make grants": (ITSELF, "CreateGrant"),
    "to itself, to decrypt beside looking": (ITSELF, "DescribeKey", "Decrypt"),
    "to itself, for operations that are not told": (ITSELF,),
}

DENIED: dict[str, Recorded] = {
    # clusters and instances
    "delete a cluster without the mark": (
        "flow",
        _rds("DeleteDBCluster", f"{HERE}:cluster:staging"),
    ),
    "delete a cluster with another mark": (
        "flow",
        _rds("DeleteDBCluster", f"{HERE}:cluster:staging", **NOT_MARKED),
    ),
    "delete a cluster in another Region": (
        "flow",
        _rds("DeleteDBCluster", f"{ELSEWHERE}:cluster:staging", **MARKED),
    ),
    "delete a cluster of another name": (
        "flow",
        _rds("DeleteDBCluster", f"{HERE}:cluster:production", **MARKED),
    ),
    "delete a cluster of another account": (
        "flow",
        _rds("DeleteDBCluster", f"{SOURCE_HERE}:cluster:production", **MARKED),
    ),
    "delete an instance without the mark": (
        "flow",
        _rds("DeleteDBInstance", f"{HERE}:db:staging-1"),
    ),
    "delete an instance of another name": (
        "flow",
        _rds("DeleteDBInstance", f"{HERE}:db:production-1", **MARKED),
    ),
    "change a cluster without the mark": (
        "flow",
        _rds("ModifyDBCluster", f"{HERE}:cluster:staging"),
    ),
    "change an instance": ("flow", _rds("ModifyDBInstance", f"{HERE}:db:staging-1", **MARKED)),
    "restore a cluster of another name": (
        "flow",
        _rds("RestoreDBClusterFromSnapshot", f"{HERE}:cluster:production", **MARKS),
    ),
    "restore a cluster without marking it": (
        "flow",
        _rds("RestoreDBClusterFromSnapshot", f"{HERE}:cluster:staging"),
    ),
    "restore into another subnet group": (
        "flow",
        _rds("RestoreDBClusterFromSnapshot", f"{HERE}:subgrp:public", **MARKS),
    ),
    "restore in another Region": (
        "flow",
        _rds("RestoreDBClusterFromSnapshot", f"{ELSEWHERE}:cluster:staging", **MARKS),
    ),
    "mark a cluster of another name": (
        "flow",
        _rds("AddTagsToResource", f"{HERE}:cluster:production", **MARKS),
    ),
    "take a mark away": (
        "flow",
        _rds("RemoveTagsFromResource", f"{HERE}:cluster:staging", **MARKED),
    ),
    "stop a cluster": ("flow", _rds("StopDBCluster", f"{HERE}:cluster:staging", **MARKED)),
    # snapshots
    "delete a snapshot that is not ours": (
        "flow",
        _rds("DeleteDBClusterSnapshot", f"{HERE}:cluster-snapshot:by-hand"),
    ),
    "mark a snapshot that was made by hand": (
        "flow",
        _rds("AddTagsToResource", f"{HERE}:cluster-snapshot:by-hand", **MARKS),
    ),
    "share a snapshot of the target account": (
        "flow",
        _rds("ModifyDBClusterSnapshotAttribute", f"{HERE}:cluster-snapshot:staging-copy", **MARKED),
    ),
    "copy a snapshot without marking it": (
        "flow",
        _rds("CopyDBClusterSnapshot", f"{HERE}:cluster-snapshot:daily-copy"),
    ),
    "copy a snapshot of a third account": (
        "flow",
        _rds(
            "CopyDBClusterSnapshot",
            f"{stacks.SOURCE_REGION}:{STRANGER}:cluster-snapshot:daily",
            **MARKS,
        ),
    ),
    "look at another Region": (
        "flow",
        _rds(
            "DescribeDBClusters", f"{ELSEWHERE}:cluster:*", **{"aws:RequestedRegion": "eu-west-1"}
        ),
    ),
    # the source account
    "assume the source role without its external id": (
        "flow",
        Asked("sts:AssumeRole", SOURCE_ROLE),
    ),
    "assume the source role with another external id": (
        "flow",
        Asked("sts:AssumeRole", SOURCE_ROLE, {"sts:ExternalId": "guessed"}),
    ),
    "assume the source role as somebody else": (
        "worker",
        Asked("sts:AssumeRole", SOURCE_ROLE, EXTERNAL),
    ),
    "assume another role": (
        "flow",
        Asked("sts:AssumeRole", f"arn:aws:iam::{stacks.SOURCE_ACCOUNT}:role/admin", EXTERNAL),
    ),
    "share another snapshot at the source": (
        "source",
        _rds("ModifyDBClusterSnapshotAttribute", f"{SOURCE_HERE}:cluster-snapshot:finance"),
    ),
    "delete a snapshot at the source": (
        "source",
        _rds("DeleteDBClusterSnapshot", f"{SOURCE_HERE}:cluster-snapshot:daily-backup-1", **MARKED),
    ),
    "delete what looks like a copy at the source": (
        "source",
        _rds("DeleteDBClusterSnapshot", f"{SOURCE_HERE}:cluster-snapshot:a-share-b"),
    ),
    "copy another snapshot at the source": (
        "source",
        _rds("CopyDBClusterSnapshot", f"{SOURCE_HERE}:cluster-snapshot:rds:finance-1", **MARKS),
    ),
    "delete the source cluster": (
        "source",
        _rds("DeleteDBCluster", f"{SOURCE_HERE}:cluster:production", **MARKED),
    ),
    "restore at the source": (
        "source",
        _rds("RestoreDBClusterFromSnapshot", f"{SOURCE_HERE}:cluster:production", **MARKS),
    ),
    "read a secret at the source": (
        "source",
        Asked(
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{SOURCE_HERE}:secret:aurora-restore/app-AbCdEf",
        ),
    ),
    "look at another key at the source": (
        "source",
        Asked("kms:DescribeKey", stacks.DEFAULT_KEY, {"kms:ResourceAliases": ["alias/finance"]}),
    ),
    "use the copies' key itself at the source": ("source", Asked("kms:Decrypt", stacks.COPY_KEY)),
    # secrets and keys
    "read another secret": ("flow", Asked("secretsmanager:GetSecretValue", _secret("billing/api"))),
    "read another cluster's master password": (
        "flow",
        Asked(
            "secretsmanager:GetSecretValue",
            _secret("rds!cluster-1"),
            {
                "aws:ResourceTag/aws:rds:primaryDBClusterArn": (
                    f"arn:aws:rds:{HERE}:cluster:production"
                )
            },
        ),
    ),
    "change a secret": (
        "flow",
        Asked("secretsmanager:PutSecretValue", _secret("aurora-restore/app")),
    ),
    "make a secret without marking it": (
        "flow",
        Asked("secretsmanager:CreateSecret", _secret("aurora-restore/new")),
    ),
    "use a storage key itself": ("flow", Asked("kms:Decrypt", stacks.CLUSTER_KEY)),
    "use another key through RDS": ("flow", Asked("kms:Decrypt", stacks.OTHER_KEY, VIA_RDS)),
    **{
        f"grant {key} {what}": ("flow", _grant(arn, *operations, to=to))
        for key, arn in KEYS.items()
        for what, (to, *operations) in GRANTS.items()
    },
    "look at another key": ("flow", Asked("kms:DescribeKey", stacks.OTHER_KEY, VIA_RDS)),
    "look at the key of another service": (
        "flow",
        Asked(
            "kms:DescribeKey", stacks.OTHER_KEY, VIA_RDS | {"kms:ResourceAliases": ["alias/aws/s3"]}
        ),
    ),
    "use Secrets Manager's key": (
        "flow",
        Asked(
            "kms:Decrypt",
            stacks.OTHER_KEY,
            VIA_RDS | {"kms:ResourceAliases": ["alias/aws/secretsmanager"]},
        ),
    ),
    "use the key of master passwords itself": (
        "flow",
        Asked("kms:Decrypt", stacks.MASTER_SECRET_KEY),
    ),
    "use the key of master passwords through another service": (
        "flow",
        Asked(
            "kms:Decrypt",
            stacks.MASTER_SECRET_KEY,
            {"kms:ViaService": f"s3.{stacks.TARGET_REGION}.amazonaws.com"},
        ),
    ),
    "delete a key": ("flow", Asked("kms:ScheduleKeyDeletion", stacks.STATE_KEY)),
    # records and announcements
    "write to another table": (
        "flow",
        Asked("dynamodb:UpdateItem", f"arn:aws:dynamodb:{HERE}:table/orders"),
    ),
    "delete a record": ("flow", Asked("dynamodb:DeleteItem", TABLE)),
    "delete the table": ("flow", Asked("dynamodb:DeleteTable", TABLE)),
    "read another table": (
        "flow",
        Asked("dynamodb:Query", f"arn:aws:dynamodb:{HERE}:table/orders"),
    ),
    "announce to another topic": (
        "flow",
        Asked("sns:Publish", f"arn:aws:sns:{HERE}:billing"),
    ),
    "announce as another rule": (
        "events.amazonaws.com",
        Asked("sns:Publish", TOPIC, {"aws:SourceArn": RULE + "-2"}),
    ),
    "announce as another account's alarm": (
        "cloudwatch.amazonaws.com",
        Asked(
            "sns:Publish",
            TOPIC,
            {
                "aws:SourceAccount": STRANGER,
                "aws:SourceArn": f"arn:aws:cloudwatch:us-west-2:{STRANGER}:alarm:aurora-restore-x",
            },
        ),
    ),
    "announce in clear": (
        "events.amazonaws.com",
        Asked("sns:Publish", TOPIC, {"aws:SourceArn": RULE, "aws:SecureTransport": "false"}),
    ),
    "use the key as a service that announces nothing": (
        "lambda.amazonaws.com",
        Asked("kms:Decrypt", stacks.STATE_KEY),
    ),
    # files and logins
    "read whatever version a file has now": (
        "flow",
        Asked("s3:GetObject", "arn:aws:s3:::refresh-files/staging/after.sql"),
    ),
    "read another file": (
        "flow",
        Asked("s3:GetObjectVersion", "arn:aws:s3:::refresh-files/prod/after.sql"),
    ),
    "write a file": ("flow", Asked("s3:PutObject", "arn:aws:s3:::refresh-files/staging/after.sql")),
    "log in as another user": (
        "flow",
        Asked("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:cluster-ABCDEFGH/postgres"),
    ),
    # roles
    "pass another role on to RDS": (
        "flow",
        Asked(
            "iam:PassRole",
            f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:role/admin",
            {"iam:PassedToService": "rds.amazonaws.com"},
        ),
    ),
    "pass the database's role on to another service": (
        "flow",
        Asked(
            "iam:PassRole",
            stacks.TARGET_PARAMETERS["DatabaseRoleArns"],
            {"iam:PassedToService": "lambda.amazonaws.com"},
        ),
    ),
    "run a task under another role": (
        "worker",
        Asked("iam:PassRole", f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:role/admin", TO_TASKS),
    ),
    "pass the flow's role on to another service": (
        "worker",
        Asked("iam:PassRole", TASK_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
    ),
    "run a task in another cluster": (
        "worker",
        Asked("ecs:RunTask", FAMILY, {"ecs:cluster": CLUSTER + "-2"}),
    ),
    "open a shell in the worker": ("worker", Asked("ssmmessages:OpenDataChannel", "*", IN_REGION)),
    "read another log": (
        "worker",
        Asked("logs:GetLogEvents", f"arn:aws:logs:{HERE}:log-group:/ecs/other:log-stream:a"),
    ),
    "pull another image": (
        "execution",
        Asked("ecr:BatchGetImage", f"arn:aws:ecr:{HERE}:repository/other"),
    ),
    "read a password while starting": (
        "execution",
        Asked("secretsmanager:GetSecretValue", _secret("aurora-restore/app")),
    ),
    "take the flow's role as another account's task": (
        "ecs-tasks.amazonaws.com",
        Asked(
            "sts:AssumeRole",
            TASK_ROLE,
            {
                "aws:SourceAccount": STRANGER,
                "aws:SourceArn": f"arn:aws:ecs:us-west-2:{STRANGER}:task/a/b",
            },
        ),
    ),
    "take the flow's role as another service": (
        "lambda.amazonaws.com",
        Asked("sts:AssumeRole", TASK_ROLE, FROM_HERE),
    ),
    "take the execution role as another Region's task": (
        "ecs-tasks.amazonaws.com",
        Asked(
            "sts:AssumeRole",
            EXECUTION_ROLE,
            FROM_HERE | {"aws:SourceArn": f"arn:aws:ecs:{ELSEWHERE}:task/a/b"},
        ),
    ),
    # CI
    **{
        f"take the {role.rpartition('-')[2]} role with {name}": (
            stacks.GITHUB_PROVIDER,
            Asked("sts:AssumeRoleWithWebIdentity", role, token),
        )
        for role in (DEPLOY_ROLE, RESTORE_ROLE)
        for name, token in TOKENS.items()
    },
    "take the deploy role by another provider": (
        f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:oidc-provider/accounts.google.com",
        Asked("sts:AssumeRoleWithWebIdentity", DEPLOY_ROLE, TOKEN),
    ),
    "take the deploy role from the restore role": ("restore", Asked("sts:AssumeRole", DEPLOY_ROLE)),
    "take the flow's role while deploying": ("deploy", Asked("sts:AssumeRole", TASK_ROLE)),
    # doctor tries, and takes a refusal for an answer: what counts is whether a run may.
    "take the source role while deploying": (
        "deploy",
        Asked("sts:AssumeRole", SOURCE_ROLE, EXTERNAL),
    ),
    "push to another repository": (
        "deploy",
        Asked("ecr:PutImage", f"arn:aws:ecr:{HERE}:repository/other"),
    ),
    "delete an image": ("deploy", Asked("ecr:BatchDeleteImage", REPOSITORY)),
    "let tags be moved": ("deploy", Asked("ecr:PutImageTagMutability", REPOSITORY)),
    "read another stack": (
        "deploy",
        Asked("cloudformation:DescribeStacks", STACK.replace("aurora-restore", "billing")),
    ),
    "read a stack called alike": (
        "restore",
        Asked("cloudformation:DescribeStacks", STACK.replace("aurora-restore", "aurora-restore-2")),
    ),
    "change the stack": ("deploy", Asked("cloudformation:UpdateStack", STACK)),
    "delete the stack": ("deploy", Asked("cloudformation:DeleteStack", STACK)),
    "delete the stack while restoring": ("restore", Asked("cloudformation:DeleteStack", STACK)),
    "read a database's password while deploying": (
        "deploy",
        Asked("secretsmanager:GetSecretValue", _secret("aurora-restore/app")),
    ),
    "read a database's password while restoring": (
        "restore",
        Asked("secretsmanager:GetSecretValue", _secret("aurora-restore/app")),
    ),
    "change Prefect's secret": ("deploy", Asked("secretsmanager:PutSecretValue", PREFECT_SECRET)),
    "read the records while deploying": ("deploy", Asked("dynamodb:Query", TABLE)),
    "write a record while deploying": ("deploy", Asked("dynamodb:UpdateItem", TABLE)),
    "turn recovery of the table off": (
        "deploy",
        Asked("dynamodb:UpdateContinuousBackups", TABLE),
    ),
    "write a record while restoring": ("restore", Asked("dynamodb:UpdateItem", TABLE)),
    "delete a record while restoring": ("restore", Asked("dynamodb:DeleteItem", TABLE)),
    "read another table while restoring": (
        "restore",
        Asked("dynamodb:Query", f"arn:aws:dynamodb:{HERE}:table/orders"),
    ),
    "use the key itself while restoring": ("restore", Asked("kms:Decrypt", stacks.STATE_KEY)),
    "use another key while restoring": (
        "restore",
        Asked(
            "kms:Decrypt",
            stacks.OTHER_KEY,
            {"kms:ViaService": f"dynamodb.{stacks.TARGET_REGION}.amazonaws.com"},
        ),
    ),
    "announce while deploying": ("deploy", Asked("sns:Publish", TOPIC)),
    "announce while restoring": ("restore", Asked("sns:Publish", TOPIC)),
    "pass the flow's role on while deploying": (
        "deploy",
        Asked("iam:PassRole", TASK_ROLE, TO_TASKS),
    ),
    "pass the flow's role on while restoring": (
        "restore",
        Asked("iam:PassRole", TASK_ROLE, TO_TASKS),
    ),
    "run a task while deploying": (
        "deploy",
        Asked("ecs:RunTask", FAMILY, {"ecs:cluster": CLUSTER}),
    ),
    "run a task while restoring": (
        "restore",
        Asked("ecs:RunTask", FAMILY, {"ecs:cluster": CLUSTER}),
    ),
    "delete a cluster while restoring": (
        "restore",
        _rds("DeleteDBCluster", f"{HERE}:cluster:staging", **MARKED),
    ),
    "push an image while restoring": ("restore", Asked("ecr:PutImage", REPOSITORY)),
}
