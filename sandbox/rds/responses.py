"""The RDS operations of the sandbox, over moto's own request parsing and XML."""

import math
from collections.abc import Sequence
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult, EmptyResult
from moto.rds.models import GlobalCluster
from moto.rds.responses import RDSResponse

from sandbox.rds import (
    catalogue,
    clusters,
    data_api,
    deleting,
    export,
    faults,
    global_clusters,
    instances,
    modifying,
    quotas,
    roles,
    snapshots,
    switching,
)
from sandbox.rds.ageing import tick
from sandbox.rds.checks import ENGINE
from sandbox.rds.cluster import AuroraCluster
from sandbox.rds.instance import AuroraInstance
from sandbox.rds.runtime import runtime
from sandbox.rds.snapshot import AuroraSnapshot

_SMALLEST_PAGE, _LARGEST_PAGE = 20, 100
_NOT_FOUND = {
    "cluster": "DBClusterNotFoundFault",
    "db": "DBInstanceNotFound",
    "snapshot": "DBSnapshotNotFound",
    "cluster-snapshot": "DBSnapshotNotFound",
}


def _snapshot(result: AuroraSnapshot) -> ActionResult:
    return ActionResult({"DBClusterSnapshot": result})


def _cluster(result: AuroraCluster) -> ActionResult:
    return ActionResult({"DBCluster": result})


def _global(result: GlobalCluster) -> ActionResult:
    return ActionResult({"GlobalCluster": result})


def _instance(result: AuroraInstance) -> ActionResult:
    return ActionResult({"DBInstance": result})


class AuroraResponse(RDSResponse):
    """moto's RDS with Aurora's manners. Other engines are moto's business as before."""

    def call_action(self) -> TYPE_RESPONSE:
        """Answer one request, alone; time passes first."""
        with runtime().lock:
            tick()
            answer = super().call_action()
            if math.isinf(runtime().clock.speed):
                tick()
            return answer

    # clusters

    def create_db_cluster(self) -> ActionResult:
        if self.params.get("Engine") != ENGINE:
            return super().create_db_cluster()
        return _cluster(clusters.create_cluster(self.backend, self.params))

    def restore_db_cluster_from_snapshot(self) -> ActionResult:
        return _cluster(clusters.restore_cluster(self.backend, self.params))

    def describe_db_clusters(self) -> ActionResult:
        filters = {item["Name"]: item["Values"] for item in self.params.get("Filters", [])}
        found = self.backend.describe_db_clusters(
            db_cluster_identifier=self.params.get("DBClusterIdentifier"), filters=filters
        )
        return self._page("DBClusters", found)

    def modify_db_cluster(self) -> ActionResult:
        return _cluster(modifying.modify_cluster(self.backend, self.params))

    def delete_db_cluster(self) -> ActionResult:
        return _cluster(deleting.delete_cluster(self.backend, self.params))

    def stop_db_cluster(self) -> ActionResult:
        return _cluster(switching.stop_cluster(self.backend, self.params))

    def start_db_cluster(self) -> ActionResult:
        return _cluster(switching.start_cluster(self.backend, self.params))

    def add_role_to_db_cluster(self) -> ActionResult:
        roles.add_role(self.backend, self.params)
        return EmptyResult()

    def remove_role_from_db_cluster(self) -> ActionResult:
        roles.remove_role(self.backend, self.params)
        return EmptyResult()

    def enable_http_endpoint(self) -> ActionResult:
        return ActionResult(data_api.switch(self.backend, self.params, on=True))

    def disable_http_endpoint(self) -> ActionResult:
        return ActionResult(data_api.switch(self.backend, self.params, on=False))

    # global clusters

    def create_global_cluster(self) -> ActionResult:
        return _global(global_clusters.create_global(self.global_backend, self.params))

    def describe_global_clusters(self) -> ActionResult:
        found = global_clusters.describe_globals(self.global_backend, self.params)
        return self._page("GlobalClusters", found)

    def remove_from_global_cluster(self) -> ActionResult:
        return _global(global_clusters.remove_from_global(self.global_backend, self.params))

    def delete_global_cluster(self) -> ActionResult:
        return _global(global_clusters.delete_global(self.global_backend, self.params))

    # instances

    def create_db_instance(self) -> ActionResult:
        if self.params.get("DBClusterIdentifier") is None:
            return super().create_db_instance()
        return _instance(instances.create_instance(self.backend, self.params))

    def describe_db_instances(self) -> ActionResult:
        filters = {item["Name"]: item["Values"] for item in self.params.get("Filters", [])}
        found = self.backend.describe_db_instances(
            self.params.get("DBInstanceIdentifier"), filters=filters
        )
        return self._page("DBInstances", found)

    def modify_db_instance(self) -> ActionResult:
        found = self.backend.databases.get(self.params["DBInstanceIdentifier"])
        if not isinstance(found, AuroraInstance):
            return super().modify_db_instance()
        return _instance(instances.modify_instance(found, self.params))

    def delete_db_instance(self) -> ActionResult:
        found = self.backend.databases.get(self.params["DBInstanceIdentifier"])
        if not isinstance(found, AuroraInstance):
            return super().delete_db_instance()
        return _instance(deleting.delete_instance(found, self.params))

    # snapshots

    def create_db_cluster_snapshot(self) -> ActionResult:
        found = self.backend.clusters.get(str(self.params.get("DBClusterIdentifier")))
        if found is not None and not isinstance(found, AuroraCluster):
            return super().create_db_cluster_snapshot()
        cluster = clusters.find_cluster(self.backend, self.params.get("DBClusterIdentifier"))
        return _snapshot(snapshots.create_snapshot(self.backend, cluster, self.params))

    def copy_db_cluster_snapshot(self) -> ActionResult:
        return _snapshot(snapshots.copy_snapshot(self.backend, self.params))

    def delete_db_cluster_snapshot(self) -> ActionResult:
        wanted = self.params.get("DBClusterSnapshotIdentifier")
        return _snapshot(snapshots.delete_snapshot(self.backend, wanted))

    def describe_db_cluster_snapshots(self) -> ActionResult:
        found = snapshots.describe_snapshots(self.backend, self.params)
        return self._page("DBClusterSnapshots", found)

    def modify_db_cluster_snapshot_attribute(self) -> ActionResult:
        return self._attributes(snapshots.share_snapshot(self.backend, self.params))

    def describe_db_cluster_snapshot_attributes(self) -> ActionResult:
        wanted = self.params.get("DBClusterSnapshotIdentifier")
        found = snapshots.find_snapshot(self.backend, wanted, same_region=True)
        if found.backend is not self.backend:
            raise faults.snapshot_not_found(str(wanted))
        return self._attributes(found)

    @staticmethod
    def _attributes(snapshot: AuroraSnapshot) -> ActionResult:
        attributes = [
            {"AttributeName": name, "AttributeValues": values}
            for name, values in snapshot.attributes.items()
        ]
        return ActionResult(
            {
                "DBClusterSnapshotAttributesResult": {
                    "DBClusterSnapshotIdentifier": snapshot.db_cluster_snapshot_identifier,
                    "DBClusterSnapshotAttributes": attributes,
                }
            }
        )

    def _page(self, name: str, found: Sequence[object]) -> ActionResult:
        """Answer with one page of what was found, and the marker of the next."""
        size = self.params.get("MaxRecords") or _LARGEST_PAGE
        if not _SMALLEST_PAGE <= size <= _LARGEST_PAGE:
            raise faults.bad_value(
                f"Invalid value {size} for MaxRecords. Must be between 20 and 100"
            )
        marker = self.params.get("Marker")
        try:
            start = int(marker) if marker else 0
        except ValueError as error:
            raise faults.bad_value(f"Invalid marker {marker}") from error
        end = start + size
        return ActionResult(
            {
                name: list(found[start:end]),
                "Marker": f"{end:04}" if end < len(found) else None,
            }
        )

    # exports

    def start_export_task(self) -> ActionResult:
        if ":cluster-snapshot:" not in str(self.params.get("SourceArn")):
            return super().start_export_task()
        return ActionResult(export.start_export(self.backend, self.params))

    def cancel_export_task(self) -> ActionResult:
        found = export.find_export(self.backend, self.params.get("ExportTaskIdentifier"))
        if not isinstance(found, export.AuroraExport):
            return super().cancel_export_task()
        found.cancel()
        return ActionResult(found)

    def describe_export_tasks(self) -> ActionResult:
        wanted, arn = self.params.get("ExportTaskIdentifier"), self.params.get("SourceArn")
        if wanted:
            found = [export.find_export(self.backend, wanted)]
        else:
            found = list(self.backend.export_tasks.values())
        return self._page("ExportTasks", [e for e in found if arn in (None, e.source_arn)])

    # what the Region offers

    def describe_account_attributes(self) -> ActionResult:
        return ActionResult({"AccountQuotas": quotas.describe_quotas(self.backend)})

    def describe_db_engine_versions(self) -> ActionResult:
        return self._page("DBEngineVersions", catalogue.engine_versions(self.params))

    def describe_orderable_db_instance_options(self) -> ActionResult:
        if self.params.get("Engine") != ENGINE:
            return super().describe_orderable_db_instance_options()
        options = catalogue.orderable_options(self.params, self.region)
        return self._page("OrderableDBInstanceOptions", options)

    # tags

    def list_tags_for_resource(self) -> ActionResult:
        return ActionResult({"TagList": self._tagged().get_tags()})

    def add_tags_to_resource(self) -> ActionResult:
        self._tagged().add_tags(list(self.params.get("Tags", [])))
        return EmptyResult()

    def remove_tags_from_resource(self) -> ActionResult:
        self._tagged().remove_tags(list(self.params.get("TagKeys", [])))
        return EmptyResult()

    def _tagged(self) -> Any:
        """Return the resource the ARN names; AWS knows no tags on what is not there."""
        arn = str(self.params.get("ResourceName"))
        found = self.backend._get_resource_for_tagging(arn)  # noqa: SLF001  # moto's own lookup
        if found is None or found.arn != arn:
            kind = arn.split(":")[5]
            raise faults.fault(_NOT_FOUND.get(kind, "DBInstanceNotFound"), f"{arn} not found.")
        return found
