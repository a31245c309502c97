"""The passing of time: every resource comes to the status it has by now."""

from moto.rds.models import RDSBackend, rds_backends

from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.export import AuroraExport
from sandbox.rds.instance import AuroraInstance
from sandbox.rds.life import DELETED, Mortal
from sandbox.rds.runtime import runtime
from sandbox.rds.snapshot import AuroraSnapshot, all_snapshots, automated_backup


def tick() -> None:
    """Age everything, in the order in which things happened; waits for PostgreSQL where due."""
    with runtime().lock:
        now = runtime().clock.now()
        while due := [
            (resource.life.steps[0].at, index, resource)
            for index, resource in enumerate(_mortals())
            if resource.life.steps and resource.life.steps[0].at <= now
        ]:
            resource = min(due)[2]
            step = resource.life.due(now)
            if step is not None:
                resource.life.reach(step)
                resource.entered(step.status)
                if isinstance(resource, AuroraCluster):
                    _look_after_backups(resource)


def take_stock() -> None:
    """Write into the event log what there is, so that it can be read without its past."""
    with runtime().lock:
        now = runtime().clock.now()
        for resource in _mortals():
            resource.life.log("initial", now, to=resource.life.status)
            if isinstance(resource, AuroraCluster):
                resource.life.log("endpoint", now, open=bool(resource.names), names=resource.names)


def _look_after_backups(cluster: AuroraCluster) -> None:
    """Back a new cluster up; drop a deleted one's automated snapshots, if that was asked for."""
    if cluster.status == "available" and not cluster.backed_up:
        cluster.backed_up = True
        automated_backup(cluster)
    elif cluster.status == DELETED and cluster.delete_automated_backups:
        for snapshot in all_snapshots():
            if (
                snapshot.snapshot_type == "automated"
                and snapshot.db_cluster_resource_id == cluster.db_cluster_resource_id
            ):
                snapshot.remove(at=cluster.life.since)


def _mortals() -> list[Mortal]:
    return [
        resource
        for _, _, backend in list(rds_backends.iter_backends())
        if isinstance(backend, RDSBackend)
        for resource in (
            *backend.cluster_snapshots.values(),
            *backend.databases.values(),
            *backend.clusters.values(),
            *backend.export_tasks.values(),
        )
        if isinstance(resource, AuroraCluster | AuroraInstance | AuroraSnapshot | AuroraExport)
    ]
