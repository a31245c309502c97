"""The policies of the stacks, and questions to the simulator made of requests."""

import json
from typing import Any

from authorizing import Asked
from declared import DEPLOY_ROLE, EXECUTION_ROLE, RESTORE_ROLE, TASK_ROLE, TOPIC
from recording import Recorded
from simulator import Document, Question

from tests.infra import stacks
from tests.infra.templates import FOLDER, Template

SOURCE_ROLE = f"arn:aws:iam::{stacks.SOURCE_ACCOUNT}:role/aurora-restore-source"
PRINCIPALS = {
    "flow": f"arn:aws:sts::{stacks.TARGET_ACCOUNT}:assumed-role/aurora-restore-task/session",
    "source": f"arn:aws:sts::{stacks.SOURCE_ACCOUNT}:assumed-role/aurora-restore-source/session",
    "execution": f"arn:aws:sts::{stacks.TARGET_ACCOUNT}:assumed-role/aurora-restore-execution/a",
    "worker": f"arn:aws:sts::{stacks.TARGET_ACCOUNT}:assumed-role/ecs-target-task-role/a",
    "deploy": f"arn:aws:sts::{stacks.TARGET_ACCOUNT}:assumed-role/aurora-restore-deploy/a",
    "restore": f"arn:aws:sts::{stacks.TARGET_ACCOUNT}:assumed-role/aurora-restore-restore/a",
}
IDENTITIES = {
    "flow": ("flow",),
    "source": ("source",),
    "execution": ("execution",),
    "worker": ("prefect's worker", "worker boundary"),
    "deploy": ("deploy",),
    "restore": ("restore",),
}
OF_RESOURCES = {
    SOURCE_ROLE: "trust of the source role",
    TASK_ROLE: "trust of the flow's role",
    EXECUTION_ROLE: "trust of the execution role",
    DEPLOY_ROLE: "trust of the deploy role",
    RESTORE_ROLE: "trust of the restore role",
    TOPIC: "topic",
    stacks.STATE_KEY: "state key",
    stacks.CLUSTER_KEY: "cluster key",
    stacks.HOP_KEY: "hop key",
    stacks.SOURCE_KEY: "source key",
    stacks.OTHER_KEY: "other key",
    stacks.SECRETS_MANAGERS_KEY: "AWS's key",
    stacks.MASTER_SECRET_KEY: "master secret's key",
    stacks.COPY_KEY: "copy key",
    stacks.DEFAULT_KEY: "AWS's key at the source",
}
OURS = (
    "flow",
    "source",
    "execution",
    "worker boundary",
    "deploy",
    "restore",
    "trust of the source role",
    "trust of the flow's role",
    "trust of the execution role",
    "trust of the deploy role",
    "trust of the restore role",
    "topic",
    "state key",
    "source key",
)
"""The documents of which no statement may be superfluous."""

# The simulator knows no condition key with colons in the name of an encryption context; a test of
# the template has to do.
NOT_JUDGED = {
    ("state key", "LogsOfTheFlow"),
    # By which Region's RDS a key of the other Region is used AWS does not say: both are let in.
    (
        "source key",
        f"AuroraRestoreUsesTheKeyThroughRds: rds.{stacks.TARGET_REGION}.amazonaws.com",
    ),
}


def documents() -> dict[str, Document]:
    """Return every policy, with every option of the stacks in use."""
    target, source, github = stacks.target(), stacks.source(), stacks.github()
    own_key = _whole_account(stacks.TARGET_ACCOUNT)
    return {
        "flow": _identity(target, "FlowTaskRole"),
        "source": _identity(source, "Role"),
        "execution": _identity(target, "ExecutionRole"),
        "prefect's worker": _identity(stacks.prefect_worker(), "EcsTaskRole8DFA0181"),
        "worker boundary": Document(
            "boundary", target.resource("WorkerBoundary")["PolicyDocument"]
        ),
        "deploy": _identity(github, "DeployRole"),
        "restore": _identity(github, "RestoreRole"),
        "trust of the source role": _trust(source, "Role"),
        "trust of the flow's role": _trust(target, "FlowTaskRole"),
        "trust of the execution role": _trust(target, "ExecutionRole"),
        "trust of the deploy role": _trust(github, "DeployRole"),
        "trust of the restore role": _trust(github, "RestoreRole"),
        "topic": Document("resource", target.resource("TopicPolicy")["PolicyDocument"]),
        "state key": Document("resource", target.resource("Key")["KeyPolicy"]),
        "cluster key": own_key,
        "hop key": own_key,
        "other key": own_key,
        "master secret's key": own_key,
        "AWS's key": own_key,  # its metadata; of use it lets in who may use the service
        "copy key": _whole_account(stacks.SOURCE_ACCOUNT),
        "AWS's key at the source": _whole_account(stacks.SOURCE_ACCOUNT),
        "source key": source_key(),
    }


def source_key() -> Document:
    """Return the policy of the snapshots' key: its account's own, and what the guide adds to it."""
    text = (FOLDER / "source-key-statements.json").read_text()
    for name, value in (
        ("TARGET_ACCOUNT", stacks.TARGET_ACCOUNT),
        ("TARGET_REGION", stacks.TARGET_REGION),
        ("SOURCE_REGION", stacks.SOURCE_REGION),
    ):
        text = text.replace(name, value)
    own = _whole_account(stacks.SOURCE_ACCOUNT).policy["Statement"]
    added: list[dict[str, Any]] = json.loads(text)
    return Document("resource", {"Version": "2012-10-17", "Statement": [*own, *added]})


def question(who: str, asked: Asked) -> Question:
    """Return the question whether somebody may do what was asked for; `who` may be a service."""
    of_resource = OF_RESOURCES.get(asked.resource)
    decisive = (*IDENTITIES.get(who, ()), *([of_resource] if of_resource else ()))
    return Question(
        principal=PRINCIPALS.get(who, who),
        action=asked.action,
        resource=asked.resource,
        account=_account(who, asked),
        documents=decisive,
        context=asked.context,
    )


def of_another_target(recorded: list[Recorded]) -> list[Recorded]:
    """Return what runs would ask for if the target cluster were the stack's other one."""
    theirs = [
        (role, Asked(each.action, _renamed(each.resource), _renamed(each.context)))
        for role, each in recorded
        if role == "flow" and each.action.startswith(("rds:", "secretsmanager:"))
    ]
    return [each for each in theirs if each not in recorded]


def _renamed(value: Any) -> Any:
    return json.loads(json.dumps(value).replace("staging", "reporting"))


def questions(recorded: list[Recorded]) -> list[Question]:
    """Return the question of each request, each once."""
    made = {str(each): each for each in (question(who, asked) for who, asked in recorded)}
    return list(made.values())


def _account(who: str, asked: Asked) -> str:
    """Return whose account has its say.

    Of a snapshot the caller's: another account lets it in by sharing, which is no policy.
    """
    own = stacks.SOURCE_ACCOUNT if who == "source" else stacks.TARGET_ACCOUNT
    owner = asked.resource.split(":")[4] if asked.resource.startswith("arn:") else ""
    return own if asked.action.startswith("rds:") or not owner else owner


def _identity(template: Template, role: str) -> Document:
    statements = [each for policy in template.policies(role) for each in policy["Statement"]]
    return Document("identity", {"Version": "2012-10-17", "Statement": statements})


def _trust(template: Template, role: str) -> Document:
    return Document("resource", template.resource(role)["AssumeRolePolicyDocument"])


def _whole_account(account: str) -> Document:
    statement = {
        "Sid": "AccountDecidesByItsPolicies",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return Document("resource", {"Version": "2012-10-17", "Statement": [statement]})
