"""The sandbox's own addresses, `/sandbox/…`: to look, to plant failures, to start over."""

import json
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends
from moto.sqs.models import sqs_backends

from sandbox import failures, rds
from sandbox.dynamodb import plain
from sandbox.faults import Fault
from sandbox.wire import Call, Reply, json_reply

if TYPE_CHECKING:
    from sandbox.process import Process

CREDENTIALS_PATH = "/sandbox/credentials"
BAD_REQUEST, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 400, 403, 404, 500


class Control:
    """Answers the calls to `/sandbox/…`, in JSON."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._lock = threading.Lock()
        self._get: dict[str, Callable[[Call], object]] = {
            "ready": lambda _: {"ready": bool(process.facts)},
            "facts": lambda _: process.facts,
            "events": lambda _: self._events(),
            "messages": lambda _: self._messages(),
            "items": lambda call: self._items(call.query.get("operation_id")),
            "tasks": lambda _: process.agent.tasks(),
            "failures": lambda _: {
                "planted": process.faults.planted(),
                "known": describe_failures(),
            },
        }
        self._post: dict[str, Callable[[dict[str, Any]], object]] = {
            "plant": self._plant,
            "clear": lambda _: process.clear(),
            "reset": lambda _: process.reset(),
            "image": lambda wanted: process.agent.add_image(**wanted),
            "durations": rds.durations.change,
            "advance": lambda wanted: process.clock.advance(float(wanted["aws_seconds"])),
        }

    def answer(self, call: Call) -> Reply:
        """Return the reply; 404 for an unknown address, 400 with the reason for a wrong wish."""
        name = call.path.removeprefix("/sandbox/")
        if call.path == CREDENTIALS_PATH:
            return self._credentials(call)
        try:
            with self._lock:  # a reset is done before anything else is looked at
                if call.method == "GET" and name in self._get:
                    return json_reply(self._get[name](call))
                if call.method == "POST" and name in self._post:
                    return json_reply(self._post[name](json.loads(call.body or b"{}")))
        except ValueError as problem:
            return json_reply({"problem": str(problem)}, BAD_REQUEST)
        except Exception:  # noqa: BLE001  the sandbox is broken: whoever asked has to know how
            return json_reply({"problem": traceback.format_exc()}, SERVER_ERROR)
        return json_reply({"problem": f"no {call.method} {call.path}"}, NOT_FOUND)

    def _credentials(self, call: Call) -> Reply:
        if call.headers.get("authorization") != self._process.facts["container_token"]:
            return json_reply({"code": "AccessDenied", "message": "wrong token"}, FORBIDDEN)
        return json_reply(self._process.credentials.container_document())

    def _plant(self, wanted: dict[str, Any]) -> None:
        if "fault" in wanted:
            self._process.faults.plant(Fault(**wanted["fault"]))
            return
        self._process.plant(wanted["name"], **wanted.get("options", {}))

    def _events(self) -> list[dict[str, Any]]:
        rds.tick()
        return self._process.events.entries()

    def _messages(self) -> list[dict[str, Any]]:
        world = self._process.world
        queue = sqs_backends[world.target_account][world.target_region].queues[world.queue]
        return [json.loads(message.body) for message in list(queue._messages)]  # noqa: SLF001

    def _items(self, operation_id: str | None) -> list[dict[str, Any]]:
        world = self._process.world
        tables = dynamodb_backends[world.target_account][world.target_region].tables
        with self._process.quiet("dynamodb"):
            every = [item.to_json()["Attributes"] for item in tables[world.table].all_items()]
        items = [plain(item) for item in every]
        return [item for item in items if operation_id in {None, item["operation_id"]}]


def describe_failures() -> dict[str, str]:
    """Return every failure that can be planted by name, with one line of what happens."""
    return (
        rds.ENDINGS
        | rds.CIRCUMSTANCES
        | {name: each.summary for name, each in failures.FAILURES.items()}
    )
