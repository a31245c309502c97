"""The stacks as the sandbox's world would have them: every option in use."""

from importlib.resources import as_file, files

from tests.infra.templates import GITHUB, SOURCE, TARGET, Template

SOURCE_ACCOUNT, SOURCE_REGION = "123456789012", "us-east-1"
TARGET_ACCOUNT, TARGET_REGION = "987654321098", "us-west-2"


def key(account: str, region: str, number: int) -> str:
    """Return the ARN of a KMS key."""
    return f"arn:aws:kms:{region}:{account}:key/{number:08d}-aaaa-bbbb-cccc-{number:012d}"


CLUSTER_KEY = key(TARGET_ACCOUNT, TARGET_REGION, 1)
HOP_KEY = key(TARGET_ACCOUNT, SOURCE_REGION, 2)
SOURCE_KEY = key(SOURCE_ACCOUNT, SOURCE_REGION, 3)
STATE_KEY = key(TARGET_ACCOUNT, TARGET_REGION, 4)
OTHER_KEY = key(TARGET_ACCOUNT, TARGET_REGION, 5)  # of the account, but of no stack
SECRETS_MANAGERS_KEY = f"arn:aws:kms:{TARGET_REGION}:{TARGET_ACCOUNT}:key/id-of-aws-secretsmanager"
MASTER_SECRET_KEY = key(TARGET_ACCOUNT, TARGET_REGION, 6)
COPY_KEY = key(SOURCE_ACCOUNT, SOURCE_REGION, 7)
DEFAULT_KEY = key(SOURCE_ACCOUNT, SOURCE_REGION, 8)  # aws/rds of the source account

TARGET_PARAMETERS = {
    "TargetClusters": "staging*",
    "TargetInstances": "staging*",
    "MoreClusters": "reporting*",
    "MoreInstances": "reporting*",
    "SubnetGroupName": "aurora-restore",
    "ClusterKeyArn": CLUSTER_KEY,
    "SourceAccountId": SOURCE_ACCOUNT,
    "SourceRegion": SOURCE_REGION,
    "SourceKeyArn": SOURCE_KEY,
    "HopKeyArn": HOP_KEY,
    "DatabaseRoleArns": f"arn:aws:iam::{TARGET_ACCOUNT}:role/rds-monitoring",
    "MasterSecretKeyArn": MASTER_SECRET_KEY,
    "FilesArn": "arn:aws:s3:::refresh-files/staging/*",
    "DatabaseUsers": "refresh",
    "MakesSecrets": "yes",
    "PrefectSecretArn": (
        f"arn:aws:secretsmanager:{TARGET_REGION}:{TARGET_ACCOUNT}:secret:prefect-AbCdEf"
    ),
    "VpcId": "vpc-0123456789abcdef0",
    "DatabaseSecurityGroupId": "sg-0123456789abcdef0",
}
SOURCE_PARAMETERS = {
    "FlowTaskRoleArn": f"arn:aws:iam::{TARGET_ACCOUNT}:role/aurora-restore-task",
    "ExternalId": "aurora-restore",
    "Snapshots": "daily-backup-*",
    "SnapshotKeyArn": SOURCE_KEY,
    "Unshareable": "rds:production-*",
    "CopyKeyArn": COPY_KEY,
}
GITHUB_HOST = "token.actions.githubusercontent.com"
GITHUB_PROVIDER = f"arn:aws:iam::{TARGET_ACCOUNT}:oidc-provider/{GITHUB_HOST}"
GITHUB_PARAMETERS = {
    "StateKeyArn": STATE_KEY,
    "PrefectSecretArn": TARGET_PARAMETERS["PrefectSecretArn"],
    "Repository": "example/aurora-restore",
}


def target(**parameters: str) -> Template:
    """Return the target account's stack, with some of its parameters other than usual."""
    return Template(
        TARGET,
        TARGET_ACCOUNT,
        TARGET_REGION,
        TARGET_PARAMETERS | parameters,
        {"Key.Arn": STATE_KEY},
    )


def source(**parameters: str) -> Template:
    """The same of the source account's stack."""
    return Template(SOURCE, SOURCE_ACCOUNT, SOURCE_REGION, SOURCE_PARAMETERS | parameters)


def github(**parameters: str) -> Template:
    """The same of the stack of GitHub's roles."""
    return Template(
        GITHUB,
        TARGET_ACCOUNT,
        TARGET_REGION,
        GITHUB_PARAMETERS | parameters,
        {"Provider": GITHUB_PROVIDER},
    )


def prefect_worker() -> Template:
    """Return Prefect's own stack for the worker, as prefect-aws brings it."""
    with as_file(files("prefect_aws").joinpath("templates/ecs/service.json")) as path:
        return Template(
            path,
            TARGET_ACCOUNT,
            TARGET_REGION,
            {
                "WorkPoolName": "ecs-target",
                "ExistingClusterIdentifier": "aurora-restore",
                "ExistingVpcId": "vpc-1",
                "ExistingSubnetIds": "subnet-1",
            },
        )
