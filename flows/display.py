"""How a run shows itself in the Prefect UI."""

from datetime import datetime
from typing import Any
from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger

from aurora_restore.announcements import duration_text
from aurora_restore.details import SnapshotFound, Step
from aurora_restore.records import Operation, StepRecord
from tasks.artifacts import optional, show_summary


def name_run() -> str:
    """Return the run's name: mode, target and snapshot."""
    request = runtime.flow_run.parameters["request"]
    snapshot = request.snapshot_id or f"newest of {request.source_cluster_id}"
    return f"{request.replace} {request.target_cluster_id} from {snapshot}"


def date_run(found: SnapshotFound) -> None:
    """Add the moment the data is from to the run's name."""
    if found.data_from is not None:
        with optional(), get_client(sync_client=True) as client:
            name = f"{name_run()} ({found.data_from:%Y-%m-%d %H:%M} UTC)"
            client.update_flow_run(UUID(str(runtime.flow_run.id)), name=name)


def seconds(record: StepRecord) -> float:
    """Return how long the last attempt of a step took."""
    moments = [datetime.fromisoformat(entry["at"]) for entry in record.history]
    started = record.started_at
    return (moments[-1] - started).total_seconds() if started else 0.0


def show_finished(operation: Operation) -> dict[str, Any]:
    """Say that there was nothing to do; return the facts of the operation."""
    when = operation.head.timestamp if operation.head else "?"
    get_run_logger().info(
        "Operation %s has already succeeded (%s UTC): nothing was done",
        operation.operation_id,
        when,
    )
    show_operation(operation)
    return operation.steps[Step.SEND_NOTIFICATION].details


def show_operation(operation: Operation) -> None:
    """Leave the operation's steps and result as an artifact."""
    rows = [
        f"| {step} | {record.status} | {duration_text(seconds(record))} | {record.timestamp} |"
        for step in operation.order
        if (record := operation.steps.get(step)) is not None
    ]
    last = operation.steps[Step.SEND_NOTIFICATION].details
    show_summary(
        "\n".join(
            [
                f"## {last['new_cluster_id']} refreshed from {last['source_snapshot']}",
                "",
                f"Endpoint `{last['cluster_endpoint']}:{last['cluster_port']}`",
                f"Operation `{operation.operation_id}`",
                "",
                "| Step | Status | Took | Ended (UTC) |",
                "|---|---|---|---|",
                *rows,
            ]
        )
    )
