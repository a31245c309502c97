"""StartExportTask, CancelExportTask and DescribeExportTasks, for cluster snapshots.

Nothing is written to the bucket: what is exported cannot be restored anyway.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.rds.models import ExportTask, RDSBackend
from moto.s3.models import s3_backends

from sandbox.rds import checks, durations, faults
from sandbox.rds.cluster import resource_id
from sandbox.rds.life import Life, Progress
from sandbox.rds.runtime import runtime
from sandbox.rds.snapshot import AuroraSnapshot
from sandbox.rds.snapshots import find_snapshot

Params = Mapping[str, Any]

_UNDER_WAY: Final = ("STARTING", "IN_PROGRESS")
_EXPORTER: Final = "export.rds.amazonaws.com"


class AuroraExport(ExportTask):
    """An export whose status takes its time."""

    def __init__(self, backend: RDSBackend, snapshot: AuroraSnapshot, facts: Params) -> None:
        name = str(facts["export_task_identifier"])
        self.life = Life(
            "export", name, backend.account_id, backend.region_name, resource_id("export-")
        )
        super().__init__(backend, snapshot, dict(facts))
        self.source_type = "SNAPSHOT"
        self.snapshot_time = snapshot.snapshot_create_time
        self.task_start_time = utcnow()

    @property
    def status(self) -> str:
        """Return STARTING, IN_PROGRESS, COMPLETE, CANCELING or CANCELED."""
        return self.life.status

    @status.setter
    def status(self, value: str) -> None:
        """Ignore moto's own idea: an export's status comes from its life."""

    @property
    def percent_progress(self) -> int:
        """Return how much has been exported."""
        if self.status == "COMPLETE":
            return 100
        progress = self.life.progress
        return progress.at(runtime().clock.now()) if progress else 0

    def begin(self) -> None:
        """Start to export."""
        clock = runtime().clock
        start = clock.real(durations.EXPORT_START)
        self.life.progress = Progress(clock.now() + start, clock.real(durations.EXPORT))
        self.life.begin(
            "STARTING",
            (durations.EXPORT_START, "IN_PROGRESS"),
            (durations.EXPORT_START + durations.EXPORT, "COMPLETE"),
        )

    def cancel(self) -> None:
        """Give up."""
        if self.status in _UNDER_WAY:
            self.life.begin("CANCELING", (durations.LAG, "CANCELED"))

    def entered(self, status: str) -> None:
        """Nothing belongs to a status of an export."""


def start_export(backend: RDSBackend, params: Params) -> AuroraExport:
    """Begin an export.

    Source: RDS API, StartExportTask; Aurora User Guide, exporting snapshot data to Amazon S3.
    """
    name = checks.identifier(params.get("ExportTaskIdentifier"), "ExportTaskIdentifier", 60)
    if name in backend.export_tasks:
        raise faults.fault(
            "ExportTaskAlreadyExists", f"An export task with the identifier {name} already exists."
        )
    snapshot = find_snapshot(backend, params.get("SourceArn"), same_region=True)
    if snapshot.status != "available":
        raise faults.fault(
            "InvalidExportSourceState", f"The export source is in {snapshot.status} state."
        )
    key = checks.key(backend, params.get("KmsKeyId"))
    _check_bucket(backend, str(params.get("S3BucketName")))
    _check_role(backend, str(params.get("IamRoleArn")))
    facts = {each: params[each] for each in params} | {
        "export_task_identifier": name,
        "kms_key_id": key,
    }
    task = AuroraExport(backend, snapshot, facts)
    backend.export_tasks[name] = task
    task.begin()
    return task


def _check_bucket(backend: RDSBackend, name: str) -> None:
    bucket = s3_backends[backend.account_id][backend.partition].buckets.get(name)
    if bucket is None or bucket.region_name != backend.region_name:
        raise faults.fault(
            "InvalidS3BucketFault",
            f"The S3 bucket {name} doesn't exist, or is not in Region {backend.region_name}.",
        )


def _check_role(backend: RDSBackend, arn: str) -> None:
    roles = iam_backends[backend.account_id][backend.partition].roles.values()
    trusted = [role.assume_role_policy_document for role in roles if role.arn == arn]
    if not trusted:
        raise faults.fault("IamRoleNotFound", f"The IAM role {arn} doesn't exist.")
    if _EXPORTER not in json.dumps(trusted[0]):
        raise faults.fault(
            "IamRoleMissingPermissions", f"The IAM role {arn} isn't trusting {_EXPORTER}."
        )


def find_export(backend: RDSBackend, identifier: str | None) -> ExportTask:
    """Return the export of this name."""
    found = backend.export_tasks.get((identifier or "").lower())
    if found is None:
        raise faults.fault("ExportTaskNotFound", f"Export task {identifier} not found.")
    return found
