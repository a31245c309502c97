"""The target account's template applied to a second emulator of CloudFormation, ministack.

It refuses types that it does not know, and it knows topic policies and alarms, which moto passes
over. It is installed into a folder of its own, since it pins another botocore than the product.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.infra import stacks
from tests.infra.programs import installed
from tests.infra.templates import SOURCE, TARGET, parsed

READY_SECONDS = 60
UNKNOWN = {"AWS::EC2::SecurityGroupIngress"}

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it listens, on this machine only."""
    program, folder = installed("ministack", "ministack"), tmp_path_factory.mktemp("ministack")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    foreign = ("AWS_", "PG", "AURORA_RESTORE_")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603
            [str(program)],
            cwd=folder,
            env=environment
            | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "HOME": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        wait_until_ready(endpoint, process)
        yield endpoint
    finally:
        process.terminate()
        process.wait(timeout=30)


def client(url: str, service: str, account: str, region: str) -> Any:
    """Return a client; here the account is the access key."""
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=account,
        aws_secret_access_key="none",
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            client(url, "sts", stacks.TARGET_ACCOUNT, stacks.TARGET_REGION).get_caller_identity()
        except (BotoCoreError, ClientError):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        else:
            return


def applied(url: str, path: Path, account: str, region: str, parameters: dict[str, str]) -> Any:
    """Make a stack of what the emulator knows; return it, once it is made."""
    cloudformation = client(url, "cloudformation", account, region)
    template = parsed(path)
    template["Resources"] = {
        name: each for name, each in template["Resources"].items() if each["Type"] not in UNKNOWN
    }
    cloudformation.create_stack(
        StackName="refresh",
        TemplateBody=yaml.safe_dump(template, sort_keys=False),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    return ended(cloudformation, "CREATE_IN_PROGRESS")


def ended(cloudformation: Any, busy: str) -> Any:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            [stack] = cloudformation.describe_stacks(StackName="refresh")["Stacks"]
        except ClientError:
            return None
        if stack["StackStatus"] != busy:
            return stack
        time.sleep(0.2)
    raise AssertionError(f"still {busy}")


def test_target_stack_is_made_and_removed(url: str) -> None:
    """
    Every resource it knows is made, topic policy and alarms too, and taken away again.
    """
    place = (stacks.TARGET_ACCOUNT, stacks.TARGET_REGION)
    ec2 = client(url, "ec2", *place)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="clusters", Description="clusters", VpcId=vpc)
    wanted = stacks.TARGET_PARAMETERS | {
        "VpcId": vpc,
        "DatabaseSecurityGroupId": group["GroupId"],
    }

    stack = applied(url, TARGET, *place, wanted)

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    topic = client(url, "sns", *place).get_topic_attributes(
        TopicArn=outputs["AuroraRestoreTopicArn"]
    )
    assert "NothingInClear" in topic["Attributes"]["Policy"]
    alarms = client(url, "cloudwatch", *place).describe_alarms()["MetricAlarms"]
    assert {each["AlarmName"] for each in alarms} == {
        "aurora-restore-watchdog-silent",
        "aurora-restore-announcement-not-delivered",
    }
    table = client(url, "dynamodb", *place).describe_table(
        TableName=outputs["AuroraRestoreStateTable"]
    )["Table"]
    assert {each["IndexName"] for each in table["GlobalSecondaryIndexes"]} == {
        "step-timestamp",
        "target-timestamp",
    }

    client(url, "cloudformation", *place).delete_stack(StackName="refresh")
    left = ended(client(url, "cloudformation", *place), "DELETE_IN_PROGRESS")

    assert left is None or left["StackStatus"] == "DELETE_COMPLETE", left


def test_source_stack_is_made(url: str) -> None:
    """
    The role is there, and trusts one role.
    """
    place = (stacks.SOURCE_ACCOUNT, stacks.SOURCE_REGION)

    stack = applied(url, SOURCE, *place, stacks.SOURCE_PARAMETERS)

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    role = client(url, "iam", *place).get_role(RoleName="aurora-restore-source")["Role"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": stacks.SOURCE_PARAMETERS["FlowTaskRoleArn"]}
