"""Reading a request: which service, Region, operation and parameters."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from sandbox.wire import Call

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
_MODELLED = frozenset({"ec2", "iam", "rds", "sns", "sts"})  # with parameters in a form


def read_call(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
    """Return the request, its service, Region, operation and parameters found out.

    Service and Region come from the signature's scope, the operation from the header
    `X-Amz-Target` or the form's `Action`.
    """
    call = Call(method, target, headers, body)
    if scope := _CREDENTIAL.search(headers.get("authorization", "")):
        call.access_key, call.region, call.service = scope.groups()
    kind = headers.get("content-type", "")
    if operation := headers.get("x-amz-target"):
        call.protocol, call.operation = "json", operation.rpartition(".")[2]
        call.json_version = "1.1" if kind.startswith("application/x-amz-json-1.1") else "1.0"
    elif kind.startswith("application/x-www-form-urlencoded"):
        call.protocol = "ec2" if call.service == "ec2" else "query"
        call.operation = dict(parse_qsl(body.decode())).get("Action", "")
    else:
        call.operation = f"{method} {call.path}"
    call.parameters = _parameters(call)
    return call


def _parameters(call: Call) -> dict[str, Any]:
    """Return the parameters in boto3's shape, or an empty dict where they cannot be told."""
    if call.protocol == "json":
        try:
            document = json.loads(call.body or b"{}")
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}
    if call.protocol not in {"query", "ec2"} or call.service not in _MODELLED:
        return {}
    try:
        model = get_service_model(call.service).operation_model(call.operation)
    except (OperationNotFoundError, UnknownServiceError):
        return {}
    form = parse_qsl(call.body.decode(), keep_blank_values=True)
    try:
        parsed: dict[str, Any] = PROTOCOL_PARSERS[call.protocol](model).parse(
            {
                "method": call.method,
                "values": MultiDict(form),
                "headers": Headers(dict(call.headers)),
                "body": call.body,
                "url_path": call.path,
                "url_params": {},
            }
        )
    except ValueError:  # such as a word where a number belongs: the service will say so
        return {}
    return parsed
