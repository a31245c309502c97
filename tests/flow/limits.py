"""The limits of a Fargate task on this machine, by the kernel's control groups (version 1 or 2)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
NAME = f"aurora-restore-{os.getpid()}"


@dataclass
class Limits:
    """A control group. `take` puts a process in; its descendants follow."""

    cpu: Path
    memory: Path

    def take(self, pid: int) -> None:
        """Put a process in."""
        for group in {self.cpu, self.memory}:
            (group / "cgroup.procs").write_text(str(pid))

    def killed(self) -> bool:
        """Whether the kernel has killed one of them for want of memory."""
        for name in ("memory.oom_control", "memory.events"):
            with suppress(OSError):
                lines = (self.memory / name).read_text().split("\n")
                counts = dict(line.split() for line in lines if line)
                return int(counts.get("oom_kill", 0)) > 0
        return False


def are_possible() -> bool:
    """Whether control groups can be made here."""
    return os.access(GROUPS / "memory", os.W_OK) or os.access(GROUPS / "cgroup.procs", os.W_OK)


@contextmanager
def limits(virtual_cpus: float, mib: int) -> Iterator[Limits]:
    """Give a group of that size, page cache included; what is in it must have ended then."""
    quota = int(virtual_cpus * PERIOD_US)
    first = (GROUPS / "memory").is_dir()
    cpu, memory = (GROUPS / kind / NAME if first else GROUPS / NAME for kind in ("cpu", "memory"))
    for group in (cpu, memory):
        group.mkdir(exist_ok=True)
    if first:
        (cpu / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (cpu / "cpu.cfs_quota_us").write_text(str(quota))
        (memory / "memory.limit_in_bytes").write_text(str(mib * 2**20))
    else:
        (cpu / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        (memory / "memory.max").write_text(str(mib * 2**20))
    try:
        yield Limits(cpu, memory)
    finally:
        for group in {cpu, memory}:
            with suppress(OSError):
                group.rmdir()
