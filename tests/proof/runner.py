"""Runs of the flow in processes of their own, which die or freeze at any of their points.

`python -m tests.proof.runner` reads one JSON document a line and answers with one: it forks for
each run, so that a run starts in milliseconds, and dies as a killed process does: at once, without
any code of its own. A point is a moment before something is asked of AWS or of PostgreSQL, or after
the last of these.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import extensions

KILLED = -signal.SIGKILL
LEASE = "dynamodb TransactWriteItems"  # taken once; afterwards only renewed
READING = ("Describe", "Get", "List", "Query", "AssumeRole")


class Points:
    """Counts the points of a run, and kills or freezes the process at the one that is asked for.

    It is frozen at the next point after a request that contains the text `stops_after` has been
    answered: whatever it does next it does once it is woken. The renewals of the lease, in a thread
    of their own, are no such points.
    """

    def __init__(
        self,
        dies_at: int | None = None,
        dies_after: int | None = None,
        stops_after: str | None = None,
    ) -> None:
        self._dies_at, self._dies_after, self._stops_after = dies_at, dies_after, stops_after
        self._stops_in: int | None = None
        self.passed: list[str] = []
        self.changes: list[str] = []
        self.trace: int | None = None
        """A file that outlives this process, for what it has changed."""

    def reach(self, what: str, said: str = "") -> None:
        """A point is reached: `what` comes next, and says so much."""
        if self._dies_at == len(self.passed) or self._dies_after == len(self.changes):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._stops_in == threading.get_ident():
            self._stops_in = None
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._stops_after is not None and self._stops_after in said:
            self._stops_in, self._stops_after = threading.get_ident(), None
        self.passed.append(what)
        if is_change(what) and not (what == LEASE and LEASE in self.changes):
            self.changes.append(what)
            if self.trace is not None:
                os.write(self.trace, f"{what}\n".encode())

    def watch_postgres(self) -> None:
        """Let every statement and every COMMIT be one. Nothing is replaced, only counted."""
        reach, connect = self.reach, psycopg2.connect

        class Cursor(extensions.cursor):
            def execute(self, *arguments: Any) -> None:
                reach("postgres statement")
                super().execute(*arguments)

        class Connection(extensions.connection):
            def commit(self) -> None:
                reach("postgres COMMIT")
                super().commit()

        def counted(**how: Any) -> Any:
            reach("postgres login")
            return connect(connection_factory=Connection, cursor_factory=Cursor, **how)

        psycopg2.connect = counted  # type: ignore[assignment]


current = Points()


def warm_up(facts: dict[str, str]) -> None:
    """Make every client a run needs, once for all children: that takes longer than a run does.

    Each sends nothing before it has told the current run's points.
    """
    from aurora_restore import sessions  # noqa: PLC0415
    from aurora_restore.settings import settings  # noqa: PLC0415

    def sending(event_name: str, request: Any, **_: Any) -> None:
        _, service, operation = event_name.split(".")
        said = request.body or b""
        current.reach(f"{service} {operation}", said if isinstance(said, str) else said.decode())

    known = settings()
    source = (known.source_role_arn, known.source_external_id)
    for identity in ((None, None), source):
        sessions._session(*identity)._session.register("before-send", sending)
    here, there = facts["target_region"], facts["source_region"]
    for service in ("ec2", "kms", "rds", "secretsmanager", "sns", "sts"):
        sessions._client(service, here, None, None)
    sessions._client("rds", there, None, None)
    sessions._client("dynamodb", None, None, None)
    for service in ("kms", "rds", "sts"):
        sessions._client(service, there, *source)


def is_change(what: str) -> bool:
    """Whether something is different afterwards; of a transaction, only once it is committed."""
    service, _, call = what.partition(" ")
    if service == "postgres":
        return call == "COMMIT"
    return not (call.startswith(READING) or service in {"kms", "end"})


def run(wish: dict[str, Any]) -> dict[str, Any]:
    """Run the flow once in this process; return its points and changes, seconds, and error."""
    from prefect.settings import (  # noqa: PLC0415
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_LEVEL,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    from aurora_restore.settings import settings  # noqa: PLC0415
    from flows.restore import restore_aurora_cluster  # noqa: PLC0415

    settings.cache_clear()  # the environment of this run may be another one
    global current  # noqa: PLW0603 - this process does one run
    current = points = Points(
        *(wish.get(each) for each in ("dies_at", "dies_after", "stops_after"))
    )
    points.trace = wish["trace"]
    points.watch_postgres()
    began, error = time.monotonic(), None
    with temporary_settings(
        {
            PREFECT_API_URL: wish["api_url"],
            PREFECT_CLIENT_MAX_RETRIES: wish["api_retries"],
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # its thread sleeps a second before it ends
            PREFECT_LOGGING_TO_API_ENABLED: False,
            PREFECT_LOGGING_LEVEL: "ERROR",
        }
    ):
        try:
            restore_aurora_cluster(wish["request"])
        except Exception as failed:  # noqa: BLE001 - the test looks at it
            error = f"{type(failed).__name__}: {failed}"
    points.reach("end")
    return {
        "points": points.passed,
        "changes": points.changes,
        "seconds": time.monotonic() - began,
        "error": error,
    }


def forked(wish: dict[str, Any], act: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Do it in a child; return what that says, or that it was killed and after which change."""
    reading, writing = os.pipe()
    trace = os.memfd_create("changes")
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.environ.update(wish["environment"])
        answer = json.dumps(act(wish | {"trace": trace})).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with os.fdopen(trace, "rb") as changed:
        changed.seek(0)
        changes = changed.read().decode().splitlines()
    return {"code": code, "changes": changes} | (json.loads(said) if code == 0 else {})


def main() -> None:
    """Answer until standard input closes."""
    import flows.restore  # noqa: F401, PLC0415 - once for all children

    facts = json.loads(sys.stdin.readline())
    os.environ.update(facts["environment"])
    warm_up(facts)
    out = os.dup(1)
    os.dup2(2, 1)  # what the flow prints does not mix with the answers
    for line in sys.stdin:
        answer = forked(json.loads(line), run)
        os.write(out, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
