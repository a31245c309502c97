"""`doctor` on the sandbox: each thing that is missing or wrong in the account is named."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cli_world import Ended, cli

from aurora_restore import sessions, settings
from demo.stack import free_port
from sandbox import Sandbox

__all__ = ["cli"]

NAMES = {
    "settings",
    "account",
    "records-table",
    "topic",
    "source-role",
    "prefect-api",
    "work-pool",
    "worker",
    "deployments",
    "schedules",
    "pool-settings",
}


@pytest.fixture
def doctor(
    account: Sandbox, cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Ended]]:
    """Run it with changes of the environment; None takes a variable away."""
    for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)

    def run(**environment: str | None) -> Ended:
        for name, text in environment.items():
            if text is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, text)
        settings.settings.cache_clear()
        return cli("doctor", "--json")

    yield run
    settings.settings.cache_clear()
    # A role that could not be assumed is not asked for again by a client that is kept.
    sessions._client.cache_clear()
    sessions._session.cache_clear()


def lines(ended: Ended, *, of: str) -> list[tuple[str, str]]:
    """Return status and problem of the checks of a name."""
    return [
        (each["status"], each["problem"]) for each in ended.result["checks"] if each["name"] == of
    ]


def protect(account: Sandbox, table: str) -> None:
    dynamodb = account.client("dynamodb")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def make_table(account: Sandbox, name: str, *indexes: dict[str, Any], second: str = "step") -> None:
    keys = [("operation_id", "HASH"), (second, "RANGE")]
    used = {"operation_id", second}
    for index in indexes:
        used |= {each["AttributeName"] for each in index["KeySchema"]}
    more = {"GlobalSecondaryIndexes": list(indexes)} if indexes else {}
    account.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in sorted(used)],
        KeySchema=[{"AttributeName": n, "KeyType": k} for n, k in keys],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def index(name: str, first: str, second: str = "timestamp", kind: str = "ALL") -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": first, "KeyType": "HASH"},
            {"AttributeName": second, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": kind},
    }


def test_each_thing_is_looked_at(doctor: Callable[..., Ended]) -> None:
    """
    One document, with every check in it, whatever is missing; findings end with 1.
    """
    ended = doctor()

    assert ended.code == 1
    assert ended.document["error"]["type"] == "SetupIncomplete"
    assert {each["name"] for each in ended.result["checks"]} == NAMES
    assert lines(ended, of="settings") == [("ok", "AURORA_RESTORE_* are valid")]
    assert [status for status, _ in lines(ended, of="account")] == ["ok"]
    assert lines(ended, of="topic") == [("ok", "it is there")]
    assert [status for status, _ in lines(ended, of="source-role")] == ["ok"]
    assert lines(ended, of="prefect-api") == [("failed", "PREFECT_API_URL is not set")]
    assert lines(ended, of="deployments") == [("unchecked", "its API cannot be asked")]
    assert ended.result["next"] == "aurora-restore doctor"


def test_missing_settings_are_named(doctor: Callable[..., Ended]) -> None:
    """
    What depends on them is unchecked, not wrong.
    """
    ended = doctor(AURORA_RESTORE_STATE_TABLE=None, AURORA_RESTORE_TOPIC_ARN="topic")

    [(status, problem)] = lines(ended, of="settings")
    assert status == "failed"
    assert "AURORA_RESTORE_STATE_TABLE" in problem
    assert "AURORA_RESTORE_TOPIC_ARN" in problem
    for name in ("account", "records-table", "topic", "source-role"):
        assert [each for each, _ in lines(ended, of=name)] == ["unchecked"]


def test_table_that_could_lose_records_is_told(
    doctor: Callable[..., Ended], account: Sandbox
) -> None:
    """
    Recovery and protection must be on, time to live off.
    """
    table, dynamodb = "aurora-restore-kept", account.client("dynamodb")
    make_table(account, table, index("step-timestamp", "step"), index("target-timestamp", "target"))
    dynamodb.update_time_to_live(
        TableName=table,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"},
    )

    first = doctor(AURORA_RESTORE_STATE_TABLE=table)
    dynamodb.update_time_to_live(
        TableName=table,
        TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires"},
    )
    protect(account, table)
    second = doctor(AURORA_RESTORE_STATE_TABLE=table)

    assert lines(first, of="records-table") == [
        ("failed", "records expire by expires"),
        ("failed", "point-in-time recovery is off"),
        ("failed", "deletion protection is off"),
    ]
    assert [status for status, _ in lines(second, of="records-table")] == ["ok"]


@pytest.mark.parametrize(
    ("indexes", "told"),
    [
        (
            [],
            ["it has no index step-timestamp", "it has no index target-timestamp"],
        ),
        (
            [index("step-timestamp", "step"), index("target-timestamp", "target", "step")],
            ["index target-timestamp is not on target and timestamp"],
        ),
        (
            [
                index("step-timestamp", "step", kind="KEYS_ONLY"),
                index("target-timestamp", "target"),
            ],
            ["index step-timestamp has not all attributes"],
        ),
    ],
)
def test_index_that_is_not_as_it_must_be_is_told(
    doctor: Callable[..., Ended], account: Sandbox, indexes: list[dict[str, Any]], told: list[str]
) -> None:
    """
    Missing, on other attributes, without all attributes: each by its name.
    """
    table = f"aurora-restore-{len(told)}-{len(indexes)}-{told[0].count('all')}"
    make_table(account, table, *indexes)
    protect(account, table)

    ended = doctor(AURORA_RESTORE_STATE_TABLE=table)

    assert lines(ended, of="records-table") == [("failed", each) for each in told]


def test_table_with_other_keys_is_told(doctor: Callable[..., Ended], account: Sandbox) -> None:
    """
    Keys cannot be changed: another table is needed.
    """
    make_table(
        account,
        "aurora-restore-other-keys",
        index("step-timestamp", "step"),
        index("target-timestamp", "target"),
        second="name",
    )
    protect(account, "aurora-restore-other-keys")

    ended = doctor(AURORA_RESTORE_STATE_TABLE="aurora-restore-other-keys")

    told = "its keys are not operation_id and step"
    assert lines(ended, of="records-table") == [("failed", told)]


def test_what_is_not_there_is_told(doctor: Callable[..., Ended]) -> None:
    """
    No such table, no such topic: each with AWS's words or ours, and a remedy.
    """
    topic = "arn:aws:sns:us-west-2:987654321098:nowhere"

    ended = doctor(AURORA_RESTORE_STATE_TABLE="nowhere", AURORA_RESTORE_TOPIC_ARN=topic)

    for name in ("records-table", "topic"):
        [check] = [each for each in ended.result["checks"] if each["name"] == name]
        assert check["status"] == "failed"
        assert "nowhere" in check["resource"]
        assert check["remedy"]


def test_role_that_may_not_be_assumed_is_told(doctor: Callable[..., Ended]) -> None:
    """
    With another external id the source account refuses. Whether a run may cannot be known here:
    without a work pool nobody knows which role runs have.
    """
    ended = doctor(AURORA_RESTORE_SOURCE_EXTERNAL_ID="another")

    [check] = [each for each in ended.result["checks"] if each["name"] == "source-role"]
    assert check["status"] == "unchecked"
    assert "external id" in check["remedy"]


def test_account_that_is_not_allowed_is_told(doctor: Callable[..., Ended]) -> None:
    """
    The settings of the platform team are held against the credentials.
    """
    ended = doctor(AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS='["111122223333"]')

    told = "not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS"
    assert lines(ended, of="account") == [("failed", told)]


class Answers(BaseHTTPRequestHandler):
    """A server that gives the status its path asks for, and no JSON."""

    def do_POST(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"no")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of such a server."""
    with HTTPServer(("127.0.0.1", 0), Answers) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.mark.parametrize(
    ("status", "told", "remedy"),
    [
        (401, "it refuses these credentials (401)", "Set PREFECT_API_KEY"),
        (403, "it refuses these credentials (403)", "Set PREFECT_API_KEY"),
        (503, "it answers 503 to flows/filter", "Check PREFECT_API_URL"),
        (200, "it answers with something that is not JSON", "Check PREFECT_API_URL"),
    ],
)
def test_prefect_that_does_not_answer_rightly_is_told(
    doctor: Callable[..., Ended], server: str, status: int, told: str, remedy: str
) -> None:
    """
    Wrong credentials and a wrong address have remedies of their own.
    """
    ended = doctor(PREFECT_API_URL=f"{server}/{status}")

    assert lines(ended, of="prefect-api") == [("failed", told)]
    [check] = [each for each in ended.result["checks"] if each["name"] == "prefect-api"]
    assert check["remedy"].startswith(remedy)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/api", "http://[", "nonsense"])
def test_prefect_that_is_not_there_is_told(doctor: Callable[..., Ended], url: str) -> None:
    """
    Nobody listens there, or it is no address at all.
    """
    ended = doctor(PREFECT_API_URL=url.format(free_port()))

    [(status, problem)] = lines(ended, of="prefect-api")
    assert status == "failed"
    assert problem.startswith("no answer (")
