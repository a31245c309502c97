"""The records in DynamoDB: what may be written over what, and in which form."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from examples import plan, request, request_of_everything, state_flow
from pydantic import BaseModel

from aurora_restore.details import CopyStarted, OperationBegun, SnapshotFound, Step
from aurora_restore.errors import Refused
from aurora_restore.records import HEAD, RecordStore
from aurora_restore.request import request_digest
from aurora_restore.table import Table
from sandbox import Sandbox
from sandbox.keys import admin_keys

FACTS = [example["details"] for example in state_flow()]
ERROR = {"type": "EndedBadly", "message": "no"}


@pytest.fixture(scope="session")
def client(sandbox: Sandbox) -> Any:
    key, secret = admin_keys(sandbox.facts["target_account"])
    return boto3.Session(key, secret, region_name=sandbox.facts["target_region"]).client(
        "dynamodb",
        endpoint_url=sandbox.url,
        config=Config(retries={"total_max_attempts": 2, "mode": "standard"}, proxies={}),
    )


@pytest.fixture
def aws(sandbox: Sandbox, client: Any) -> Iterator[Sandbox]:
    """The sandbox without any record. The rest of the world is of no account here."""
    for each in sandbox.items():
        key = {name: {"S": each[name]} for name in ("operation_id", "step")}
        client.delete_item(TableName=sandbox.facts["table"], Key=key)
    yield sandbox
    sandbox.clear()


@pytest.fixture
def store(aws: Sandbox, client: Any) -> RecordStore:
    """The records, none yet."""
    return RecordStore(Table(client, aws.facts["table"]))


def found() -> SnapshotFound:
    begun = OperationBegun(operation_id="op-001", request=request())
    return begun.then(SnapshotFound, plan=plan(), **FACTS[0])


def item(aws: Sandbox, step: str = HEAD) -> dict[str, Any]:
    """Return the item as it lies in the table."""
    [wanted] = [each for each in aws.items("op-001") if each["step"] == step]
    return wanted


def statuses(aws: Sandbox, step: str = HEAD) -> list[str]:
    return [entry["status"] for entry in item(aws, step)["history"]]


def test_records_are_the_specifications(aws: Sandbox, store: RecordStore) -> None:
    """
    A finished step's item has the specification's five attributes, and `details` as it shows them.
    """
    store.succeed(found())
    store.succeed(found().then(CopyStarted, **FACTS[1]))

    for step, facts in ((Step.CHECK_SNAPSHOT, FACTS[0]), (Step.COPY_SNAPSHOT, FACTS[1])):
        stored = item(aws, step)
        moment = datetime.strptime(stored["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        assert stored.keys() == {
            "operation_id",
            "step",
            "status",
            "timestamp",
            "details",
            "history",
        }
        assert (stored["operation_id"], stored["status"]) == ("op-001", "SUCCESS")
        assert stored["details"] == facts
        assert abs(datetime.now(UTC) - moment) < timedelta(seconds=30)


def test_begun_operation_has_its_request(aws: Sandbox, store: RecordStore) -> None:
    """
    The head item holds the request and that the operation is in progress.
    """
    store.begin("op-001", request())

    head = item(aws)
    assert head["status"] == "IN_PROGRESS"
    assert json.loads(head["details"]["request"])["target_cluster_id"] == "staging"
    operation = store.read("op-001")
    assert (operation.request(), operation.steps) == (request(), {})


def test_recorded_request_is_the_one_that_was_asked_for(store: RecordStore) -> None:
    """
    Whatever is asked for, numbers of every kind included, comes back from the table with the
    digest it was begun with: the run that goes on is not taken for another one.
    """
    asked = request_of_everything()
    assert left_out(asked) == {"snapshot_id", "target_snapshot"}

    store.begin("op-001", asked)

    operation = store.read("op-001")
    recorded = operation.request()
    assert recorded == asked
    assert recorded is not None
    assert request_digest(recorded) == request_digest(asked)
    assert not operation.is_anothers(recorded)
    assert operation.replace == "swap"


def left_out(model: BaseModel) -> set[str]:
    """Return the fields that neither a model nor any model of the same kind in it has."""
    found: dict[type, list[BaseModel]] = {}

    def collect(value: object) -> None:
        if isinstance(value, BaseModel):
            found.setdefault(type(value), []).append(value)
            for name in type(value).model_fields:
                collect(getattr(value, name))
        elif isinstance(value, list):
            for each in value:
                collect(each)

    collect(model)
    return {
        name
        for kind, models in found.items()
        for name, field in kind.model_fields.items()
        if all(getattr(each, name) == field.default for each in models)
    }


def test_same_request_resumes(aws: Sandbox, store: RecordStore) -> None:
    """
    Beginning again with the same request is allowed, also after a failure.
    """
    store.begin("op-001", request())
    store.end("op-001", "FAILED")
    store.begin("op-001", request(operation_id="op-001"))

    assert statuses(aws) == ["IN_PROGRESS", "FAILED", "IN_PROGRESS"]
    assert item(aws)["status"] == "IN_PROGRESS"


def test_other_request_is_refused(aws: Sandbox, store: RecordStore) -> None:
    """
    An operation's name stands for one request; another one changes nothing of its record.
    """
    store.begin("op-001", request())
    before = item(aws)

    with pytest.raises(Refused) as refused:
        store.begin("op-001", request(final_snapshot=False))

    assert str(refused.value) == (
        "operation_id op-001: this operation was begun with another request. "
        "Repeat the same request to resume it, or leave operation_id out."
    )
    assert item(aws) == before


def test_finished_operation_is_not_begun_again(aws: Sandbox, store: RecordStore) -> None:
    """
    What has succeeded stays so: the second cron run of one name deletes nothing.
    """
    store.begin("op-001", request())
    store.end("op-001", "SUCCESS")
    before = item(aws)

    with pytest.raises(Refused) as refused:
        store.begin("op-001", request())
    store.end("op-001", "FAILED")

    assert str(refused.value) == (
        "operation_id op-001: this operation has already succeeded. "
        "Nothing to do; leave operation_id out to start another."
    )
    assert item(aws) == before


def test_operation_whose_first_request_was_invalid_can_begin(store: RecordStore) -> None:
    """
    A run that failed before it had a valid request leaves a name that can still be used.
    """
    store.fail("op-001", Step.CHECK_SNAPSHOT, {}, ERROR)
    store.end("op-001", "FAILED")
    store.note("op-001", announced="m-1")

    store.begin("op-001", request())

    operation = store.read("op-001")
    assert operation.head is not None
    assert (operation.head.status, operation.note("announced")) == ("IN_PROGRESS", "m-1")


def test_note_before_everything_can_be_read(store: RecordStore) -> None:
    """
    A head item that holds nothing but a note is read as an operation that goes on.
    """
    store.note("op-001", announced="m-1")

    assert store.read("op-001").note("announced") == "m-1"


def test_step_goes_from_start_to_success(aws: Sandbox, store: RecordStore) -> None:
    """
    A step's item shows what was known when it began, then what it found; the history shows both.
    """
    store.start("op-001", Step.COPY_SNAPSHOT, FACTS[0])
    begun = item(aws, Step.COPY_SNAPSHOT)
    store.succeed(found().then(CopyStarted, **FACTS[1]))

    assert (begun["status"], begun["details"]) == ("IN_PROGRESS", FACTS[0])
    assert item(aws, Step.COPY_SNAPSHOT)["details"] == FACTS[1]
    assert statuses(aws, Step.COPY_SNAPSHOT) == ["IN_PROGRESS", "SUCCESS"]


def test_success_is_final(aws: Sandbox, store: RecordStore) -> None:
    """
    Nothing that comes late (a retry, a hook, a second process) undoes a success.
    """
    store.succeed(found())
    before = item(aws, Step.CHECK_SNAPSHOT)

    store.start("op-001", Step.CHECK_SNAPSHOT, {})
    store.fail("op-001", Step.CHECK_SNAPSHOT, {}, ERROR)
    store.succeed(found())

    assert item(aws, Step.CHECK_SNAPSHOT) == before


def test_failure_is_recorded_once_an_attempt(aws: Sandbox, store: RecordStore) -> None:
    """
    The task's hook and the flow both record a failure: it stands in the history once, with the
    first error.
    """
    store.start("op-001", Step.COPY_SNAPSHOT, FACTS[0])
    store.fail("op-001", Step.COPY_SNAPSHOT, FACTS[0], ERROR)
    store.fail("op-001", Step.COPY_SNAPSHOT, FACTS[0], {"type": "Other", "message": "later"})

    failed = item(aws, Step.COPY_SNAPSHOT)
    assert failed["status"] == "FAILED"
    assert failed["details"] == FACTS[0] | {"error": ERROR}
    assert statuses(aws, Step.COPY_SNAPSHOT) == ["IN_PROGRESS", "FAILED"]


def test_second_attempt_is_appended(aws: Sandbox, store: RecordStore) -> None:
    """
    A failed step that is tried again keeps the history of the first attempt.
    """
    for _ in range(2):
        store.start("op-001", Step.COPY_SNAPSHOT, FACTS[0])
        store.fail("op-001", Step.COPY_SNAPSHOT, FACTS[0], ERROR)

    assert statuses(aws, Step.COPY_SNAPSHOT) == ["IN_PROGRESS", "FAILED"] * 2


def test_progress_does_not_grow_the_history(aws: Sandbox, store: RecordStore) -> None:
    """
    A wait of hours notes its progress on the record, which does not grow by it.
    """
    store.start("op-001", Step.CHECK_COPY_STATUS, FACTS[1])
    for percent in (0, 10, 20, 99):
        store.note_progress("op-001", Step.CHECK_COPY_STATUS, percent)

    record = store.read("op-001").steps[Step.CHECK_COPY_STATUS]
    assert (record.percent, record.status, record.details) == (99, "IN_PROGRESS", FACTS[1])
    assert statuses(aws, Step.CHECK_COPY_STATUS) == ["IN_PROGRESS"]


def test_attempts_start_is_read_back(store: RecordStore) -> None:
    """
    The record tells to the millisecond when an attempt began.
    """
    before = datetime.now(UTC)
    store.start("op-001", Step.COPY_SNAPSHOT, {})

    started = store.read("op-001").steps[Step.COPY_SNAPSHOT].started_at
    assert started is not None
    assert timedelta(milliseconds=-1) <= started - before < timedelta(seconds=30)


def test_facts_of_every_kind_come_back_as_they_were(store: RecordStore) -> None:
    """
    Floats, which DynamoDB's library refuses, lists, nulls and reserved words survive the table.
    """
    facts = {
        "serverless_min_acu": 0.5,
        "port": 5432,
        "subnet_ids": ["a", "b"],
        "none": None,
        "nested": {"float": 1.25, "flag": True, "empty": ""},
        "status": "reserved",
        "name": "reserved",
    }
    store.start("op-001", Step.COPY_SNAPSHOT, facts)
    store.note("op-001", data=1.5, data_from="2024", owner="o", ttl=7, result=None)

    operation = store.read("op-001")
    assert operation.steps[Step.COPY_SNAPSHOT].details == facts
    assert operation.note("data") == 1.5
    assert [operation.note(each) for each in ("data_from", "owner", "ttl")] == ["2024", "o", 7]


def test_operations_are_kept_apart(store: RecordStore) -> None:
    """
    One operation's records are not seen in another's.
    """
    store.succeed(found())

    other = store.read("op-002")
    assert (other.head, other.steps) == (None, {})


def test_records_are_read_consistently_and_at_once(aws: Sandbox, store: RecordStore) -> None:
    """
    A look at an operation is one Query.
    """
    before = len(aws.events("call"))
    store.succeed(found())
    store.read("op-001")

    made = aws.events("call")[before:]
    assert [each["operation"] for each in made] == ["UpdateItem", "Query"]
