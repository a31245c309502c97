"""Clusters and instances: what is deleted when, what a restore asks for, when it is complete."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import psycopg2
import pytest
from botocore.exceptions import ClientError
from examples import request
from product_fixtures import calls, changes
from pydantic import SecretStr

from aurora_restore.errors import EndedBadly, NotFound, NotReady, Refused
from aurora_restore.rds import clusters, deleting, restoring, tags
from aurora_restore.rds.clusters import Cluster
from aurora_restore.request import RestoreRequest
from sandbox import Sandbox
from sandbox.faults import Fault

T = TypeVar("T")
OPERATION = "op-001"
MARKS = tags.marks(OPERATION, "restored")
FINAL = "staging-final-op001"
DELETING = ("CreateDBClusterSnapshot", "DeleteDBInstance", "DeleteDBCluster")


def waited(aws: Sandbox, look: Callable[[], T]) -> T:
    """Return what `look` returns once it is ready."""
    for _ in range(25):
        try:
            return look()
        except NotReady:
            aws.advance(600)
    pytest.fail("never ready")


def removed(aws: Sandbox, rds: Any, final: str | None = FINAL) -> None:
    """Remove staging, looking anew each time, as the step does."""

    def look() -> None:
        found = clusters.find_cluster(rds, "staging")
        if found is not None:
            deleting.remove(rds, found, final, MARKS)

    waited(aws, look)


def deletions(aws: Sandbox) -> list[tuple[str, str]]:
    """Return what was deleted, in order, where AWS agreed; the final snapshot included."""
    names = ("DBClusterSnapshotIdentifier", "DBInstanceIdentifier", "DBClusterIdentifier")
    return [
        (
            call["operation"],
            next(call["parameters"][name] for name in names if name in call["parameters"]),
        )
        for call in calls(aws, *DELETING)
        if call["result"] == "ok"
    ]


@pytest.fixture
def staging(rds: Any) -> Cluster:
    return clusters.get_cluster(rds, "staging")


@pytest.fixture
def snapshot(account: Sandbox, admin: Any) -> str:
    """The ARN of an available snapshot in the target account and Region."""
    made = admin.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="copy", DBClusterIdentifier="staging"
    )
    account.advance(3600)
    return str(made["DBClusterSnapshot"]["DBClusterSnapshotArn"])


@pytest.fixture
def wanted(account: Sandbox) -> RestoreRequest:
    """A request whose every setting differs from AWS's default."""
    return request(
        target_cluster_id="restored",
        security_group_ids=account.facts["security_group_ids"],
        port=account.facts["postgres_port"],
        reader_count=1,
        cluster_parameter_group="aurora-restore-cluster",
        instance_parameter_group="aurora-restore-instance",
        storage_type="aurora-iopt1",
        backup_retention_days=7,
        iam_authentication=True,
        deletion_protection=True,
        log_exports=["postgresql", "instance"],
    )


def started(aws: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str) -> Cluster:
    version = aws.facts["engine_version"]
    return restoring.start_restore(rds, wanted, snapshot, version, MARKS)


def test_cluster_is_shown_as_aws_has_it(account: Sandbox, staging: Cluster) -> None:
    """
    What the steps decide by is read from AWS: members, endpoint, network, tags.
    """
    assert (staging.writer, staging.readers) == ("staging-1", ["staging-2"])
    assert (staging.port, staging.protected) == (account.facts["postgres_port"], False)
    assert staging.endpoint.startswith("staging.cluster-")
    assert staging.subnet_group == "aurora-restore"
    assert staging.security_group_ids == account.facts["security_group_ids"]
    assert staging.tags == {tags.MANAGED: "true"}


def test_missing_cluster_is_told(rds: Any) -> None:
    """
    A cluster that does not exist is None to who looks for it and an error to who needs it.
    """
    assert clusters.find_cluster(rds, "none") is None
    with pytest.raises(NotFound, match=r"^cluster none: it does not exist\."):
        clusters.get_cluster(rds, "none")


def test_network_is_that_of_the_subnet_group(account: Sandbox, rds: Any) -> None:
    """
    VPC and subnets come from the subnet group; a missing group is told with its field.
    """
    network = clusters.get_network(rds, "aurora-restore")

    assert network.vpc_id == account.facts["vpc_id"]
    assert network.subnet_ids == sorted(account.facts["subnet_ids"])
    with pytest.raises(NotFound, match=r"^db_subnet_group_name none: no such DB subnet group"):
        clusters.get_network(rds, "none")


def test_cluster_of_the_targets_name_makes_room(rds: Any) -> None:
    """
    By default the cluster that has the target's name is replaced; a free name needs nothing.
    """
    found = deleting.find_replaced(rds, request(), OPERATION)

    assert found is not None
    assert found.id == "staging"
    assert deleting.find_replaced(rds, request(target_cluster_id="new"), OPERATION) is None


def test_cluster_of_this_operation_is_not_replaced(rds: Any, admin: Any, staging: Cluster) -> None:
    """
    What this operation has restored is not deleted when its steps run again.
    """
    admin.add_tags_to_resource(
        ResourceName=staging.arn, Tags=tags.to_api({tags.OPERATION: OPERATION})
    )

    assert deleting.find_replaced(rds, request(), OPERATION) is None
    assert deleting.find_replaced(rds, request(), "op-002") is not None


def test_two_clusters_are_never_replaced_at_once(rds: Any) -> None:
    """
    When `replaces` names another cluster, one that has the target's name is in the way.
    """
    with pytest.raises(Refused) as refused:
        deleting.find_replaced(rds, request(replaces="old"), OPERATION)

    assert str(refused.value) == (
        "target_cluster_id staging: a cluster of this name exists, and `replaces` names another. "
        "Name it in `replaces` to have it deleted, or choose another target_cluster_id."
    )


def test_cluster_is_deleted_after_its_final_snapshot_readers_first(
    account: Sandbox, rds: Any
) -> None:
    """
    Final snapshot, readers, writer, cluster: in this order, and nothing is deleted before the
    snapshot is available.
    """
    removed(account, rds)

    assert deletions(account) == [
        ("CreateDBClusterSnapshot", FINAL),
        ("DeleteDBInstance", "staging-2"),
        ("DeleteDBInstance", "staging-1"),
        ("DeleteDBCluster", "staging"),
    ]
    events = account.events()
    secured = next(
        number
        for number, event in enumerate(events)
        if event.get("resource") == f"snapshot:{FINAL}" and event.get("to") == "available"
    )
    first = next(
        number
        for number, event in enumerate(events)
        if event.get("operation", "").startswith("Delete")
    )
    assert secured < first
    assert clusters.find_cluster(rds, "staging") is None


def test_automated_backups_outlive_the_cluster(account: Sandbox, rds: Any) -> None:
    """
    No second final snapshot is asked for, and the automated backups stay.
    """
    removed(account, rds, final=None)

    assert [name for name, _ in deletions(account)] == [
        "DeleteDBInstance",
        "DeleteDBInstance",
        "DeleteDBCluster",
    ]
    assert calls(account, "DeleteDBCluster")[-1]["parameters"] == {
        "DBClusterIdentifier": "staging",
        "SkipFinalSnapshot": True,
        "DeleteAutomatedBackups": False,
    }


def test_nothing_is_deleted_when_the_final_snapshot_fails(account: Sandbox, rds: Any) -> None:
    """
    A final snapshot that failed leaves cluster and instances as they were.
    """
    account.plant("snapshot-failed")

    with pytest.raises(EndedBadly):
        removed(account, rds)

    assert changes(account) == ["CreateDBClusterSnapshot"]


def test_half_done_deletion_is_finished(account: Sandbox, rds: Any, admin: Any) -> None:
    """
    A deletion that was cut off after its first instance goes on with the rest.
    """
    admin.delete_db_instance(DBInstanceIdentifier="staging-2", SkipFinalSnapshot=True)

    removed(account, rds, final=None)

    assert deletions(account)[0] == ("DeleteDBInstance", "staging-1")
    assert deletions(account)[-1] == ("DeleteDBCluster", "staging")


def _protect(admin: Any, _: Sandbox) -> None:
    admin.modify_db_cluster(DBClusterIdentifier="staging", DeletionProtection=True)


def _untag(admin: Any, aws: Sandbox) -> None:
    arn = aws.facts["target_cluster_arn"]
    admin.remove_tags_from_resource(ResourceName=arn, TagKeys=[tags.MANAGED])


def _deny(admin: Any, aws: Sandbox) -> None:
    arn = aws.facts["target_cluster_arn"]
    admin.add_tags_to_resource(ResourceName=arn, Tags=tags.to_api({tags.MANAGED: "false"}))


def _stop(admin: Any, aws: Sandbox) -> None:
    admin.stop_db_cluster(DBClusterIdentifier="staging")
    aws.advance(3600)


@pytest.mark.parametrize(
    ("arrange", "line"),
    [
        (
            _protect,
            "deletion protection is on. Turn it off if this cluster may be replaced.",
        ),
        (
            _untag,
            (
                "it lacks the tag aurora-restore:managed = true, so it is not ours to delete. "
                "Set the tag if this cluster may be replaced, or name another one."
            ),
        ),
        (
            _deny,
            (
                "it lacks the tag aurora-restore:managed = true, so it is not ours to delete. "
                "Set the tag if this cluster may be replaced, or name another one."
            ),
        ),
        (_stop, "its status is 'stopped', so AWS does not delete it. Start it."),
    ],
)
def test_cluster_that_may_not_be_deleted_is_left_alone(
    account: Sandbox, rds: Any, admin: Any, arrange: Callable[[Any, Sandbox], None], line: str
) -> None:
    """
    A protected, unmarked or stopped cluster is refused before any call that changes anything: AWS
    would let the instances of a protected cluster be deleted.
    """
    arrange(admin, account)

    with pytest.raises(Refused) as refused:
        removed(account, rds)

    assert str(refused.value) == f"cluster staging: {line}"
    assert changes(account) == []


@pytest.mark.parametrize("engine", ["aurora-mysql", "postgres", "docdb", ""])
def test_cluster_of_another_engine_is_left_alone(
    account: Sandbox, rds: Any, staging: Cluster, engine: str
) -> None:
    """
    What is no Aurora PostgreSQL cluster is not deleted, marked or not.
    """
    with pytest.raises(Refused) as refused:
        deleting.remove(rds, replace(staging, engine=engine), FINAL, MARKS)

    assert str(refused.value) == (
        f"cluster staging: its engine is '{engine}'. Name an Aurora PostgreSQL cluster."
    )
    assert changes(account) == []


def test_protection_switched_on_at_the_last_moment_is_told(account: Sandbox, rds: Any) -> None:
    """
    AWS's own refusal at the last call ends the step, with what to do.
    """
    account.plant("delete-refused")

    with pytest.raises(Refused, match=r"^cluster staging: AWS refuses to delete it: .* Turn"):
        removed(account, rds, final=None)


def test_deletion_under_way_is_only_waited_for(
    account: Sandbox, rds: Any, staging: Cluster
) -> None:
    """
    A cluster that is being deleted is not deleted again.
    """
    with pytest.raises(NotReady, match=r"^cluster staging: it is being deleted\.$"):
        deleting.remove(rds, replace(staging, status="deleting"), FINAL, MARKS)

    assert changes(account) == []


def test_cluster_that_is_gone_meanwhile_is_done(rds: Any, staging: Cluster) -> None:
    """
    A cluster that vanished between the look and the call counts as deleted.
    """
    deleting.delete_cluster(rds, replace(staging, id="none", readers=[], writer=None))


def test_restore_says_every_setting(
    account: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str
) -> None:
    """
    Nothing is left to AWS's defaults: version, network, port, storage, protection, backups, logs.
    """
    cluster = started(account, rds, wanted, snapshot)

    [call] = calls(account, "RestoreDBClusterFromSnapshot")
    assert call["parameters"] == {
        "DBClusterIdentifier": "restored",
        "SnapshotIdentifier": snapshot,
        "Engine": "aurora-postgresql",
        "EngineVersion": account.facts["engine_version"],
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "Port": account.facts["postgres_port"],
        "DBSubnetGroupName": "aurora-restore",
        "VpcSecurityGroupIds": account.facts["security_group_ids"],
        "KmsKeyId": "alias/aurora-target",
        "DBClusterParameterGroupName": "aurora-restore-cluster",
        "StorageType": "aurora-iopt1",
        "EnableIAMDatabaseAuthentication": True,
        "EnableCloudwatchLogsExports": ["postgresql", "instance"],
        "DeletionProtection": True,
        "BackupRetentionPeriod": 7,
        "CopyTagsToSnapshot": True,
        "Tags": tags.to_api(MARKS),
    }
    assert (cluster.id, cluster.status) == ("restored", "creating")


def test_serverless_restore_says_its_range(
    account: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str
) -> None:
    """
    A serverless target gets the capacity range of the request.
    """
    serverless = RestoreRequest.model_validate(
        wanted.model_dump()
        | {"instance_class": "db.serverless", "serverless_min_acu": 0.5, "serverless_max_acu": 4}
    )

    started(account, rds, serverless, snapshot)

    [call] = calls(account, "RestoreDBClusterFromSnapshot")
    assert call["parameters"]["ServerlessV2ScalingConfiguration"] == {
        "MinCapacity": 0.5,
        "MaxCapacity": 4.0,
    }


def test_own_restore_is_adopted(
    account: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str
) -> None:
    """
    A repeat finds the cluster of its operation and asks for no other, also after a lost reply.
    """
    account.plant(Fault("rds", "RestoreDBClusterFromSnapshot", lose_reply=True))

    first = started(account, rds, wanted, snapshot)
    again = started(account, rds, wanted, snapshot)

    assert again.arn == first.arn
    results = [each["result"] for each in calls(account, "RestoreDBClusterFromSnapshot")]
    assert results == ["ConnectionLost", "DBClusterAlreadyExistsFault"]


def test_foreign_cluster_is_not_adopted(account: Sandbox, rds: Any) -> None:
    """
    A cluster that has the target's name and is not this operation's is refused.
    """
    arn = account.facts["snapshot_arn"]

    with pytest.raises(Refused) as refused:
        restoring.start_restore(rds, request(), arn, "16", MARKS)

    assert str(refused.value) == (
        "cluster staging: a cluster of this name exists and is not this operation's. "
        "Name it in `replaces` to have it deleted, or choose another target_cluster_id."
    )
    assert changes(account) == []


def test_missing_capacity_is_waited_for(account: Sandbox, rds: Any, wanted: RestoreRequest) -> None:
    """
    A restore for which there is no capacity just now is worth another look.
    """
    account.plant("cluster-capacity")

    with pytest.raises(NotReady, match=r"it now \(InsufficientDBClusterCapacityFault\)\.$"):
        started(account, rds, wanted, account.facts["snapshot_arn"])


def test_refused_restore_is_awss_own_error(
    account: Sandbox, rds: Any, wanted: RestoreRequest
) -> None:
    """
    A restore that AWS refuses for good fails at once.
    """
    account.plant("restore-refused")

    with pytest.raises(ClientError, match="InvalidRestoreFault"):
        started(account, rds, wanted, account.facts["snapshot_arn"])


def connect(aws: Sandbox, cluster: Cluster, password: str) -> None:
    psycopg2.connect(
        host=cluster.endpoint,
        hostaddr="127.0.0.1",
        port=cluster.port,
        user=cluster.master_username,
        password=password,
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=aws.facts["ca_file"],
    ).close()


def test_restored_cluster_gets_instances_and_a_managed_password(
    account: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str
) -> None:
    """
    A restore is complete when writer, readers and RDS's own secret are ready; each is asked for
    once, and progress never goes back.
    """
    started(account, rds, wanted, snapshot)
    percents: list[int] = []

    def look() -> Cluster:
        try:
            return restoring.complete(rds, wanted, MARKS, None)
        except NotReady as waiting:
            percents.append(waiting.percent or 0)
            raise

    cluster = waited(account, look)

    instances = calls(account, "CreateDBInstance")
    assert [each["parameters"] for each in instances] == [
        {
            "DBInstanceIdentifier": f"restored-{number}",
            "DBClusterIdentifier": "restored",
            "DBInstanceClass": "db.r6g.large",
            "Engine": "aurora-postgresql",
            "PubliclyAccessible": False,
            "PromotionTier": number - 1,
            "DBParameterGroupName": "aurora-restore-instance",
            "Tags": tags.to_api(MARKS),
        }
        for number in (1, 2)
    ]
    [modified] = calls(account, "ModifyDBCluster")
    assert modified["parameters"] == {
        "DBClusterIdentifier": "restored",
        "ApplyImmediately": True,
        "ManageMasterUserPassword": True,
    }
    assert (cluster.status, cluster.master_secret_status) == ("available", "active")
    assert (cluster.writer, cluster.readers) == ("restored-1", ["restored-2"])
    assert percents == sorted(percents)
    assert 0 <= percents[0] < percents[-1] < 100
    keeper = account.client("secretsmanager")
    secret = keeper.get_secret_value(SecretId=cluster.master_secret_arn)["SecretString"]
    connect(account, cluster, json.loads(secret)["password"])


def test_named_secrets_password_is_set_once(
    account: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str
) -> None:
    """
    A password from a named secret is set once, and is the one that logs in.
    """
    password = SecretStr("Marker-8-to-41")
    started(account, rds, wanted, snapshot)

    cluster = waited(account, lambda: restoring.complete(rds, wanted, MARKS, password))
    restoring.complete(rds, wanted, MARKS, password)
    account.advance(600)

    [modified] = calls(account, "ModifyDBCluster")
    assert modified["parameters"]["MasterUserPassword"] == "***"
    assert cluster.tags[tags.MASTER_PASSWORD] == "true"
    assert cluster.master_secret_arn is None
    waited_for = clusters.get_cluster(rds, "restored")
    connect(account, waited_for, password.get_secret_value())


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        ("restore-failed", "cluster restored: status is 'incompatible-restore'"),
        ("capacity", "instance restored-1: status is 'insufficient-capacity'"),
        ("instance-failed", "instance restored-1: status is 'incompatible-network'"),
    ],
)
def test_restore_that_ended_badly_is_told(
    account: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str, failure: str, line: str
) -> None:
    """
    A cluster or an instance that reached a status it never leaves ends the wait.
    """
    account.plant(failure)
    started(account, rds, wanted, snapshot)

    with pytest.raises(EndedBadly) as ended:
        waited(account, lambda: restoring.complete(rds, wanted, MARKS, None))

    assert str(ended.value).startswith(line)


def test_managed_secret_in_the_making_is_waited_for(rds: Any, staging: Cluster) -> None:
    """
    A secret of RDS's own counts only once its status is active.
    """
    for status, ready in {"creating": False, "rotating": False, "active": True}.items():
        cluster = replace(staging, master_secret_arn="arn", master_secret_status=status)
        if ready:
            restoring._ensure_master_password(rds, cluster, None, 50)
            continue
        with pytest.raises(NotReady, match=f"its secret is '{status}'"):
            restoring._ensure_master_password(rds, cluster, None, 50)


def test_cluster_that_is_creating_gets_no_instances_yet(
    account: Sandbox, rds: Any, wanted: RestoreRequest, snapshot: str
) -> None:
    """
    Instances are asked for only once the cluster is available.
    """
    account.plant("restore-stuck")
    started(account, rds, wanted, snapshot)

    with pytest.raises(NotReady, match="status is 'creating'") as waiting:
        restoring.complete(rds, wanted, MARKS, None)

    assert waiting.value.percent == 0
    assert changes(account) == ["RestoreDBClusterFromSnapshot"]


def test_instance_of_another_cluster_is_not_taken_over(account: Sandbox, rds: Any) -> None:
    """
    An instance that has a wanted name in another cluster is in the way.
    """
    given = request(target_cluster_id="restored")

    with pytest.raises(Refused) as refused:
        restoring._create_instance(rds, given, "staging-1", 0, MARKS)

    assert str(refused.value) == (
        "instance staging-1: an instance of this name exists in another cluster. "
        "Delete or rename it, or choose another target_cluster_id."
    )
    assert [each["result"] for each in calls(account, "CreateDBInstance")] == [
        "DBInstanceAlreadyExists"
    ]


@pytest.mark.parametrize("code", ["InsufficientDBInstanceCapacity", "InvalidDBClusterStateFault"])
def test_instance_that_cannot_be_made_now_is_waited_for(
    account: Sandbox, rds: Any, code: str
) -> None:
    """
    Missing capacity for an instance passes, or the deadline comes.
    """
    account.plant(Fault("rds", "CreateDBInstance", code, "not now"))

    with pytest.raises(NotReady, match=f"it cannot be created now \\({code}\\)"):
        restoring.complete(rds, request(reader_count=2), MARKS, None)
