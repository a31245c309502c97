"""How late a finished wait is noticed, and in how many reads. Three parts; without a flag, all.

Simulation: the waits of restores under four policies: the product's, fixed intervals of 30 s and of
10 s, and sleeping as long as the last run took. Durations are log-normal: medians of 45 min for the
copy (real ones take hours) and of 5 (final snapshot), 5 (deletion), 20 (cluster), 8 min (instances)
and 65 s (password) as in `sandbox/rds/durations.py`; sigma is 0.9 for the copy and 0.4 for all
others. No figures are published: all of it is a guess. A copy's progress grows evenly and shows as
whole per cents. A read is one look; the first is made at once.

Sandbox: the product's own waits against botocore's waiters (a delay of 30 s, its default, and of
5 s), side by side on resources that take equally long, all delays divided by the sandbox's speed.
Lag is the moment of the look that ended the wait less the moment `available` was reached, calls are
the Describe calls until then, both from the sandbox's event log.

Startup: what the imports of a flow run's process take, and how much of that our own modules take
for themselves (`-X importtime`, which slows all of it).
"""

import argparse
import json
import math
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from aurora_restore.details import Step
from aurora_restore.errors import NotReady
from aurora_restore.rds import copying, restoring, tags
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint
from aurora_restore.rds.clusters import get_cluster
from aurora_restore.settings import Poll, Settings
from sandbox import Sandbox
from sandbox.rds import durations

PRODUCT = Settings.model_construct()  # the defaults, whatever the environment says


@dataclass(frozen=True)
class Wait:
    """One wait of a restore. `median` is in seconds, `spread` is sigma of the logarithm."""

    name: str
    step: Step
    median: float
    spread: float = 0.4
    tells_percent: bool = False

    def drawn(self, chance: random.Random) -> float:
        """Return one duration in seconds."""
        return self.median * math.exp(self.spread * chance.gauss())


COPY = Wait("copy", Step.CHECK_COPY_STATUS, 45 * 60, 0.9, tells_percent=True)
CLUSTER = Wait("cluster", Step.CHECK_RESTORE_STATUS, durations.CLUSTER_RESTORE)
INSTANCES = Wait("instances", Step.CHECK_RESTORE_STATUS, durations.INSTANCE_CREATE)
WAITS = (
    COPY,
    Wait("final snapshot", Step.DELETE_CLUSTER, durations.SNAPSHOT, tells_percent=True),
    Wait("deletion", Step.DELETE_CLUSTER, max(durations.INSTANCE_DELETE, durations.CLUSTER_DELETE)),
    CLUSTER,
    INSTANCES,
    Wait("password", Step.CHECK_RESTORE_STATUS, durations.LAG + durations.RESET_CREDENTIALS),
)

Sleep = Callable[[float, int | None], float]
"""Seconds until the next look, after so many seconds at so many per cent: `Poll.look_again_in`."""

Policy = Callable[[Wait, float, random.Random], Sleep]
"""The sleep for one wait that takes so many seconds (known only to who remembers the last run)."""


def product(wait: Wait, _duration: float, _chance: random.Random) -> Sleep:
    """Look as the flow does."""
    return PRODUCT.poll(wait.step).look_again_in


def every(seconds: float) -> Policy:
    """Look at a fixed interval."""
    return lambda *_: Poll(at_least=seconds, at_most=seconds).look_again_in


def like_last_run(drift: float) -> Policy:
    """Sleep as long as the last run's wait took, then look every 10 s.

    Two runs' durations for the same cluster each spread by `drift` (sigma of the logarithm).
    """

    def policy(_wait: Wait, duration: float, chance: random.Random) -> Sleep:
        last = duration * math.exp(drift * math.sqrt(2) * chance.gauss())
        return lambda waited, _percent: last - waited if waited < last else 10

    return policy


POLICIES: dict[str, Policy] = {
    "the product": product,
    "every 30 s": every(30),
    "every 10 s": every(10),
    "last run, drift 0.1": like_last_run(0.1),
    "last run, drift 0.3": like_last_run(0.3),
}


def followed(duration: float, sleep: Sleep, *, tells_percent: bool) -> tuple[float, int]:
    """Return the lag in seconds and the number of looks of one wait."""
    at, looks = 0.0, 1
    while at < duration:
        at += sleep(at, int(100 * at / duration) if tells_percent else None)
        looks += 1
    return at - duration, looks


def simulate(seeds: Iterable[int], restores: int) -> None:
    """Print the four policies' lag and reads over so many restores for each seed."""
    medians = ", ".join(f"{wait.name} {wait.median:g} ({wait.spread:g})" for wait in WAITS)
    print(f"{restores} restores for each of the seeds {', '.join(map(str, seeds))}")
    print(f"  medians in seconds (sigma): {medians}")
    drawn: list[dict[Wait, float]] = []
    for seed in seeds:
        chance = random.Random(seed)  # noqa: S311  no secret
        drawn += [{wait: wait.drawn(chance) for wait in WAITS} for _ in range(restores)]
    others = tuple(wait for wait in WAITS if wait is not COPY)
    seen = {name: _seen(policy, drawn) for name, policy in POLICIES.items()}
    for title, waits in (("all waits", WAITS), ("the copy", (COPY,)), ("all others", others)):
        print(f"  {title:20}  lag, % of the wait: mean    95th    99th   reads a restore")
        for name, looks in seen.items():
            lags = [
                100 * sum(each[w][0] for w in waits) / sum(took[w] for w in waits)
                for took, each in zip(drawn, looks, strict=True)
            ]
            reads = statistics.fmean(sum(each[wait][1] for wait in waits) for each in looks)
            cuts = statistics.quantiles(lags, n=100)
            mean = statistics.fmean(lags)
            print(f"    {name:29} {mean:10.2f} {cuts[94]:7.2f} {cuts[98]:7.2f} {reads:9.0f}")


def _seen(policy: Policy, drawn: list[dict[Wait, float]]) -> list[dict[Wait, tuple[float, int]]]:
    chance = random.Random(0)  # noqa: S311
    return [
        {
            wait: followed(took, policy(wait, took, chance), tells_percent=wait.tells_percent)
            for wait, took in each.items()
        }
        for each in drawn
    ]


class Watcher:
    """Has a copy made and a cluster of two instances restored, and waits as the flow does."""

    def __init__(self, aws: Sandbox, name: str, speed: float) -> None:
        self._rds: Any = aws.session().client("rds")
        self._speed, self.name = speed, name
        self._marks = tags.marks(name, name)
        self._blueprint = Blueprint(
            cluster_id=name,
            engine_version=aws.facts["engine_version"],
            port=aws.facts["postgres_port"],
            subnet_group=aws.facts["subnet_group"],
            security_group_ids=aws.facts["security_group_ids"],
            kms_key_id=aws.facts["target_key_arn"],
            instances=[
                InstanceBlueprint(id=f"{name}-{n}", instance_class=aws.facts["instance_class"])
                for n in (1, 2)
            ],
        )

    def run(self, snapshot_id: str) -> None:
        """Do all of it."""
        copy = self._rds.copy_db_cluster_snapshot(
            SourceDBClusterSnapshotIdentifier=snapshot_id,
            TargetDBClusterSnapshotIdentifier=self.name,
        )["DBClusterSnapshot"]
        self.await_copy()
        arn = copy["DBClusterSnapshotArn"]
        restoring.start_restore(self._rds, self._blueprint, arn, self._marks)
        self.await_cluster()

    def await_copy(self) -> None:
        """Wait for the copy."""
        self._until_ready(COPY, lambda: copying.require_copied(self._rds, self.name))

    def await_cluster(self) -> None:
        """Wait for all of it; the library asks for the instances by itself."""
        rds, blueprint = self._rds, self._blueprint
        self._until_ready(
            CLUSTER,
            lambda: restoring.complete(
                rds, get_cluster(rds, self.name), blueprint, self._marks, None
            ),
        )

    def _until_ready(self, wait: Wait, look: Callable[[], object]) -> None:
        usual = PRODUCT.poll(wait.step)
        poll = Poll(
            at_least=usual.at_least / self._speed,
            at_most=usual.at_most / self._speed,
            give_up_after=usual.give_up_after / self._speed,
        )
        began = time.monotonic()
        while True:
            try:
                look()
            except NotReady as waiting:
                time.sleep(poll.look_again_in(time.monotonic() - began, waiting.percent))
            else:
                return


class Waiters(Watcher):
    """The same, waiting with botocore's waiters."""

    def __init__(self, aws: Sandbox, name: str, speed: float, delay: float) -> None:
        super().__init__(aws, name, speed)
        # 60 attempts are the default: with 30 s a copy of half an hour is given up.
        self._config = {"Delay": delay / speed, "MaxAttempts": 1_000_000}

    def await_copy(self) -> None:
        """Wait for the copy."""
        self._wait("db_cluster_snapshot_available", DBClusterSnapshotIdentifier=self.name)

    def await_cluster(self) -> None:
        """Wait for the cluster, ask for its instances, wait for both of them together."""
        self._wait("db_cluster_available", DBClusterIdentifier=self.name)
        for each in self._blueprint.instances:
            self._rds.create_db_instance(
                DBClusterIdentifier=self.name, Engine="aurora-postgresql", **each.to_api()
            )
        wanted = [{"Name": "db-cluster-id", "Values": [self.name]}]
        self._wait("db_instance_available", Filters=wanted)

    def _wait(self, waiter: str, **what: Any) -> None:
        self._rds.get_waiter(waiter).wait(WaiterConfig=self._config, **what)


@dataclass(frozen=True)
class Seen:
    """What one wait cost: its lag in AWS seconds and its Describe calls."""

    lag: float
    calls: int


def read_log(aws: Sandbox, name: str) -> dict[Wait, Seen]:
    """Return what each of a watcher's waits cost, from the event log."""
    calls = [
        each for each in aws.events("call", service="rds") if name in json.dumps(each["parameters"])
    ]
    copy = [each for each in calls if each["operation"] == "DescribeDBClusterSnapshots"]
    start = next(at for at, e in enumerate(calls) if e["operation"].startswith("RestoreDBCluster"))
    restored = calls[start:]
    cluster = list(takewhile(lambda each: each["operation"] != "CreateDBInstance", restored))
    instances = restored[len(cluster) :]
    return {
        COPY: _cost(aws, copy, "DescribeDBClusterSnapshots", f"snapshot:{name}"),
        CLUSTER: _cost(aws, cluster, "DescribeDBClusters", f"cluster:{name}"),
        INSTANCES: _cost(
            aws, instances, "DescribeDBInstances", f"instance:{name}-1", f"instance:{name}-2"
        ),
    }


def _cost(aws: Sandbox, calls: list[dict[str, Any]], sight: str, *resources: str) -> Seen:
    """`sight` is the operation whose last call saw that the resources had become available."""
    ready = max(
        aws.events("status", resource=each, to="available")[0]["aws_seconds"] for each in resources
    )
    saw = [each["aws_seconds"] for each in calls if each["operation"] == sight][-1]
    looks = sum(each["operation"].startswith("Describe") for each in calls)
    return Seen(max(saw - ready, 0.1), looks)  # a tenth is the log's resolution


def measure(seeds: Iterable[int], speed: float) -> None:
    """Print lag and calls of the product and of the waiters for each seed, and the ratios."""
    print(f"Starting a sandbox; {speed:g} AWS seconds pass in one second ...")
    ratios: dict[tuple[Wait, str], list[tuple[float, float]]] = {}
    with Sandbox(speed=speed) as aws:
        for seed in seeds:
            chance = random.Random(seed)  # noqa: S311
            took = {wait: wait.drawn(chance) for wait in (COPY, CLUSTER, INSTANCES)}
            seen = _watched(aws, speed, took)
            for wait, seconds in took.items():
                costs = {name: each[wait] for name, each in seen.items()}
                told = "   ".join(f"{n} {c.lag:5.1f} s {c.calls:4} calls" for n, c in costs.items())
                print(f"  seed {seed}  {wait.name:9} {seconds:6.0f} s   {told}")
                ours = costs.pop("product")
                for name, cost in costs.items():
                    pair = (ours.lag / cost.lag, ours.calls / cost.calls)
                    ratios.setdefault((wait, name), []).append(pair)
    print("product / waiter, median (min, max)        lag                  calls")
    for (wait, name), pairs in ratios.items():
        lags, calls = zip(*pairs, strict=True)
        print(f"  {wait.name:9} {name:18} {_spread(lags)}   {_spread(calls)}")


def _watched(aws: Sandbox, speed: float, took: dict[Wait, float]) -> dict[str, dict[Wait, Seen]]:
    aws.reset()
    aws.client("rds").create_db_cluster_snapshot(
        DBClusterIdentifier=aws.facts["target_cluster"], DBClusterSnapshotIdentifier="source"
    )
    aws.advance(durations.SNAPSHOT)
    aws.client("rds").get_waiter("db_cluster_snapshot_available").wait(
        DBClusterSnapshotIdentifier="source", WaiterConfig={"Delay": 1}
    )
    aws.set_durations(
        COPY=took[COPY], CLUSTER_RESTORE=took[CLUSTER], INSTANCE_CREATE=took[INSTANCES]
    )
    watchers = [
        Watcher(aws, "product", speed),
        Waiters(aws, "waiter-30", speed, 30),
        Waiters(aws, "waiter-5", speed, 5),
    ]
    with ThreadPoolExecutor(len(watchers)) as pool:
        list(pool.map(lambda each: each.run("source"), watchers))
    return {each.name: read_log(aws, each.name) for each in watchers}


def _spread(values: Iterable[float]) -> str:
    several = list(values)
    return f"{statistics.median(several):6.2f} ({min(several):5.2f}, {max(several):5.2f})"


IMPORTS = {
    "nothing": "pass",
    "prefect": "import prefect",
    "prefect and its engine": "import prefect.flow_engine",
    "flows.restore": "import flows.restore",
}
OURS = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(?:flows|tasks|aurora_restore)\b")


def start_up(repeats: int) -> None:
    """Print the seconds a new Python takes for each import, medians; and what of it is ours."""
    taken: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(repeats):
        for name, statement in IMPORTS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)  # noqa: S603
            taken[name].append(time.perf_counter() - began)
    for name, several in taken.items():
        print(f"  python, importing {name:22} {_spread(several)} s")
    ours = []
    for _ in range(repeats):
        told = subprocess.run(  # noqa: S603
            [sys.executable, "-X", "importtime", "-c", IMPORTS["flows.restore"]],
            check=True,
            capture_output=True,
            text=True,
        ).stderr
        ours.append(sum(map(int, OURS.findall(told))) / 1e6)
    print(f"  of the last, our own modules themselves  {_spread(ours)} s")


def main() -> int:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.polling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--simulation", action="store_true", help="only this: no sandbox, seconds")
    parser.add_argument("--sandbox", action="store_true", help="only this: a quarter of an hour")
    parser.add_argument("--startup", action="store_true", help="only this")
    parser.add_argument("--seeds", type=int, default=5, help="how many, counted from 1")
    parser.add_argument("--restores", type=int, default=1000, help="simulated for each seed")
    parser.add_argument("--speed", type=float, default=60, help="AWS seconds in one second here")
    parser.add_argument("--repeats", type=int, default=5, help="of each import")
    options = parser.parse_args()

    seeds = range(1, options.seeds + 1)
    every_part = not (options.simulation or options.sandbox or options.startup)
    if options.simulation or every_part:
        simulate(seeds, options.restores)
    if options.sandbox or every_part:
        measure(seeds, options.speed)
    if options.startup or every_part:
        start_up(options.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
