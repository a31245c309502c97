"""Requests to IAM that are not recorded: of ECS, the worker, AWS's services, CI's own commands."""

from authorizing import Asked, of_master_password, through_rds
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
TASK_ROLE, EXECUTION_ROLE, DEPLOY_ROLE, RESTORE_ROLE = (
    f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:role/aurora-restore-{each}"
    for each in ("task", "execution", "deploy", "restore")
)
STACK = f"arn:aws:cloudformation:{HERE}:stack/aurora-restore/01234567-89ab-cdef-0123-456789abcdef"
REPOSITORY = f"arn:aws:ecr:{HERE}:repository/aurora-restore"
PREFECT_SECRET = stacks.TARGET_PARAMETERS["PrefectSecretArn"]
TOKEN = {  # what AWS takes of a job's token
    f"{stacks.GITHUB_HOST}:aud": "sts.amazonaws.com",
    f"{stacks.GITHUB_HOST}:sub": (
        f"repo:{stacks.GITHUB_PARAMETERS['Repository']}:environment:production"
    ),
}
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
    # A login by IAM is no call: PostgreSQL on AWS asks. No recorded cluster has another key than
    # Secrets Manager's own for its master password.
    "flow": [
        *of_master_password(stacks.MASTER_SECRET_KEY, stacks.TARGET_REGION),
        # No recorded cluster has a role of its own, as for an import from S3.
        Asked(
            "iam:PassRole",
            stacks.TARGET_PARAMETERS["DatabaseRoleArns"],
            {"iam:PassedToService": "rds.amazonaws.com"},
        ),
        Asked("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:cluster-ABCDEFGH/refresh"),
    ],
    # No recorded snapshot is under the default key. Its copy at the source is under another one, by
    # which the flow knows it then: SourceKeyArn.
    "source": [
        Asked("kms:DescribeKey", stacks.DEFAULT_KEY, {"kms:ResourceAliases": ["alias/aws/rds"]}),
        Asked("kms:DescribeKey", stacks.COPY_KEY),
        *through_rds(stacks.COPY_KEY),
    ],
    # Amazon ECS developer guide, "task execution IAM role".
    "execution": [
        Asked("ecr:GetAuthorizationToken", "*"),
        Asked("ecr:BatchCheckLayerAvailability", REPOSITORY),
        Asked("ecr:GetDownloadUrlForLayer", REPOSITORY),
        Asked("ecr:BatchGetImage", REPOSITORY),
        Asked(
            "logs:CreateLogStream",
            f"arn:aws:logs:{HERE}:log-group:/ecs/aurora-restore:log-stream:flow/run/1",
        ),
        Asked(
            "logs:PutLogEvents",
            f"arn:aws:logs:{HERE}:log-group:/ecs/aurora-restore:log-stream:flow/run/1",
        ),
        Asked("secretsmanager:GetSecretValue", PREFECT_SECRET),
    ],
    # .github/workflows: the aws commands; docker push and pull by the Amazon ECR user guide, "IAM
    # permissions for pushing an image" and "… pulling an image". tests/flow/test_workflow_steps.py
    # sees the former made. What doctor and status ask for is recorded.
    "deploy": [
        Asked("cloudformation:DescribeStacks", STACK),
        Asked("ecr:GetAuthorizationToken", "*"),
        *(
            Asked(f"ecr:{each}", REPOSITORY)
            for each in (
                "BatchCheckLayerAvailability",
                "BatchGetImage",
                "CompleteLayerUpload",
                "GetDownloadUrlForLayer",
                "InitiateLayerUpload",
                "PutImage",
                "UploadLayerPart",
            )
        ),
        Asked("secretsmanager:GetSecretValue", PREFECT_SECRET),
    ],
    "restore": [
        Asked("cloudformation:DescribeStacks", STACK),
        Asked("secretsmanager:GetSecretValue", PREFECT_SECRET),
    ],
    # aws-actions/configure-aws-credentials: the job's token for a role.
    stacks.GITHUB_PROVIDER: [
        Asked("sts:AssumeRoleWithWebIdentity", DEPLOY_ROLE, TOKEN),
        Asked("sts:AssumeRoleWithWebIdentity", RESTORE_ROLE, TOKEN),
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
        Asked("ecs:TagResource", FAMILY),
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
        # SNS hands no source of EventBridge's on to KMS.
        Asked("kms:GenerateDataKey", stacks.STATE_KEY),
        Asked("kms:Decrypt", stacks.STATE_KEY),
    ],
    "cloudwatch.amazonaws.com": [
        Asked("sns:Publish", TOPIC, FROM_HERE | {"aws:SourceArn": ALARM}),
        Asked("kms:GenerateDataKey", stacks.STATE_KEY, FROM_HERE),
        Asked("kms:Decrypt", stacks.STATE_KEY, FROM_HERE),
    ],
}
