"""Everything that can be known to fail later, found before anything is changed, all at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aurora_restore import inheriting
from aurora_restore.errors import NotReady, PreflightFailed, Refused, RestoreError
from aurora_restore.plan import Plan, fingerprint
from aurora_restore.preflight import (
    checks_account,
    checks_cluster,
    checks_database,
    checks_keys,
    checks_replaced,
    checks_room,
    checks_snapshot,
)
from aurora_restore.preflight.asking import read_facts
from aurora_restore.preflight.check import Check, failed, unchecked
from aurora_restore.preflight.facts import Facts
from aurora_restore.preflight.reading import Reader, Unknown
from aurora_restore.rds import names
from aurora_restore.request import RestoreRequest
from aurora_restore.settings import settings

__all__ = ["CHECKS", "Check", "Examination", "examine"]

CHECKS: Sequence[tuple[str, Callable[[Facts], list[Check]]]] = [
    ("target-account", checks_account.target_account),
    ("source-account", checks_account.source_account),
    ("allow-list", checks_account.allow_list),
    ("records-table", checks_account.records_table),
    ("topic", checks_account.topic),
    ("source-snapshot", checks_snapshot.source_snapshot),
    ("engine-version", checks_snapshot.engine_version),
    ("copy-route", checks_snapshot.copy_route),
    ("source-key", checks_keys.source_key),
    ("target-key", checks_keys.target_key),
    ("hop-key", checks_keys.hop_key),
    ("source-copy-key", checks_keys.source_copy_key),
    ("snapshot-quota", checks_room.snapshot_quota),
    ("copies-in-flight", checks_room.copies_in_flight),
    ("cluster-quota", checks_room.cluster_quota),
    ("instance-quota", checks_room.instance_quota),
    ("subnet-group", checks_cluster.subnet_group),
    ("security-groups", checks_cluster.security_groups),
    ("cluster-parameter-group", checks_cluster.cluster_parameter_group),
    ("instance-parameter-group", checks_cluster.instance_parameter_group),
    ("instance-class", checks_cluster.instance_class),
    ("serverless-range", checks_cluster.serverless_range),
    ("log-exports", checks_cluster.log_exports),
    ("identifiers", checks_room.identifiers),
    ("old-cluster", checks_replaced.old_cluster),
    ("inheritance", checks_replaced.inheritance),
    ("role-file", checks_database.role_file),
    ("secrets", checks_database.secrets),
    ("roles", checks_database.roles),
    ("scripts", checks_database.scripts),
    ("associated-roles", checks_cluster.associated_roles),
    ("capacity", checks_cluster.capacity),
]
"""In the order in which they are shown; each gives one line or several, never none."""

_READERS = 12


@dataclass(frozen=True)
class Examination:
    """What was looked at, and the plan that follows from it.

    `plan` is None if something that it needs is not known; `fingerprint` tells whether two
    examinations have come to the same plan.
    """

    checks: list[Check]
    plan: Plan | None
    fingerprint: str | None
    busy: Sequence[NotReady] = ()

    @property
    def findings(self) -> list[RestoreError]:
        """What stands in the way, one error each."""
        return [
            Refused(each.resource, each.problem, each.remedy)
            for each in self.checks
            if each.status == "failed"
        ]

    def require_clean(self) -> Plan:
        """Return the plan.

        Raises:
            NotReady: AWS was too busy to tell (throttling, an outage), so nobody can say.
            PreflightFailed: something stands in the way.
        """
        for busy in self.busy:
            raise busy
        if self.findings or self.plan is None:
            raise PreflightFailed(self.findings)
        return self.plan


def examine(request: RestoreRequest, operation_id: str) -> Examination:
    """Look at everything that the refresh will need; only reads.

    Raises:
        Refused: the environment is not set up.
        botocore.exceptions.NoCredentialsError: there is nobody to ask as.
    """
    with ThreadPoolExecutor(_READERS, thread_name_prefix="preflight") as pool:
        reader = Reader(pool)
        facts = read_facts(request, operation_id, settings(), reader)
        checks = [check for name, judge in CHECKS for check in _judge(name, judge, facts)]
        plan, shown = _plan(facts, operation_id), _plan(facts, names.PLACEHOLDER)
    agreed = fingerprint(shown, request) if shown is not None else None
    return Examination(checks, plan, agreed, tuple(reader.busy))


def _judge(name: str, judge: Callable[[Facts], list[Check]], facts: Facts) -> list[Check]:
    """Return what a check finds; what it cannot know is never silently in order."""
    try:
        return judge(facts)
    except Unknown as unknown:
        error = unknown.error
        if unknown.courtesy:
            return [unchecked(name, error.resource, error.problem, error.advice)]
        if unknown.owner == name:
            return [failed(name, error.resource, error.problem, error.advice)]
        remedy = f"Correct {unknown.owner} first."
        return [unchecked(name, error.resource, f"not looked at: see {unknown.owner}", remedy)]
    except Refused as refused:
        remedy = "Correct copy-route first."
        return [unchecked(name, refused.resource, "not looked at: see copy-route", remedy)]


def _plan(facts: Facts, operation_id: str) -> Plan | None:
    """Return the plan, or None if anything is missing for it."""
    draft = facts.draft
    try:
        snapshot = facts.snapshot.get()
        route = checks_snapshot.route_of(facts, operation_id)
        if draft.gaps or facts.subnet_group is None:
            return None
        group = facts.subnet_group.get()
        if facts.role_file is not None:
            facts.role_file.get()
        scripts = {each.name: each.sha256 for each in (a.get() for a in facts.scripts.values())}
    except (Unknown, Refused):
        return None
    old = draft.old.blueprint if draft.old is not None else None
    new = inheriting.resolve(facts.request, old, snapshot, operation_id)
    return Plan(
        target_cluster_id=facts.request.target_cluster_id,
        snapshot_arn=snapshot.arn,
        snapshot_id=snapshot.name,
        data_from=snapshot.created_at,
        master_username=snapshot.master_username,
        vpc_id=group.get("VpcId", ""),
        subnet_ids=sorted(each.get("SubnetIdentifier", "") for each in group.get("Subnets", [])),
        route=route,
        old=draft.old,
        roles=[*facts.roles],
        scripts=scripts,
        new=new.model_copy(update={"kms_key_id": checks_snapshot.target_key_arn(facts)}),
    )
