"""EnableHttpEndpoint and DisableHttpEndpoint: the Data API of a cluster."""

from collections.abc import Mapping
from typing import Any

from moto.rds.models import RDSBackend

from sandbox.rds import faults
from sandbox.rds.cluster import AuroraCluster

Params = Mapping[str, Any]


def switch(backend: RDSBackend, params: Params, *, on: bool) -> dict[str, Any]:
    """Switch the Data API of an available cluster on or off, at once; safe to repeat.

    ModifyDBCluster does so for Aurora Serverless v1 only.

    Source: RDS API, EnableHttpEndpoint, DisableHttpEndpoint.
    """
    cluster = _find(backend, str(params.get("ResourceArn")))
    if cluster.status != "available" or not cluster.life.settled:
        raise faults.fault(
            "InvalidResourceStateFault",
            f"DB cluster {cluster.db_cluster_identifier} is not in the available state.",
        )
    cluster.data_api = on
    return {"ResourceArn": cluster.db_cluster_arn, "HttpEndpointEnabled": on}


def _find(backend: RDSBackend, arn: str) -> AuroraCluster:
    for cluster in backend.clusters.values():
        if isinstance(cluster, AuroraCluster) and cluster.db_cluster_arn == arn:
            return cluster
    raise faults.fault("ResourceNotFoundFault", f"The resource {arn} was not found.")
