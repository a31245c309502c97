"""The expected duration, by the records of the refreshes before."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from examples import parameters, request
from product_fixtures import calls

from aurora_restore.duration import Estimate, expected_duration
from aurora_restore.records import RecordStore
from aurora_restore.sessions import target_client
from aurora_restore.table import Table
from sandbox import Sandbox
from sandbox.faults import Fault

NONE = Estimate(
    seconds=None, refreshes=0, text="unknown: no finished refresh of staging in the records"
)


@pytest.fixture
def store(account: Sandbox) -> RecordStore:
    """The records, without those that other tests have left."""
    client = account.client("dynamodb")
    for item in account.items():
        key = {name: {"S": item[name]} for name in ("operation_id", "step")}
        client.delete_item(TableName=account.facts["table"], Key=key)
    return RecordStore(Table(target_client("dynamodb"), account.facts["table"]))


@pytest.fixture
def ran(account: Sandbox) -> Iterator[Callable[..., None]]:
    """A function that puts the head item of an operation which began so long ago."""
    client, table, made = account.client("dynamodb"), account.facts["table"], []

    def put(hours_ago: float, minutes: float, status: str = "SUCCESS", **changes: Any) -> None:
        name = f"op-{hours_ago}"
        first = datetime.now(UTC) - timedelta(hours=hours_ago)
        last = first + timedelta(minutes=minutes)
        item = {
            "operation_id": name,
            "step": "operation",
            "status": status,
            "timestamp": last.strftime("%Y-%m-%d %H:%M:%S"),
            "target": request(**changes).target_name,
            "details": {"request": parameters(**changes)},
            "history": [
                {"status": "IN_PROGRESS", "at": first.isoformat(timespec="milliseconds")},
                {"status": status, "at": last.isoformat(timespec="milliseconds")},
            ],
        }
        made.append(name)
        client.put_item(TableName=table, Item=TypeSerializer().serialize(item)["M"])

    yield put
    for name in made:
        key = {"operation_id": {"S": name}, "step": {"S": "operation"}}
        client.delete_item(TableName=table, Key=key)


def test_median_of_the_last_five(store: RecordStore, ran: Callable[..., None]) -> None:
    """
    The five newest finished refreshes count, whatever the older ones took.
    """
    for hours_ago, minutes in ((1, 40), (2, 42), (3, 41), (4, 300), (5, 44), (6, 1), (7, 1)):
        ran(hours_ago, minutes)

    estimate = expected_duration(store, request())

    assert estimate.seconds == 42 * 60
    assert estimate.text == "about 42 min (median of the last 5 refreshes of staging)"


def test_only_finished_refreshes_of_the_same_target_count(
    store: RecordStore, ran: Callable[..., None]
) -> None:
    """
    Another cluster, Region or account, and what failed or still runs, tells nothing.
    """
    ran(1, 5, "FAILED")
    ran(2, 5, "IN_PROGRESS")
    ran(3, 5, target_cluster_id="other")
    ran(4, 5, target_region="eu-west-1")
    ran(5, 5, target_account_id="111111111111")
    assert expected_duration(store, request()) == NONE

    ran(6, 83)

    estimate = expected_duration(store, request())
    assert estimate.text == "about 1 h 23 min (as the last refresh of staging)"


def test_one_query_of_the_index(account: Sandbox, store: RecordStore) -> None:
    """
    The records are asked once, newest first and by the index, however many there are.
    """
    assert expected_duration(store, request()) == NONE

    assert [each["operation"] for each in calls(account)] == ["Query"]


def test_recent_is_newest_first_and_limited(store: RecordStore, ran: Callable[..., None]) -> None:
    """
    `recent` gives so many head items, the one that changed last first.
    """
    for hours_ago in (3, 1, 2):
        ran(hours_ago, 10)

    assert [each.operation_id for each in store.recent(2)] == ["op-1", "op-2"]


def test_damaged_record_is_no_error(
    account: Sandbox, store: RecordStore, ran: Callable[..., None]
) -> None:
    """
    A head item that cannot be read, and what else has the target's name, is left out.
    """
    ran(2, 42)
    ran(1, 5)
    for step, history in (("operation", "?"), ("operation-2", []), ("other", "?")):
        item = {"operation_id": "op-1", "step": step, "timestamp": "2999-01-01 00:00:00"}
        item |= {"target": request().target_name, "history": history}
        account.client("dynamodb").put_item(
            TableName=account.facts["table"], Item=TypeSerializer().serialize(item)["M"]
        )

    estimate = expected_duration(store, request())

    assert estimate.text == "about 42 min (as the last refresh of staging)"


def test_missing_index_is_no_error(account: Sandbox) -> None:
    """
    A table without the index gives no estimate, and says why.
    """
    table = Table(target_client("dynamodb"), account.facts["table"])
    store = RecordStore(table, target_index="no-such-index")

    estimate = expected_duration(store, request())

    assert estimate.seconds is None
    assert estimate.text.startswith("unknown: DynamoDB table aurora-restore-state: its index ")


def test_denied_query_is_no_error(account: Sandbox, store: RecordStore) -> None:
    """
    A role that may not query the index still gets the plan.
    """
    account.plant(Fault("dynamodb", "Query", "AccessDeniedException", "not authorized", times=None))

    estimate = expected_duration(store, request())

    assert estimate.text == (
        "unknown: DynamoDB table aurora-restore-state: its index cannot be used "
        "(AccessDeniedException)"
    )
