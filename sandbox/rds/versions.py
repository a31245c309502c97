"""The engine versions: those of the real servers, and what a Region offers of them."""

from sandbox.rds.checks import ENGINE, major
from sandbox.rds.circumstances import DEFAULT_MAJOR, is_offered
from sandbox.rds.faults import bad_combination
from sandbox.rds.runtime import runtime


def versions() -> list[str]:
    """Return the engine versions on offer, oldest first.

    Those of the real servers, and of each major one the next minor, which the same server serves.
    """
    found = []
    for real in runtime().versions.values():
        number, _, minor = real.partition(".")
        found += [real, f"{number}.{int(minor) + 1}"]
    return [each for each in found if is_offered(each)]


def default_version() -> str:
    """Return the Region's default engine version, the lowest that is offered of its major one."""
    return next(each for each in versions() if major(each) == DEFAULT_MAJOR)


def version(wanted: str | None) -> str:
    """Return the engine version meant by `wanted`, a full or a major one (None: the default)."""
    if wanted is None:
        return default_version()
    for offered in versions():
        if wanted in (offered, major(offered)):
            return offered
    raise bad_combination(f"Cannot find version {wanted} for {ENGINE}")


def may_become(old: str, new: str) -> bool:
    """Whether a snapshot of version `old` can be restored as `new`: a later minor, or the same."""
    return major(old) == major(new) and _number(old) <= _number(new)


def upgrade_targets(old: str) -> list[str]:
    """Return the later minor versions on offer, and all of the next major one."""
    later = [each for each in versions() if _number(each) > _number(old)]
    next_major = next((major(each) for each in later if major(each) != major(old)), None)
    return [each for each in later if major(each) in (major(old), next_major)]


def _number(full: str) -> tuple[int, ...]:
    return tuple(int(part) for part in full.split("."))
