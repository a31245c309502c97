"""What happened in the sandbox, in order: every API call and every change of status."""

import threading
from datetime import UTC, datetime
from typing import Any

from sandbox.clock import Clock


class EventLog:
    """An append-only list of plain dictionaries, safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def add(self, kind: str, /, at: float | None = None, **facts: Any) -> None:
        """Add an entry of `kind` ("call" or "status"); `at` is in real seconds since the epoch."""
        moment = self._clock.now() if at is None else at
        entry = {
            "at": datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds"),
            "aws_seconds": round(
                self._clock.elapsed() - self._clock.aws(self._clock.now() - moment), 1
            ),
            "kind": kind,
        } | facts
        with self._lock:
            self._entries.append(entry)

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries, oldest first by the moment at which they happened."""
        with self._lock:
            return sorted(self._entries, key=lambda entry: str(entry["at"]))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
