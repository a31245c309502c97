"""`make pool` and `make deploy` where Prefect refuses or is silent: one line, nothing done."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from demo.stack import free_port
from deployments import check, pool
from tests.unit.test_deploy_check import GOOD as OF_DEPLOYMENTS
from tests.unit.test_pool import GOOD as OF_POOL


class Refuses(BaseHTTPRequestHandler):
    """A server that takes no credentials."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """All that pool and deployments need, and a server that refuses."""
    for name, text in (OF_DEPLOYMENTS | OF_POOL).items():
        monkeypatch.setenv(name, text)
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        yield monkeypatch
        server.shutdown()


COMMANDS = {"pool": lambda: pool.main([]), "deploy": check.main}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("why", ["refused", "silent", "unset"])
def test_it_is_told_in_a_line(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str, why: str
) -> None:
    """
    Wrong credentials, nobody there, no address: none of them is taken for a pool that is missing.
    """
    told = "it refuses these credentials (401). Set PREFECT_API_KEY"
    if why == "silent":
        environment.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
        told = "no answer (ConnectError"
    elif why == "unset":
        environment.delenv("PREFECT_API_URL")
        told = "PREFECT_API_URL is not set"

    code = COMMANDS[command]()

    said = capfd.readouterr()
    assert (code, said.out) == (1, "")
    assert said.err.startswith("Prefect's API")
    assert told in said.err
    assert said.err.count("\n") == 1


def test_printing_asks_nobody(
    environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    `--print` shows the template without Prefect.
    """
    environment.delenv("PREFECT_API_URL")

    assert pool.main(["--print"]) == 0

    printed: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert printed["variables"]["additionalProperties"] is False
