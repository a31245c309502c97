"""What looking costs: as many requests, and as much read, however large the table is.

The emulator's own figure of the consumed capacity is a constant. So it is counted here by
DynamoDB's rule from the items that came back, and with it how many were evaluated.

Source: DynamoDB developer guide, "Read consistency", "Capacity consumption for queries": 4 KB a
unit, half of that if eventually consistent, of the items evaluated together.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from cli_world import cli, head, outcome
from examples import plan
from product_fixtures import calls

from aurora_restore import settings
from aurora_restore.sessions import target_client
from sandbox import Sandbox
from sandbox.client import SandboxSession
from sandbox.keys import host_keys

__all__ = ["cli"]

TABLE = "aurora-restore-many"
NEWEST = datetime(2026, 11, 1, tzinfo=UTC)
FEW = 100
AT_ONCE = 25  # items of one BatchWriteItem
UNIT_BYTES = 4096
COMMANDS = {
    "history": ["history"],
    "history --limit": ["history", "--limit", "100"],
    "history --target": ["history", "--target", "987654321098/us-west-2/staging"],
    "history --failed": ["history", "--failed"],
    "history --since": ["history", "--since", "2026-10-31"],
    "status": ["status", "op-000000"],
}


@dataclass
class Cost:
    """What a command has asked of DynamoDB, as its answers tell."""

    requests: int = 0
    evaluated: int = 0
    capacity: float = 0.0
    units: list[float] = field(default_factory=list)

    def count(self, parsed: dict[str, Any], **_: Any) -> None:
        self.requests += 1
        self.evaluated += parsed["ScannedCount"]
        self.units.append(parsed["ConsumedCapacity"]["CapacityUnits"])
        size = sum(len(json.dumps(each)) for each in parsed["Items"])
        self.capacity += ceil(size / UNIT_BYTES) / 2


def ask_for_capacity(params: dict[str, Any], **_: Any) -> None:
    params["ReturnConsumedCapacity"] = "TOTAL"


@contextmanager
def counting() -> Iterator[Cost]:
    """Count what this process's client of DynamoDB is answered meanwhile."""
    cost, events = Cost(), target_client("dynamodb").meta.events
    before, after = "provide-client-params.dynamodb.Query", "after-call.dynamodb.Query"
    events.register(before, ask_for_capacity)
    events.register(after, cost.count)
    yield cost
    events.unregister(before, ask_for_capacity)
    events.unregister(after, cost.count)


def key(*names: str) -> list[Any]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": n, "KeyType": k} for n, k in zip(names, kinds, strict=True)]


def index(name: str, first: str) -> dict[str, Any]:
    everything = {"ProjectionType": "ALL"}
    return {"IndexName": name, "KeySchema": key(first, "timestamp"), "Projection": everything}


@pytest.fixture
def table(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client, not logged, of a table of this test's own, which the command line reads."""
    place = account.facts["target_account"], account.facts["target_region"]
    session = SandboxSession(account.url, *place)
    user, secret = host_keys(place[0])
    client = session.client("dynamodb", aws_access_key_id=user, aws_secret_access_key=secret)
    names = ("operation_id", "step", "timestamp", "target")
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        KeySchema=key("operation_id", "step"),
        GlobalSecondaryIndexes=[
            index("step-timestamp", "step"),
            index("target-timestamp", "target"),
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    monkeypatch.setenv("AURORA_RESTORE_STATE_TABLE", TABLE)
    settings.settings.cache_clear()
    yield client
    client.delete_table(TableName=TABLE)


def fill(client: Any, numbers: range) -> None:
    """Put operations, the newest first; all but the first few are small, since nobody reads them.

    One of three is of another target, one of five has failed.
    """
    serialize = TypeSerializer().serialize
    whole = plan().model_dump(mode="json")

    def write(first: int) -> None:
        requests = []
        for number in range(first, min(first + AT_ONCE, numbers.stop)):
            moment = NEWEST - timedelta(minutes=30 * number)
            status = "SUCCESS" if number % 5 else "FAILED"
            target = "987654321098/us-west-2/" + ("staging" if number % 3 else "other")
            item = head(f"op-{number:06}", status, f"{moment:%Y-%m-%d}", target=target)
            item["timestamp"] = f"{moment:%Y-%m-%d %H:%M:%S}"
            if number < FEW:
                item |= {"plan": whole, "outcome": outcome(item["operation_id"], status)}
            else:
                item = {name: item[name] for name in ("operation_id", "step", "target")} | {
                    "status": status,
                    "timestamp": item["timestamp"],
                    "details": {},
                }
            requests.append({"PutRequest": {"Item": serialize(item)["M"]}})
        client.batch_write_item(RequestItems={TABLE: requests})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(numbers.start, numbers.stop, AT_ONCE)))


@pytest.mark.parametrize(
    "many",
    [2_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
def test_looking_costs_the_same_however_many_operations_there_are(
    account: Sandbox, table: Any, cli: Any, many: int
) -> None:
    """
    Each command makes one request, and reads as many items of as many bytes, of 100 operations as
    of very many; what it prints is the same, but that there may be more.
    """

    def look(arguments: list[str]) -> tuple[Cost, list[Any]]:
        before = len(calls(account))
        with counting() as cost:
            ended = cli(*arguments, "--json")
        assert (ended.code, ended.err) == (0, "")
        assert [each["operation"] for each in calls(account)[before:]] == ["Query"]
        return cost, ended.result.get("operations", ended.result.get("steps"))

    def look_at_all() -> dict[str, tuple[Cost, list[Any]]]:
        return {name: look(arguments) for name, arguments in COMMANDS.items()}

    fill(table, range(FEW))
    few = look_at_all()

    began = time.monotonic()
    fill(table, range(FEW, many))
    filled = time.monotonic()
    much = look_at_all()

    assert much == few
    assert {name: cost.evaluated for name, (cost, _) in much.items()} == {
        "history": 20,
        "history --limit": 100,
        "history --target": 20,
        "history --failed": 100,
        "history --since": 20,
        "status": 1,
    }
    print(f"loaded in {filled - began:.0f} s, looked at in {time.monotonic() - filled:.0f} s")  # noqa: T201
    for name, (cost, _) in much.items():
        print(f"{many:>7} operations, {name:<18} {cost}")  # noqa: T201 - with `pytest -s`
