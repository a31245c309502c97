"""deploy.yml and restore.yml on the sandbox: their own commands, by the real AWS command line.

The stacks are made of the templates, a job acts as its role of GitHub's stack, and what deploy.yml
has deployed is what restore.yml starts. docker alone is not there.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from ci_steps import COMMIT, DIGEST, Runner
from ecs_site import AUTH, POOL, Site, running_worker
from test_worker import head

from demo.facts import settings
from demo.stack import REPOSITORY, PrefectStack
from sandbox import Sandbox
from tests.conftest import SPEED
from tests.infra import stacks
from tests.infra.programs import installed
from tests.infra.templates import GITHUB, TARGET
from tests.infra.test_stacks import made

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

NAME, WORD = "aurora-restore", ":".join(AUTH)
BOUND = "AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS=stag.*"
IMAGE = f"987654321098.dkr.ecr.us-west-2.amazonaws.com/{NAME}"
# What is asked for by doctor, of which one is free and the other one is refused.
ASIDE = {"sts:GetCallerIdentity", "sts:AssumeRole"}


def cleared(aws: Sandbox) -> None:
    """Take away what the sandbox has of the target account's stack: here the template makes it."""
    aws.client("dynamodb").delete_table(TableName=aws.facts["table"])
    aws.client("sns").delete_topic(TopicArn=aws.facts["topic_arn"])
    aws.client("iam").delete_role(RoleName=f"{NAME}-task")


def stack_of_the_target(aws: Sandbox) -> dict[str, str]:
    facts = aws.facts
    outputs = made(
        aws,
        "target",
        TARGET,
        stacks.TARGET_PARAMETERS
        | {
            "ClusterKeyArn": facts["target_key_arn"],
            "SourceKeyArn": facts["source_key_arn"],
            "VpcId": facts["vpc_id"],
            "DatabaseSecurityGroupId": facts["security_group_ids"][0],
        },
        NAME,
    )
    # moto passes over what the template says of recovery and protection, and doctor looks at both.
    dynamodb, table = aws.client("dynamodb"), outputs["AuroraRestoreStateTable"]
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    return outputs


def variables(aws: Sandbox, prefect: PrefectStack) -> dict[str, str]:
    """Return those of the GitHub environment, once both stacks are made."""
    target = stack_of_the_target(aws)
    secret = aws.client("secretsmanager").create_secret(Name="prefect/auth", SecretString=WORD)
    provider = aws.client("iam").create_open_id_connect_provider(
        Url=f"https://{stacks.GITHUB_HOST}"
    )
    parameters = stacks.GITHUB_PARAMETERS | {
        "StateKeyArn": target["StateKeyArn"],
        "PrefectSecretArn": secret["ARN"],
        "ProviderArn": provider["OpenIDConnectProviderArn"],
    }
    roles = made(aws, "target", GITHUB, parameters, f"{NAME}-github")
    return {
        "AWS_REGION": aws.facts["target_region"],
        "DEPLOY_ROLE_ARN": roles["DeployRoleArn"],
        "PREFECT_API_URL": f"{prefect.url}/api",
        "PREFECT_SECRET": "PREFECT_API_AUTH_STRING",
        "PREFECT_SECRET_ARN": secret["ARN"],
        "RESTORE_ROLE_ARN": roles["RestoreRoleArn"],
        "SOURCE_CLUSTER_ID": aws.facts["source_cluster"],
        "SOURCE_EXTERNAL_ID": aws.facts["external_id"],
        "SETTINGS": f"{BOUND}\n\nAURORA_RESTORE_LEASE_SECONDS=90",
        "STACK": NAME,
        "SUBNET_IDS": ",".join(aws.facts["subnet_ids"]),
        "TARGET_CLUSTER_ID": aws.facts["target_cluster"],
        "WORK_POOL": POOL,
    }


def session(aws: Sandbox, role: str, seconds: int) -> dict[str, str]:
    """Return what configure-aws-credentials exports.

    There is no token of GitHub's here: the role is opened to the administrator. Whom its own trust
    lets in is judged in tests/proof/test_iam.py.
    """
    trust = {"AWS": aws.facts["target_account"]}
    statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
    aws.client("iam").update_assume_role_policy(
        RoleName=role.rpartition("/")[2],
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    keys = aws.client("sts").assume_role(
        RoleArn=role, RoleSessionName="GitHubActions", DurationSeconds=seconds
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_DEFAULT_REGION": aws.facts["target_region"],
        "AWS_REGION": aws.facts["target_region"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An account, a Prefect server that asks for a word, and a worker. Never reset."""
    guarded = {"PREFECT_SERVER_API_AUTH_STRING": WORD, "PREFECT_API_AUTH_STRING": WORD}
    with Sandbox(speed=SPEED, lasting_sessions=True) as aws, PrefectStack(guarded) as prefect:
        prefect.start_server()
        prefect.wait_until_ready()
        cleared(aws)
        built = Site(aws, prefect, variables(aws, prefect))
        home = tmp_path_factory.mktemp("worker")
        # The venv of the tests and this checkout stand for the image.
        path = {"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "HOME": str(home)}
        aws.add_image(f"{IMAGE}@{DIGEST}", str(REPOSITORY), path)
        with running_worker(built, home):
            yield built


@pytest.fixture(scope="module")
def runner(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """GitHub's machine."""
    folder = tmp_path_factory.mktemp("runner")
    known = site.aws.env
    here = {name: known[name] for name in ("AWS_ENDPOINT_URL", "NO_PROXY")}
    polls = {name: text for name, text in settings(site.aws).items() if "_POLL__" in name}
    made_here = Runner(
        folder / "checkout",
        here | {"HOME": str(folder), "DO_NOT_TRACK": "1"},
        {"vars": site.values},
        {"AURORA_RESTORE_CODE": str(REPOSITORY)} | polls,
    )
    made_here.has(installed("awscli", "aws"))
    return made_here


def run(site: Site, runner: Runner, workflow: str, *only: str, **given: Any) -> Any:
    """Run a workflow's job as its role; `given` are inputs, and variables in capital letters."""
    role, seconds = {
        "deploy": ("DEPLOY_ROLE_ARN", 3600),
        "restore": ("RESTORE_ROLE_ARN", 21600),
    }[workflow]
    runner.environment |= session(site.aws, site.values[role], seconds)
    inputs = {"deployment": "refresh", "set": "", "dry_run": False}
    runner.context["inputs"] = inputs | {n: each for n, each in given.items() if n.islower()}
    return runner.run(workflow, *only, **{n: each for n, each in given.items() if n.isupper()})


def asked(aws: Sandbox, role: str) -> set[str]:
    """Return the actions that a role has asked AWS for."""
    who = f":assumed-role/{NAME}-{role}/GitHubActions"
    calls = [each for each in aws.events("call") if str(each["caller"]).endswith(who)]
    return {f"{each['service']}:{each['operation']}" for each in calls} - ASIDE


def allowed(role: str) -> set[str]:
    """Return the actions that a role has."""
    [policy] = stacks.github().policies(role)
    actions = [each["Action"] for each in policy["Statement"]]
    return {name for each in actions for name in ([each] if isinstance(each, str) else each)}


def told_secretly(said: str) -> bool:
    """Whether Prefect's word is printed once only: where GitHub is told to mask it."""
    lines = [line for line in said.splitlines() if WORD in line]
    return lines == [f"::add-mask::{WORD}"]


@pytest.fixture(scope="module")
def deployed(site: Site, runner: Runner) -> Any:
    """What deploy.yml printed, and how it ended."""
    return run(site, runner, "deploy")


def test_deploy_makes_all_there_is(site: Site, runner: Runner, deployed: Any) -> None:
    """
    The image is pushed by its commit; pool and deployments are there, with its digest; doctor finds
    nothing wrong; and of AWS is asked exactly what the role has, but for what docker asks.
    """
    pool = site.ask("GET", f"work_pools/{POOL}")["base_job_template"]
    [container] = pool["job_configuration"]["task_definition"]["containerDefinitions"]
    deployments = site.ask("POST", "deployments/filter", json={})
    of_ecr = {each for each in allowed("DeployRole") if each.startswith("ecr:")}

    assert deployed.returncode == 0, deployed.stdout
    assert told_secretly(deployed.stdout)
    assert (runner.checkout / "docker.log").read_text().splitlines() == [
        f"docker login --username AWS --password-stdin {IMAGE.partition('/')[0]}",
        f"docker build --platform linux/amd64 -f deployments/Dockerfile -t {IMAGE}:{COMMIT} .",
        f"docker push {IMAGE}:{COMMIT}",
        f"docker inspect --format {{{{index .RepoDigests 0}}}} {IMAGE}:{COMMIT}",
    ]
    assert container["image"] == f"{IMAGE}@{DIGEST}"
    settings = {f"{each['name']}={each['value']}" for each in container["environment"]}
    assert settings >= {BOUND, "AURORA_RESTORE_LEASE_SECONDS=90"}
    assert {each["name"] for each in deployments} == {"refresh", "nightly", "watchdog"}
    of_docker = of_ecr - {"ecr:GetAuthorizationToken"}
    assert asked(site.aws, "deploy") == allowed("DeployRole") - of_docker


def test_image_that_is_there_is_used_again(site: Site, runner: Runner, deployed: Any) -> None:
    """
    A run again of the workflow: the tag cannot be pushed once more, and that is no error.
    """
    done = run(site, runner, "deploy", "Build the image and push it")

    assert done.returncode == 0, done.stdout
    pushed, pulled = (runner.checkout / "docker.log").read_text().splitlines()[-3:-1]
    assert pushed == f"docker push {IMAGE}:{COMMIT}"
    assert pulled == f"docker pull {IMAGE}:{COMMIT}"


def test_bound_of_what_may_be_deleted_is_not_lost(
    site: Site, runner: Runner, deployed: Any
) -> None:
    """
    Without the variable the workflow fails, says what it would take, and leaves the pool as it is.
    """
    before = site.ask("GET", f"work_pools/{POOL}")["base_job_template"]

    done = run(site, runner, "deploy", SETTINGS="AURORA_RESTORE_LEASE_SECONDS=60")

    assert done.returncode != 0
    assert f"runs have {BOUND.partition('=')[0]} no more" in done.stdout
    assert "nothing is changed" in done.stdout
    assert site.ask("GET", f"work_pools/{POOL}")["base_job_template"] == before


def test_restore_ends_as_its_operation(site: Site, runner: Runner, deployed: Any) -> None:
    """
    Green for one that succeeds, red for one that does not; the role asks for what it has.
    """
    good, bad = f"op-{uuid4()}", f"op-{uuid4()}"

    succeeded = run(site, runner, "restore", set=f"operation_id={good}\n")
    site.aws.plant("copy-failed")
    failed = run(site, runner, "restore", set=f"operation_id={bad}\n")

    assert succeeded.returncode == 0, succeeded.stdout
    assert told_secretly(succeeded.stdout)
    assert head(site.aws, good)["status"] == "SUCCESS"
    assert failed.returncode == 1
    assert head(site.aws, bad)["status"] == "FAILED"
    assert asked(site.aws, "restore") == allowed("RestoreRole") - {"kms:Decrypt"}


def test_dry_run_changes_nothing(site: Site, runner: Runner, deployed: Any) -> None:
    """
    The box of the form makes the run one that only looks.
    """
    operation = f"op-{uuid4()}"

    done = run(site, runner, "restore", set=f"operation_id={operation}", dry_run=True)

    assert done.returncode == 0, done.stdout
    assert site.aws.items(operation) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"STACK": "another"}, "does not exist"),
        ({"PREFECT_SECRET_ARN": ""}, "refuses these credentials"),
        ({"deployment": "another"}, "there is none"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_restore_stops_at_what_is_wrong(
    site: Site, runner: Runner, deployed: Any, wrong: dict[str, str], told: str
) -> None:
    """
    Red, with the reason, before anything is started. Without a secret none is read: Prefect may ask
    for none.
    """
    before = len(site.ask("POST", "flow_runs/filter", json={}))

    done = run(site, runner, "restore", **wrong)

    assert done.returncode not in {0, None}
    assert told in done.stdout
    assert len(site.ask("POST", "flow_runs/filter", json={})) == before
