"""The truth about an operation: its records in DynamoDB."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from aurora_restore.details import Details, Step, steps_of
from aurora_restore.errors import RecordsUnavailable, Refused, aws_code
from aurora_restore.request import RestoreRequest, request_digest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HEAD = "operation"
Status = Literal["IN_PROGRESS", "SUCCESS", "FAILED", "CANCELLED", "CRASHED"]


@dataclass(frozen=True)
class StepRecord:
    """One item of the table: the state of one step, or of the operation (`step` = "operation")."""

    operation_id: str
    step: str
    status: Status = "IN_PROGRESS"
    timestamp: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    percent: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def started_at(self) -> datetime | None:
        """When the latest attempt began."""
        starts = [entry["at"] for entry in self.history if entry["status"] == "IN_PROGRESS"]
        return datetime.fromisoformat(starts[-1]) if starts else None


@dataclass(frozen=True)
class Operation:
    """Everything recorded of one operation."""

    operation_id: str
    head: StepRecord | None
    steps: dict[Step, StepRecord]

    def succeeded(self, step: Step) -> bool:
        """Whether the step has its SUCCESS record."""
        return step in self.steps and self.steps[step].status == "SUCCESS"

    def note(self, name: str) -> Any:
        """Return a fact that was noted on the head item, or None."""
        return self.head.notes.get(name) if self.head else None

    def is_anothers(self, request: RestoreRequest | None) -> bool:
        """Whether the operation was begun with another request (None: with an invalid one)."""
        digest = self.head.details.get("request_digest") if self.head else None
        return digest is not None and (request is None or digest != request_digest(request))

    @property
    def replace(self) -> str:
        """How the old cluster is replaced: delete-first or swap."""
        request = self.head.details.get("request", {}) if self.head else {}
        return str(request.get("replace", "delete-first"))

    @property
    def order(self) -> tuple[Step, ...]:
        """The operation's steps in the order in which they are done."""
        return steps_of(self.replace)

    @property
    def first_unfinished(self) -> Step | None:
        """The first step, in that order, without a SUCCESS record."""
        return next((step for step in self.order if not self.succeeded(step)), None)


class RecordStore:
    """Reads and writes records. Every write may be repeated.

    All methods raise RecordsUnavailable when the table cannot be reached, which always means:
    stop before acting.

    Source: DynamoDB API, Query and UpdateItem.
    """

    def __init__(self, client: "DynamoDBClient", table: str, index: str = "step-timestamp") -> None:
        self._client, self._table, self._index = client, table, index

    def read(self, operation_id: str) -> Operation:
        """Return all records of an operation, by one consistent read."""
        with self._reaching():
            page = self._client.query(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="operation_id = :operation_id",
                ExpressionAttributeValues={":operation_id": {"S": operation_id}},
            )
        records = [_from_item(item) for item in page["Items"]]
        steps = {Step(each.step): each for each in records if each.step in set(Step)}
        head = next((each for each in records if each.step == HEAD), None)
        return Operation(operation_id, head, steps)

    def recent(self, limit: int) -> list[StepRecord]:
        """Return the head items of the operations that changed last, newest first, by one query.

        The index on `step` and `timestamp` is eventually consistent: good for a list, never for
        deciding what may be done.
        """
        with self._reaching():
            page = self._client.query(
                TableName=self._table,
                IndexName=self._index,
                KeyConditionExpression="#step = :head",
                ExpressionAttributeNames={"#step": "step"},
                ExpressionAttributeValues={":head": {"S": HEAD}},
                ScanIndexForward=False,
                Limit=limit,
            )
        return [_from_item(item) for item in page["Items"]]

    def begin(self, operation_id: str, request: RestoreRequest) -> None:
        """Put the head item: the request, and that the operation is in progress.

        Raises:
            Refused: the operation is another request's, or has already succeeded.
        """
        digest = request_digest(request)
        # A head item without a digest is of a run that ended before it had a valid request.
        if self.read(operation_id).is_anothers(request):
            raise Refused(
                f"operation_id {operation_id}",
                "this operation was begun with another request",
                "Repeat the same request to resume it, or leave operation_id out.",
            )
        details = {"request": request.model_dump(mode="json"), "request_digest": digest}
        try:
            self._put(operation_id, HEAD, "IN_PROGRESS", details)
        except _AlreadySo:
            raise Refused(
                f"operation_id {operation_id}",
                "this operation has already succeeded",
                "Nothing to do; leave operation_id out to start another.",
            ) from None

    def end(self, operation_id: str, result: Status) -> None:
        """Set the operation's overall status on its head item."""
        with suppress(_AlreadySo):
            self._put(operation_id, HEAD, result, None)

    def start(self, operation_id: str, step: Step, details: Mapping[str, Any]) -> None:
        """Record that a step works, with what was known when it began."""
        self._put_quietly(operation_id, step, "IN_PROGRESS", details)

    def succeed(self, reached: Details) -> None:
        """Record what a finished step knows."""
        if reached.step is not None:
            self._put_quietly(reached.operation_id, reached.step, "SUCCESS", reached.facts())

    def fail(
        self, operation_id: str, step: Step, facts: Mapping[str, Any], error: Mapping[str, Any]
    ) -> None:
        """Record that a step failed: its predecessor's facts and the error. Once an attempt."""
        with suppress(_AlreadySo):
            self._put(operation_id, step, "FAILED", {**facts, "error": dict(error)}, once=True)

    def note_progress(self, operation_id: str, step: Step, percent: int) -> None:
        """Keep how far a wait has come (0 to 100) on the step's record."""
        with suppress(_AlreadySo):
            self._update(
                operation_id,
                step,
                "SET #percent = :percent",
                {"percent": percent},
                condition="attribute_exists(operation_id)",
            )

    def note(self, operation_id: str, **facts: Any) -> None:
        """Add facts to the head item: the outcome, whether it was announced, the data's age."""
        assignments = ", ".join(f"#{name} = :{name}" for name in facts)
        self._update(operation_id, HEAD, f"SET {assignments}", facts)

    def _put_quietly(
        self, operation_id: str, step: str, status: Status, details: Mapping[str, Any]
    ) -> None:
        with suppress(_AlreadySo):
            self._put(operation_id, step, status, details)

    def _put(
        self,
        operation_id: str,
        step: str,
        status: Status,
        details: Mapping[str, Any] | None,
        *,
        once: bool = False,
    ) -> None:
        """Write an item's status, unless it is SUCCESS, which is final, or (`once`) is so already.

        Raises:
            _AlreadySo: it was not written.
        """
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "status": status,
            "timestamp": now.strftime("%Y-%m-%d %H:%M:%S"),
            "history": [{"status": status, "at": now.isoformat(timespec="milliseconds")}],
            "empty": [],
            "final": "SUCCESS",
            "same": status if once else "SUCCESS",
        }
        expression = (
            "SET #status = :status, #timestamp = :timestamp, "
            "#history = list_append(if_not_exists(#history, :empty), :history)"
        )
        if details is not None:
            values["details"] = details
            expression += ", #details = :details"
        self._update(
            operation_id,
            step,
            expression,
            values,
            condition="attribute_not_exists(#status) OR NOT #status IN (:final, :same)",
        )

    def _update(
        self,
        operation_id: str,
        step: str,
        expression: str,
        values: Mapping[str, Any],
        condition: str | None = None,
    ) -> None:
        used = expression + (condition or "")
        names = {f"#{name}": name for name in values if f"#{name}" in used}
        guard: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        with self._reaching():
            self._client.update_item(
                TableName=self._table,
                Key={"operation_id": {"S": operation_id}, "step": {"S": step}},
                UpdateExpression=expression,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    f":{name}": _SERIALIZER.serialize(_storable(value))
                    for name, value in values.items()
                },
                **guard,
            )

    def _reaching(self) -> "_Reaching":
        return _Reaching(self._table)


class _AlreadySo(Exception):
    """The item is already in the state that must not be overwritten."""


class _Reaching:
    """Turns whatever keeps the table from answering into one error with a remedy."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __enter__(self) -> None: ...

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if aws_code(error) == "ConditionalCheckFailedException" if error else False:
            raise _AlreadySo from error
        if isinstance(error, BotoCoreError | ClientError):
            reason = aws_code(error) or type(error).__name__
            raise RecordsUnavailable(
                f"DynamoDB table {self._table}", f"cannot be used ({reason})"
            ) from error


_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


def _from_item(item: Mapping[str, Any]) -> StepRecord:
    plain = {name: _plain(_DESERIALIZER.deserialize(value)) for name, value in item.items()}
    fields = {name: plain.pop(name) for name in StepRecord.__dataclass_fields__ if name in plain}
    return StepRecord(**fields, notes=plain)


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
