"""What the image is made of, read off its files."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deployments" / "Dockerfile").read_text()
PIN = re.compile(r"^([a-z0-9_.-]+)==(\S+)", re.MULTILINE)


def lock(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text()))


def hashes(name: str) -> set[str]:
    return set(re.findall(r"sha256:[0-9a-f]{64}", (ROOT / name).read_text()))


def test_image_has_what_was_tested() -> None:
    """
    Each package of the image is locked to the version, and the hashes, that the tests have.
    """
    image = lock("deployments/requirements.lock")

    assert image.items() <= lock("requirements.lock").items()
    assert hashes("deployments/requirements.lock") <= hashes("requirements.lock")


def test_image_has_nothing_that_a_run_does_not_need() -> None:
    """
    No test tool, no emulator, no worker.
    """
    image = lock("deployments/requirements.lock")

    assert {"prefect", "boto3", "psycopg2-binary"} <= image.keys()
    assert image.keys() & {"moto", "pytest", "mypy", "ruff", "prefect-aws", "aiobotocore"} == set()


def test_context_is_what_is_copied() -> None:
    """
    What a build sends along is what the Dockerfile copies, no more.
    """
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}

    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)

    assert "*" in lines
    assert kept == set(copied)


def test_image_is_not_root() -> None:
    """
    The user is a number, so that the host can see that it is not root.
    """
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_each_setting_is_given_once() -> None:
    """
    A name appears in one ENV only.
    """
    names = re.findall(r"^(?:ENV| {3}) *([A-Z_]+)=", DOCKERFILE, re.MULTILINE)

    assert len(names) == len(set(names))
    assert "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR" in names
