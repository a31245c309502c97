"""How long things take on Aurora, in AWS seconds.

No figures are published; these are of the order seen in public reports for small clusters.
`docs/fidelity.md` says which are guesses. `change` gives what begins from then on other durations,
until `clear`; so read them as `durations.COPY`, each time.
"""

from collections.abc import Mapping

COPY = 900.0
"""A cluster snapshot's copy, from `copying` to `available`."""

SNAPSHOT = 300.0
"""A manual, automated or final cluster snapshot, from `creating` to `available`."""

CLUSTER_CREATE = 300.0
CLUSTER_RESTORE = 1200.0
CLUSTER_DELETE = 240.0
CLUSTER_STOP = 120.0
CLUSTER_START = 180.0

INSTANCE_CREATE = 480.0
INSTANCE_DELETE = 300.0

LAG = 5.0
"""From the reply to a modification until the status shows it."""

MODIFY = 60.0
RESET_CREDENTIALS = 60.0
RENAME = 120.0
PROMOTE = 60.0
"""A cluster that has left its global cluster, from `promoting` to `available`."""

SECRET = 60.0
"""A managed master secret, from `creating` or `rotating` to `active`."""

EXPORT_START = 120.0
EXPORT = 1800.0

_USUAL = {name: value for name, value in globals().items() if name.isupper()}


def change(aws_seconds: Mapping[str, float]) -> None:
    """Let what begins from now on last so long, by the names above.

    Raises:
        ValueError: there is no such duration, or one is not positive; nothing is changed.
    """
    if unknown := sorted(aws_seconds.keys() - _USUAL.keys()):
        raise ValueError(f"There is no duration {', '.join(unknown)}.")
    if not all(value > 0 for value in aws_seconds.values()):
        raise ValueError("Durations are positive.")
    globals().update(aws_seconds)


def clear() -> None:
    """Make all as long as usual."""
    globals().update(_USUAL)
