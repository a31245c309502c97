"""Requests to IAM that no run on this machine makes: by ECS, the worker and AWS's services."""

from authorizing import Asked
from recording import Recorded

from tests.infra import stacks

HERE = f"{stacks.TARGET_REGION}:{stacks.TARGET_ACCOUNT}"
RULE = f"arn:aws:events:{HERE}:rule/aurora-restore-stopped-tasks"
ALARM = f"arn:aws:cloudwatch:{HERE}:alarm:aurora-restore-watchdog-silent"
CLUSTER = f"arn:aws:ecs:{HERE}:cluster/aurora-restore"
TASK = f"arn:aws:ecs:{HERE}:task/aurora-restore/0123456789abcdef"
FAMILY = f"arn:aws:ecs:{HERE}:task-definition/aurora-restore:1"
QUEUE = f"arn:aws:sqs:{HERE}:ecs-target-ecs-events"  # the work pool is called ecs-target
TOPIC = f"arn:aws:sns:{HERE}:aurora-restore"
TASK_ROLE, EXECUTION_ROLE = (
    f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:role/aurora-restore-{each}"
    for each in ("task", "execution")
)
IN_REGION = {"aws:RequestedRegion": stacks.TARGET_REGION}
TO_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
FROM_HERE = {"aws:SourceAccount": stacks.TARGET_ACCOUNT}
FROM_TASK = FROM_HERE | {"aws:SourceArn": TASK}
MARKS = {
    "aws:RequestTag/aurora-restore:managed": "true",
    "aws:RequestTag/aurora-restore:operation-id": "op-001",
}


def declared() -> list[Recorded]:
    """Return each request, with who makes it."""
    return [(role, asked) for role, several in _BY_ROLE.items() for asked in several]


_BY_ROLE: dict[str, list[Asked]] = {
    # A login by IAM is no call: PostgreSQL on AWS asks.
    "flow": [
        Asked("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:cluster-ABCDEFGH/refresh"),
    ],
    # Amazon ECS developer guide, "task execution IAM role".
    "execution": [
        Asked("ecr:GetAuthorizationToken", "*"),
        Asked("ecr:BatchCheckLayerAvailability", f"arn:aws:ecr:{HERE}:repository/aurora-restore"),
        Asked("ecr:GetDownloadUrlForLayer", f"arn:aws:ecr:{HERE}:repository/aurora-restore"),
        Asked("ecr:BatchGetImage", f"arn:aws:ecr:{HERE}:repository/aurora-restore"),
        Asked(
            "logs:CreateLogStream",
            f"arn:aws:logs:{HERE}:log-group:/ecs/aurora-restore:log-stream:flow/run/1",
        ),
        Asked(
            "logs:PutLogEvents",
            f"arn:aws:logs:{HERE}:log-group:/ecs/aurora-restore:log-stream:flow/run/1",
        ),
        Asked("secretsmanager:GetSecretValue", stacks.TARGET_PARAMETERS["PrefectSecretArn"]),
    ],
    # prefect-aws: workers/ecs_worker.py and observers/ecs.py.
    "worker": [
        *(
            Asked(action, "*", IN_REGION)
            for action in (
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "ecs:DeregisterTaskDefinition",
                "ecs:DescribeTaskDefinition",
            )
        ),
        Asked("ecs:DescribeTasks", TASK, IN_REGION),
        Asked("ecs:RegisterTaskDefinition", FAMILY, IN_REGION),
        Asked("ecs:RunTask", FAMILY, {"ecs:cluster": CLUSTER}),
        Asked("ecs:StopTask", TASK),
        Asked("ecs:TagResource", TASK),
        Asked(
            "logs:GetLogEvents",
            f"arn:aws:logs:{HERE}:log-group:/ecs/aurora-restore:log-stream:flow/run/1",
        ),
        Asked("sqs:GetQueueUrl", QUEUE),
        Asked("sqs:ReceiveMessage", QUEUE),
        Asked("sqs:DeleteMessage", QUEUE),
        Asked("sqs:ChangeMessageVisibility", QUEUE),
        Asked("iam:PassRole", TASK_ROLE, TO_TASKS),
        Asked("iam:PassRole", EXECUTION_ROLE, TO_TASKS),
    ],
    "ecs-tasks.amazonaws.com": [
        Asked("sts:AssumeRole", TASK_ROLE, FROM_TASK),
        Asked("sts:AssumeRole", EXECUTION_ROLE, FROM_TASK),
    ],
    "events.amazonaws.com": [
        Asked("sns:Publish", TOPIC, {"aws:SourceArn": RULE, "aws:SecureTransport": "true"}),
        Asked("kms:GenerateDataKey", stacks.STATE_KEY, FROM_HERE),
        Asked("kms:Decrypt", stacks.STATE_KEY, FROM_HERE),
    ],
    "cloudwatch.amazonaws.com": [
        Asked("sns:Publish", TOPIC, FROM_HERE | {"aws:SourceArn": ALARM}),
        Asked("kms:GenerateDataKey", stacks.STATE_KEY, FROM_HERE),
        Asked("kms:Decrypt", stacks.STATE_KEY, FROM_HERE),
    ],
}
