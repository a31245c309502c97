"""Everything that carries this program's tags, in every place that refreshes use, judged."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aurora_restore import ledger
from aurora_restore.guarding import find_at_work, read_all
from aurora_restore.leftovers import Kept, Known, Leftover, judge
from aurora_restore.rds import inventory, tags
from aurora_restore.rds.inventory import Resource
from aurora_restore.records import Operation
from aurora_restore.request import RestoreRequest
from aurora_restore.sessions import source_client, target_client
from aurora_restore.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

RECENT = 500  # head items that are read to know the targets, the old clusters and the source places


@dataclass(frozen=True)
class Scope:
    """Where to look, for what: a Region, one target (account/Region/cluster) or every one."""

    region: str
    older_than: timedelta
    target: str | None = None


@dataclass(frozen=True)
class Found:
    """A resource with this program's tags, its operation, and what is to become of it."""

    resource: Resource
    operation: Operation | None
    verdict: Leftover | Kept

    @property
    def tagged(self) -> str:
        """The operation in its tag."""
        return self.resource.tags.get(tags.OPERATION, "")


@dataclass(frozen=True)
class Survey:
    """What was found in which places (account/Region), and why others could not be looked at."""

    scope: Scope
    found: list[Found]
    clients: "dict[str, RDSClient]"
    unseen: dict[str, str] = field(default_factory=dict)


def survey(scope: Scope) -> Survey:
    """Return everything that carries this program's tags, each judged. Only reads.

    Clusters are sought in the scope's Region only; in the source Regions, and by the source role in
    the source account, only intermediate copies.

    Raises:
        RecordsUnavailable: the table cannot be used.
        ClientError, BotoCoreError: the Region itself cannot be looked at.

    Source: RDS API, DescribeDBClusters, DescribeDBInstances, DescribeDBClusterSnapshots.
    """
    rds = target_client("rds", scope.region)
    account = target_client("sts", scope.region).get_caller_identity()["Account"]
    clusters, snapshots = inventory.list_clusters(rds), inventory.list_snapshots(rds)
    ours = [each for each in [*clusters, *snapshots] if each.is_ours]
    operations = {each.operation_id: each for each in recent(scope.target)}
    operations |= read_all(each.tags[tags.OPERATION] for each in ours)
    clients, unseen = {f"{account}/{scope.region}": rds}, dict[str, str]()
    for request in filter(None, (each.request() for each in operations.values())):
        for place, client_of in _source_places(request, account).items():
            if place in clients or place in unseen:
                continue
            try:
                client = client_of()
                there = inventory.list_snapshots(client)
            except (ClientError, BotoCoreError) as problem:
                unseen[place] = " ".join(str(problem).split())
                continue
            clients[place] = client
            snapshots += there
            ours += [each for each in there if each.is_ours and tags.INTERMEDIATE in each.tags]
    operations |= read_all({each.tags[tags.OPERATION] for each in ours} - operations.keys())
    known = known_facts(scope, operations, clients.keys(), inventory.being_copied(snapshots))
    known = replace(known, at_work=find_at_work(ours, operations, scope.older_than))
    found = [
        Found(each, operation, judge(each, operation, known))
        for each in ours
        for operation in [operations.get(each.tags[tags.OPERATION])]
        if _is_meant(each, operation, scope.target)
    ]
    return Survey(scope, found, clients, unseen)


def recent(target: str | None) -> list[Operation]:
    records = ledger.store()
    heads = records.recent(RECENT)
    if target is not None:
        heads += records.recent(RECENT, target)
    return [Operation(each.operation_id, each, {}) for each in heads]


def _source_places(request: RestoreRequest, account: str) -> "dict[str, Callable[[], RDSClient]]":
    """Return the places where intermediate copies of an operation may be, with their clients."""
    if request.target_account_id != account:
        return {}
    region = request.source_region
    places: dict[str, Callable[[], RDSClient]] = {
        f"{account}/{region}": partial(target_client, "rds", region)
    }
    role = settings().source_role_arn
    if role is not None and role.split(":")[4] == request.source_account_id != account:
        places[f"{request.source_account_id}/{region}"] = lambda: source_client("rds", request)
    return places


def known_facts(
    scope: Scope, operations: dict[str, Operation], places: Iterable[str], copied: Iterable[str]
) -> Known:
    allowed = settings()
    return Known(
        now=datetime.now(UTC),
        older_than=scope.older_than,
        operations=list(operations.values()),
        places=frozenset(places),
        copied=frozenset(copied),
        allowed_accounts=allowed.allowed_target_accounts,
        allowed_clusters=allowed.allowed_target_clusters,
    )


def _is_meant(resource: Resource, operation: Operation | None, target: str | None) -> bool:
    """Whether it belongs to the target; of an unknown operation the tag tells, and its place."""
    request = None if operation is None else operation.request()
    if target is None or request is not None:
        return target is None or request is None or request.target_name == target
    return f"{resource.place}/{resource.tags.get(tags.TARGET)}" == target
