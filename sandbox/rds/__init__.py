"""moto's RDS, given Aurora PostgreSQL's manners: time, rules, endings and real databases.

`install` before the first request; `plant` an ending for the next resource of a kind; `tick`
before reading the event log; `settle` before copying the emulator's state.
"""

from moto.rds import urls
from moto.rds.models import DBCluster
from moto.rds.utils import FilterDef

from sandbox.clock import Clock
from sandbox.events import EventLog
from sandbox.rds.ageing import tick
from sandbox.rds.endings import ENDINGS, clear, plant
from sandbox.rds.responses import AuroraResponse
from sandbox.rds.runtime import Postgres, Runtime, runtime, use

__all__ = ["ENDINGS", "clear", "install", "plant", "settle", "tick"]


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
