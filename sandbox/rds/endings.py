"""Endings that can be planted: what becomes of the next resource of a kind."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal, cast, get_args

Ending = Literal[
    "copy-failed",
    "copy-vanished",
    "copy-stuck",
    "restore-failed",
    "restore-stuck",
    "capacity",
    "instance-failed",
    "instance-stuck",
    "rename-stuck",
    "password-stuck",
    "delete-stuck",
    "snapshot-failed",
]

ENDINGS: Final[dict[str, str]] = {
    "copy-failed": "a snapshot's copy stops at 60 % and ends in status failed",
    "copy-vanished": "a snapshot's copy disappears half-way",
    "copy-stuck": "a snapshot's copy stays in status copying, at 0 %",
    "restore-failed": "a restored cluster ends in status incompatible-restore",
    "restore-stuck": "a restored cluster stays in status creating",
    "capacity": "a writer instance ends in status insufficient-capacity",
    "instance-failed": "an instance ends in status incompatible-network",
    "instance-stuck": "an instance stays in status creating",
    "rename-stuck": "a cluster stays in status renaming, under its old name",
    "password-stuck": "a cluster stays in status resetting-master-credentials",
    "delete-stuck": "a cluster stays in status deleting",
    "snapshot-failed": "a cluster snapshot (manual or final) ends in status failed",
}


@dataclass
class _Plant:
    ending: Ending
    identifier: str
    left: int | None


_planted: list[_Plant] = []


def plant(ending: str, *, identifier: str = "*", times: int | None = 1) -> None:
    """Let the next `times` resources (None: all) whose identifier matches end so.

    `identifier` may hold `*` and `?`. Raises ValueError for an unknown ending.
    """
    if ending not in get_args(Ending):
        raise ValueError(f"no ending {ending!r}; there are: {', '.join(ENDINGS)}")
    _planted.append(_Plant(cast("Ending", ending), identifier.lower(), times))


def clear() -> None:
    """Take back all planted endings that have not come yet."""
    _planted.clear()


def take(ending: Ending, identifier: str) -> bool:
    """Whether the resource `identifier` is to end so; uses the planted ending up."""
    for planted in _planted:
        if planted.ending == ending and fnmatchcase(identifier, planted.identifier):
            if planted.left is not None:
                planted.left -= 1
                if planted.left <= 0:
                    _planted.remove(planted)
            return True
    return False
