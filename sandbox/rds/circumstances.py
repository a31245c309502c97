"""What can be planted about accounts and Regions: lower quotas, what is not offered any more."""

from collections.abc import Callable
from typing import Any, Final

from sandbox.rds.runtime import runtime

DEFAULT_MAJOR: Final = "16"
CIRCUMSTANCES: Final[dict[str, str]] = {
    "quota": "no more than limit= (0) of name= (DBClusters, DBInstances, ManualClusterSnapshots)",
    "version-withdrawn": "engine version= (the default one) is not offered any more",
    "class-withdrawn": "instance_class= (db.r6g.large) is not offered any more",
}
_limits: dict[str, int] = {}
_withdrawn: set[str] = set()


def set_limit(*, name: str = "DBClusters", limit: int = 0) -> None:
    """Let every account have no more than so many in each Region."""
    if name not in {"DBClusters", "DBInstances", "ManualClusterSnapshots"}:
        raise ValueError(f"There is no quota {name!r}.")
    _limits[name] = limit


def withdraw_version(*, version: str | None = None) -> None:
    """Offer an engine version (default: the default one) no longer; clusters that have it stay."""
    _withdrawn.add(version or runtime().versions[DEFAULT_MAJOR])


def withdraw_class(*, instance_class: str = "db.r6g.large") -> None:
    """Offer an instance class no longer; instances that have it stay."""
    _withdrawn.add(instance_class)


PLANTING: Final[dict[str, Callable[..., None]]] = {
    "quota": set_limit,
    "version-withdrawn": withdraw_version,
    "class-withdrawn": withdraw_class,
}


def plant(name: str, /, **options: Any) -> None:
    """Bring about one of `CIRCUMSTANCES`.

    Raises:
        ValueError: there is no such quota.
        TypeError: there is no such option.
    """
    PLANTING[name](**options)


def limits() -> dict[str, int]:
    """Return the quotas that are not AWS's defaults."""
    return _limits


def is_offered(what: str) -> bool:
    """Whether a version or class is not withdrawn."""
    return what not in _withdrawn


def clear() -> None:
    """Make all as AWS has it by default."""
    _limits.clear()
    _withdrawn.clear()
