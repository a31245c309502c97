"""Clients of both accounts: whose credentials they use, and that these are checked."""

import time

import pytest
from examples import SOURCE_ACCOUNT, TARGET_ACCOUNT, request
from product_fixtures import calls, forget_caches

from aurora_restore.errors import Refused
from aurora_restore.sessions import check_identity, owns_source, source_client, target_client
from sandbox import Sandbox

SIX_HOURS = 6 * 3600


def test_target_client_acts_as_the_task_role(account: Sandbox) -> None:
    """
    The account this runs in is reached with the task's own role.
    """
    check_identity(target_client("sts", "us-west-2"), TARGET_ACCOUNT, "target")

    arn = target_client("sts", "us-west-2").get_caller_identity()["Arn"]
    assert arn.startswith(f"arn:aws:sts::{TARGET_ACCOUNT}:assumed-role/aurora-restore-task/")
    assert owns_source(request())
    assert account.facts["task_role_arn"].endswith("aurora-restore-task")


def test_source_client_assumes_the_source_role(account: Sandbox) -> None:
    """
    The source account is reached by the source role, with its external id, under our name.
    """
    before = len(calls(account))

    check_identity(source_client("sts", request()), SOURCE_ACCOUNT, "source")

    [assumed, asked] = calls(account)[before:]
    assert assumed["operation"] == "AssumeRole"
    assert assumed["parameters"] == {
        "RoleArn": account.facts["source_role_arn"],
        "RoleSessionName": "aurora-restore",
        "ExternalId": account.facts["external_id"],
    }
    assert asked["caller"].endswith("assumed-role/aurora-restore-source/aurora-restore")
    assert asked["region"] == "us-east-1"


def test_source_in_the_target_account_needs_no_role(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Within one account the task role reads the snapshot, also where a source role is set.
    """
    same = request(source_account_id=TARGET_ACCOUNT)
    before = len(calls(account, "AssumeRole"))

    check_identity(source_client("sts", same), TARGET_ACCOUNT, "source")

    assert len(calls(account, "AssumeRole")) == before
    monkeypatch.delenv("AURORA_RESTORE_SOURCE_ROLE_ARN")
    forget_caches()
    assert owns_source(same)
    assert not owns_source(request())


def test_credentials_outlive_the_hour_of_a_chained_role(account: Sandbox) -> None:
    """
    A wait longer than the source session, and than the task's own, goes on with new credentials.
    """
    rds, sts = source_client("rds", request()), source_client("sts", request())
    check_identity(sts, SOURCE_ACCOUNT, "source")
    first = len(calls(account, "AssumeRole"))

    account.advance(SIX_HOURS + 60)
    time.sleep(1.3)  # the client reads this machine's clock: an hour of the session is 1.2 s

    assert rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]
    check_identity(sts, SOURCE_ACCOUNT, "source")
    check_identity(target_client("sts", "us-west-2"), TARGET_ACCOUNT, "target")
    assert len(calls(account, "AssumeRole")) > first


@pytest.mark.parametrize("side", ["source", "target"])
def test_credentials_of_another_account_are_refused(
    account: Sandbox,
    side: str,
) -> None:
    """
    What the request claims and what the credentials are must be the same account, on both sides.
    """
    clients = {
        "source": source_client("sts", request()),
        "target": target_client("sts", "us-west-2"),
    }
    real = {"source": SOURCE_ACCOUNT, "target": TARGET_ACCOUNT}[side]

    with pytest.raises(Refused) as refused:
        check_identity(clients[side], "111111111111", side)

    assert str(refused.value) == (
        f"{side}_account_id: the request says 111111111111, the credentials are of {real}. "
        "Correct the request, or run in the right account."
    )


@pytest.mark.parametrize("why", ["denied", "external id", "no such role"])
def test_role_that_may_not_be_assumed_is_told(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """
    A role that does not let us in is one line with where to look.
    """
    if why == "denied":
        account.plant("assume-role-denied")
    elif why == "external id":
        monkeypatch.setenv("AURORA_RESTORE_SOURCE_EXTERNAL_ID", "guessed")
    else:
        role = f"arn:aws:iam::{SOURCE_ACCOUNT}:role/none"
        monkeypatch.setenv("AURORA_RESTORE_SOURCE_ROLE_ARN", role)
    forget_caches()

    with pytest.raises(Refused) as refused:
        check_identity(source_client("sts", request()), SOURCE_ACCOUNT, "source")

    assert str(refused.value) == (
        "source_account_id 123456789012: its credentials were refused (AccessDenied). Let the "
        "task role assume the role AURORA_RESTORE_SOURCE_ROLE_ARN (trust policy, external id), "
        "or correct that setting."
    )


def test_throttled_call_is_repeated(account: Sandbox) -> None:
    """
    RDS's own "Rate exceeded" is waited out, longer than botocore would by itself.
    """
    account.plant("throttling", every=1, times=3)

    target_client("rds", "us-west-2").describe_db_clusters()

    assert [each["result"] for each in calls(account, "DescribeDBClusters")][-4:] == [
        *["Throttling"] * 3,
        "ok",
    ]
