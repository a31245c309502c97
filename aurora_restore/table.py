"""The DynamoDB table in plain Python: reads and conditional writes that wait out an outage."""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from aurora_restore.errors import RecordsUnavailable, aws_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

R = TypeVar("R")
Item = dict[str, Any]

LOOK_AGAIN_SECONDS = 2.0
# DynamoDB answers these with 400, and they heal.
_PASSING = {
    "ExpiredTokenException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_CONDITION = "ConditionalCheckFailed"


class ConditionFailed(Exception):
    """The item is not as the write wants it; nothing was written. `item` is what was found."""

    def __init__(self, item: Item) -> None:
        super().__init__(item)
        self.item = item


class Change:
    """One conditional update of one item: attributes to set, and what has to hold before.

    `expression` may say more than `values` to set; names and values in it and in `condition` are
    `#name` and `:name`.
    """

    def __init__(
        self,
        key: tuple[str, str],
        expression: str,
        values: Mapping[str, Any],
        condition: str | None = None,
    ) -> None:
        self._key, self._expression, self._values = key, expression, values
        self._condition = condition

    def to_api(self, table: str) -> Any:
        """Return it in the shape UpdateItem and TransactWriteItems take."""
        used = f"{self._expression} {self._condition or ''}"
        guard = {"ConditionExpression": self._condition} if self._condition else {}
        operation_id, step = self._key
        names = {f"#{name}": name for name in self._values if f"#{name}" in used}
        return {
            "TableName": table,
            "Key": {"operation_id": {"S": operation_id}, "step": {"S": step}},
            "UpdateExpression": self._expression,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {
                f":{name}": _SERIALIZER.serialize(_storable(value))
                for name, value in self._values.items()
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **guard,
        }


class Table:
    """The table of the records and the leases.

    All methods raise RecordsUnavailable when the table cannot be used, which always means: stop
    before acting. What heals by itself (throttling, an outage) is asked again for `patience`
    seconds, by whoever meets it first; until the table answers again nobody else waits.

    Source: DynamoDB API, Query, UpdateItem, TransactWriteItems.
    """

    def __init__(self, client: "DynamoDBClient", name: str, patience: float = 0.0) -> None:
        self._client, self.name, self._patience = client, name, patience
        self._exhausted = False

    def hurry(self) -> None:
        """Wait out nothing any more: this process has only seconds left."""
        self._patience = 0.0

    def query(self, **how: Any) -> list[Item]:
        """Return the items of one page, in plain Python."""
        page = self._asked(lambda: self._client.query(TableName=self.name, **how))
        return [from_api(item) for item in page["Items"]]

    def get(self, operation_id: str, step: str) -> Item | None:
        """Return one item by a consistent read, or None."""
        key = {"operation_id": {"S": operation_id}, "step": {"S": step}}
        answer = self._asked(
            lambda: self._client.get_item(TableName=self.name, Key=key, ConsistentRead=True)
        )
        return from_api(answer["Item"]) if "Item" in answer else None

    def write(self, change: Change) -> None:
        """Update one item. Safe to repeat if its condition is.

        Raises:
            ConditionFailed: the item is not as the change wants it.
        """
        self._asked(lambda: self._client.update_item(**change.to_api(self.name)))

    def write_all(self, changes: Sequence[Change]) -> None:
        """Update several items, all or none.

        Raises:
            ConditionFailed: one of them is not as its change wants it.
        """
        items: Any = [{"Update": change.to_api(self.name)} for change in changes]
        self._asked(lambda: self._client.transact_write_items(TransactItems=items))

    def _asked(self, ask: Callable[[], R]) -> R:
        until = time.monotonic() + (0.0 if self._exhausted else self._patience)
        while True:
            try:
                answer = ask()
            except (BotoCoreError, ClientError) as error:
                if (found := _failed_condition(error)) is not None:
                    self._exhausted = False
                    raise ConditionFailed(found) from error
                if not _passes(error) or time.monotonic() >= until:
                    self._exhausted = _passes(error)
                    reason = aws_code(error) or type(error).__name__
                    raise RecordsUnavailable(
                        f"DynamoDB table {self.name}", f"cannot be used ({reason})"
                    ) from error
                time.sleep(min(LOOK_AGAIN_SECONDS, self._patience / 10))
            else:
                self._exhausted = False
                return answer


def _failed_condition(error: Exception) -> Item | None:
    """Return the item that did not meet the condition; None if the error is another one."""
    if not isinstance(error, ClientError):
        return None
    response: Any = error.response
    if aws_code(error) == f"{_CONDITION}Exception":
        return from_api(response.get("Item", {}))
    for reason in response.get("CancellationReasons", []):
        if reason.get("Code") == _CONDITION:
            return from_api(reason.get("Item", {}))
    return None


def _passes(error: Exception) -> bool:
    """Whether the error heals by itself."""
    if not isinstance(error, ClientError):
        return isinstance(error, HTTPClientError)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reasons: Any = error.response.get("CancellationReasons", [])
    conflict = any(each.get("Code") == "TransactionConflict" for each in reasons)
    return conflict or aws_code(error) in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR


_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


def from_api(item: Mapping[str, Any]) -> Item:
    """Return an item without DynamoDB's types; numbers are int where they are whole."""
    return {name: _plain(_DESERIALIZER.deserialize(value)) for name, value in item.items()}


def _storable(value: Any) -> Any:
    """DynamoDB refuses floats."""
    match value:
        case float():
            return Decimal(str(value))
        case Mapping():
            return {name: _storable(each) for name, each in value.items()}
        case list() | tuple():
            return [_storable(each) for each in value]
        case _:
            return value


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value
