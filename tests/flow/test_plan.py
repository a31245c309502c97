"""Looking before acting: dry runs, and runs that were agreed to."""

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.settings import PREFECT_API_URL, temporary_settings

from aurora_restore.errors import PreflightFailed, Refused
from demo.facts import request
from demo.stack import PrefectStack
from flows.restore import restore_aurora_cluster
from sandbox import Sandbox


@pytest.fixture
def run(aws: Sandbox, account: None, prefect: PrefectStack):
    """Run the flow with wishes and parameters of its own."""

    def started(wishes: dict | None = None, **parameters):
        with temporary_settings({PREFECT_API_URL: f"{prefect.url}/api"}):
            return restore_aurora_cluster(request(aws, **(wishes or {})), **parameters)

    return started


def latest_plan(prefect: PrefectStack) -> str:
    """Return the newest plan that was left as an artifact."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["restore-plan"]))
    with (
        temporary_settings({PREFECT_API_URL: f"{prefect.url}/api"}),
        get_client(sync_client=True) as client,
    ):
        found = client.read_artifacts(artifact_filter=wanted)
    return str(max(found, key=lambda each: each.created).data)


def changed(aws: Sandbox) -> list[str]:
    """Return every call that could have changed something, records and messages among them."""
    return [
        event["operation"]
        for event in aws.events("call")
        if "user/admin" not in event["caller"]
        and not event["operation"].startswith(("Describe", "Get", "List", "Query", "AssumeRole"))
        and event["result"] != "DryRunOperationException"
    ]


def test_a_dry_run_leaves_a_plan_and_nothing_else(run, aws: Sandbox, prefect: PrefectStack):
    """
    Checks, actions, differences and the hash are an artifact; no record, no message, no change.
    """
    done = run(dry_run=True)

    shown = latest_plan(prefect)
    assert "| target-account | ok |" in shown
    assert "staging-final-" in shown
    assert done["plan_hash"] in shown
    assert changed(aws) == []
    assert aws.items() == []
    assert aws.messages() == []


def test_a_dry_run_with_findings_fails_and_is_not_announced(
    run, aws: Sandbox, prefect: PrefectStack
):
    """
    All findings are in the error and in the artifact; nobody is told of a refresh that never was.
    """
    aws.plant("secret-denied")

    with pytest.raises(PreflightFailed, match=r"db_subnet_group_name.*secret may not be read"):
        run({"db_subnet_group_name": "nowhere"}, dry_run=True)

    assert "No plan" in latest_plan(prefect) or "failed" in latest_plan(prefect)
    assert aws.messages() == []
    assert changed(aws) == []


def test_a_run_with_the_hash_of_its_plan_goes_on(run):
    """
    The hash of a dry run is the one the run comes to, as long as nothing has changed.
    """
    agreed = run(dry_run=True)["plan_hash"]

    done = run({"operation_id": "op-001"}, plan_hash=agreed)

    assert done["deleted_cluster_id"] == "staging"


def test_a_run_refuses_when_reality_has_changed(run, aws: Sandbox):
    """
    Another setting of the old cluster than the one that was seen is enough; nothing is changed.
    """
    agreed = run(dry_run=True)["plan_hash"]
    aws.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging", BackupRetentionPeriod=7, ApplyImmediately=True
    )
    aws.advance(3600)

    with pytest.raises(Refused, match=f"plan_hash {agreed}: what would be done has changed"):
        run({"operation_id": "op-001"}, plan_hash=agreed)

    assert {
        each for each in changed(aws) if each not in {"UpdateItem", "TransactWriteItems", "Publish"}
    } == set()


def test_an_agreement_holds_for_the_run_that_goes_on(run, aws: Sandbox):
    """
    Who goes on with the operation without the hash is refused as the first run was; whoever has
    looked again goes on with the new one.
    """
    agreed = run(dry_run=True)["plan_hash"]
    aws.plant("secret-denied")
    with pytest.raises(PreflightFailed):
        run({"operation_id": "op-001"}, plan_hash=agreed)
    aws.clear()
    aws.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging", BackupRetentionPeriod=7, ApplyImmediately=True
    )
    aws.advance(3600)

    with pytest.raises(Refused, match=f"plan_hash {agreed}: what would be done has changed"):
        run({"operation_id": "op-001"})
    seen = run(dry_run=True)["plan_hash"]
    done = run({"operation_id": "op-001"}, plan_hash=seen)

    assert done["deleted_cluster_id"] == "staging"


def test_deletion_protection_is_lifted_only_if_the_request_says_so(run, aws: Sandbox):
    """
    A protected cluster is a finding; with consent it is replaced, and the new one is protected.
    """
    aws.client("rds").modify_db_cluster(
        DBClusterIdentifier="staging", DeletionProtection=True, ApplyImmediately=True
    )
    aws.advance(3600)

    with pytest.raises(PreflightFailed, match="deletion protection is on"):
        run({"operation_id": "op-001"})
    run({"operation_id": "op-002", "lift_deletion_protection": True})

    [cluster] = aws.client("rds").describe_db_clusters()["DBClusters"]
    assert cluster["DeletionProtection"] is True
