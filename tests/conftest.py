"""One sandbox for all tests of a run, pristine for each test that asks for it."""

import os
import signal
from collections.abc import Iterator

import pytest
from counting import pytest_collection_modifyitems, pytest_configure
from prefect.events.worker import EventsWorker

from demo.stack import PrefectStack
from sandbox import Sandbox

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]

# AWS seconds per second: an hour is over in 1.2 s; in the long proofs it takes no time at all.
SPEED = float(os.environ.get("SANDBOX_SPEED", "3000"))

# A shell starts what runs in its background deaf to Ctrl-C, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The sandbox as other tests left it."""
    with Sandbox(speed=SPEED) as started:
        yield started


@pytest.fixture(scope="session")
def quick_sandbox() -> Iterator[Sandbox]:
    """One whose credentials last as on AWS: else nearly every call of a run renews them first."""
    with Sandbox(speed=SPEED, lasting_sessions=True) as started:
        yield started


@pytest.fixture
def aws(sandbox: Sandbox) -> Sandbox:
    """The sandbox, reset."""
    sandbox.reset()
    return sandbox


@pytest.fixture(scope="session")
def prefect() -> Iterator[PrefectStack]:
    """A Prefect server on this machine."""
    with PrefectStack({}) as stack:
        stack.start_server()
        stack.wait_until_ready()
        yield stack
        # Otherwise this process waits at its end for a server that is gone.
        EventsWorker.drain_all(timeout=10)
