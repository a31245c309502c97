"""The sandbox's RDS: modifying clusters and instances, passwords, managed secrets, renaming."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import TARGET, World

from sandbox.rds import durations


def modify(aurora: World, name: str = "staging", **wish: Any) -> Any:
    return aurora.client("rds").modify_db_cluster(
        DBClusterIdentifier=name, **({"ApplyImmediately": True} | wish)
    )["DBCluster"]


def managed(aurora: World) -> Any:
    """Let RDS manage the password, and let the time pass."""
    modify(aurora, ManageMasterUserPassword=True)
    aurora.clock.advance(durations.LAG + durations.SECRET + 1)
    return aurora.get_cluster("staging")["MasterUserSecret"]


def test_unknown_cluster_is_not_found(aurora: World) -> None:
    """
    ModifyDBCluster answers with a fault.
    """
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        modify(aurora, "none", DeletionProtection=True)


@pytest.mark.parametrize(
    "password",
    [
        "short77",
        "x" * 42,
        "slash/slash",
        'quote"quote',
        "at@at@at@",
        "it's wrong",
        "two words",
        "ümlaut77",
    ],
)
def test_invalid_password_is_refused_without_side_effects(aurora: World, password: str) -> None:
    """
    8 to 41 printable ASCII characters besides / " @ ' and space; else nothing is changed at all.
    """
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*MasterUserPassword"):
        modify(aurora, MasterUserPassword=password, DeletionProtection=True)
    aurora.clock.advance(durations.LAG)

    found = aurora.get_cluster("staging")
    assert (found["Status"], found["DeletionProtection"]) == ("available", False)
    assert aurora.postgres.named("set_password") == []


@pytest.mark.parametrize("password", ["x" * 8, "x" * 41, "!#$%&()*+,-.:;<=>?[]^_`{|}~"])
def test_valid_passwords_are_taken(aurora: World, password: str) -> None:
    """
    The limits themselves are valid.
    """
    modify(aurora, MasterUserPassword=password)
    aurora.clock.advance(durations.LAG)
    key = aurora.get_cluster("staging")["DbClusterResourceId"]

    assert aurora.postgres.named("set_password") == [(key, "postgres", password)]


def test_password_resets_after_a_lag(aurora: World) -> None:
    """
    The reply and the next moments still show `available`; the password changes with the status.
    """
    seen = [modify(aurora, MasterUserPassword="brand-new-1", ApplyImmediately=False)["Status"]]
    for seconds in (0, durations.LAG, durations.RESET_CREDENTIALS):
        aurora.clock.advance(seconds)
        seen.append(aurora.get_cluster("staging")["Status"])
        if seconds == 0:
            assert aurora.postgres.named("set_password") == []

    assert seen == ["available", "available", "resetting-master-credentials", "available"]
    assert len(aurora.postgres.named("set_password")) == 1


@pytest.mark.parametrize("wait", [0.0, durations.LAG])
def test_second_modification_has_to_wait(aurora: World, wait: float) -> None:
    """
    One change at a time: from the reply on until the cluster is available again.
    """
    modify(aurora, MasterUserPassword="brand-new-1")
    aurora.clock.advance(wait)

    message = "DB cluster is not available for modification with status resetting-master-cred"
    with pytest.raises(ClientError, match=message) as refused:
        modify(aurora, MasterUserPassword="brand-new-2")
    assert refused.value.response["Error"]["Code"] == "InvalidDBClusterStateFault"


def test_managed_password_is_a_real_secret_of_the_cluster(aurora: World) -> None:
    """
    Secrets Manager holds the cluster's own master user and a random password, set in the database.
    """
    reply = modify(aurora, ManageMasterUserPassword=True)
    aurora.clock.advance(durations.LAG)
    during = aurora.get_cluster("staging")
    aurora.clock.advance(durations.SECRET)
    after = aurora.get_cluster("staging")
    secret = after["MasterUserSecret"]
    value = aurora.secret(secret["SecretArn"])

    assert reply["MasterUserSecret"]["SecretStatus"] == "creating"
    assert during["Status"] == "resetting-master-credentials"
    assert during["MasterUserSecret"]["SecretStatus"] == "creating"
    assert (after["Status"], secret["SecretStatus"]) == ("available", "active")
    assert secret["SecretArn"].startswith(
        f"arn:aws:secretsmanager:us-west-2:{TARGET}:secret:rds!cluster-"
    )
    assert set(value) == {"username", "password"}
    assert value["username"] == "postgres"
    assert aurora.postgres.named("set_password") == [
        (after["DbClusterResourceId"], "postgres", value["password"])
    ]


def test_secret_can_have_a_key_of_its_own(aurora: World) -> None:
    """
    MasterUserSecretKmsKeyId must exist; without it the key is aws/secretsmanager's.
    """
    with pytest.raises(ClientError, match="KMSKeyNotAccessibleFault"):
        modify(aurora, ManageMasterUserPassword=True, MasterUserSecretKmsKeyId="alias/none")
    reply = modify(aurora, ManageMasterUserPassword=True, MasterUserSecretKmsKeyId="alias/aurora")

    assert reply["MasterUserSecret"]["KmsKeyId"] == aurora.facts[TARGET]["key"]


def test_managed_password_excludes_one_of_ones_own(aurora: World) -> None:
    """
    A password is refused together with, or on top of, a managed one.
    """
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        modify(aurora, ManageMasterUserPassword=True, MasterUserPassword="brand-new-1")
    managed(aurora)
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        modify(aurora, MasterUserPassword="brand-new-1")
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        modify(aurora, ManageMasterUserPassword=False)


def test_management_can_be_turned_off_with_a_password(aurora: World) -> None:
    """
    Then the secret is gone and the given password counts.
    """
    arn = managed(aurora)["SecretArn"]
    reply = modify(aurora, ManageMasterUserPassword=False, MasterUserPassword="brand-new-1")

    assert "MasterUserSecret" not in reply
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aurora.secret(arn)


def test_managed_password_can_be_rotated_at_once_only(aurora: World) -> None:
    """
    Rotation gives the secret another password; it needs ApplyImmediately and a managed one.
    """
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        modify(aurora, RotateMasterUserPassword=True)
    arn = managed(aurora)["SecretArn"]
    before = aurora.secret(arn)
    with pytest.raises(ClientError, match="apply immediately"):
        modify(aurora, RotateMasterUserPassword=True, ApplyImmediately=False)
    reply = modify(aurora, RotateMasterUserPassword=True)
    aurora.clock.advance(durations.LAG)
    aurora.get_cluster("staging")

    assert reply["MasterUserSecret"]["SecretStatus"] == "rotating"
    assert aurora.secret(arn)["password"] != before["password"]
    assert aurora.postgres.named("set_password")[-1][2] == aurora.secret(arn)["password"]


def test_managed_secret_goes_with_the_cluster_and_is_not_restored(aurora: World) -> None:
    """
    Whoever needs the old password must have saved it.
    """
    arn = managed(aurora)["SecretArn"]
    client = aurora.client("rds")
    for name in ("staging-1", "staging-2"):
        client.delete_db_instance(DBInstanceIdentifier=name)
    client.delete_db_cluster(DBClusterIdentifier="staging", FinalDBSnapshotIdentifier="final")
    still_there = aurora.secret(arn)["username"]
    aurora.clock.advance(durations.SNAPSHOT + durations.CLUSTER_DELETE)
    made = aurora.restore("final", "staging")

    assert still_there == "postgres"
    assert "MasterUserSecret" not in made
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aurora.secret(arn)


def test_cluster_can_be_made_with_a_managed_password(aurora: World) -> None:
    """
    CreateDBCluster with ManageMasterUserPassword gives PostgreSQL the secret's password.
    """
    made = aurora.client("rds").create_db_cluster(
        DBClusterIdentifier="new",
        Engine="aurora-postgresql",
        MasterUsername="boss",
        ManageMasterUserPassword=True,
    )["DBCluster"]
    value = aurora.secret(made["MasterUserSecret"]["SecretArn"])
    aurora.clock.advance(durations.CLUSTER_CREATE)
    aurora.get_cluster("new")

    [(_, settings)] = aurora.postgres.named("create")
    assert value == {"username": "boss", "password": settings["master_password"]}


def test_protection_changes_at_once(aurora: World) -> None:
    """
    Deletion protection shows in the reply, whatever ApplyImmediately says, and nothing is busy.
    """
    reply = modify(aurora, DeletionProtection=True, ApplyImmediately=False)
    aurora.clock.advance(durations.LAG)

    assert reply["DeletionProtection"]
    assert aurora.get_cluster("staging")["Status"] == "available"


def test_other_settings_change_while_modifying(aurora: World) -> None:
    """
    Retention, groups and logs are checked at once and changed at the end of `modifying`.
    """
    modify(
        aurora,
        BackupRetentionPeriod=7,
        DBClusterParameterGroupName="cluster-params",
        CloudwatchLogsExportConfiguration={"EnableLogTypes": ["postgresql"]},
        EnableIAMDatabaseAuthentication=True,
    )
    aurora.clock.advance(durations.LAG)
    during = aurora.get_cluster("staging")
    aurora.clock.advance(durations.MODIFY)
    after = aurora.get_cluster("staging")

    assert (during["Status"], during["BackupRetentionPeriod"]) == ("modifying", 1)
    assert (after["Status"], after["BackupRetentionPeriod"]) == ("available", 7)
    assert after["DBClusterParameterGroup"] == "cluster-params"
    assert after["EnabledCloudwatchLogsExports"] == ["postgresql"]
    assert after["IAMDatabaseAuthenticationEnabled"]
    with pytest.raises(ClientError, match="DBClusterParameterGroupNotFound"):
        modify(aurora, DBClusterParameterGroupName="none")
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        modify(aurora, VpcSecurityGroupIds=["sg-00000000000000000"])


def test_rename_keeps_members_and_changes_endpoints(aurora: World) -> None:
    """
    After `renaming` the cluster has its new name with the same instances, data and resource id.
    """
    before = aurora.get_cluster("staging")
    modify(aurora, NewDBClusterIdentifier="Staging-Old")
    aurora.clock.advance(durations.LAG)
    during = aurora.get_cluster("staging")["Status"]
    aurora.clock.advance(durations.RENAME)
    after = aurora.get_cluster("staging-old")
    key = after["DbClusterResourceId"]

    assert during == "renaming"
    assert after["Status"] == "available"
    assert after["DBClusterMembers"] == before["DBClusterMembers"]
    assert key == before["DbClusterResourceId"]
    assert after["Endpoint"].startswith("staging-old.cluster-")
    assert after["DBClusterArn"].endswith(":cluster:staging-old")
    assert aurora.postgres.routes[key][:2] == [after["Endpoint"], after["ReaderEndpoint"]]
    assert aurora.get_instance("staging-1")["DBClusterIdentifier"] == "staging-old"
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        aurora.get_cluster("staging")


def test_both_names_are_taken_during_a_rename(aurora: World) -> None:
    """
    The new name is reserved from the call on, the old one is free at the end.
    """
    modify(aurora, NewDBClusterIdentifier="staging-old")
    for name in ("staging", "staging-old"):
        with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
            aurora.restore("own", name)
    aurora.clock.advance(durations.LAG + durations.RENAME)

    assert aurora.restore("own", "staging")["Status"] == "creating"
    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        aurora.restore("own", "staging-old")


def test_rename_needs_a_free_name(aurora: World) -> None:
    """
    Another cluster is not overwritten.
    """
    aurora.cluster("other", TARGET)

    with pytest.raises(ClientError, match="DBClusterAlreadyExistsFault"):
        modify(aurora, NewDBClusterIdentifier="other")


def test_rename_needs_to_be_applied_immediately(aurora: World) -> None:
    """
    Otherwise it is left pending for the maintenance window, which never comes here.
    """
    reply = modify(aurora, NewDBClusterIdentifier="staging-old", ApplyImmediately=False)
    aurora.clock.advance(durations.LAG + durations.RENAME)

    assert reply["PendingModifiedValues"] == {"DBClusterIdentifier": "staging-old"}
    assert aurora.get_cluster("staging")["Status"] == "available"


def test_instance_can_be_renamed_and_modified(aurora: World) -> None:
    """
    Like a cluster: lag, `modifying`, `renaming`, a new address at the end.
    """
    client = aurora.client("rds")
    client.modify_db_instance(
        DBInstanceIdentifier="staging-2",
        NewDBInstanceIdentifier="staging-b",
        DBInstanceClass="db.r6g.xlarge",
        DBParameterGroupName="params",
        ApplyImmediately=True,
    )
    seen = []
    for seconds in (durations.LAG, durations.MODIFY):
        aurora.clock.advance(seconds)
        seen.append(aurora.get_instance("staging-2")["DBInstanceStatus"])
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        client.modify_db_instance(DBInstanceIdentifier="staging-2", PromotionTier=2)
    aurora.clock.advance(durations.RENAME)
    after = aurora.get_instance("staging-b")
    key = aurora.get_cluster("staging")["DbClusterResourceId"]

    assert seen == ["modifying", "renaming"]
    assert (after["DBInstanceStatus"], after["DBInstanceClass"]) == ("available", "db.r6g.xlarge")
    assert after["DBParameterGroups"][0]["DBParameterGroupName"] == "params"
    assert after["Endpoint"]["Address"] in aurora.postgres.routes[key]


def test_instance_cannot_take_a_taken_name_or_the_clusters_password(aurora: World) -> None:
    """
    The codes are DBInstanceAlreadyExists and InvalidParameterCombination.
    """
    client = aurora.client("rds")

    with pytest.raises(ClientError) as refused:
        client.modify_db_instance(
            DBInstanceIdentifier="staging-2",
            NewDBInstanceIdentifier="staging-1",
            ApplyImmediately=True,
        )
    assert refused.value.response["Error"]["Code"] == "DBInstanceAlreadyExists"
    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*ModifyDBCluster"):
        client.modify_db_instance(
            DBInstanceIdentifier="staging-2", MasterUserPassword="brand-new-1"
        )
