"""Imports go one way: flows -> tasks -> aurora_restore; the sandbox stands apart."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("flows", "tasks", "aurora_restore")
FORBIDDEN = {
    "aurora_restore": {"prefect", "tasks", "flows"},
    "tasks": {"flows"},
    "flows": set[str](),
}
FOREIGN = {"sandbox", "demo", "tests", "moto", "prefect_aws"}


# Not by `ast`: its parser counts its depth for all threads together, and fails when two parse.
IMPORT = re.compile(r"^\s*(?:from ([\w.]+) import|import ([\w.]+))", re.MULTILINE)


def modules(package: str) -> list[str]:
    """Return the dotted names of a package's modules."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / package).rglob("*.py")
        if path.stem != "__main__"
    )


def imported(package: str) -> Iterator[tuple[str, str]]:
    """Give each import statement of a package, at any depth: file and top-level name."""
    for path in (ROOT / package).rglob("*.py"):
        for found in IMPORT.finditer(path.read_text()):
            yield str(path.relative_to(ROOT)), (found[1] or found[2]).partition(".")[0]


def loaded_by(*packages: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after importing the packages."""
    names = [name for package in packages for name in modules(package)]
    program = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("package", PRODUCT)
def test_product_imports_in_one_direction_only(package: str) -> None:
    """
    No statement of the product imports against the direction, or anything of tests and demo.
    """
    forbidden = FORBIDDEN[package] | FOREIGN

    assert [(file, name) for file, name in imported(package) if name in forbidden] == []


def test_every_package_of_the_product_is_installed() -> None:
    """
    The list of packages in pyproject.toml is the folders that there are.
    """
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PRODUCT
        for path in (ROOT / package).rglob("__init__.py")
    }

    assert set(listed) == there


def test_library_is_loaded_without_prefect() -> None:
    """
    Importing every module of the library loads neither Prefect nor a layer above.
    """
    loaded = loaded_by("aurora_restore")

    assert "aurora_restore" in loaded
    assert loaded & {"prefect", "tasks", "flows", *FOREIGN} == set()


def test_product_is_loaded_without_the_sandbox() -> None:
    """
    Importing the whole product loads nothing of the sandbox, the demo or the emulator.
    """
    loaded = loaded_by(*PRODUCT)

    assert {"flows", "tasks", "prefect"} <= loaded
    assert loaded & FOREIGN == set()


def test_sandbox_knows_nothing_of_the_product() -> None:
    """
    The sandbox imports no module of the product: it is AWS to anybody.
    """
    assert [each for each in imported("sandbox") if each[1] in {*PRODUCT, "demo", "prefect"}] == []
