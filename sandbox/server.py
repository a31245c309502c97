"""The HTTP server, and the layers a call goes through.

control (`/sandbox/…`) → event log → credentials → planted failures → what SNS and KMS refuse → moto
"""

import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.credentials import Credentials
from sandbox.emulator import Emulator
from sandbox.events import EventLog
from sandbox.faults import Faults
from sandbox.key_policy import called_by, names_of
from sandbox.keys import is_host
from sandbox.kms import owner_of_key
from sandbox.masking import loggable
from sandbox.reading import read_call
from sandbox.sns import check_publish
from sandbox.wire import (
    AwsError,
    Call,
    ConnectionLost,
    Reply,
    error_reply,
    finish,
)

ADDRESS = "127.0.0.1"


class Gateway:
    """Everything between the HTTP server and moto."""

    def __init__(
        self,
        events: EventLog,
        credentials: Credentials,
        faults: Faults,
        control: Callable[[Call], Reply],
    ) -> None:
        self._events, self._credentials, self._faults = events, credentials, faults
        self._control = control
        self.emulator = Emulator()

    def answer(self, call: Call) -> Reply:
        """Return the reply to a call.

        Raises:
            ConnectionLost: the connection is to be closed instead.
        """
        if call.path.startswith("/sandbox/"):
            return self._control(call)
        try:
            reply = self._carry_out(call)
        except AwsError as error:
            reply = error_reply(call, error)
            self._log(call, error.code, problem=error)
        except ConnectionLost:
            self._log(call, "ConnectionLost")
            raise
        else:
            self._log(call, reply.error or "ok")
        return reply

    def _carry_out(self, call: Call) -> Reply:
        identity = self._credentials.identify(call)
        call.account, call.caller = identity.account, identity.arn
        if is_host(call.access_key):
            return finish(call, self.emulator.answer(call, call.account))
        fault = self._faults.meet(call)
        check_publish(call)
        if call.service == "sts":
            reply = finish(call, self._credentials.answer(call, identity))
        else:
            account = owner_of_key(call)
            with called_by(names_of(call.account, call.caller)):
                reply = finish(call, self.emulator.answer(call, account))
        if reply.error is None:
            self._faults.witness(call)
        if fault is not None and fault.lose_reply:
            raise ConnectionLost
        return reply

    def _log(self, call: Call, result: str, problem: AwsError | None = None) -> None:
        if is_host(call.access_key) and result == "ok":
            return
        facts: dict[str, Any] = {}
        if problem is not None and problem.__cause__ is not None:
            facts["problem"] = problem.message  # moto itself broke
        self._events.add(
            "call",
            account=call.account,
            region=call.region,
            service=call.service,
            operation=call.operation,
            parameters=loggable(call),
            result=result,
            caller=call.caller,
            **facts,
        )


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1; one thread per connection, connections are kept."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Call], Reply], port: int = 0) -> None:
        self.answer = answer
        super().__init__((ADDRESS, port), Handler)
        self.url = f"http://{ADDRESS}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client went away."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet per reply

    def handle_call(self) -> None:
        """Read one request, answer it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if "chunked" in headers.get("transfer-encoding", ""):
            body = self._read_chunks()
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        try:
            reply = self.server.answer(read_call(self.command, self.path, headers, body))
        except ConnectionLost:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        dull = {"content-length", "connection", "date", "server", "transfer-encoding"}
        for name, value in reply.headers:
            if name.lower() not in dull:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_call  # noqa: N815

    def _read_chunks(self) -> bytes:
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def log_message(self, *_: object) -> None:
        """Say nothing: the event log does."""


def not_found(message: str) -> Reply:
    """Return the control part's answer to a wrong address or option."""
    return Reply(HTTPStatus.NOT_FOUND, message.encode(), [("Content-Type", "text/plain")])
