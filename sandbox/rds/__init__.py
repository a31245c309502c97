"""moto's RDS, given Aurora PostgreSQL's manners: time, rules, endings and real databases.

`install` before the first request; `plant` an ending for the next resource of a kind, or another
circumstance; `tick` before reading the event log, `take_stock` after emptying it; `settle` before
copying the emulator's state.
"""

from typing import Any

from moto.rds import urls
from moto.rds.models import DBCluster
from moto.rds.utils import FilterDef

from sandbox.clock import Clock
from sandbox.events import EventLog
from sandbox.rds import circumstances, durations, endings
from sandbox.rds.ageing import take_stock, tick
from sandbox.rds.circumstances import CIRCUMSTANCES
from sandbox.rds.endings import ENDINGS
from sandbox.rds.responses import AuroraResponse
from sandbox.rds.runtime import Postgres, Runtime, runtime, use

__all__ = ["CIRCUMSTANCES", "ENDINGS", "clear", "install", "plant", "settle", "take_stock", "tick"]


def install(clock: Clock, events: EventLog, postgres: Postgres) -> None:
    """Put Aurora's manners in the place of moto's RDS. Safe to repeat: the last call counts."""
    use(Runtime(clock, events, postgres))
    clear()
    urls.url_paths["{0}/$"] = AuroraResponse.dispatch
    DBCluster.SUPPORTED_FILTERS["db-cluster-resource-id"] = FilterDef(
        ["db_cluster_resource_id"], "DB Cluster Resource Ids"
    )


def settle() -> None:
    """Wait until PostgreSQL has done all it was asked for; ages nothing."""
    with runtime().lock:
        runtime().jobs.settle()


def plant(what: str, /, **options: Any) -> None:
    """Plant an ending (`identifier`, `times`) or a circumstance (with options of its own).

    Raises:
        ValueError: there is no such thing.
        TypeError: there is no such option.
    """
    if what in CIRCUMSTANCES:
        circumstances.plant(what, **options)
    else:
        endings.plant(what, **options)


def clear() -> None:
    """Take back all planted endings that have not come yet, all circumstances and durations."""
    durations.clear()
    endings.clear()
    circumstances.clear()
