"""The proof that faults are found before anything is changed: its stage, and its count."""

import os
from collections.abc import Iterator

import clients
import pytest
from processes import Runner
from stage import Stage, is_change

from aurora_restore import settings
from demo.facts import settings as sandbox_settings
from demo.stack import PrefectStack
from sandbox import Sandbox
from tests.flow.conftest import account, operation, refresh, sandbox, worker

__all__ = ["account", "operation", "refresh", "sandbox", "worker"]
_FOREIGN = ("AWS_", "PG", "AURORA_RESTORE_")


@pytest.fixture(scope="session", autouse=True)
def _no_clients_are_left() -> Iterator[None]:
    """The clients of these tests are made for their sandbox, and go with it."""
    _forget()
    yield
    _forget()


@pytest.fixture
def stage(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The sandbox as it was built, this process as a run of the target account."""
    _clean(sandbox)
    for name in [each for each in os.environ if each.startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    for name, text in sandbox_settings(sandbox).items():
        monkeypatch.setenv(name, text)
    clients.are_of(sandbox.url)
    settings.settings.cache_clear()
    yield Stage(sandbox, monkeypatch)
    _clean(sandbox)
    settings.settings.cache_clear()


def _clean(sandbox: Sandbox) -> None:
    """Make the sandbox what it was; without a reset where nothing was changed, to save time."""
    if any(is_change(event) for event in sandbox.events()):
        sandbox.reset()
    sandbox.clear()


def _forget() -> None:
    settings.settings.cache_clear()
    clients.forget()


@pytest.fixture
def running(aws: Sandbox, account: None, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The same for whole runs of the flow; `account` has made this process one."""
    return Stage(aws, monkeypatch)


@pytest.fixture(scope="session")
def runner(sandbox: Sandbox, prefect: PrefectStack) -> Iterator[Runner]:
    """Runs of the flow in processes of their own."""
    started = Runner(sandbox, prefect)
    yield started
    started.close()
