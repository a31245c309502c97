"""DynamoDB's requests and items in plain Python."""

import re
from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer

WRITES = ("PutItem", "UpdateItem", "TransactWriteItems")
_ASSIGNMENT = re.compile(r"([#\w]+)\s*=\s*(:\w+)")
_DESERIALIZER = TypeDeserializer()


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item without DynamoDB's types; numbers are int where they are whole."""
    return {name: _simple(_DESERIALIZER.deserialize(value)) for name, value in item.items()}


def written(operation: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a request writes, one plain dict per item: an update's key and values it sets."""
    if operation == "PutItem":
        return [plain(parameters.get("Item", {}))]
    if operation == "UpdateItem":
        return [_updated(parameters)]
    if operation == "TransactWriteItems":
        return [
            plain(action["Put"]["Item"]) if "Put" in action else _updated(action["Update"])
            for action in parameters.get("TransactItems", [])
            if "Put" in action or "Update" in action
        ]
    return []


def _updated(update: Mapping[str, Any]) -> dict[str, Any]:
    names = update.get("ExpressionAttributeNames", {})
    values = plain(update.get("ExpressionAttributeValues", {}))
    assigned = _ASSIGNMENT.findall(update.get("UpdateExpression", ""))
    return plain(update.get("Key", {})) | {
        names.get(name, name): values[value] for name, value in assigned if value in values
    }


def _simple(value: Any) -> Any:
    match value:
        case dict():
            return {name: _simple(member) for name, member in value.items()}
        case list() | set():
            return [_simple(member) for member in value]
        case Binary():
            return "(binary)"
        case None | bool() | str():
            return value
        case number:
            return int(number) if number == int(number) else float(number)
