"""Every error of every RDS call, on the wire, while the library does its work: as the table says.

The sandbox's RDS answers all other calls. Errors of a call's own are AWS's model's; those that any
call may meet are planted at each.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from cluster_steps import FINAL, MARKS, found
from rds_world import HOME, SOURCE, TARGET, VERSION, World
from wire import Wire, answer, lost

from aurora_restore.errors import NotReady, RestoreError
from aurora_restore.faults import EVERYWHERE, SAID, TABLE, Act, verdict
from aurora_restore.preflight import reads, reads_region
from aurora_restore.rds import (
    archiving,
    clusters,
    deleting,
    hopping,
    restoring,
    sharing,
    swapping,
    tags,
)
from aurora_restore.rds.blueprint import Blueprint, InstanceBlueprint
from aurora_restore.rds.clusters import Cluster
from aurora_restore.rds.route import Hop

Work = Callable[[], object]
MODEL = boto3.client(
    "rds", "us-east-1", aws_access_key_id="-", aws_secret_access_key="-"
).meta.service_model
# With the status AWS sends them with.
ANYWHERE = {
    "Throttling": 400,
    "ThrottlingException": 400,
    "RequestLimitExceeded": 503,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
    "ExpiredToken": 403,
    "AccessDenied": 403,
    "InvalidParameterValue": 400,
    "InvalidParameterCombination": 400,
    "ValidationError": 400,
}
OFTEN = {"Throttling", "ExpiredToken", "AccessDenied"}


@dataclass(frozen=True)
class Case:
    """One error of one operation, and what the table says about it."""

    operation: str
    code: str
    status: int
    act: Act
    message: str = "planted"

    def __str__(self) -> str:
        said = "" if self.message == "planted" else f" '{self.message}'"
        return f"{self.operation} {self.code}{said}"


def cases() -> Iterator[Case]:
    """Give every pair of an operation and an error, those with two meanings twice."""
    for operation, row in TABLE.items():
        shapes = {
            shape.name.removesuffix("Fault"): shape
            for shape in MODEL.operation_model(operation).error_shapes
        }
        for code, act in row.items():
            sent, status = f"{code}Fault", 400
            if code in shapes:
                sent = shapes[code].error_code
                status = shapes[code].metadata["error"]["httpStatusCode"]
            yield Case(operation, sent, status, act)
            if (operation, code) in SAID:
                text, instead = SAID[operation, code]
                yield Case(operation, sent, status, instead, f"It is {text} of it.")
        for code, status in ANYWHERE.items():
            yield Case(operation, code, status, EVERYWHERE[code])


@dataclass
class Stage:
    """The library's functions at work in the sandbox's RDS, their wire in hand."""

    world: World
    wire: Wire

    @property
    def rds(self) -> Any:
        return self.world.client("rds")

    @property
    def source(self) -> Any:
        return self.world.client("rds", SOURCE)

    def works(self, operation: str) -> list[Work]:
        """Return what makes this call; the first one is where something is there to be adopted."""
        return {
            "AddTagsToResource": [self.archive, self.mark],
            "CopyDBClusterSnapshot": [self.copy],
            "CreateDBClusterSnapshot": [self.secure_and_delete],
            "CreateDBInstance": [self.complete],
            "DeleteDBCluster": [self.delete],
            "DeleteDBClusterSnapshot": [self.drop_copy],
            "DeleteDBInstance": [self.delete],
            "DescribeAccountAttributes": [lambda: reads.quotas(self.rds)],
            "DescribeDBClusterParameterGroups": [
                lambda: reads_region.cluster_group(self.rds, "cluster-params")
            ],
            "DescribeDBClusterSnapshotAttributes": [
                self.share,
                lambda: reads.shared_with(self.source, "daily"),
            ],
            "DescribeDBClusterSnapshots": [self.drop_copy, self.secure_and_delete],
            "DescribeDBClusters": [self.delete_if_there],
            "DescribeDBEngineVersions": [lambda: reads_region.versions(self.rds)],
            "DescribeDBInstances": [self.delete],
            "DescribeDBParameterGroups": [lambda: reads_region.instance_group(self.rds, "params")],
            "DescribeDBSubnetGroups": [lambda: reads_region.subnet_group(self.rds, "net")],
            "DescribeOrderableDBInstanceOptions": [
                lambda: reads_region.storage_types(self.rds, VERSION, "db.r6g.large")
            ],
            "EnableHttpEndpoint": [self.switch_on_data_api],
            "ModifyDBCluster": [self.rename, self.unprotect, self.set_last],
            "ModifyDBClusterSnapshotAttribute": [self.share],
            "RestoreDBClusterFromSnapshot": [self.restore],
        }[operation]

    def staging(self) -> Cluster:
        """The old cluster, marked as one that may be replaced."""
        return replace(found(self.rds, "staging"), tags={tags.MANAGED: "true"})

    def blueprint(self, cluster_id: str, *instances: str, **more: Any) -> Blueprint:
        known = self.world.facts[TARGET]
        made = Blueprint(
            cluster_id=cluster_id,
            engine_version=VERSION,
            port=5432,
            subnet_group="net",
            security_group_ids=[known["sg"]],
            kms_key_id=known["key"],
            instances=[
                InstanceBlueprint(id=each, instance_class="db.r6g.large") for each in instances
            ],
        )
        return made.model_copy(update=more)

    def archive(self) -> object:
        return archiving.archive(self.rds, "own", keep=True)

    def mark(self) -> object:
        return tags.add(self.rds, self.staging().arn, MARKS)

    def drop_copy(self) -> object:
        return archiving.archive(self.rds, "own", keep=False)

    def copy(self) -> object:
        hop = Hop(
            account=TARGET,
            region=HOME[TARGET],
            source_arn=self.world.facts["daily"],
            names=["daily-copy"],
            kms_key_id=self.world.facts[TARGET]["key"],
        )
        return hopping.ensure_requested(hop, self.client_of, MARKS)

    def client_of(self, account: str, region: str) -> Any:
        return self.world.client("rds", account, region)

    def share(self) -> object:
        return sharing.ensure_shared(self.source, "daily", "111122223333")

    def secure_and_delete(self) -> None:
        cluster = self.staging()
        deleting.secure(self.rds, cluster, FINAL, MARKS, lift_protection=False)
        deleting.delete_cluster(self.rds, cluster)

    def delete(self) -> None:
        deleting.delete_cluster(self.rds, self.staging())

    def delete_if_there(self) -> None:
        cluster = clusters.find_cluster(self.rds, "staging")
        if cluster is not None:
            deleting.delete_cluster(self.rds, cluster)

    def restore(self) -> object:
        blueprint = self.blueprint("restored", "restored-1")
        return restoring.start_restore(self.rds, blueprint, self.world.facts["own"], MARKS)

    def complete(self) -> object:
        wanted = self.blueprint("staging", "staging-1", "staging-2", "staging-3")
        return restoring.complete(self.rds, self.staging(), wanted, MARKS, None)

    def switch_on_data_api(self) -> object:
        wanted = self.blueprint("staging", http_endpoint=True)
        return restoring.complete(self.rds, self.staging(), wanted, MARKS, None)

    def set_last(self) -> object:
        wanted = self.blueprint("staging", deletion_protection=True)
        return restoring.complete(self.rds, self.staging(), wanted, MARKS, None)

    def rename(self) -> object:
        return swapping.rename(self.rds, self.staging(), "away")

    def unprotect(self) -> object:
        return deleting.lift_protection(self.rds, self.staging())

    def secure(self) -> object:
        return deleting.secure(self.rds, self.staging(), FINAL, MARKS, lift_protection=False)

    def step_aside(self) -> None:
        """Rename staging, told by its resource id."""
        known = clusters.find_by_resource_id(self.rds, self.world.facts["staging"])
        [cluster] = known.values()
        if cluster.id != "away":
            swapping.rename(self.rds, cluster, "away")

    def inventory(self) -> Counter[str]:
        """Return everything that is there, and whom the source's snapshot is shared with."""
        shown = self.rds.describe_db_clusters()["DBClusters"]
        members = self.rds.describe_db_instances()["DBInstances"]
        kept = self.rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
        return Counter(
            [
                *(each["DBClusterIdentifier"] for each in shown),
                *(each["DBInstanceIdentifier"] for each in members),
                *(each["DBClusterSnapshotIdentifier"] for each in kept),
                # The sandbox shows twice who was let in twice; AWS's are a set.
                *set(reads.shared_with(self.source, "daily")),
            ]
        )


@pytest.fixture
def stage(aurora: World) -> Iterator[Stage]:
    """The two accounts of the sandbox, with the wire of their clients in hand."""
    wire = Wire()
    watched = [aurora.client("rds"), aurora.client("rds", SOURCE)]
    for client in watched:
        wire.watch(client)
    yield Stage(aurora, wire)
    for client in watched:
        wire.unwatch(client)


@pytest.fixture
def resending(aurora: World) -> Stage:
    """The same with clients that resend, as the product's do."""
    wire, mine = Wire(), World(aurora.endpoint, aurora.clock, aurora.events, aurora.postgres)
    mine.facts = aurora.facts | {"staging": found(aurora.client("rds"), "staging").resource_id}
    for account in (SOURCE, TARGET):
        client = aurora.sessions[account].client(
            "rds",
            region_name=HOME[account],
            endpoint_url=aurora.endpoint,
            config=Config(retries={"mode": "standard", "total_max_attempts": 10}),
        )
        mine.clients["rds", account, HOME[account]] = wire.watch(client)
    mine.sessions = aurora.sessions
    return Stage(mine, wire)


def met(work: Work) -> Act | None:
    """Return what became of the work: None if it ended well."""
    try:
        work()
    except NotReady:
        return Act.WAIT
    except RestoreError:
        return Act.END
    except (ClientError, BotoCoreError) as error:
        # The step asks the table about what the library lets pass.
        return verdict(error)
    return None


def marked() -> Iterator[Any]:
    """Give the cases; those of codes that any call may meet are a sample in the ordinary tests."""
    for case in cases():
        short = case.code not in ANYWHERE or case.code in OFTEN
        yield pytest.param(case, marks=() if short else pytest.mark.long, id=str(case))


@pytest.mark.parametrize("case", marked())
def test_fault_does_what_the_table_says(stage: Stage, case: Case) -> None:
    """
    WAIT: looked at again. ADOPT: ends well, or is looked at again and then goes on. END: an error
    that is not retried. After each nothing is deleted or renamed any more.
    """
    works = stage.works(case.operation)
    for work in works[:1] if case.act is Act.ADOPT else works:
        stage.wire.plant(case.operation, answer(case.code, case.status, case.message))

        became = met(work)

        if case.act is Act.ADOPT:
            assert became in {None, Act.WAIT}
            assert met(work) in {None, Act.WAIT}
        else:
            assert became is case.act
            assert stage.wire.after() == []


ENDPOINT = "https://rds.us-west-2.amazonaws.com"
UNREACHABLE = [
    ConnectionClosedError(endpoint_url=ENDPOINT),
    ConnectTimeoutError(endpoint_url=ENDPOINT),
    EndpointConnectionError(endpoint_url=ENDPOINT),
    ReadTimeoutError(endpoint_url=ENDPOINT),
]


@pytest.mark.parametrize("operation", TABLE)
def test_lost_connection_is_looked_at_again(stage: Stage, operation: str) -> None:
    """
    Whatever call cannot be made, nothing is deleted or renamed any more, and it is made later.
    """
    for work in stage.works(operation):
        for error in UNREACHABLE:
            stage.wire.plant(operation, raising(error))

            assert met(work) is Act.WAIT
            assert stage.wire.after() == []


def raising(error: Exception) -> Callable[[Any], Any]:
    def raised(request: Any) -> Any:
        raise error

    return raised


STAGING = ["staging", "staging-1", "staging-2"]


@pytest.mark.parametrize(
    ("operation", "work", "more", "less"),
    [
        ("CopyDBClusterSnapshot", Stage.copy, ["daily-copy"], []),
        ("CreateDBClusterSnapshot", Stage.secure, [FINAL], []),
        ("CreateDBInstance", Stage.complete, ["staging-3"], []),
        ("DeleteDBCluster", Stage.delete_if_there, [], STAGING),
        ("DeleteDBClusterSnapshot", Stage.drop_copy, [], ["own"]),
        ("DeleteDBInstance", Stage.delete_if_there, [], STAGING),
        ("ModifyDBCluster", Stage.step_aside, ["away"], ["staging"]),
        ("ModifyDBClusterSnapshotAttribute", Stage.share, ["111122223333"], []),
        ("RestoreDBClusterFromSnapshot", Stage.restore, ["restored"], []),
    ],
)
def test_call_whose_reply_is_lost_is_made_once(
    resending: Stage,
    operation: str,
    work: Callable[[Stage], object],
    more: list[str],
    less: list[str],
) -> None:
    """
    botocore resends what AWS has carried out already: what is there by then is taken for ours,
    nothing is there twice, and the work comes to its end.
    """
    before = resending.inventory()
    resending.wire.plant(operation, lost)

    became = [met(lambda: work(resending))]
    first, again = resending.wire.around()
    while became[-1] is not None and len(became) < 6:
        resending.world.clock.advance(3600)
        became.append(met(lambda: work(resending)))

    assert set(became) <= {None, Act.WAIT}
    assert became[-1] is None
    assert first == again
    after = resending.inventory()
    assert (after - before, before - after) == (Counter(more), Counter(less))
