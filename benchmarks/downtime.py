"""How long the target's endpoint answers nobody: delete-first against swap, as a ratio.

A client logs in ten times a second for the whole of a refresh, by the name applications use. What
counts is the time between the last login before and the first login after each gap. The two modes
run in turn on the same sandbox, and the ratio is taken pair by pair.
"""

import argparse
import json
import os
import statistics
import sys
import threading
import time
from typing import Any, Self

import psycopg2
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

from aurora_restore.request import RestoreRequest
from demo.facts import request, settings
from demo.stack import PrefectStack
from flows.restore import restore_aurora_cluster
from sandbox import Sandbox

EVERY_SECONDS = 0.1


class Client:
    """Logs in again and again as the master user, whose password a refresh leaves as it is."""

    def __init__(self, aws: Sandbox) -> None:
        keeper = aws.client("secretsmanager")
        facts = aws.facts
        [cluster] = aws.client("rds").describe_db_clusters(
            DBClusterIdentifier=facts["target_cluster"]
        )["DBClusters"]
        content = keeper.get_secret_value(SecretId=facts["master_secret_arn"])["SecretString"]
        self._login: dict[str, Any] = {
            "host": cluster["Endpoint"],
            "hostaddr": aws.env["PGHOSTADDR"],
            "port": facts["postgres_port"],
            "dbname": "postgres",
            "user": facts["master_username"],
            "password": json.loads(content)["password"],
            "sslmode": "verify-full",
            "sslrootcert": aws.env["PGSSLROOTCERT"],
            "connect_timeout": 2,
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._knock)
        self.answered: list[float] = []
        self.refused = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def down_seconds(self) -> float:
        """The time without an answer: every gap that is longer than a login takes by itself."""
        pairs = zip(self.answered, self.answered[1:], strict=False)
        gaps = [later - earlier - EVERY_SECONDS for earlier, later in pairs]
        return sum(gap for gap in gaps if gap > EVERY_SECONDS)

    def _knock(self) -> None:
        due = time.perf_counter()
        while not self._stop.is_set():
            try:
                psycopg2.connect(**self._login).close()
                self.answered.append(time.perf_counter())
            except psycopg2.OperationalError:
                self.refused += 1
            due += EVERY_SECONDS
            self._stop.wait(max(0.0, due - time.perf_counter()))


def measured(aws: Sandbox, speed: float, mode: str, number: int) -> float:
    """Return the AWS seconds for which the target's endpoint answered nobody during a refresh."""
    aws.reset()
    wish = request(
        aws,
        operation_id=f"{mode}-{number}",
        replace=mode,
        master_secret_id=aws.facts["master_secret_arn"],
    )
    with Client(aws) as client:
        restore_aurora_cluster(RestoreRequest.model_validate(wish))
        time.sleep(1)
    return client.down_seconds * speed


def main() -> int:
    """Print each pair, and the median ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.downtime", description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--speed", type=float, default=60, help="AWS seconds in one second here")
    options = parser.parse_args()

    print("Starting a sandbox and a Prefect server ...")
    with Sandbox(speed=options.speed) as aws, PrefectStack({}) as stack:
        stack.start_server()
        os.environ.update(settings(aws))
        stack.wait_until_ready()
        ratios = []
        with temporary_settings(
            {PREFECT_API_URL: f"{stack.url}/api", PREFECT_LOGGING_LEVEL: "ERROR"}
        ):
            for number in range(options.pairs):
                first = measured(aws, options.speed, "delete-first", number)
                swap = measured(aws, options.speed, "swap", number)
                ratios.append(first / swap)
                print(
                    f"  delete-first {first:6.0f} s   swap {swap:6.0f} s   ratio {ratios[-1]:.1f}"
                )
    print(
        f"time without an answer, delete-first / swap: median {statistics.median(ratios):.1f} "
        f"(min {min(ratios):.1f}, max {max(ratios):.1f}; {len(ratios)} pairs, "
        f"{options.speed:g} AWS seconds in one second)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
