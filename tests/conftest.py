"""One sandbox for all tests of a run, pristine for each test that asks for it."""

from collections.abc import Iterator

import pytest

from sandbox import Sandbox

SPEED = 3000  # AWS seconds per second: an hour is over in 1.2 s


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The sandbox as other tests left it."""
    with Sandbox(speed=SPEED) as started:
        yield started


@pytest.fixture
def aws(sandbox: Sandbox) -> Sandbox:
    """The sandbox, reset."""
    sandbox.reset()
    return sandbox
