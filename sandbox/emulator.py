"""Moto's services: one call in, one reply out; and the state of all of them, kept and put back."""

import copy
import copyreg
import gc
import io
import json
import os
import threading
from collections.abc import Iterable
from contextlib import ExitStack, nullcontext
from typing import Any
from urllib.parse import unquote_to_bytes

os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "true")  # costs time, serves browsers only
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # 1,300, copied at each reset

from flask import Flask
from moto.core.base_backend import BackendDict
from moto.core.common_types import TYPE_RESPONSE
from moto.core.model_instances import reset_model_data
from moto.core.responses import ActionResult, BaseResponse
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import run_wsgi_app

from sandbox.wire import AwsError, Call, Reply

SERVER_ERROR = 500
ONE_APPLICATION = frozenset(  # whatever the path or the version; looking it up takes long
    {"dynamodb", "ec2", "iam", "kms", "rds", "secretsmanager", "sns", "sqs"}
)
UNLOCKED = frozenset({"sqs", "sns"})  # a long poll must not hold up the message it waits for
ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"

# A copy gets locks of its own.
copyreg.pickle(type(threading.Lock()), lambda _: (threading.Lock, ()))
copyreg.pickle(type(threading.RLock()), lambda _: (threading.RLock, ()))
copyreg.pickle(threading.Condition, lambda _: (threading.Condition, ()))


def _items_at_once(handler: BaseResponse, result: ActionResult) -> TYPE_RESPONSE:
    """Write a result with items as JSON: moto looks each attribute up in the service's model."""
    if not (isinstance(result.result, dict) and "Items" in result.result):
        return _one_by_one(handler, result)
    headers = {"Content-Type": "application/x-amz-json-1.0"} | handler.response_headers
    return 200, headers, json.dumps(result.result, default=DynamoType.to_json)


_one_by_one = DynamoHandler.serialized
DynamoHandler.serialized = _items_at_once  # type: ignore[assignment, method-assign]


class Emulator:
    """Moto's server without its HTTP part. Safe for threads: one call at a time per service."""

    def __init__(self) -> None:
        self._dispatcher = DomainDispatcherApplication(create_backend_app)
        self._applications: dict[str, Flask] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._lock = threading.Lock()

    def answer(self, call: Call, account: str) -> Reply:
        """Return moto's reply, in the given account.

        Raises:
            AwsError: InternalFailure where moto itself breaks, with the exception in one line.
        """
        with self._lock_of(call.service):
            try:
                environ = _environ(call, account)
                body, status, headers = run_wsgi_app(self._application(call, environ), environ)
            except Exception as problem:
                line = " ".join(f"{type(problem).__name__}: {problem}".split())
                raise AwsError("InternalFailure", line, SERVER_ERROR) from problem
        return Reply(int(status.split()[0]), b"".join(body), list(headers))

    def _application(self, call: Call, environ: dict[str, Any]) -> Flask:
        found = self._applications.get(call.service)
        if found is None:
            found = self._dispatcher.get_application(environ)
            if call.service in ONE_APPLICATION:
                self._applications[call.service] = found
        return found

    def all_quiet(self) -> ExitStack:
        """Return a context in which no call is carried out."""
        stack = ExitStack()
        with self._lock:
            locks = list(self._locks.values())
        for lock in locks:
            stack.enter_context(lock)
        return stack

    def quiet(self, service: str) -> Any:
        """Return a context in which no call of a service is carried out."""
        return self._lock_of(service)

    def _lock_of(self, service: str) -> Any:
        if service in UNLOCKED:
            return nullcontext()
        with self._lock:
            return self._locks.setdefault(service, threading.RLock())


def _environ(call: Call, account: str) -> dict[str, Any]:
    path, _, query = call.target.partition("?")
    environ = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": call.target,
        "REQUEST_URI": call.target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": call.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(call.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in call.headers.items():
        if name not in {"content-type", "content-length", "transfer-encoding"}:
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ[ACCOUNT_HEADER] = account
    return environ


class Snapshot:
    """All that moto holds at one moment; can be put back any number of times."""

    def __init__(self, shared: Iterable[object]) -> None:
        """Keep a copy of the present state; the objects in `shared` are not copied but kept."""
        self._shared = tuple(shared)
        self._dicts: list[BackendDict[Any]] = _in_use()
        self._state = self._copy(
            [
                {account: dict(regions) for account, regions in backends.items()}
                for backends in self._dicts
            ]
        )
        gc.freeze()  # what is there now stays: it need not be searched either

    def put_back(self) -> None:
        """Make moto's state what it was."""
        for backends in _in_use():
            for regions in backends.values():
                regions.clear()  # emptied, not replaced: moto's caches hold them for ever
        reset_model_data()
        for backends, accounts in zip(self._dicts, self._copy(self._state), strict=True):
            for account, regions in accounts.items():
                backends[account].update(regions)

    def _copy(self, state: list[dict[str, Any]]) -> list[dict[str, Any]]:
        memo: dict[int, Any] = {id(thing): thing for thing in (*self._shared, *self._dicts)}
        gc.disable()  # looking for garbage among 300,000 new objects takes longer than making them
        try:
            return copy.deepcopy(state, memo)
        finally:
            gc.enable()


def _in_use() -> list[BackendDict[Any]]:
    """Return moto's services that hold anything."""
    return list(BackendDict._instances)  # type: ignore[misc]  # noqa: SLF001  as moto's own reset
