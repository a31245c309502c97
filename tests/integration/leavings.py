"""What refreshes leave behind, made in the sandbox by the library's own functions."""

from dataclasses import dataclass
from typing import Any

from cluster_steps import plan as planned
from cluster_steps import waited, writer
from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT, request

from aurora_restore import ledger
from aurora_restore.details import Step, steps_of
from aurora_restore.plan import Plan
from aurora_restore.rds import copying, restoring, tags
from aurora_restore.rds.clusters import get_cluster
from aurora_restore.rds.route import Route, plan_route
from aurora_restore.rds.snapshots import find_snapshot
from aurora_restore.request import RestoreRequest
from aurora_restore.sessions import rds_clients, source_client, target_client
from sandbox import Sandbox

HOME, ABROAD = "us-east-1", "us-west-2"
HERE, NEAR, SOURCE = (
    f"{TARGET_ACCOUNT}/{ABROAD}",
    f"{TARGET_ACCOUNT}/{HOME}",
    f"{SOURCE_ACCOUNT}/{HOME}",
)
PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
DAILY = "daily-backup-2024-03-20"


@dataclass
class Leavings:
    """The sandbox, and operations in it that have ended somehow."""

    aws: Sandbox

    def ended(
        self,
        operation_id: str,
        failed: Step | None = None,
        status: Any = "FAILED",
        *,
        route: Route | None = None,
        new: str = "staging",
        old: str | None = None,
        **wishes: Any,
    ) -> RestoreRequest:
        """Record an operation that has come as far as `failed`, None: to its end."""
        asked = request(**wishes)
        rds = target_client("rds", ABROAD)
        made = planned(rds, writer(self.aws, new))
        changes: dict[str, Any] = {} if route is None else {"route": route}
        if old is not None:
            known = made.old
            assert known is not None
            changes["old"] = known.model_copy(update={"resource_id": old})
        made = Plan.model_validate(made.model_copy(update=changes).model_dump())
        records = ledger.store()
        ledger.begin(asked, operation_id)
        ledger.keep_plan(operation_id, made)
        order = steps_of(asked.replace)
        for step in order if failed is None else order[: order.index(failed)]:
            records.complete(operation_id, step, {})
        if failed is not None:
            records.fail(operation_id, failed, {}, {"type": "EndedBadly", "message": "so"})
        records.note(operation_id, outcome={"result": status}, announced="told")
        records.end(operation_id, status)
        return asked

    def route(self, operation_id: str, **wishes: Any) -> tuple[RestoreRequest, Route]:
        """Return the way of a copy by both kinds of intermediate ones, or as wished."""
        ways = {"copy_route": "two-hops", "source_kms_key_id": self.aws.facts["source_key_arn"]}
        asked = request(**({"hop_kms_key_id": "alias/aurora-target"} | ways | wishes))
        found = find_snapshot(source_client("rds", asked), self.aws.facts["snapshot_arn"])
        assert found is not None
        facts: dict[str, Any] = {"own": True, "shared": False, "target_key": asked.kms_key_id}
        default_key = asked.source_kms_key_id is not None
        return asked, plan_route(
            asked, found, operation_id=operation_id, default_key=default_key, **facts
        )

    def copied(self, operation_id: str, *, failed: bool = False, **wishes: Any) -> Route:
        """Copy the daily snapshot for an operation that has failed then, tidying up nothing."""
        asked, route = self.route(operation_id, **wishes)
        if failed:
            self.aws.plant("copy-failed", identifier=route.hops[-1].names[0])
        marks = tags.marks(operation_id, "staging")
        waited(self.aws, lambda: copying.follow(route, rds_clients(asked), marks))
        self.aws.advance(7200)
        self.aws.clear()
        step = Step.CHECK_COPY_STATUS if failed else Step.RESTORE_SNAPSHOT
        given = asked.model_dump(exclude_unset=True)
        self.ended(operation_id, step, route=route, **given)
        return route

    def beside(self, operation_id: str, cluster_id: str, **changes: Any) -> str:
        """Restore a cluster beside staging for a swap that has failed; return its resource id."""
        rds = target_client("rds", ABROAD)
        blueprint = writer(self.aws, cluster_id, **changes)
        marks = tags.marks(operation_id, "staging")
        base = self.snapshot(f"base-{operation_id}", {})
        started = restoring.start_restore(rds, blueprint, base, marks)
        waited(
            self.aws,
            lambda: restoring.complete(rds, get_cluster(rds, cluster_id), blueprint, marks, None),
        )
        self.ended(operation_id, Step.SETUP_DB_USERS, new=cluster_id, replace="swap")
        ledger.keep_restored(operation_id, started)
        return started.resource_id

    def cluster(self, cluster_id: str, marks: dict[str, str]) -> str:
        """Make a cluster with these tags; return its resource id."""
        made = self.aws.client("rds").create_db_cluster(
            DBClusterIdentifier=cluster_id,
            Engine="aurora-postgresql",
            MasterUsername="postgres",
            MasterUserPassword="not-a-secret-1",
            Tags=tags.to_api(marks),
        )["DBCluster"]
        self.aws.advance(3600)
        return str(made["DbClusterResourceId"])

    def snapshot(self, name: str, marks: dict[str, str]) -> str:
        """Take a snapshot of staging with these tags; return its ARN."""
        made = self.aws.client("rds").create_db_cluster_snapshot(
            DBClusterSnapshotIdentifier=name,
            DBClusterIdentifier="staging",
            Tags=tags.to_api(marks),
        )["DBClusterSnapshot"]
        self.aws.advance(3600)
        return str(made["DBClusterSnapshotArn"])

    def kept_old(self, operation_id: str, cluster_id: str, until: str) -> None:
        """Make a cluster that a swap which succeeded has kept; an earlier refresh made it."""
        resource_id = self.cluster(
            cluster_id, tags.marks("served", "staging") | {tags.DELETE_AFTER: until}
        )
        self.ended(operation_id, status="SUCCESS", old=resource_id, replace="swap")
        ledger.store().note(operation_id, kept={"cluster_id": cluster_id, "until": until})

    def serves(self, operation_id: str, status: str = "SUCCESS") -> None:
        """Let staging be what an operation has made."""
        self.ended(operation_id, None if status == "SUCCESS" else Step.SEND_NOTIFICATION, status)
        arn = self.aws.facts["target_cluster_arn"]
        marks = tags.marks(operation_id, "staging")
        self.aws.client("rds").add_tags_to_resource(ResourceName=arn, Tags=tags.to_api(marks))

    def names(self) -> set[str]:
        """Return each cluster and manual snapshot of every place: place and name."""
        found = set()
        for place in (HERE, NEAR, SOURCE):
            rds = self.aws.client("rds", *place.split("/"))
            shown = rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
            found |= {f"{place}/{each['DBClusterSnapshotIdentifier']}" for each in shown}
            clusters = rds.describe_db_clusters()["DBClusters"]
            found |= {f"{place}/{each['DBClusterIdentifier']}" for each in clusters}
        return found
