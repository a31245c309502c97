"""`aurora-restore resume` by the road of a user: Prefect's deployment, a worker, a whole run."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from test_worker import start, statuses

from aurora_restore.details import steps_of
from demo.stack import REPOSITORY, PrefectStack
from sandbox import Sandbox


def aurora_restore(stack: PrefectStack, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, document and standard error of a command."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "aurora_restore", *arguments, "--json"],
        env=os.environ | stack.environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.long
@pytest.mark.timeout(300)  # two runs, with a client each
def test_failed_operation_is_resumed_to_its_end(aws: Sandbox, worker: PrefectStack, operation: str):
    """
    A run that failed is gone on with by one command, whose exit code is the run's; what was
    refused meanwhile is said in Prefect's words.
    """
    aws.plant("secret-denied")
    assert start(aws, worker, operation).wait(timeout=120) == 1
    refused = aurora_restore(worker, "resume", operation, "--deployment", "no/such")
    aws.clear()

    code, document, said = aurora_restore(worker, "resume", operation, "--watch")

    assert (refused[0], refused[1]["error"]["type"]) == (1, "RunNotStarted")
    assert "Deployment 'no/such' not found" in refused[1]["error"]["message"]
    assert (code, document["result"]["state"]) == (0, "Completed")
    assert document["result"]["url"].endswith(document["result"]["flow_run_id"])
    assert "Created flow run" in said
    assert statuses(aws, operation) == {step.value: "SUCCESS" for step in steps_of("delete-first")}
