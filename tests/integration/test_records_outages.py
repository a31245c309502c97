"""A table that does not answer: one error, with what to do, whatever the reason."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from examples import request
from test_records_store import aws, client, found, store

from aurora_restore.details import Step
from aurora_restore.errors import RecordsUnavailable
from aurora_restore.records import RecordStore
from aurora_restore.table import Table
from sandbox import Sandbox
from sandbox.keys import admin_keys

__all__ = ["aws", "client", "store"]


@pytest.mark.parametrize("act", ["read", "begin", "start", "note"])
def test_table_that_is_down_stops_everything(aws: Sandbox, store: RecordStore, act: str) -> None:
    """
    While the table does not answer, each use of it raises one error, with what to do.
    """
    aws.plant("dynamodb-down")
    uses = {
        "read": lambda: store.read("op-001"),
        "begin": lambda: store.begin("op-001", request()),
        "start": lambda: store.start("op-001", Step.COPY_SNAPSHOT, {}),
        "note": lambda: store.note("op-001", announced=None),
    }

    with pytest.raises(RecordsUnavailable) as unavailable:
        uses[act]()

    assert str(unavailable.value) == (
        "DynamoDB table aurora-restore-state: cannot be used (InternalServerError). Make the "
        "DynamoDB table reachable (name, Region, permissions, throughput), then run again with "
        "the same operation_id."
    )


def test_missing_table_is_told(aws: Sandbox, client: Any) -> None:
    """
    A table that does not exist is told as such.
    """
    with pytest.raises(RecordsUnavailable, match=r"^DynamoDB table no-such-table: .*NotFound"):
        RecordStore(Table(client, "no-such-table")).read("op-001")


def test_unreachable_endpoint_is_told(aws: Sandbox) -> None:
    """
    A table that cannot be reached at all is the same error, not a network library's.
    """
    key, secret = admin_keys(aws.facts["target_account"])
    dead = boto3.Session(key, secret, region_name="us-west-2").client(
        "dynamodb",
        endpoint_url="http://127.0.0.1:9",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, connect_timeout=1),
    )

    with pytest.raises(RecordsUnavailable, match="EndpointConnectionError"):
        RecordStore(Table(dead, "aurora-restore-state")).succeed(found())


def test_denied_write_is_told(aws: Sandbox, store: RecordStore) -> None:
    """
    A write that AWS denies is not passed over.
    """
    aws.plant("dynamodb-denied", step=Step.COPY_SNAPSHOT)

    with pytest.raises(RecordsUnavailable, match=r"cannot be used \(AccessDeniedException\)"):
        store.start("op-001", Step.COPY_SNAPSHOT, {})
