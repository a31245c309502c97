"""AddRoleToDBCluster and RemoveRoleFromDBCluster."""

from collections.abc import Mapping
from typing import Any

from moto.rds.models import RDSBackend

from sandbox.rds import faults
from sandbox.rds.clusters import find_cluster
from sandbox.rds.settings import role

Params = Mapping[str, Any]


def add_role(backend: RDSBackend, params: Params) -> None:
    """Let the cluster's feature, such as s3Import, use a role; at once.

    Source: RDS API, AddRoleToDBCluster.
    """
    cluster, wanted = find_cluster(backend, params.get("DBClusterIdentifier")), role(params)
    if wanted in cluster.roles:
        raise faults.fault(
            "DBClusterRoleAlreadyExists",
            f"Role {wanted['RoleArn']} is already associated with DB cluster "
            f"{cluster.db_cluster_identifier}.",
        )
    cluster.roles.append(wanted)


def remove_role(backend: RDSBackend, params: Params) -> None:
    """Take the role away from the cluster's feature.

    Source: RDS API, RemoveRoleFromDBCluster.
    """
    cluster, wanted = find_cluster(backend, params.get("DBClusterIdentifier")), role(params)
    if wanted not in cluster.roles:
        raise faults.fault(
            "DBClusterRoleNotFound",
            f"Role {wanted['RoleArn']} is not associated with DB cluster "
            f"{cluster.db_cluster_identifier}.",
        )
    cluster.roles.remove(wanted)
