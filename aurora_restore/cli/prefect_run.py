"""Prefect by its own command line: the library does without Prefect, whose client takes seconds."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora_restore.errors import RestoreError

_UUID = re.compile(r"^└── UUID: (\S+)")
_URL = re.compile(r"^└── URL: (http\S+)")
_STATE = re.compile(r"^Flow run finished .*'(.+)'")
_AFTER_A_TRACEBACK = "An exception occurred."
_UNREACHABLE = re.compile(r"^(httpx|httpcore)\.\w+|^\w*(Connect|Timeout)\w*Error")


class RunNotStarted(RestoreError):
    """Prefect did not make the flow run."""

    remedy = "Correct that, or name another deployment with --deployment."


class PrefectUnreachable(RunNotStarted):
    """Prefect's API could not be asked."""

    remedy = "Check PREFECT_API_URL and the network of this shell, then run again."


@dataclass(frozen=True)
class Run:
    """A flow run that Prefect has made. `state`, `said`: how it ended, once it was watched."""

    flow_run_id: str
    url: str | None = None
    state: str | None = None
    failed: bool = False
    said: str = ""


def start(deployment: str, parameters: Mapping[str, Any], *, watch: bool) -> Run:
    """Start a deployment; with `watch` return when its run has ended, shown on standard error.

    Raises:
        RunNotStarted: Prefect refused; says why in its words.
        PrefectUnreachable: it could not be asked.

    Source: `prefect deployment run --help`.
    """
    command = [sys.executable, "-m", "prefect", "deployment", "run", deployment]
    command += ["--params", json.dumps(parameters), *(["--watch"] if watch else [])]
    with subprocess.Popen(  # noqa: S603 - no shell
        command,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as child:
        said: list[str] = []
        for line in child.stdout or ():
            said.append(line.rstrip())
            if watch:
                sys.stderr.write(line)
                sys.stderr.flush()
    return understand(deployment, said, child.returncode)


def understand(deployment: str, said: Sequence[str], code: int) -> Run:
    """Return the run that Prefect's output tells of. Pure.

    Raises:
        RunNotStarted, PrefectUnreachable: it tells of none.
    """
    lines = [each for each in said if each.strip() and each != _AFTER_A_TRACEBACK]
    last = " ".join(lines[-1].split()).rstrip(".!") if lines else f"exit code {code}"
    flow_run_id = _first(_UUID, lines)
    if flow_run_id is None:
        resource = f"deployment {deployment}"
        if _UNREACHABLE.search(last) or "PREFECT_API_URL" in last:
            raise PrefectUnreachable(resource, f"Prefect could not be asked: {last}")
        raise RunNotStarted(resource, f"Prefect did not start it: {last}")
    return Run(flow_run_id, _first(_URL, lines), _first(_STATE, lines), code != 0, last)


def _first(pattern: "re.Pattern[str]", lines: Sequence[str]) -> str | None:
    return next((found[1] for each in lines if (found := pattern.search(each))), None)


def _environment() -> dict[str, str]:
    # Without this Prefect would start a server of its own, whose run nobody ever takes up.
    return (
        {"PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}
        | os.environ
        | {
            "PREFECT_CLI_COLORS": "false",
            "PREFECT_CLI_WRAP_LINES": "false",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONUNBUFFERED": "1",
        }
    )
