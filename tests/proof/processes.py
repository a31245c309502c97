"""Starts `tests.proof.runner` and talks to it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from demo.facts import request, settings
from demo.stack import PrefectStack
from sandbox import Sandbox
from tests.flow.conftest import POLLS, QUICK

REPOSITORY = Path(__file__).resolve().parents[2]
_FOREIGN = ("AWS_", "PG", "AURORA_RESTORE_")


class Runner:
    """Runs of the flow in processes of their own, on one sandbox."""

    def __init__(self, aws: Sandbox, prefect: PrefectStack) -> None:
        self.aws = aws
        self._environment = settings(aws) | POLLS | QUICK
        self._api_url = f"{prefect.url}/api"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.runner"],
            cwd=REPOSITORY,
            env={name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
            | {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PYTHONPATH": "tests"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._tell(dict(aws.facts) | {"environment": self._environment})

    def run(
        self,
        operation_id: str = "op-001",
        *,
        dies_at: int | None = None,
        dies_after: int | None = None,
        **wishes: Any,
    ) -> dict[str, Any]:
        """Run the flow to its end or its death; return its exit code, error, points, changes."""
        self._tell(
            {
                "environment": self._environment,
                "api_url": self._api_url,
                "request": request(self.aws, operation_id=operation_id, **wishes),
                "dies_at": dies_at,
                "dies_after": dies_after,
            }
        )
        if self._process.stdout is None:
            raise AssertionError("it has no standard output")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def _tell(self, document: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise AssertionError("it has no standard input")
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()
