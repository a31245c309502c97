"""What orchestration costs: the flow's wall time beside a plain script's.

Both make the same calls to the same sandbox with the same waits between two looks; the script has
no Prefect: no engine, no hooks, no server. The two run in turn, and the ratio is taken pair by
pair, so that a machine whose speed drifts does not matter.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from aurora_restore import ledger
from aurora_restore.details import Details
from aurora_restore.endings import conclude
from aurora_restore.errors import NotReady
from aurora_restore.request import RestoreRequest
from demo.facts import POLL_SECONDS, request, settings
from demo.stack import PrefectStack
from flows.restore import restore_aurora_cluster
from sandbox import Sandbox
from tasks.clusters import check_restore_status, delete_cluster, restore_snapshot
from tasks.database import setup_db_users
from tasks.notifications import send_notification
from tasks.snapshots import archive_snapshot, check_copy_status, check_snapshot, copy_snapshot

STEPS: tuple[Any, ...] = (
    check_snapshot,
    copy_snapshot,
    check_copy_status,
    delete_cluster,
    restore_snapshot,
    check_restore_status,
    setup_db_users,
    archive_snapshot,
    send_notification,
)


def plain(wish: dict[str, Any]) -> None:
    """Do the whole operation in a loop: each step's function, its record, its waits."""
    asked = RestoreRequest.model_validate(wish)
    known: Details = ledger.begin(asked, str(asked.operation_id))
    for step in STEPS:
        known = _until_ready(step.fn, known)
        ledger.store().succeed(known)
    conclude(known)  # type: ignore[arg-type]


def _until_ready(act: Callable[[Details], Details], known: Details) -> Details:
    while True:
        try:
            return act(known)
        except NotReady:
            time.sleep(POLL_SECONDS)


def main() -> int:
    """Print each pair, and the median ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--speed", type=float, default=240, help="AWS seconds in one second here")
    options = parser.parse_args()

    print("Starting a sandbox and a Prefect server ...")
    with Sandbox(speed=options.speed) as aws, PrefectStack({}) as stack:
        stack.start_server()
        os.environ.update(settings(aws))
        stack.wait_until_ready()
        ratios = []
        api = {PREFECT_API_URL: f"{stack.url}/api", PREFECT_LOGGING_LEVEL: "ERROR"}
        with temporary_settings(api):
            _timed(aws, restore_aurora_cluster, "warm-up")
            for number in range(options.pairs):
                flow = _timed(aws, restore_aurora_cluster, f"flow-{number}")
                script = _timed(aws, plain, f"plain-{number}")
                ratios.append(flow / script)
                print(f"  flow {flow:6.2f} s   plain {script:6.2f} s   ratio {ratios[-1]:.3f}")
    print(
        f"flow / plain script: median {statistics.median(ratios):.3f} "
        f"(min {min(ratios):.3f}, max {max(ratios):.3f}; {len(ratios)} pairs, "
        f"{options.speed:g} AWS seconds in one second)"
    )
    return 0


def _timed(aws: Sandbox, act: Callable[..., Any], operation_id: str) -> float:
    aws.reset()
    wish = request(aws, operation_id=operation_id)
    began = time.perf_counter()
    act(wish)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
