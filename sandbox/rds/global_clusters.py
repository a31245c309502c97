"""Global clusters, as far as a cluster becomes a member of one and is freed again."""

from collections.abc import Mapping
from typing import Any

from moto.rds.models import GlobalCluster, RDSBackend, rds_backends

from sandbox.rds import checks, durations, faults, versions
from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.clusters import find_cluster

Params = Mapping[str, Any]


def create_global(backend: RDSBackend, params: Params) -> GlobalCluster:
    """Make a global cluster, of which the source cluster is the primary member.

    `backend` is the one that keeps the account's global clusters.

    Source: RDS API, CreateGlobalCluster.
    """
    name = checks.identifier(params.get("GlobalClusterIdentifier"), "GlobalClusterIdentifier")
    if name in backend.global_clusters:
        raise faults.fault(
            "GlobalClusterAlreadyExistsFault", f"Global cluster {name} already exists"
        )
    wanted = params.get("SourceDBClusterIdentifier")
    source = None if wanted is None else _find(backend, wanted)
    if source is not None:
        _check_source(source, params)
    elif params.get("Engine") != checks.ENGINE:
        raise faults.bad_value(
            "When creating standalone global cluster, value for engineName should be specified"
        )
    made = GlobalCluster(
        backend,
        name,
        engine=checks.ENGINE,
        engine_version=str(source.engine_version)
        if source is not None
        else versions.version(params.get("EngineVersion")),
        storage_encrypted=bool(source and source.storage_encrypted),
        deletion_protection=bool(params.get("DeletionProtection")),
    )
    backend.global_clusters[name] = made
    if source is not None:
        source.global_cluster_identifier, source.is_writer = name, True
        made.members.append(source)
    return made


def _check_source(source: AuroraCluster, params: Params) -> None:
    if params.get("Engine") is not None:
        raise faults.bad_combination(
            "When creating global cluster from existing db cluster, value for engineName should "
            "not be specified since it will be inherited from source cluster"
        )
    if source.status != "available" or source.global_cluster_identifier:
        raise faults.cluster_state(
            f"DB cluster {source.db_cluster_identifier} is not available, or is a member of a "
            "global cluster."
        )


def describe_globals(backend: RDSBackend, params: Params) -> list[GlobalCluster]:
    """Return the global cluster asked for, or all.

    Source: RDS API, DescribeGlobalClusters.
    """
    wanted = params.get("GlobalClusterIdentifier")
    if wanted is not None:
        return [_find_global(backend, wanted)]
    return list(backend.global_clusters.values())


def remove_from_global(backend: RDSBackend, params: Params) -> GlobalCluster:
    """Begin to make a member a cluster of its own again: it is `promoting` for a while.

    Source: RDS API, RemoveFromGlobalCluster; Terraform waits while it is `promoting`.
    """
    found = _find_global(backend, params.get("GlobalClusterIdentifier"))
    member = _find(backend, params.get("DbClusterIdentifier"))
    if member not in found.members:
        raise faults.cluster_not_found(str(params.get("DbClusterIdentifier")))
    if member.status != "available" or not member.life.settled:
        raise faults.cluster_state(
            f"DB cluster {member.db_cluster_identifier} is in {member.status} state."
        )
    found.members.remove(member)
    member.leaving_global = True
    member.life.begin("promoting", (durations.PROMOTE, "available"))
    return found


def delete_global(backend: RDSBackend, params: Params) -> GlobalCluster:
    """Delete a global cluster without members.

    Source: RDS API, DeleteGlobalCluster.
    """
    found = _find_global(backend, params.get("GlobalClusterIdentifier"))
    if found.members:
        raise faults.fault(
            "InvalidGlobalClusterStateFault",
            f"Global Cluster {found.global_cluster_arn} is not empty",
        )
    backend.global_clusters.pop(found.global_cluster_identifier)
    return found


def _find_global(backend: RDSBackend, wanted: str | None) -> GlobalCluster:
    found = backend.global_clusters.get((wanted or "").rsplit(":", 1)[-1])
    if found is None:
        raise faults.fault("GlobalClusterNotFoundFault", f"Global cluster {wanted} not found")
    return found


def _find(backend: RDSBackend, arn: str | None) -> AuroraCluster:
    """Return the account's cluster of this ARN, in whichever Region."""
    parts = (arn or "").split(":")
    if len(parts) != 7 or parts[4] != backend.account_id:  # noqa: PLR2004  # parts of an ARN
        raise faults.bad_value(f"Malformed db cluster arn {arn}")
    return find_cluster(rds_backends[backend.account_id][parts[3]], arn)
