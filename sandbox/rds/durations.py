"""How long things take on Aurora, in AWS seconds.

No figures are published; these are of the order seen in public reports for small clusters.
`docs/fidelity.md` says which are guesses.
"""

from typing import Final

COPY: Final = 900.0
"""A cluster snapshot's copy, from `copying` to `available`."""

SNAPSHOT: Final = 300.0
"""A manual, automated or final cluster snapshot, from `creating` to `available`."""

CLUSTER_CREATE: Final = 300.0
CLUSTER_RESTORE: Final = 1200.0
CLUSTER_DELETE: Final = 240.0
CLUSTER_STOP: Final = 120.0
CLUSTER_START: Final = 180.0

INSTANCE_CREATE: Final = 480.0
INSTANCE_DELETE: Final = 300.0

LAG: Final = 5.0
"""From the reply to a modification until the status shows it."""

MODIFY: Final = 60.0
RESET_CREDENTIALS: Final = 60.0
RENAME: Final = 120.0
PROMOTE: Final = 60.0
"""A cluster that has left its global cluster, from `promoting` to `available`."""

SECRET: Final = 60.0
"""A managed master secret, from `creating` or `rotating` to `active`."""

EXPORT_START: Final = 120.0
EXPORT: Final = 1800.0
