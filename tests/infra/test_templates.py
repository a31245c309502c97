"""What no linter sees in the templates."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora_restore.rds import tags
from aurora_restore.settings import Settings
from deployments.check import PLACEHOLDER, PREFECT_YAML
from deployments.outputs import exports, variable
from sandbox.world import World
from tests.infra import stacks
from tests.infra.templates import FOLDER, GITHUB, SOURCE, TARGET, Template, parsed

ROOT = Path(__file__).resolve().parents[2]
EACH = pytest.mark.parametrize("path", [TARGET, SOURCE, GITHUB], ids=lambda path: path.stem)
ROLES = [
    pytest.param(stacks.target(), "FlowTaskRole", id="flow"),
    pytest.param(stacks.target(), "ExecutionRole", id="execution"),
    pytest.param(stacks.source(), "Role", id="source"),
    pytest.param(stacks.github(), "DeployRole", id="deploy"),
    pytest.param(stacks.github(), "RestoreRole", id="restore"),
]
OF_GITHUB = pytest.mark.parametrize("role", ["DeployRole", "RestoreRole"])
WORKFLOWS = ROOT / ".github" / "workflows"
MARK = f"aws:ResourceTag/{tags.MANAGED}"
REQUESTED = f"aws:RequestTag/{tags.MANAGED}"
OPERATION = f"aws:RequestTag/{tags.OPERATION}"
# What IAM judges without a resource, and the lists that are of everything or of nothing.
WITHOUT_RESOURCE = re.compile(
    r"(rds|ec2):Describe\w+|ecr:GetAuthorizationToken|secretsmanager:GetRandomPassword"
)
DESTRUCTIVE = {
    "rds:DeleteDBCluster",
    "rds:DeleteDBClusterSnapshot",
    "rds:DeleteDBInstance",
    "rds:EnableHttpEndpoint",
    "rds:ModifyDBCluster",
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template, role: str) -> dict[str, dict[str, Any]]:
    return {each["Sid"]: each for policy in template.policies(role) for each in policy["Statement"]}


def everything(value: Any) -> Iterator[dict[str, Any]]:
    """Give every mapping of a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from everything(each)


@pytest.fixture
def target() -> Template:
    return stacks.target()


@pytest.fixture
def flow(target: Template) -> dict[str, dict[str, Any]]:
    return statements(target, "FlowTaskRole")


# ── each ─────────────────────────────────────────────────────────────────────


@EACH
def test_every_parameter_and_output_is_described(path: Path) -> None:
    """
    A template can be filled in without reading its resources.
    """
    template = parsed(path)

    for kind in ("Parameters", "Outputs"):
        for name, each in template[kind].items():
            assert each["Description"].endswith("."), name
            assert len(each["Description"]) > len("For prefect."), name


@EACH
def test_every_parameter_and_condition_is_used(path: Path) -> None:
    """
    Nothing is asked for in vain.
    """
    template = parsed(path)
    body = json.dumps({name: each for name, each in template.items() if name != "Parameters"})

    for name in template["Parameters"]:
        assert f'{{"Ref": "{name}"}}' in body or f"${{{name}}}" in body, name
    for name in template["Conditions"]:
        assert f'"{name}"' in body.replace(f'"{name}": ', "", 1), name


@EACH
def test_template_can_be_read_in_ten_minutes(path: Path) -> None:
    """
    A person reads some seventy lines of such a file in a minute, and AWS takes 51,200 bytes.
    """
    text = path.read_text()

    assert text.count("\n") < 700
    assert len(text.encode()) < 51_200


@EACH
def test_no_template_holds_an_account_or_a_secret(path: Path) -> None:
    """
    Accounts, Regions and ids are parameters.
    """
    assert not re.search(r"\b\d{12}\b|\b(us|eu|ap)-[a-z]+-\d\b|AKIA|\bsg-|\bvpc-", path.read_text())


@pytest.mark.parametrize(("template", "role"), ROLES)
def test_no_statement_allows_every_action(template: Template, role: str) -> None:
    """
    Actions are named; a wildcard stands for the variants of one KMS action only.
    """
    for name, statement in statements(template, role).items():
        assert statement["Effect"] == "Allow", name
        for action in listed(statement["Action"]):
            assert "*" not in action or action in {"kms:GenerateDataKey*", "kms:ReEncrypt*"}, name


@pytest.mark.parametrize(("template", "role"), ROLES)
def test_only_what_has_no_resource_is_allowed_on_all(template: Template, role: str) -> None:
    """
    `*` as a resource stands beside actions that have none, and lists.
    """
    for name, statement in statements(template, role).items():
        if "*" in listed(statement["Resource"]):
            for action in listed(statement["Action"]):
                assert WITHOUT_RESOURCE.fullmatch(action), name


@pytest.mark.parametrize(("template", "role"), ROLES)
def test_every_arn_names_account_and_region(template: Template, role: str) -> None:
    """
    No resource is meant in whichever account or Region it lies; IAM is everywhere, S3 has neither.
    """
    for name, statement in statements(template, role).items():
        for resource in listed(statement["Resource"]):
            if resource == "*":
                continue
            _, _, service, region, account, _ = resource.split(":", 5)
            assert "*" not in region + account, name
            assert (
                service != "kms" or "*" not in resource or "kms:ResourceAliases" in str(statement)
            )
            assert (region and account) or service in {"iam", "s3"}, name


@pytest.mark.parametrize(("template", "role"), ROLES)
def test_policy_fits_into_a_role(template: Template, role: str) -> None:
    """
    AWS takes 10,240 characters of inline policies a role, blanks not counted.
    """
    size = sum(len(re.sub(r"\s", "", json.dumps(each))) for each in template.policies(role))

    assert size < 10_240


@pytest.mark.parametrize("role", ["FlowTaskRole", "ExecutionRole"])
def test_only_tasks_of_this_account_and_region_take_a_role(target: Template, role: str) -> None:
    """
    ECS of another account cannot be led to use the role.
    """
    [trust] = target.resource(role)["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": stacks.TARGET_ACCOUNT}
    assert trust["Condition"]["ArnLike"] == {
        "aws:SourceArn": f"arn:aws:ecs:{stacks.TARGET_REGION}:{stacks.TARGET_ACCOUNT}:*"
    }


# ── the source account ───────────────────────────────────────────────────────


def test_source_role_trusts_one_role_with_its_external_id() -> None:
    """
    Neither the target account as a whole nor anybody without the external id.
    """
    [trust] = stacks.source().resource("Role")["AssumeRolePolicyDocument"]["Statement"]

    assert trust == {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:role/aurora-restore-task"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "aurora-restore"}},
    }


def test_flow_role_parameter_takes_no_whole_account() -> None:
    """
    `…:root` and `*` are refused as the principal before anything is made.
    """
    pattern = parsed(SOURCE)["Parameters"]["FlowTaskRoleArn"]["AllowedPattern"]

    assert re.fullmatch(pattern, "arn:aws:iam::123456789012:role/path/aurora-restore-task")
    for wrong in ("*", "123456789012", "arn:aws:iam::123456789012:root"):
        assert not re.fullmatch(pattern, wrong)


def test_source_role_deletes_its_own_copies_only() -> None:
    """
    By name and by mark.
    """
    deleting = [
        each
        for each in statements(stacks.source(), "Role").values()
        if "rds:DeleteDBClusterSnapshot" in listed(each["Action"])
    ]

    [statement] = deleting
    assert statement["Resource"].endswith(":cluster-snapshot:*-share-*")
    assert statement["Condition"] == {"StringEquals": {MARK: "true"}}


def test_source_role_can_share_and_nothing_else_by_default() -> None:
    """
    Without snapshots that cannot be shared it has no right to copy, mark or delete.
    """
    plain = statements(stacks.source(Unshareable="", SnapshotKeyArn="", CopyKeyArn=""), "Role")

    assert set(plain) == {"FindSnapshots", "ShareSnapshots"}


# ── the flow's role ──────────────────────────────────────────────────────────


def test_what_destroys_is_bound_to_the_mark(flow: dict[str, dict[str, Any]]) -> None:
    """
    Each destructive right asks for the tag, but for the part of DeleteDBCluster that is about a
    snapshot that does not exist as yet.
    """
    free = {
        name: each
        for name, each in flow.items()
        if DESTRUCTIVE & set(listed(each["Action"]))
        and each.get("Condition") != {"StringEquals": {MARK: "true"}}
    }

    assert list(free) == ["DeleteClustersWhateverTheirSnapshot"]
    [statement] = free.values()
    assert statement["Action"] == "rds:DeleteDBCluster"
    assert ":cluster-snapshot:" in statement["Resource"]


def test_what_is_made_has_to_be_marked(flow: dict[str, dict[str, Any]]) -> None:
    """
    The tags that make it deletable and tell whose it is come with the call that makes it.
    """
    for name in ("MakeWhatIsMarked", "MarkWhatIsMade", "MakeSecrets"):
        assert flow[name]["Condition"] == {
            "StringEquals": {REQUESTED: "true"},
            "Null": {OPERATION: "false"},
        }


def test_only_named_clusters_are_changed(flow: dict[str, dict[str, Any]]) -> None:
    """
    Clusters and instances stand under the names of the parameters in every statement that changes.
    """
    for name, statement in flow.items():
        for resource in listed(statement["Resource"]):
            if name != "Look" and re.search(r":(cluster|db):", resource):
                assert re.search(r":(cluster|db):(staging|reporting)\*$", resource), name


def test_options_that_are_not_used_give_no_right() -> None:
    """
    Files, logins by IAM, secrets and roles are allowed only where they are asked for.
    """
    none = dict.fromkeys(
        (
            "SourceKeyArn",
            "HopKeyArn",
            "MasterSecretKeyArn",
            "MoreClusters",
            "MoreInstances",
            "DatabaseRoleArns",
            "FilesArn",
            "DatabaseUsers",
        ),
        "",
    )
    plain = stacks.target(**none, MakesSecrets="no", PrefectSecretArn="")

    names = set(statements(plain, "FlowTaskRole"))
    assert not names & {"ReadFiles", "LogInByIam", "MakeSecrets", "MakePasswords"}
    assert "UseTheKeyOfMasterPasswords" not in names
    changed = statements(plain, "FlowTaskRole")["ChangeAndDeleteWhatIsMarked"]["Resource"]
    assert [each.split(":", 5)[5] for each in changed] == [
        "cluster-snapshot:*",
        "cluster:staging*",
        "db:staging*",
    ]
    assert "HandRolesOnToRds" not in names
    assert statements(plain, "FlowTaskRole")["LookAtKeys"]["Resource"] == [stacks.CLUSTER_KEY]
    assert "ReadPrefectsSecret" not in statements(plain, "ExecutionRole")


def test_grants_that_are_asked_for_let_nobody_use_a_key(flow: dict[str, dict[str, Any]]) -> None:
    """
    But for AWS's services the role may make grants to look at a key, to itself; the snapshots' key
    lets it make the same.
    """
    text = (FOLDER / "source-key-statements.json").read_text()
    of_key = json.loads(text.replace("TARGET_ACCOUNT", stacks.TARGET_ACCOUNT))

    granting = [
        each
        for each in [*flow.values(), *of_key]
        if "kms:CreateGrant" in listed(each["Action"])
        and each["Condition"] != {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    ]
    session = f"arn:aws:sts::{stacks.TARGET_ACCOUNT}:assumed-role/aurora-restore-task/*"
    assert [each["Condition"] for each in granting] == 2 * [
        {
            "StringLike": {"kms:GranteePrincipal": session},
            "ForAllValues:StringEquals": {"kms:GrantOperations": "DescribeKey"},
            "Null": {"kms:GrantOperations": "false"},
        }
    ]


def test_worker_passes_two_roles_on_to_ecs_only(target: Template) -> None:
    """
    The boundary leaves of Prefect's `role/*` the two that a flow run has.
    """
    boundary = target.resource("WorkerBoundary")["PolicyDocument"]["Statement"]

    [passing] = [each for each in boundary if "iam:PassRole" in listed(each["Action"])]
    assert passing["Resource"] == [
        f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:role/aurora-restore-execution",
        f"arn:aws:iam::{stacks.TARGET_ACCOUNT}:role/aurora-restore-task",
    ]
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert not any("*" in action for each in boundary for action in listed(each["Action"]))


# ── GitHub's roles ───────────────────────────────────────────────────────────


@OF_GITHUB
def test_role_is_for_the_jobs_of_one_environment(role: str) -> None:
    """
    Tokens for AWS, of this repository and this environment, and nothing else.
    """
    [trust] = stacks.github().resource(role)["AssumeRolePolicyDocument"]["Statement"]

    assert trust == {
        "Effect": "Allow",
        "Principal": {"Federated": stacks.GITHUB_PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{stacks.GITHUB_HOST}:aud": "sts.amazonaws.com",
                f"{stacks.GITHUB_HOST}:sub": "repo:example/aurora-restore:environment:production",
            }
        },
    }


@pytest.mark.parametrize(
    ("parameter", "good", "wrong"),
    [
        (
            "Repository",
            ("octo-org/octo.repo_1", "octo-org@123456/octo-repo@456789"),
            ("octo-org", "octo-org/*", "*/octo-repo", "o/r:ref", "o/r/s", "https://github.com/o/r"),
        ),
        ("Environment", ("production",), ("*", "prod*", "a:b", "")),
        (
            "ProviderArn",
            ("", stacks.GITHUB_PROVIDER),
            ("*", f"{stacks.GITHUB_PROVIDER}.example.com", stacks.GITHUB_HOST),
        ),
        (
            "PrefectSecretArn",
            ("", stacks.GITHUB_PARAMETERS["PrefectSecretArn"]),
            ("*", "prefect", stacks.GITHUB_PARAMETERS["PrefectSecretArn"][:-6] + "*"),
        ),
    ],
)
def test_parameter_takes_no_wildcard(
    parameter: str, good: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    """
    What would widen a role is refused before anything is made.
    """
    pattern = parsed(GITHUB)["Parameters"][parameter]["AllowedPattern"]

    assert [each for each in good if not re.fullmatch(pattern, each)] == []
    assert [each for each in wrong if re.fullmatch(pattern, each)] == []


def test_provider_is_made_only_if_there_is_none() -> None:
    """
    An account can have one; it is for AWS's audience alone.
    """
    kind = "AWS::IAM::OIDCProvider"

    assert stacks.github().resources(kind) == {
        "Provider": {
            "Url": f"https://{stacks.GITHUB_HOST}",
            "ClientIdList": ["sts.amazonaws.com"],
        }
    }
    named = stacks.github(ProviderArn="arn:of-another-stack")
    assert named.resources(kind) == {}
    for role in ("DeployRole", "RestoreRole"):
        [trust] = named.resource(role)["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Federated": "arn:of-another-stack"}


@OF_GITHUB
def test_without_a_secret_of_prefect_none_is_read(role: str) -> None:
    """
    The right is there only where it is asked for.
    """
    assert "ReadPrefectsSecret" in statements(stacks.github(), role)
    assert "ReadPrefectsSecret" not in statements(stacks.github(PrefectSecretArn=""), role)


def test_github_roles_are_about_the_target_accounts_stack(target: Template) -> None:
    """
    By default the names that this stack makes of its prefix are those of the other one.
    """
    deploy, restore = (statements(stacks.github(), each) for each in ("DeployRole", "RestoreRole"))
    table = target.resolved({"Fn::GetAtt": ["StateTable", "Arn"]})

    assert deploy["LookAtTheTable"]["Resource"] == table
    assert restore["ReadTheRecords"]["Resource"] == table
    assert deploy["LookAtTheTopic"]["Resource"] == target.outputs()["AuroraRestoreTopicArn"]
    assert deploy["PushTheImage"]["Resource"] == target.resolved(
        {"Fn::GetAtt": ["Repository", "Arn"]}
    )


def test_workflows_assume_what_the_stack_makes() -> None:
    """
    The variables are the outputs' names; no session is longer than its role allows, and that of
    restore.yml is as long as its job.
    """
    template = stacks.github()
    longest = {"deploy": 3600, "restore": template.resource("RestoreRole")["MaxSessionDuration"]}

    assert {variable(each) for each in template.outputs()} == {
        "DEPLOY_ROLE_ARN",
        "RESTORE_ROLE_ARN",
    }
    assert "MaxSessionDuration" not in template.resource("DeployRole")  # then it is an hour
    for name, seconds in longest.items():
        [job] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text())["jobs"].values()
        [given] = [step["with"] for step in job["steps"] if "configure-aws" in step.get("uses", "")]
        assert given["role-to-assume"] == f"${{{{ vars.{name.upper()}_ROLE_ARN }}}}"
        assert job["environment"] == parsed(GITHUB)["Parameters"]["Environment"]["Default"]
        assert job["timeout-minutes"] * 60 <= given.get("role-duration-seconds", 3600) <= seconds


# ── records and announcements ────────────────────────────────────────────────


def test_table_has_the_keys_and_indexes_of_the_settings(target: Template) -> None:
    """
    The table is the one that the product reads and the sandbox has.
    """
    table, defaults = target.resource("StateTable"), Settings.model_fields

    def keys(of: Any) -> list[tuple[str, str]]:
        return [(each["AttributeName"], each["KeyType"]) for each in of["KeySchema"]]

    assert table["TableName"] == World().table
    assert keys(table) == [("operation_id", "HASH"), ("step", "RANGE")]
    assert {each["IndexName"]: keys(each) for each in table["GlobalSecondaryIndexes"]} == {
        defaults["state_index"].default: [("step", "HASH"), ("timestamp", "RANGE")],
        defaults["target_index"].default: [("target", "HASH"), ("timestamp", "RANGE")],
    }
    assert {each["Projection"]["ProjectionType"] for each in table["GlobalSecondaryIndexes"]} == {
        "ALL"
    }
    assert {each["AttributeType"] for each in table["AttributeDefinitions"]} == {"S"}


def test_records_are_not_lost(target: Template) -> None:
    """
    Point-in-time recovery, deletion protection, and the table outlives the stack; nothing expires.
    """
    table = target.resource("StateTable")

    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True
    assert "TimeToLiveSpecification" not in table
    for name in ("StateTable", "Key"):
        kept = target.body["Resources"][name]
        assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_all_that_is_stored_is_under_the_key(target: Template) -> None:
    """
    Table, topic, log group and images have the stack's own key, which rotates.
    """
    assert target.resource("StateTable")["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": stacks.STATE_KEY,
    }
    assert target.resource("Topic")["KmsMasterKeyId"] == stacks.STATE_KEY
    assert target.resource("LogGroup")["KmsKeyId"] == stacks.STATE_KEY
    assert target.resource("Repository")["EncryptionConfiguration"]["KmsKey"] == stacks.STATE_KEY
    assert target.resource("Key")["EnableKeyRotation"] is True


@EACH
def test_nobody_is_let_in_without_a_condition(path: Path) -> None:
    """
    No Allow is for everybody, and no service is let in for whoever uses it; but EventBridge to the
    key, where AWS takes no condition.
    """
    for each in everything(parsed(path)):
        if each.get("Effect") == "Allow" and "Principal" in each:
            principal = each["Principal"]
            assert principal != "*"
            assert "*" not in listed(principal.get("AWS", ""))
            if each.get("Sid") == "RulesThatPublish":
                assert (principal, "Condition" in each) == (
                    {"Service": "events.amazonaws.com"},
                    False,
                )
            else:
                assert not principal.keys() & {"Service", "Federated"} or each["Condition"], each


def test_key_lets_the_log_of_the_flow_alone_use_it(target: Template) -> None:
    """
    CloudWatch Logs uses the key for this log group, named in the encryption context.
    """
    policy = target.resource("Key")["KeyPolicy"]["Statement"]

    [logs] = [each for each in policy if each["Sid"] == "LogsOfTheFlow"]
    here = f"{stacks.TARGET_REGION}:{stacks.TARGET_ACCOUNT}"
    assert logs["Principal"] == {"Service": f"logs.{stacks.TARGET_REGION}.amazonaws.com"}
    assert logs["Condition"] == {
        "ArnEquals": {
            "kms:EncryptionContext:aws:logs:arn": (
                f"arn:aws:logs:{here}:log-group:/ecs/aurora-restore"
            )
        }
    }


def test_topic_refuses_what_comes_in_clear(target: Template) -> None:
    """
    The one statement for everybody denies.
    """
    policy = target.resource("TopicPolicy")["PolicyDocument"]["Statement"]

    [everybody] = [each for each in policy if each["Principal"] == "*"]
    assert (everybody["Effect"], everybody["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


# ── where flow runs work ─────────────────────────────────────────────────────


def test_cluster_has_what_prefects_worker_runs_on(target: Template) -> None:
    """
    ECS takes a strategy of providers that the cluster is associated with, and refuses others.
    """
    services = stacks.prefect_worker().resources("AWS::ECS::Service").values()

    [strategy] = [each["CapacityProviderStrategy"] for each in services]
    wanted = {each["CapacityProvider"] for each in strategy}
    assert wanted
    assert wanted <= set(target.resource("Cluster")["CapacityProviders"])


def test_logs_end_some_day_and_not_soon(target: Template) -> None:
    """
    By default a quarter of a year; only what CloudWatch Logs takes can be chosen.
    """
    assert target.resource("LogGroup")["RetentionInDays"] == "90"
    assert min(parsed(TARGET)["Parameters"]["LogRetentionDays"]["AllowedValues"]) >= 30


def test_images_are_scanned_fixed_and_do_not_pile_up(target: Template) -> None:
    """
    A tag cannot be moved to another image; the newest twenty stay.
    """
    repository = target.resource("Repository")

    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    [rule] = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert (rule["selection"]["countNumber"], rule["action"]) == (20, {"type": "expire"})


def test_flow_runs_reach_https_and_the_database_only(target: Template) -> None:
    """
    Nobody reaches a flow run, and of the rest of the network it reaches the clusters.
    """
    group = target.resource("TaskSecurityGroup")

    assert "SecurityGroupIngress" not in group
    web, database = group["SecurityGroupEgress"]
    assert (web["FromPort"], web["ToPort"], web["CidrIp"]) == (443, 443, "0.0.0.0/0")
    assert (database["FromPort"], database["ToPort"]) == ("5432", "5432")
    assert database["DestinationSecurityGroupId"] == "sg-0123456789abcdef0"


def test_alarms_can_be_left_out() -> None:
    """
    With alarms, silence of the watchdog breaches; without, there is none.
    """
    kind = "AWS::CloudWatch::Alarm"
    alarms = stacks.target().resources(kind)

    assert alarms["NobodyLooksAfterRuns"]["TreatMissingData"] == "breaching"
    assert alarms["NobodyLooksAfterRuns"]["Dimensions"][1]["Value"] == (
        Settings.model_fields["state_index"].default
    )
    assert stacks.target(Alarms="no").resources(kind) == {}


# ── outputs ──────────────────────────────────────────────────────────────────


def test_outputs_feed_prefect_yaml_and_the_settings(target: Template) -> None:
    """
    Every variable of prefect.yaml is an output, but for what the team chooses; what is called like
    a setting is one.
    """
    chosen = {
        "AURORA_RESTORE_CODE",
        "AURORA_RESTORE_WORK_POOL",
        "ECS_TASK_CPU",
        "ECS_TASK_MEMORY",
        "REFRESH_SOURCE_CLUSTER_ID",
        "REFRESH_TARGET_CLUSTER_ID",
    }
    given = {variable(each) for each in target.outputs()}

    assert set(PLACEHOLDER.findall(PREFECT_YAML.read_text())) - given == chosen
    named = {each for each in given if each.startswith("AURORA_RESTORE_")}
    settings = {f"AURORA_RESTORE_{name.upper()}" for name in Settings.model_fields}
    assert named <= settings
    required = {n for n, field in Settings.model_fields.items() if field.is_required()}
    assert {f"AURORA_RESTORE_{name.upper()}" for name in required} <= named


def test_names_of_the_two_stacks_meet(target: Template) -> None:
    """
    By default the role that the flow assumes is the one that the source account's stack makes.
    """
    role = stacks.source().outputs()["RoleArn"]

    assert target.outputs()["AuroraRestoreSourceRoleArn"] == role
    assert role == World().source_role_arn
    assert target.outputs()["EcsTaskRoleArn"] == World().task_role_arn


def test_outputs_become_lines_for_the_shell() -> None:
    """
    Names and values are as the shell wants them, whatever is in them.
    """
    outputs = [
        {"OutputKey": "RefreshKmsKeyId", "OutputValue": "arn:aws:kms:x"},
        {"OutputKey": "EcsLogGroup", "OutputValue": "it's; here"},
    ]

    assert exports(outputs) == [
        "export ECS_LOG_GROUP='it'\"'\"'s; here'",
        "export REFRESH_KMS_KEY_ID=arn:aws:kms:x",
    ]


def test_what_is_no_list_of_outputs_is_told() -> None:
    """
    An error of the aws command does not become lines for the shell.
    """
    done = subprocess.run(
        [sys.executable, "-m", "deployments.outputs"],
        cwd=ROOT,
        input="An error occurred",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert "describe-stacks" in done.stderr


def test_statements_for_the_snapshots_key_name_the_flows_role() -> None:
    """
    The snapshots' key is opened to one role, for RDS, not to the target account.
    """
    for statement in json.loads((FOLDER / "source-key-statements.json").read_text()):
        assert statement["Principal"] == {
            "AWS": "arn:aws:iam::TARGET_ACCOUNT:role/aurora-restore-task"
        }
        assert "Condition" in statement or statement["Action"] == "kms:DescribeKey"
