"""The product's library in the sandbox: its environment, its clients, what it has called."""

import os
from collections.abc import Iterator
from typing import Any

import clients
import pytest

from aurora_restore import sessions, settings
from sandbox import Sandbox

FOREIGN = ("AWS_", "PG", "AURORA_RESTORE_")
_seen = {"events": 0}  # how many entries the log had when the test began
ADMIN = "user/admin"  # how the sandbox names the tests' own calls
READING = ("Describe", "Get", "List", "Query", "AssumeRole")
HARMLESS = "CreateSecret"  # more secrets than before disturb no test


def forget_caches() -> None:
    """Let settings and clients be made anew from the environment."""
    settings.settings.cache_clear()
    clients.forget()


@pytest.fixture(scope="session", autouse=True)
def _no_clients_are_left() -> Iterator[None]:
    """The clients of these tests are made for their sandbox, and go with it."""
    forget_caches()
    yield
    forget_caches()


@pytest.fixture
def pristine(sandbox: Sandbox) -> Sandbox:
    """The sandbox as it was built; reset only if something was changed, since that takes time."""
    events = sandbox.events()
    if any(event["kind"] != "call" or _is_change(event) for event in events[_seen["events"] :]):
        sandbox.reset()
    sandbox.clear()
    _seen["events"] = len(sandbox.events())
    return sandbox


@pytest.fixture
def account(pristine: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox, pristine, and this process as if it ran in the target account."""
    aws = pristine
    for name in [each for each in os.environ if each.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    ours = {
        "AURORA_RESTORE_STATE_TABLE": aws.facts["table"],
        "AURORA_RESTORE_TOPIC_ARN": aws.facts["topic_arn"],
        "AURORA_RESTORE_SOURCE_ROLE_ARN": aws.facts["source_role_arn"],
        "AURORA_RESTORE_SOURCE_EXTERNAL_ID": aws.facts["external_id"],
    }
    for name, text in (aws.env | ours).items():
        monkeypatch.setenv(name, text)
    clients.are_of(aws.url)
    settings.settings.cache_clear()
    yield aws
    settings.settings.cache_clear()


@pytest.fixture
def rds(account: Sandbox) -> Any:
    """The product's own RDS client of the target account."""
    return sessions.target_client("rds", account.facts["target_region"])


@pytest.fixture(scope="session")
def admin_clients(sandbox: Sandbox) -> dict[str, Any]:
    return {side: sandbox.client("rds", side) for side in ("target", "source")}


@pytest.fixture
def admin(admin_clients: dict[str, Any], pristine: Sandbox) -> Any:
    """An administrator's RDS client of the target account, for arranging and looking."""
    return admin_clients["target"]


@pytest.fixture
def source_admin(admin_clients: dict[str, Any], pristine: Sandbox) -> Any:
    """The same of the source account."""
    return admin_clients["source"]


def calls(aws: Sandbox, *operations: str) -> list[dict[str, Any]]:
    """Return what the product has called, oldest first; only these operations if any is named."""
    return [
        event
        for event in aws.events()[_seen["events"] :]
        if event["kind"] == "call"
        and ADMIN not in event["caller"]
        and (not operations or event["operation"] in operations)
    ]


def changes(aws: Sandbox) -> list[str]:
    """Return the operations with which the product has changed anything."""
    return [event["operation"] for event in calls(aws) if _is_change(event)]


def _is_change(call: dict[str, Any]) -> bool:
    reading = call["operation"].startswith((*READING, HARMLESS))
    reading = reading or call["parameters"].get("DryRun") is True
    return not reading and call["service"] != "dynamodb"
