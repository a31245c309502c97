"""`make demo`: a whole refresh on this machine, by the road a user takes."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from aurora_restore.details import Step
from demo import report
from demo.facts import deployment_values, request, safe_data, settings
from demo.follow import follow
from demo.footprint import Footprint
from demo.killing import killing
from demo.stack import REPOSITORY, PrefectStack, prefect_command
from sandbox import Sandbox, SandboxError
from sandbox.control import describe_failures

KEPT = REPOSITORY / ".sandbox" / "kept.json"
DEFAULT_SPEED = 120
DEFAULT_PORT = 5432


def main() -> int:
    """Run the demo; return 0 if the refresh succeeded."""
    options = _options()
    console = Console(soft_wrap=False)
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()
    if options.fail and options.fail not in describe_failures():
        console.print(f"FAIL={options.fail}: no such failure; `make failures` lists them.")
        return 2
    try:
        with _joined(console, options) as (aws, prefect):
            succeeded = _refresh(console, options, aws, prefect)
            console.rule(f"Done in {time.monotonic() - began:.0f} s", align="left")
            if options.keep:
                _wait(console, aws, prefect)
    except SandboxError as problem:
        console.print(f"[red]{problem}[/red]", soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left behind.")
        return 130
    return 0 if succeeded else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--fail", metavar="NAME", help="plant a failure (make failures lists them)")
    parser.add_argument(
        "--mode",
        choices=("delete-first", "swap"),
        default="delete-first",
        help="how the old cluster is replaced",
    )
    parser.add_argument(
        "--kill",
        metavar="STEP",
        help="kill -9 the run's processes at this step, then go on with aurora-restore resume",
    )
    parser.add_argument("--keep", action="store_true", help="leave everything up until Ctrl-C")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write JSON files there")
    parser.add_argument(
        "--speed", type=float, default=DEFAULT_SPEED, help="AWS seconds in one second here"
    )
    return parser.parse_args()


@contextmanager
def _joined(
    console: Console, options: argparse.Namespace
) -> Iterator[tuple[Sandbox, "PrefectStack | KeptPrefect"]]:
    """A sandbox and a Prefect server: those a demo has kept up, or new ones."""
    if KEPT.exists() and (kept := _kept()) is not None:
        console.print(f"Using the sandbox and the server that are up ({kept[1].url}).")
        yield kept
        return
    with ExitStack() as stack:
        console.print("Starting a Prefect server, and a sandbox with two AWS accounts ...")
        prefect = stack.enter_context(PrefectStack({}))
        prefect.start_server()
        aws = stack.enter_context(Sandbox(speed=options.speed))
        prefect.environment |= settings(aws) | deployment_values(aws)
        prefect.wait_until_ready()
        console.print("Starting a worker and registering the deployments of prefect.yaml ...")
        prefect.start_worker()
        prefect.deploy()
        yield aws, prefect


class KeptPrefect:
    """The Prefect server of a demo that was started with KEEP=1."""

    def __init__(self, url: str, environment: dict[str, str], worker_pid: int) -> None:
        self.url, self.environment, self.worker_pid = url, environment, worker_pid


def _kept() -> tuple[Sandbox, KeptPrefect] | None:
    try:
        known = json.loads(KEPT.read_text())
        aws = Sandbox.attach(known["sandbox"])
    except (OSError, ValueError):
        KEPT.unlink(missing_ok=True)
        return None
    environment = os.environ | known["environment"]
    return aws, KeptPrefect(known["prefect"], environment, known["worker_pid"])


def _refresh(
    console: Console,
    options: argparse.Namespace,
    aws: Sandbox,
    prefect: "PrefectStack | KeptPrefect",
) -> bool:
    if options.fail:
        aws.plant(options.fail)
        console.print(f"Planted: {options.fail} - {aws.failures()[options.fail]}", soft_wrap=True)
    operation_id = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    wish = request(aws, operation_id=operation_id, replace=options.mode, **safe_data())
    told = len(aws.messages())
    console.rule("Refreshing staging from production's snapshot", align="left")
    console.print(
        "$ prefect deployment run restore-aurora-cluster/refresh --watch --param ...\n"
        f"  operation {operation_id}; {options.speed:g} AWS seconds pass in one second",
        highlight=False,
    )
    command = ("deployment", "run", "restore-aurora-cluster/refresh", "--watch")
    footprint = Footprint(prefect.worker_pid)
    begin = [*prefect_command(*command, "--param", f"request={json.dumps(wish)}")]
    try:
        if options.kill:
            with killing(console, aws, operation_id, options.kill, prefect.worker_pid):
                _followed(console, aws, operation_id, begin, prefect.environment)
            begin = [sys.executable, "-m", "aurora_restore", "resume", operation_id, "--watch"]
            console.print(f"$ aurora-restore resume {operation_id} --watch", highlight=False)
        code, items, said = _followed(console, aws, operation_id, begin, prefect.environment)
    finally:
        footprint.stop()
    if code != 0:
        console.print(f"{' '.join(begin[2:5])} ended with exit code {code}")
    done = report.show_records(console, items, options.mode)
    if done:
        report.show_handover(console, items[Step.SEND_NOTIFICATION]["details"])
        report.show_database(console, aws, items[Step.SEND_NOTIFICATION]["details"])
    else:
        report.show_old_cluster(console, aws)
    if not items:
        console.print(said)
    report.show_messages(console, aws.messages()[told:])
    console.print(
        f"Peak memory of the flow run, all processes together: {footprint.peak_mib:.0f} MiB. "
        f"From its start to its first step: "
        f"{report.seconds_to_first_step(items, footprint.started_at):.1f} s."
    )
    if options.out:
        report.write_files(options.out, aws, operation_id)
        console.print(f"Wrote records.json, messages.json and events.json to {options.out}")
    return code == 0 and done


def _followed(
    console: Console,
    aws: Sandbox,
    operation_id: str,
    command: list[str],
    environment: dict[str, str],
) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Run a command and show the operation's steps until it ends; return how, and what it said."""
    run = subprocess.Popen(  # noqa: S603
        command,
        env=environment,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        items = follow(console, aws, operation_id, run)
        return run.returncode, items, run.communicate()[0]
    finally:
        run.kill()


def _wait(console: Console, aws: Sandbox, prefect: "PrefectStack | KeptPrefect") -> None:
    if not isinstance(prefect, PrefectStack):
        return
    names = ("AWS_", "PG", "PREFECT_", "AURORA_RESTORE_", "NO_PROXY", "REFRESH_")
    environment = {
        name: value for name, value in prefect.environment.items() if name.startswith(names)
    }
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.touch(mode=0o600)
    KEPT.write_text(
        json.dumps(
            {
                "sandbox": aws.url,
                "prefect": prefect.url,
                "worker_pid": prefect.worker_pid,
                "environment": environment,
            }
        )
    )
    try:
        console.print(f"Prefect's UI: {prefect.url}   Sandbox: {aws.url}/sandbox/events")
        console.print("`make demo` in another terminal uses them. Ctrl-C ends everything.")
        if aws.facts["postgres_port"] != DEFAULT_PORT:
            console.print(
                f"Port {DEFAULT_PORT} is taken on this machine: in the UI's form set Port to "
                f"{aws.facts['postgres_port']}."
            )
        while True:
            time.sleep(1)
    finally:
        KEPT.unlink(missing_ok=True)


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
