"""Statuses that take time: each resource carries the statuses it is going to have.

Nothing runs in the background. `tick` (in `ageing`) moves every resource to the status it has by
now and writes each change to the event log, with the moment at which it happened.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from sandbox.rds.runtime import runtime

Kind = Literal["cluster", "instance", "snapshot", "export"]

DELETED = "deleted"
"""Not a status anybody sees: the resource is gone once it has it."""


@dataclass(frozen=True)
class Step:
    """A status to come, at a moment in real seconds since the epoch."""

    at: float
    status: str


class Mortal(Protocol):
    """A resource with a life."""

    life: "Life"

    def entered(self, status: str) -> None:
        """Do what belongs to having reached `status`."""


@dataclass
class Progress:
    """How far work on a snapshot has come, in percent, from the clock alone."""

    began: float
    lasts: float
    ceiling: int = 100

    def at(self, moment: float) -> int:
        """Return the progress at `moment`, at most 99 before the end."""
        gone = moment - self.began
        if gone <= 0:
            return 0
        share = min(1.0, gone / self.lasts) if self.lasts > 0 else 1.0
        return min(99, round(self.ceiling * share))


@dataclass
class Life:
    """The status of one resource, now and later."""

    kind: Kind
    name: str
    account: str
    region: str
    uid: str
    status: str = ""
    since: float = 0.0
    steps: list[Step] = field(default_factory=list)
    progress: Progress | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the event log says of the resource."""

    @property
    def label(self) -> str:
        """Return what the event log calls the resource."""
        return f"{self.kind}:{self.name}"

    @property
    def settled(self) -> bool:
        """Whether no change is under way."""
        return not self.steps

    def begin(self, status: str | None, *later: tuple[float, str], at: float | None = None) -> None:
        """Take `status` (None: keep it) and each of `later` so many AWS seconds after.

        `at` is when it begins, in real seconds since the epoch (default: now).
        """
        clock = runtime().clock
        now = clock.now() if at is None else at
        if status is not None:
            self._become(status, now)
        self.steps = [Step(now + clock.real(after), to) for after, to in later]

    def due(self, now: float) -> Step | None:
        """Take the next status off the list, if its moment has come."""
        if self.steps and self.steps[0].at <= now:
            return self.steps.pop(0)
        return None

    def reach(self, step: Step) -> None:
        """Have the status of `step`, once PostgreSQL has done its part of the work."""
        try:
            done = runtime().jobs.finish(self.uid)
        except Exception as problem:
            runtime().events.add("error", resource=self.label, problem=repr(problem))
            raise
        self._become(step.status, max(step.at, done))

    def percent(self, moment: float | None = None) -> int:
        """Return how far the work is at `moment` (default: now), in percent."""
        if self.status == "available" or self.progress is None:
            return 100
        if self.status in ("creating", "copying"):
            return self.progress.at(runtime().clock.now() if moment is None else moment)
        return self.progress.ceiling

    def frozen(self) -> "Life":
        """Return a life that stays as this one is now: for a reply that shows the past."""
        return replace(self, steps=[])

    def _become(self, status: str, moment: float) -> None:
        before, self.status, self.since = self.status, status, moment
        facts: dict[str, Any] = {"from": before or None, "to": status}
        if self.progress is not None:
            facts["percent"] = self.percent(moment)
        self.log("status", moment, **facts)

    def log(self, kind: str, moment: float, **facts: Any) -> None:
        """Write to the event log what happened to the resource."""
        own = {"account": self.account, "region": self.region, "resource": self.label}
        runtime().events.add(kind, moment, **own, **facts, **self.facts)
