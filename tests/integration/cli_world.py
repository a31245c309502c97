"""The command line on the sandbox: run it, and put operations into the table."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from examples import parameters, plan, request, state_flow

from aurora_restore import endings, leases, ledger
from aurora_restore.cli import main
from aurora_restore.details import OperationBegun, SnapshotFound, Step
from aurora_restore.leases import Holder
from aurora_restore.ledger import Run
from sandbox import Sandbox

TARGET = request().target_name
DEPLOYMENT = "restore-aurora-cluster/refresh"
FACTS = [each["details"] for each in state_flow()]
ERROR = {"type": "EndedBadly", "message": "cluster snapshot copy-1: status is 'failed'. Remove it."}
DEAD = "elsewhere/pid:[1]/1/1"


@dataclass
class Ended:
    """How a command has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["result"]
        return found


@pytest.fixture
def cli(account: Sandbox, capsys: Any) -> Callable[..., Ended]:
    """A function that runs the command line in this process."""

    def run(*arguments: str) -> Ended:
        code = main(list(arguments))
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def empty(account: Sandbox) -> Iterator[Sandbox]:
    """The sandbox without any item in the table, before and after the test."""
    clear(account)
    endings._sent.clear()
    yield account
    clear(account)


def clear(account: Sandbox) -> None:
    client = account.client("dynamodb")
    for item in account.items():
        key = {name: {"S": item[name]} for name in ("operation_id", "step")}
        client.delete_item(TableName=account.facts["table"], Key=key)


def put(account: Sandbox, operation_id: str, step: str, **attributes: Any) -> None:
    """Put an item as it is given, whatever that is."""
    item = {"operation_id": operation_id, "step": step, **attributes}
    account.client("dynamodb").put_item(
        TableName=account.facts["table"], Item=TypeSerializer().serialize(item)["M"]
    )


def head(operation_id: str, status: str = "SUCCESS", at: str = "2024-03-20", **more: Any) -> Any:
    """Return the attributes of a head item: begun at midnight of a day, changed at 00:42."""
    history = [
        {"status": "IN_PROGRESS", "at": f"{at}T00:00:00.000+00:00"},
        {"status": status, "at": f"{at}T00:42:00.000+00:00"},
    ]
    return {
        "operation_id": operation_id,
        "step": "operation",
        "status": status,
        "timestamp": f"{at} 00:42:00",
        "details": {"request": parameters()},
        "history": history[:1] if status == "IN_PROGRESS" else history,
        "target": TARGET,
    } | more


def begin(operation_id: str, **changes: Any) -> OperationBegun:
    """Begin an operation, as a flow run of a deployment does."""
    return ledger.begin(request(**changes), operation_id, run=Run("run-1", DEPLOYMENT))


def fail(operation_id: str, **changes: Any) -> None:
    """Begin an operation whose second step fails, without telling anybody."""
    known = begin(operation_id, **changes)
    records = ledger.store()
    records.succeed(known.then(SnapshotFound, plan=plan(), **FACTS[0]))
    records.start(operation_id, Step.COPY_SNAPSHOT, FACTS[0])
    records.fail(operation_id, Step.COPY_SNAPSHOT, FACTS[0], ERROR)
    records.end(operation_id, "FAILED")


def outcome(operation_id: str, result: str = "FAILED", **more: Any) -> dict[str, Any]:
    """Return what is to be told of an operation's end."""
    return {
        "operation_id": operation_id,
        "result": result,
        "target": TARGET,
        "snapshot": "daily-backup-2024-03-20",
        "step": "copy-snapshot",
        "error": ERROR if result != "SUCCESS" else None,
        "next_command": "prefect flow-run retry run-1",
    } | more


def hold(operation_id: str, seconds: float, **changes: Any) -> leases.Lease:
    """Take the lease of an operation's targets, as a run on another machine would."""
    holder = Holder(operation_id, "run-1", DEAD, "2024-03-20T00:00:00+00:00")
    return leases.acquire(ledger.table(), request(**changes).touched, holder, seconds)[0]
