"""The steps, and what is known after each: the growing `details` map of the records."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, Field

from aurora_restore.evidence import Database, Held, ScriptRun, Tried
from aurora_restore.plan import Plan
from aurora_restore.request import RestoreRequest

D = TypeVar("D", bound="Details")


class Step(StrEnum):
    """A step's name: Prefect's task name, the record's sort key, the word in the announcement."""

    CHECK_SNAPSHOT = "snapshot-check"
    COPY_SNAPSHOT = "copy-snapshot"
    CHECK_COPY_STATUS = "check-copy-status"
    DELETE_CLUSTER = "delete-rds"
    RESTORE_SNAPSHOT = "restore-snapshot"
    CHECK_RESTORE_STATUS = "check-restore-status"
    SETUP_DB_USERS = "setup-db-users"
    SWAP_CLUSTERS = "swap-clusters"
    ARCHIVE_SNAPSHOT = "archive-snapshot"
    SEND_NOTIFICATION = "send-notification"
    BRING_BACK = "bring-back"


_DELETE_FIRST = tuple(each for each in Step if each not in {Step.SWAP_CLUSTERS, Step.BRING_BACK})
_SWAP = (
    Step.CHECK_SNAPSHOT,
    Step.COPY_SNAPSHOT,
    Step.CHECK_COPY_STATUS,
    Step.RESTORE_SNAPSHOT,
    Step.CHECK_RESTORE_STATUS,
    Step.SETUP_DB_USERS,
    Step.SWAP_CLUSTERS,
    Step.DELETE_CLUSTER,
    Step.ARCHIVE_SNAPSHOT,
    Step.SEND_NOTIFICATION,
)


def steps_of(replace: str) -> tuple[Step, ...]:
    """Return the steps of a refresh in the order in which they are done.

    A swap has one more, and deletes the old cluster last. `bring-back` is in neither: it is the
    way back of a refresh that failed.
    """
    return _SWAP if replace == "swap" else _DELETE_FIRST


class Details(BaseModel, frozen=True):
    """What every step knows. What is excluded from the dump lives in the operation's head item."""

    step: ClassVar[Step | None] = None

    operation_id: str = Field(exclude=True)
    request: RestoreRequest = Field(exclude=True)
    data_from: datetime | None = Field(default=None, exclude=True)

    def then(self, after: type[D], **facts: Any) -> D:
        """Return what is known next: all that is still true, plus new facts."""
        known = {name: getattr(self, name) for name in type(self).model_fields}
        return after.model_validate(known | facts)

    def facts(self) -> dict[str, Any]:
        """Return the `details` map of this step's record."""
        return self.model_dump(mode="json")


class OperationBegun(Details):
    """The operation has a head item; nothing is known yet, or what an earlier run planned.

    `plan_hash` is what a person has seen and agreed to, None if nobody was asked.
    """

    plan: Plan | None = Field(default=None, exclude=True)
    plan_hash: str | None = Field(default=None, exclude=True)


class Between(Details):
    """From which account and Region to which."""

    plan: Plan = Field(exclude=True)

    source_account_id: str
    target_account_id: str
    source_region: str
    target_region: str


class SnapshotFound(Between):
    """The source snapshot is there, and preflight found nothing in the way."""

    step = Step.CHECK_SNAPSHOT

    snapshot_name: str
    snapshot_arn: str


class CopyStarted(Between):
    """A copy of the snapshot is being made in the target account and Region."""

    step = Step.COPY_SNAPSHOT

    source_snapshot: str
    target_snapshot: str
    copy_status: str
    copy_snapshot_id: str


class CopyAvailable(CopyStarted):
    """The copy can be restored from; `snapshot_arn` is the copy's."""

    step = Step.CHECK_COPY_STATUS

    copy_status: Literal["available"]
    snapshot_arn: str


class ClusterDeleted(CopyAvailable):
    """The target identifier is free. `deleted_cluster_id` is None if there was no cluster."""

    step = Step.DELETE_CLUSTER

    deleted_cluster_id: str | None = None


class RestoreStarted(ClusterDeleted):
    """RDS has accepted the restore."""

    step = Step.RESTORE_SNAPSHOT

    new_cluster_id: str
    restore_status: str
    vpc_id: str
    subnet_ids: list[str]
    security_group_ids: list[str]


class RestoreAvailable(RestoreStarted):
    """The cluster and every instance is available, and the master password is known."""

    step = Step.CHECK_RESTORE_STATUS

    restore_status: Literal["available"]
    cluster_endpoint: str
    cluster_port: int


class UsersSetUp(RestoreAvailable):
    """The database is masked, proven and open to the declared logins, each of which was tried.

    `data_age_seconds` is how old the data was when it was handed over, `restore_seconds` how long
    the operation had taken by then.
    """

    step = Step.SETUP_DB_USERS

    master_secret_arn: str
    db_users: list[str]
    server_version: str
    databases: list[Database]
    roles_made: list[str]
    roles_locked: list[str]
    roles_dropped: list[str]
    scripts_run: list[ScriptRun]
    assertions_held: list[Held]
    logins_tried: list[Tried]
    data_age_seconds: int | None
    restore_seconds: int


class ClustersSwapped(UsersSetUp):
    """The new cluster has the target's identifier and serves there; `cluster_endpoint` is that."""

    step = Step.SWAP_CLUSTERS


class OldClusterDeleted(ClustersSwapped):
    """The old cluster is gone, or kept for a while: then `deleted_cluster_id` is None."""

    step = Step.DELETE_CLUSTER


class SnapshotArchived(UsersSetUp):
    """The copy is tagged and kept, or deleted; `pruned_snapshot_ids` were deleted for their age."""

    step = Step.ARCHIVE_SNAPSHOT

    archive_status: Literal["kept", "deleted"]
    pruned_snapshot_ids: list[str]


class NotificationSent(SnapshotArchived):
    """SNS has accepted the announcement of success."""

    step = Step.SEND_NOTIFICATION

    message_id: str


class RefreshFailed(Between):
    """A refresh failed after its first irreversible call: the old cluster is to serve again.

    `aside`: its identifier is not waited for, since what holds it does not go.
    """

    failing_step: Step | None = Field(default=None, exclude=True)
    aside: bool = Field(default=False, exclude=True)


class BroughtBack(RefreshFailed):
    """The old cluster serves again. `brought_back_from` is the final snapshot, None if the cluster
    itself was still there.
    """

    step = Step.BRING_BACK

    brought_back_cluster_id: str
    brought_back_from: str | None
    cluster_endpoint: str
    cluster_port: int
