"""AWS's wire formats: a call, a reply, an error in the manner of the call's protocol."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")
_XML_REQUEST_ID = re.compile(rb"<(Request(?:Id|ID))>[^<]*</Request(?:Id|ID)>")


class AwsError(Exception):
    """An error as AWS would send it."""

    def __init__(self, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        self.code, self.message, self.status = code, message, int(status)
        super().__init__(f"{code}: {message}")


class ConnectionLost(Exception):
    """The connection is to be closed without a reply."""


@dataclass
class Call:
    """One request: as it came, and what it asks of which service."""

    method: str
    target: str  # path and query, undecoded
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    service: str = ""
    region: str = ""
    access_key: str = ""
    operation: str = ""
    protocol: str = "rest"  # query · ec2 · json · rest
    json_version: str = "1.0"
    parameters: dict[str, Any] = field(default_factory=dict)  # as boto3 takes them
    account: str = ""  # these two are filled in by the credentials layer
    caller: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@dataclass
class Reply:
    """What goes back."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]
    error: str | None = None  # the error's code


def json_reply(document: object, status: int = 200) -> Reply:
    """Return a plain JSON reply."""
    body = json.dumps(document, default=str).encode()
    return Reply(status, body, [("Content-Type", "application/json")])


def xml_reply(call: Call, content: str) -> Reply:
    """Return a success in the query protocol; `content` is the result's inner XML."""
    body = (
        f"<{call.operation}Response><{call.operation}Result>{content}</{call.operation}Result>"
        f"<ResponseMetadata><RequestId>{call.request_id}</RequestId></ResponseMetadata>"
        f"</{call.operation}Response>"
    )
    return Reply(200, body.encode(), [("Content-Type", "text/xml")])


def error_reply(call: Call, error: AwsError) -> Reply:
    """Return `error` in the protocol of the call, with a request id.

    Source: AWS protocols (query, EC2, JSON 1.0 and 1.1) as botocore's parsers read them.
    """
    side = "Sender" if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else "Receiver"
    request_id = ("x-amzn-RequestId", call.request_id)
    if call.protocol == "json":
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        headers = [
            request_id,
            ("Content-Type", f"application/x-amz-json-{call.json_version}"),
            ("x-amzn-errortype", error.code),
        ]
        if call.service == "sqs":
            headers.append(("x-amzn-query-error", f"{error.code};{side}"))
        return Reply(error.status, body, headers, error.code)
    code, message = escape(error.code), escape(error.message)
    if call.protocol == "ec2":
        text = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{call.request_id}</RequestID></Response>"
        )
    else:
        text = (
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code>"
            f"<Message>{message}</Message></Error>"
            f"<RequestId>{call.request_id}</RequestId></ErrorResponse>"
        )
    return Reply(error.status, text.encode(), [request_id, ("Content-Type", "text/xml")], code)


def finish(call: Call, reply: Reply) -> Reply:
    """Return moto's reply with the call's request id, and with its error's code found out."""
    names = {name.lower(): value for name, value in reply.headers}
    if "x-amzn-requestid" not in names:
        reply.headers.append(("x-amzn-RequestId", call.request_id))
    if call.protocol in {"query", "ec2"}:
        identity = rb"<\1>%s</\1>" % call.request_id.encode()
        reply.body = _XML_REQUEST_ID.sub(identity, reply.body)
    if reply.status >= HTTPStatus.BAD_REQUEST and reply.error is None:
        reply.error = _code_of(reply, names)
    return reply


def _code_of(reply: Reply, headers: Mapping[str, str]) -> str:
    if found := _XML_CODE.search(reply.body):
        return found[1].decode()
    try:
        named = json.loads(reply.body).get("__type", "")
    except (ValueError, AttributeError):
        named = ""
    return str(named or headers.get("x-amzn-errortype", reply.status)).rpartition("#")[2]
