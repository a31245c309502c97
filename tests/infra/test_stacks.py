"""The templates applied to the sandbox's CloudFormation, and removed again.

moto passes over types it does not know and says nothing, so what is made is looked at by its own
API. It does not know topic policies, alarms and OpenID Connect providers: of these only the
template is tested.
"""

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aurora_restore.preflight.reads import try_table
from aurora_restore.table import Change, Table
from sandbox import Sandbox
from tests.infra import stacks
from tests.infra.templates import GITHUB, SOURCE, TARGET, parsed

NAME = "refresh"  # the sandbox has a table, a topic and roles of the usual names already
UNKNOWN = {"AWS::SNS::TopicPolicy", "AWS::CloudWatch::Alarm"}


def made(
    aws: Sandbox, side: str, path: Any, parameters: dict[str, str], name: str = NAME
) -> dict[str, str]:
    """Make a stack; return its outputs."""
    cloudformation = aws.client("cloudformation", side)
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=path.read_text(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def remove(aws: Sandbox, side: str, name: str = NAME) -> None:
    aws.client("cloudformation", side).delete_stack(StackName=name)


def kinds(aws: Sandbox, side: str) -> set[str]:
    """Return the types of which the stack really has a resource."""
    found = aws.client("cloudformation", side).list_stack_resources(StackName=NAME)
    return {each["ResourceType"] for each in found["StackResourceSummaries"]}


@pytest.fixture
def target(aws: Sandbox) -> Iterator[dict[str, str]]:
    """The target account's stack; its outputs."""
    facts = aws.facts
    wanted = stacks.TARGET_PARAMETERS | {
        "Name": NAME,
        "ClusterKeyArn": facts["target_key_arn"],
        "SourceKeyArn": facts["source_key_arn"],
        "HopKeyArn": facts["hop_key_arn"],
        "SourceRoleName": f"{NAME}-source",
        "VpcId": facts["vpc_id"],
        "DatabaseSecurityGroupId": facts["security_group_ids"][0],
    }
    yield made(aws, "target", TARGET, wanted)
    remove(aws, "target")


@pytest.fixture
def source(aws: Sandbox, target: dict[str, str]) -> Iterator[dict[str, str]]:
    """The source account's stack, made of what the target's tells."""
    wanted = stacks.SOURCE_PARAMETERS | {
        "Name": NAME,
        "FlowTaskRoleArn": target["EcsTaskRoleArn"],
        "SnapshotKeyArn": aws.facts["source_key_arn"],
    }
    yield made(aws, "source", SOURCE, wanted)
    remove(aws, "source")


def test_emulator_makes_all_but_two_types(aws: Sandbox, target: dict[str, str]) -> None:
    """
    What is passed over in silence is known by name.
    """
    wanted = {each["Type"] for each in parsed(TARGET)["Resources"].values()}

    assert wanted - kinds(aws, "target") == UNKNOWN


def test_table_of_the_stack_is_one_for_the_product(aws: Sandbox, target: dict[str, str]) -> None:
    """
    Records can be written and found by both indexes.
    """
    dynamodb, name = aws.client("dynamodb"), target["AuroraRestoreStateTable"]
    table = Table(dynamodb, name)

    try_table(dynamodb, name)
    facts = {"target": "t", "timestamp": "2026-01-01 00:00:00"}
    table.write(
        Change(("op-1", "operation"), "SET #target = :target, #timestamp = :timestamp", facts)
    )

    for index, key, value in (
        ("step-timestamp", "step", "operation"),
        ("target-timestamp", "target", "t"),
    ):
        [found] = table.query(
            IndexName=index,
            KeyConditionExpression="#key = :value",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":value": {"S": value}},
        )
        assert found["operation_id"] == "op-1"


def test_each_resource_of_the_target_stack_is_there(aws: Sandbox, target: dict[str, str]) -> None:
    """
    By its own API, under the name that the outputs tell.
    """
    account, region = aws.facts["target_account"], aws.facts["target_region"]
    policy = aws.client("iam").get_role_policy(
        RoleName=f"{NAME}-task", PolicyName="refresh-clusters"
    )["PolicyDocument"]
    [alias] = [
        each
        for each in aws.client("kms").list_aliases()["Aliases"]
        if each["AliasName"] == f"alias/{NAME}"
    ]
    [repository] = aws.client("ecr").describe_repositories(repositoryNames=[NAME])["repositories"]
    [cluster] = aws.client("ecs").describe_clusters(clusters=[NAME])["clusters"]
    [logs] = aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/ecs/{NAME}")["logGroups"]
    [group] = aws.client("ec2").describe_security_groups(GroupIds=[target["EcsSecurityGroupId"]])[
        "SecurityGroups"
    ]
    [database] = aws.client("ec2").describe_security_groups(
        GroupIds=[target["RefreshSecurityGroupId"]]
    )["SecurityGroups"]
    rule = aws.client("events").describe_rule(Name=f"{NAME}-stopped-tasks")
    topic = aws.client("sns").get_topic_attributes(TopicArn=target["AuroraRestoreTopicArn"])
    boundary = aws.client("iam").get_policy(PolicyArn=target["WorkerBoundaryArn"])["Policy"]

    # moto keeps a policy that comes from a template as the text of a Python object.
    [document] = stacks.target().policies("FlowTaskRole")
    assert len(ast.literal_eval(policy)["Statement"]) == len(document["Statement"])
    assert target["StateKeyArn"].endswith(alias["TargetKeyId"])
    assert repository["repositoryUri"] == target["ImageRepository"]
    assert cluster["clusterArn"] == target["EcsClusterArn"]
    assert (logs["logGroupName"], logs["retentionInDays"]) == (target["EcsLogGroup"], 90)
    assert group["VpcId"] == aws.facts["vpc_id"]  # of its rules moto takes no outgoing ones
    assert any(
        pair["GroupId"] == group["GroupId"]
        for each in database["IpPermissions"]
        for pair in each["UserIdGroupPairs"]
    )
    assert json.loads(rule["EventPattern"])["source"] == ["aws.ecs"]
    assert topic["Attributes"]["KmsMasterKeyId"] == target["StateKeyArn"]
    assert boundary["PolicyName"] == f"{NAME}-worker-boundary"
    assert target["EcsTaskRoleArn"] == f"arn:aws:iam::{account}:role/{NAME}-task"
    assert target["EcsExecutionRoleArn"] == f"arn:aws:iam::{account}:role/{NAME}-execution"
    assert target["RefreshTargetRegion"] == region


def test_source_role_is_assumed_by_the_flow_role_only(
    aws: Sandbox, target: dict[str, str], source: dict[str, str]
) -> None:
    """
    The sandbox lets in whom the trust policy of the stack names: not the role of another stack.
    """
    trust = aws.client("iam", "source").get_role(RoleName=f"{NAME}-source")["Role"]
    [statement] = trust["AssumeRolePolicyDocument"]["Statement"]

    assert source["RoleArn"] == target["AuroraRestoreSourceRoleArn"]
    assert statement["Principal"] == {"AWS": target["EcsTaskRoleArn"]}
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.client("sts").assume_role(
            RoleArn=source["RoleArn"], RoleSessionName="test", ExternalId="aurora-restore"
        )


def test_github_roles_stand_beside_the_target_stack(aws: Sandbox, target: dict[str, str]) -> None:
    """
    Of what the target's stack tells, for the provider that the account has; gone with their stack.
    """
    iam, name = aws.client("iam"), f"{NAME}-github"
    provider = iam.create_open_id_connect_provider(Url=f"https://{stacks.GITHUB_HOST}")
    wanted = stacks.GITHUB_PARAMETERS | {
        "Name": NAME,
        "StackName": NAME,
        "StateKeyArn": target["StateKeyArn"],
        "ProviderArn": provider["OpenIDConnectProviderArn"],
    }

    outputs = made(aws, "target", GITHUB, wanted, name)

    assert provider["OpenIDConnectProviderArn"] == stacks.GITHUB_PROVIDER
    roles = [iam.get_role(RoleName=f"{NAME}-{each}")["Role"] for each in ("deploy", "restore")]
    assert [each["Arn"] for each in roles] == [outputs["DeployRoleArn"], outputs["RestoreRoleArn"]]
    assert [each["MaxSessionDuration"] for each in roles] == [3600, 21600]
    for role in roles:
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Federated": stacks.GITHUB_PROVIDER}

    remove(aws, "target", name)

    left = {each["RoleName"] for each in iam.list_roles()["Roles"]}
    assert not left & {f"{NAME}-deploy", f"{NAME}-restore"}


def test_removed_stacks_leave_only_what_is_to_stay(aws: Sandbox, target: dict[str, str]) -> None:
    """
    The records and their key outlive the stack; all else is gone.
    """
    remove(aws, "target")

    table = aws.client("dynamodb").describe_table(TableName=target["AuroraRestoreStateTable"])
    assert table["Table"]["TableStatus"] == "ACTIVE"
    assert target["StateKeyArn"] in {
        each["KeyArn"] for each in aws.client("kms").list_keys()["Keys"]
    }
    assert f"{NAME}-task" not in {
        each["RoleName"] for each in aws.client("iam").list_roles()["Roles"]
    }
    assert target["AuroraRestoreTopicArn"] not in {
        each["TopicArn"] for each in aws.client("sns").list_topics()["Topics"]
    }
    assert aws.client("ecr").describe_repositories()["repositories"] == []
    assert (
        aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/ecs/{NAME}")["logGroups"] == []
    )
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.client("events").describe_rule(Name=f"{NAME}-stopped-tasks")
