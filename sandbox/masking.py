"""What the event log keeps of a call's parameters."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.dynamodb import plain, written
from sandbox.wire import Call

MASK = "***"
LONGEST = 300  # characters of a text
_SECRET = re.compile(r"Password|Secret(String|Binary|AccessKey)|Token|Plaintext", re.IGNORECASE)
_HARMLESS = frozenset({"ManageMasterUserPassword", "RotateMasterUserPassword"})
_IDENTITY = ("operation_id", "step", "status")


def loggable(call: Call) -> dict[str, Any]:
    """Return the parameters, secrets masked and long texts cut; of DynamoDB's items the keys."""
    if call.service != "dynamodb":
        return {name: _masked(name, value) for name, value in call.parameters.items()}
    parameters = call.parameters
    kept: dict[str, Any] = {
        name: parameters[name] for name in ("TableName", "IndexName") if name in parameters
    }
    if "Key" in parameters:
        kept["Key"] = plain(parameters["Key"])
    if "ConditionExpression" in parameters:
        kept["ConditionExpression"] = parameters["ConditionExpression"]
    if items := written(call.operation, parameters):
        kept["written"] = [{name: i[name] for name in _IDENTITY if name in i} for i in items]
    return kept


def _masked(name: str, value: Any) -> Any:
    if _SECRET.search(name) and name not in _HARMLESS:
        return MASK
    if isinstance(value, Mapping):
        return {key: _masked(key, member) for key, member in value.items()}
    if isinstance(value, list):
        return [_masked(name, member) for member in value]
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST] + "…"
    return value
