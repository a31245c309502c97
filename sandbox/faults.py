"""Planted failures of single API calls: which calls, and what happens to them."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sandbox.clock import Clock
from sandbox.dynamodb import written
from sandbox.wire import AwsError, Call, ConnectionLost

_NAMES = (
    "DBClusterIdentifier",
    "DBClusterSnapshotIdentifier",
    "DBInstanceIdentifier",
    "SourceDBClusterSnapshotIdentifier",
    "TargetDBClusterSnapshotIdentifier",
)


@dataclass(frozen=True)
class Fault:
    """A failure of the API calls it concerns.

    - `operation`: one or several names; None is every one of the service.
    - `code`: the error; None lets the call go well (for `delay` or `lose_reply` alone).
    - `times`: how many calls fail; None is all. `after`: so many go well before. `every`: then
      only each n-th fails.
    - `match`: texts that the parameter of that name, at any depth ("*": any parameter), contains.
      For DynamoDB's writes: attributes that one of the items written has, exactly.
    - `identifier`: the cluster, snapshot or instance the call is about; may hold `*` and `?`.
    - `single_step`: only copies whose source is of another account and another Region.
    - `delay`: real seconds before anything happens. `drop_connection`: closed without having done
      anything. `lose_reply`: carried out, then closed.
    - `aws_seconds`: it ends so long after it was planted. `after_step`: it begins once an item of
      that step has been written.
    """

    service: str
    operation: str | tuple[str, ...] | list[str] | None = None
    code: str | None = None
    message: str = ""
    status: int = 400
    times: int | None = 1
    after: int = 0
    every: int = 1
    match: Mapping[str, str] = field(default_factory=dict)
    identifier: str | None = None
    single_step: bool = False
    account: str | None = None
    region: str | None = None
    delay: float = 0.0
    drop_connection: bool = False
    lose_reply: bool = False
    aws_seconds: float | None = None
    after_step: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the fault as JSON carries it."""
        return asdict(self)

    def concerns(self, call: Call) -> bool:
        """Tell whether the call is one of those that this fault is about."""
        names = (self.operation,) if isinstance(self.operation, str) else self.operation
        return (
            self.service == call.service
            and (names is None or call.operation in names)
            and self.account in {None, call.account}
            and self.region in {None, call.region}
            and (not self.match or self._matches(call))
            and (self.identifier is None or self._is_about(call, self.identifier.lower()))
            and (not self.single_step or _is_single_step(call))
        )

    @staticmethod
    def _is_about(call: Call, identifier: str) -> bool:
        return any(
            fnmatchcase(str(call.parameters[name]).rpartition(":")[2].lower(), identifier)
            for name in _NAMES
            if name in call.parameters
        )

    def _matches(self, call: Call) -> bool:
        if items := _items(call):
            return any(
                all(item.get(name) == text for name, text in self.match.items()) for item in items
            )
        leaves = list(_leaves(call.parameters))
        return all(
            any(text in leaf for key, leaf in leaves if name in {"*", key})
            for name, text in self.match.items()
        )


@dataclass
class _Planted:
    fault: Fault
    ends: float
    begun: bool
    seen: int = 0
    struck: int = 0

    def strikes(self, call: Call, now: float) -> bool:
        """Count the call, and tell whether it is to fail."""
        fault = self.fault
        spent = fault.times is not None and self.struck >= fault.times
        if not self.begun or spent or now >= self.ends or not fault.concerns(call):
            return False
        self.seen += 1
        late = self.seen - fault.after
        if late <= 0 or late % fault.every:
            return False
        self.struck += 1
        return True


class Faults:
    """The planted faults. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._planted: list[_Planted] = []
        self._lock = threading.Lock()

    def plant(self, fault: Fault) -> None:
        """Let `fault` strike from now on."""
        lasts = float("inf") if fault.aws_seconds is None else self._clock.real(fault.aws_seconds)
        begun = fault.after_step is None
        with self._lock:
            self._planted.append(_Planted(fault, self._clock.now() + lasts, begun))

    def clear(self) -> None:
        """Let none strike any more."""
        with self._lock:
            self._planted.clear()

    def planted(self) -> list[dict[str, Any]]:
        """Return the faults, each with how often it has struck."""
        with self._lock:
            return [entry.fault.document() | {"struck": entry.struck} for entry in self._planted]

    def meet(self, call: Call) -> Fault | None:
        """Let the first fault that strikes have its way; None if there is none.

        Returns the fault if the call is to be carried out all the same (a delay, a lost reply).

        Raises:
            AwsError: what the fault says.
            ConnectionLost: the connection is to be dropped.
        """
        with self._lock:
            now = self._clock.now()
            fault = next((e.fault for e in self._planted if e.strikes(call, now)), None)
        if fault is None:
            return None
        time.sleep(fault.delay)
        if fault.drop_connection:
            raise ConnectionLost
        if fault.code is not None:
            raise AwsError(fault.code, fault.message, fault.status)
        return fault

    def witness(self, call: Call) -> None:
        """Begin the faults that wait for the item which this call has written."""
        with self._lock:
            waiting = [entry for entry in self._planted if not entry.begun]
        for entry in waiting:
            if any(item.get("step") == entry.fault.after_step for item in _items(call)):
                entry.begun = True


def _items(call: Call) -> list[dict[str, Any]]:
    return written(call.operation, call.parameters) if call.service == "dynamodb" else []


def _is_single_step(call: Call) -> bool:
    parts = str(call.parameters.get("SourceDBClusterSnapshotIdentifier", "")).split(":")
    return parts[0] == "arn" and parts[3] != call.region and parts[4] != call.account


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give every scalar with the name of its parameter."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(member, key)
    elif isinstance(value, list):
        for member in value:
            yield from _leaves(member, name)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, default=str)
