"""What a refresh will do: decided by preflight, shown to people, followed by the steps."""

import hashlib
from datetime import datetime

from pydantic import BaseModel

from aurora_restore.access.declared import DatabaseRole
from aurora_restore.errors import Refused
from aurora_restore.rds.blueprint import Blueprint
from aurora_restore.rds.route import Route
from aurora_restore.request import RestoreRequest, request_digest


class OldCluster(BaseModel, frozen=True):
    """The cluster to be replaced, as it was found before anything was changed."""

    arn: str
    resource_id: str
    blueprint: Blueprint


class Plan(BaseModel, frozen=True):
    """Every decision of one operation. Kept on its head item, so that a resumed run knows it.

    `new.cluster_id` is the identifier that is restored under: a temporary one in a swap of one
    identifier.
    """

    target_cluster_id: str
    snapshot_arn: str
    snapshot_id: str
    data_from: datetime | None
    master_username: str
    vpc_id: str
    subnet_ids: list[str]
    route: Route
    old: OldCluster | None
    new: Blueprint
    roles: list[DatabaseRole] = []
    """Those of the request and of its role file."""
    scripts: dict[str, str] = {}
    """The SHA-256 of each script's text."""

    @property
    def swaps_names(self) -> bool:
        """Whether the new cluster is restored beside the old one and takes its identifier later."""
        return self.new.cluster_id != self.target_cluster_id


def fingerprint(plan: Plan, request: RestoreRequest) -> str:
    """Return a hash of what would be done to what: another one means reality has changed.

    `plan` is made with the placeholder for the operation, so that plans of different runs compare.
    """
    text = request_digest(request) + plan.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_agreed(fingerprint: str | None, agreed: str | None) -> None:
    """Return if the plan is the one a person has seen, or nobody was asked.

    Raises:
        Refused: the snapshot, the old cluster, the request or what follows from them has changed.
    """
    if agreed is not None and agreed != fingerprint:
        raise Refused(
            f"plan_hash {agreed}",
            f"what would be done has changed since; its hash is {fingerprint} now",
            "Look at the plan again, then run with its hash.",
        )
