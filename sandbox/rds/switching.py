"""StopDBCluster and StartDBCluster."""

from collections.abc import Mapping
from typing import Any

from moto.rds.models import RDSBackend

from sandbox.rds import durations, faults
from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.clusters import find_cluster
from sandbox.rds.instance import AuroraInstance

Params = Mapping[str, Any]


def stop_cluster(backend: RDSBackend, params: Params) -> AuroraCluster:
    """Begin to stop a cluster with its instances.

    Source: RDS API, StopDBCluster.
    """
    return _switch(backend, params, ("available", "stopping", "stopped"), durations.CLUSTER_STOP)


def start_cluster(backend: RDSBackend, params: Params) -> AuroraCluster:
    """Begin to start a stopped cluster with its instances.

    Source: RDS API, StartDBCluster.
    """
    return _switch(backend, params, ("stopped", "starting", "available"), durations.CLUSTER_START)


def _switch(
    backend: RDSBackend, params: Params, way: tuple[str, str, str], lasts: float
) -> AuroraCluster:
    cluster = find_cluster(backend, params.get("DBClusterIdentifier"))
    before, during, after = way
    if cluster.status != before or not cluster.life.settled:
        raise faults.cluster_state(
            f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state "
            f"but expected it to be one of {before}."
        )
    for member in cluster.members:
        if isinstance(member, AuroraInstance) and member.status == before:
            member.life.begin(during, (lasts, after))
    cluster.life.begin(during, (lasts, after))
    return cluster
