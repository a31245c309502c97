"""RDS's wire between the library and the sandbox: what is sent is noted, one answer is replaced."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

DESTRUCTIVE = ("Delete", "ModifyDBCluster NewDBClusterIdentifier")


class Body(BytesIO):
    """A reply's body, as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def answer(code: str, status: int, message: str) -> Callable[[Any], AWSResponse]:
    """Return what answers a request with an error, in RDS's protocol."""
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code>"
        f"<Message>{escape(message)}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )

    def answered(request: Any) -> AWSResponse:
        return AWSResponse(request.url, status, {"Content-Type": "text/xml"}, Body(text.encode()))

    return answered


def lost(request: Any) -> AWSResponse:
    """Carry the request out and lose the reply."""
    URLLib3Session().send(request)
    raise ConnectionClosedError(endpoint_url=request.url)


@dataclass
class Wire:
    """Stands before the requests of RDS clients.

    `sent` are the operations, with the new name's parameter if there is one; `struck` tells how
    many had been sent when the planted answer was given.
    """

    sent: list[str] = field(default_factory=list)
    struck: int | None = None
    _operation: str = ""
    _answer: Callable[[Any], AWSResponse] | None = None

    def watch(self, client: Any) -> Any:
        """Stand before the client's requests from now on; return it."""
        client.meta.events.register("before-send.rds", self._send)
        return client

    def unwatch(self, client: Any) -> None:
        client.meta.events.unregister("before-send.rds", self._send)

    def plant(self, operation: str, answered: Callable[[Any], AWSResponse]) -> None:
        """Let the next call of the operation be answered so."""
        self.sent, self.struck = [], None
        self._operation, self._answer = operation, answered

    def around(self) -> list[str]:
        """Return the call that got the planted answer, and the next one that was sent."""
        assert self.struck is not None, f"{self._operation} was not called"
        return self.sent[self.struck - 1 : self.struck + 1]

    def after(self) -> list[str]:
        """Return the destructive calls that were sent after the planted answer."""
        assert self.struck is not None, f"{self._operation} was not called"
        return [each for each in self.sent[self.struck :] if each.startswith(DESTRUCTIVE)]

    def _send(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rsplit(".", 1)[1]
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        renames = "NewDBClusterIdentifier" in dict(parse_qsl(body))
        self.sent.append(operation + (" NewDBClusterIdentifier" if renames else ""))
        if self._answer is None or operation != self._operation:
            return None
        answered, self._answer, self.struck = self._answer, None, len(self.sent)
        return answered(request)
