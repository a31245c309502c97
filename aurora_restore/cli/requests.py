"""A request as people write it: a JSON or YAML file, with single fields overridden."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from aurora_restore.access.declared import DatabaseRole
from aurora_restore.cli.exits import BadUsage
from aurora_restore.request import RestoreRequest, one_line

STDIN = "/dev/stdin"
_PARAMETERS = {"request", "plan_hash", "dry_run"}  # of the deployment
_KEPT_TAGS = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}


class _Loader(yaml.SafeLoader):
    """YAML whose plain words stay words: 16.10 is a version and 012345678901 an account.

    Pydantic makes numbers and booleans of them where a field is one.
    """


_Loader.yaml_implicit_resolvers = {
    first: kept
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [each for each in resolvers if each[0] in _KEPT_TAGS])
}


def read_request(source: str, overrides: Sequence[str], operation_id: str | None) -> RestoreRequest:
    """Return the request of a file (STDIN: standard input), with `field=value` overrides.

    An override without a value leaves the field out.

    Raises:
        BadUsage: it cannot be read, or is not a valid request; names each field.
    """
    fields = _fields(_text(source), source)
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise BadUsage(f"--set {override}", "it has no value", "Write --set field=value.")
        fields[name] = _parse(value, f"--set {name}")
        if fields[name] is None:
            del fields[name]
    if operation_id is not None:
        fields["operation_id"] = operation_id
    try:
        return RestoreRequest.model_validate(fields)
    except ValidationError as error:
        raise BadUsage(
            _name(source), one_line(error), " ".join([*_nearest(error), "Correct the request."])
        ) from None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known word most like this one, or nothing."""
    found = get_close_matches(word, list(known), 1)
    return f"Did you mean {found[0]} instead of {word}?" if found else ""


def _name(source: str) -> str:
    return "request from standard input" if source == STDIN else f"request {source}"


def _text(source: str) -> str:
    try:
        stream = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
        return stream.decode()
    except OSError as error:
        raise BadUsage(
            _name(source),
            f"it cannot be read ({error.strerror})",
            "Name a JSON or YAML file, or - for standard input.",
        ) from None
    except UnicodeDecodeError:
        raise BadUsage(_name(source), "it is not UTF-8 text", "Save it as UTF-8.") from None


def _fields(text: str, source: str) -> dict[str, Any]:
    found = _parse(text, _name(source))
    if isinstance(found, dict) and isinstance(found.get("request"), dict):
        if unknown := sorted(map(str, found.keys() - _PARAMETERS)):
            raise BadUsage(
                _name(source),
                f"beside `request` it has {', '.join(unknown)}",
                "Put the fields of the request into `request`, and nothing beside it.",
            )
        found = found["request"]
    if not isinstance(found, dict):
        raise BadUsage(
            _name(source),
            "it is no map of fields",
            "Write the request's fields, each with its value; docs/command-line.md has an example.",
        )
    return {str(name): value for name, value in found.items()}


def _parse(text: str, resource: str) -> Any:
    """JSON is tried first, since YAML takes no tabs."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text, parse_int=str, parse_float=str)
        except ValueError:
            pass
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise BadUsage(
            resource,
            f"it is neither JSON nor YAML: {re.sub(r' +', ' ', problem)}{where}",
            "Correct it there.",
        ) from None


def _nearest(error: ValidationError) -> list[str]:
    suggestions = []
    for each in error.errors(include_url=False):
        if each["type"] == "extra_forbidden":
            model = DatabaseRole if each["loc"][0] == "roles" else RestoreRequest
            if said := nearest(str(each["loc"][-1]), model.model_fields):
                suggestions.append(said)
    return suggestions
