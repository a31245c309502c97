"""EventBridge's patterns and input transformers, as far as the stacks use them.

Source: EventBridge user guide, "Event patterns" and "Amazon EventBridge input transformation".
"""

import json
import re
from collections.abc import Mapping
from typing import Any

Event = Mapping[str, Any]
_PLACEHOLDER = re.compile(r'"(?:[^"\\]|\\.)*"|<([\w-]+)>')


def matches(pattern: Event, event: Event) -> bool:
    """Tell whether an event is one of a pattern."""
    return all(
        any(matches(each, event) for each in wanted)
        if name == "$or"
        else _field_matches(wanted, event.get(name))
        for name, wanted in pattern.items()
    )


def _field_matches(wanted: Any, found: Any) -> bool:
    """Judge one field: of a list in the event one element that matches is enough."""
    if isinstance(found, list):
        return any(_field_matches(wanted, each) for each in found)
    if isinstance(wanted, dict):
        return isinstance(found, dict) and matches(wanted, found)
    # A field that is not there is matched by no value and by no exception.
    return found is not None and any(_value_matches(each, found) for each in wanted)


def _value_matches(wanted: Any, found: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == found)
    [(kind, but)] = wanted.items()
    if kind != "anything-but":
        raise AssertionError(f"{kind}: not understood")
    if isinstance(but, dict):
        [(how, start)] = but.items()
        assert how == "prefix"
        return not (isinstance(found, str) and found.startswith(start))
    return found not in (but if isinstance(but, list) else [but])


def transformed(transformer: Mapping[str, Any], event: Event) -> str:
    """Return what an input transformer makes of an event.

    In a string of the template a value is put in as it is; elsewhere as JSON.
    """
    values = {name: _at(path, event) for name, path in transformer["InputPathsMap"].items()}

    def fill(found: re.Match[str]) -> str:
        if found[1] is not None:
            return json.dumps(values[found[1]])
        return re.sub(r"<([\w-]+)>", lambda inner: str(values[inner[1]]), found[0])

    return _PLACEHOLDER.sub(fill, transformer["InputTemplate"])


def _at(path: str, event: Event) -> Any:
    value: Any = event
    for name in path.removeprefix("$.").split("."):
        value = value[name]
    return value
