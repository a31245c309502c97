"""The truth about an operation: its records in DynamoDB."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ValidationError

from aurora_restore.details import Details, Step, steps_of
from aurora_restore.errors import LeaseLost, RecordsDamaged, Refused
from aurora_restore.request import RestoreRequest, request_digest
from aurora_restore.table import Change, ConditionFailed, Item, Table

HEAD = "operation"
Status = Literal["IN_PROGRESS", "SUCCESS", "FAILED", "CANCELLED", "CRASHED", "INTERRUPTED"]
MOMENT = "%Y-%m-%d %H:%M:%S"


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
    fence: int = 0
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

    @property
    def has_succeeded(self) -> bool:
        """Whether the whole operation has."""
        return self.head is not None and self.head.status == "SUCCESS"

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

    def request(self) -> RestoreRequest | None:
        """Return what was asked for, None if that is not known or not valid (any more)."""
        asked = self.head.details.get("request") if self.head else None
        try:
            return None if asked is None else RestoreRequest.model_validate(asked)
        except ValidationError:
            return None

    def times(self, status: str) -> int:
        """Return how often the operation has had a status."""
        return sum(each["status"] == status for each in self.head.history) if self.head else 0

    @property
    def replace(self) -> str:
        """How the old cluster is replaced: delete-first or swap."""
        request = self.head.details.get("request") if self.head else None
        return str((request if isinstance(request, dict) else {}).get("replace", "delete-first"))

    @property
    def order(self) -> tuple[Step, ...]:
        """The operation's steps in the order in which they are done."""
        return steps_of(self.replace)

    @property
    def first_unfinished(self) -> Step | None:
        """The first step, in that order, without a SUCCESS record."""
        return next((step for step in self.order if not self.succeeded(step)), None)


@dataclass(frozen=True)
class Page:
    """The operations that changed last: their head items, newest first.

    `unreadable` are those that are not of the contract's shape; `evaluated` counts both.
    """

    heads: list[StepRecord]
    unreadable: list[RecordsDamaged]
    evaluated: int


class RecordStore:
    """Reads and writes records. Every write may be repeated.

    A write carries the fencing number of the lease under which it is made (`fence` gives it, by
    operation; None where there is no lease): one that comes from a run whose target has been taken
    over since is refused by the table itself; `lost` hears of it.

    All methods raise RecordsUnavailable when the table cannot be used, which always means: stop
    before acting; those that write raise LeaseLost.

    Source: DynamoDB API, Query and UpdateItem.
    """

    def __init__(
        self,
        table: Table,
        index: str = "step-timestamp",
        target_index: str = "target-timestamp",
        *,
        fence: Callable[[str], int | None] = lambda _: None,
        lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._table, self._index, self._target_index = table, index, target_index
        self._fence, self._lost = fence, lost

    def read(self, operation_id: str) -> Operation:
        """Return all records of an operation, by one consistent read.

        Raises:
            RecordsDamaged: an item is not of the contract's shape.
        """
        items = self._table.query(
            ConsistentRead=True,
            KeyConditionExpression="operation_id = :operation_id",
            ExpressionAttributeValues={":operation_id": {"S": operation_id}},
        )
        records = [_from_item(item) for item in items if item["step"] in {HEAD, *Step}]
        steps = {Step(each.step): each for each in records if each.step != HEAD}
        head = next((each for each in records if each.step == HEAD), None)
        return Operation(operation_id, head, steps)

    def recent(
        self, limit: int, target: str | None = None, since: datetime | None = None
    ) -> list[StepRecord]:
        """Return the head items that `page` finds and that can be read."""
        return self.page(limit, target, since).heads

    def page(self, limit: int, target: str | None = None, since: datetime | None = None) -> Page:
        """Return the head items of the operations that changed last, newest first, by one query.

        At most `limit`, of every target or of one (account/Region/cluster), not older than `since`.
        The indexes, on `step` and `timestamp` and on `target` and `timestamp`, are eventually
        consistent: good for a list, never for deciding what may be done.
        """
        name, value = ("step", HEAD) if target is None else ("target", target)
        condition, values = "#name = :name", {":name": {"S": value}}
        if since is not None:
            condition += " AND #timestamp >= :since"
            values[":since"] = {"S": since.astimezone(UTC).strftime(MOMENT)}
        items = self._table.query(
            IndexName=self._index if target is None else self._target_index,
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#name": name}
            | ({} if since is None else {"#timestamp": "timestamp"}),
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            Limit=limit,
        )
        heads: list[StepRecord] = []
        unreadable: list[RecordsDamaged] = []
        for item in items:
            try:
                # Whatever else lies in the table may have an attribute called `target`.
                heads += [_from_item(item)] if item["step"] == HEAD else []
            except RecordsDamaged as damaged:
                unreadable.append(damaged)
        return Page(heads, unreadable, len(items))

    def begin(
        self, operation_id: str, request: RestoreRequest, plan_hash: str | None = None
    ) -> None:
        """Put the head item: the request, that the operation is in progress, what was agreed to.

        Raises:
            Refused: the operation is another request's, or has already succeeded.
        """
        digest = request_digest(request)
        # A head item without a digest is of a run that ended before it had a valid request.
        if self.read(operation_id).is_anothers(request):
            raise another_request(operation_id)
        # As text: the table has one kind of number, so 0.0 would come back as 0, another request.
        details = {"request": request.model_dump_json(), "request_digest": digest}
        attributes: Item = {"details": details, "target": request.target_name}
        if plan_hash is not None:
            attributes["plan_hash"] = plan_hash
        try:
            self._put(operation_id, HEAD, "IN_PROGRESS", attributes)
        except _AlreadySo:
            raise Refused(
                f"operation_id {operation_id}",
                "this operation has already succeeded",
                "Nothing to do; leave operation_id out to start another.",
            ) from None

    def end(self, operation_id: str, result: Status) -> None:
        """Set the operation's overall status on its head item."""
        with suppress(_AlreadySo):
            self._put(operation_id, HEAD, result, {})

    def start(self, operation_id: str, step: Step, details: Mapping[str, Any]) -> None:
        """Record that a step works, with what was known when it began."""
        self._put_quietly(operation_id, step, "IN_PROGRESS", details)

    def succeed(self, reached: Details) -> None:
        """Record what a finished step knows."""
        if reached.step is not None:
            self.complete(reached.operation_id, reached.step, reached.facts())

    def complete(self, operation_id: str, step: Step, facts: Mapping[str, Any]) -> None:
        """Record a step as finished, with these facts."""
        self._put_quietly(operation_id, step, "SUCCESS", facts)

    def fail(
        self, operation_id: str, step: Step, facts: Mapping[str, Any], error: Mapping[str, Any]
    ) -> None:
        """Record that a step failed: its predecessor's facts and the error. Once an attempt."""
        with suppress(_AlreadySo):
            details = {**facts, "error": dict(error)}
            self._put(operation_id, step, "FAILED", {"details": details}, once=True)

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

    def remark(self, operation_id: str, status: Status) -> None:
        """Set an unfinished operation's status on its head item: it was stopped, not ended."""
        with suppress(_AlreadySo):
            self._put(operation_id, HEAD, status, {}, once=True)

    def _put_quietly(
        self, operation_id: str, step: str, status: Status, details: Mapping[str, Any]
    ) -> None:
        with suppress(_AlreadySo):
            self._put(operation_id, step, status, {"details": details})

    def _put(
        self,
        operation_id: str,
        step: str,
        status: Status,
        attributes: Mapping[str, Any],
        *,
        once: bool = False,
    ) -> None:
        """Write an item's status and more, unless that is SUCCESS, which is final, or (`once`) is
        so already.

        Raises:
            _AlreadySo: it was not written.
        """
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "status": status,
            "timestamp": now.strftime(MOMENT),
            "history": [{"status": status, "at": now.isoformat(timespec="milliseconds")}],
            "empty": [],
            "final": "SUCCESS",
            "same": status if once else "SUCCESS",
        }
        expression = (
            "SET #status = :status, #timestamp = :timestamp, "
            "#history = list_append(if_not_exists(#history, :empty), :history)"
        )
        for name in attributes:
            expression += f", #{name} = :{name}"
        self._update(
            operation_id,
            step,
            expression,
            values | dict(attributes),
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
        fence = self._fence(operation_id)
        if fence is not None:
            values = {**values, "fence": fence}
            expression += ", #fence = :fence"
            fenced = "(attribute_not_exists(#fence) OR #fence <= :fence)"
            condition = fenced if condition is None else f"({condition}) AND {fenced}"
        try:
            self._table.write(Change((operation_id, step), expression, values, condition))
        except ConditionFailed as failed:
            if fence is not None and failed.item.get("fence", 0) > fence:
                self._lost(operation_id)
                raise LeaseLost(
                    f"operation {operation_id}", "another run has taken its target over"
                ) from None
            raise _AlreadySo from failed


def another_request(operation_id: str) -> Refused:
    """Return the refusal of a request that takes another one's operation."""
    return Refused(
        f"operation_id {operation_id}",
        "this operation was begun with another request",
        "Repeat the same request to resume it, or leave operation_id out.",
    )


class _AlreadySo(Exception):
    """The item is already in the state that must not be overwritten."""


def _from_item(item: Item) -> StepRecord:
    """Return a record, whatever else the item holds.

    Raises:
        RecordsDamaged: an attribute of the contract has another type.
    """
    fields = {name: item.pop(name) for name in StepRecord.__dataclass_fields__ if name in item}
    missing = [name for name in ("status", "timestamp", "details") if name not in fields]
    wrong = [
        name for name, kind in _KINDS.items() if not isinstance(fields.get(name, kind()), kind)
    ]
    if "history" not in wrong and not all(map(_is_change, fields.get("history", []))):
        wrong.append("history")
    # A head item may hold notes alone: what was to be told of a run that never began.
    if wrong or (missing and fields["step"] != HEAD):
        raise RecordsDamaged(
            f"record {fields['step']} of operation {fields['operation_id']}",
            f"its {', '.join(wrong or missing)} cannot be read",
        )
    try:
        if isinstance(item.get("plan"), str):
            item["plan"] = json.loads(item["plan"])
    except ValueError:
        resource = f"record {fields['step']} of operation {fields['operation_id']}"
        raise RecordsDamaged(resource, "its plan cannot be read") from None
    asked = fields.get("details", {}).get("request")
    if isinstance(asked, str):
        # One that is no JSON stays as it is: not a valid request.
        with suppress(ValueError):
            fields["details"]["request"] = json.loads(asked)
    return StepRecord(**fields, notes=item)


def _is_change(entry: object) -> bool:
    """Whether it is an entry of a history: a status and its moment, with an offset."""
    try:
        moment = datetime.fromisoformat(entry["at"])  # type: ignore[index]
        return isinstance(entry["status"], str) and moment.tzinfo is not None  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return False


_KINDS: dict[str, type] = {
    "status": str,
    "timestamp": str,
    "details": dict,
    "history": list,
    "fence": int,
    "percent": int,
}
