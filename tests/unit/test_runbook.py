"""The runbook of docs/operations.md has each error the program can print, and no other."""

import importlib
import pkgutil
import re
from pathlib import Path

import aurora_restore
from aurora_restore.errors import RestoreError
from aurora_restore.preflight import CHECKS

RUNBOOK = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
# What a record says where there is no exception: a request that is not valid, a run that vanished.
WITHOUT_EXCEPTION = {"InvalidRequest", "RunLost"}


def every_error() -> set[str]:
    """Return the name of each error class of the library."""
    for module in pkgutil.walk_packages(aurora_restore.__path__, "aurora_restore."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, left = set[str](), [RestoreError]
    while left:
        below = left.pop().__subclasses__()
        left += below
        found |= {each.__name__ for each in below if each.__module__.startswith("aurora_restore")}
    return found


def test_each_error_has_its_entry() -> None:
    """
    The entries are the errors, by their type as the records have it.
    """
    entries = re.findall(r"^### `(\w+)`$", RUNBOOK, re.MULTILINE)

    assert sorted(entries) == sorted(every_error() | WITHOUT_EXCEPTION)


def test_each_check_has_its_row() -> None:
    """
    The rows are preflight's checks, in its order.
    """
    table = RUNBOOK.split("### The checks of `PreflightFailed`")[1].split("\n## ")[0]

    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == [name for name, _ in CHECKS]


def test_types_without_an_exception_are_really_written() -> None:
    """
    What stands for no class is what the source writes into a record.
    """
    sources = "".join(
        path.read_text()
        for folder in ("aurora_restore", "flows")
        for path in (Path(__file__).parents[2] / folder).rglob("*.py")
    )

    assert all(f'"type": "{name}"' in sources for name in WITHOUT_EXCEPTION)
