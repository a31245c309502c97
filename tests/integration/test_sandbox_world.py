"""What the world holds at the start, as far as a refresh inherits or needs it."""

MANAGED, TEAM = (
    {"Key": "aurora-restore:managed", "Value": "true"},
    {"Key": "team", "Value": "payments"},
)


def test_the_target_cluster_has_settings_worth_inheriting(aws):
    """
    None of them is what a restore would take by default.
    """
    [found] = aws.client("rds").describe_db_clusters(DBClusterIdentifier="staging")["DBClusters"]

    assert found["BackupRetentionPeriod"] == 3
    assert found["PreferredBackupWindow"] == "03:00-03:30"
    assert found["PreferredMaintenanceWindow"] == "sun:05:00-sun:05:30"
    assert found["EnabledCloudwatchLogsExports"] == ["postgresql"]
    assert found["CopyTagsToSnapshot"]
    assert found["TagList"] == [MANAGED, TEAM]
    tiers = {
        each["DBInstanceIdentifier"]: (each["IsClusterWriter"], each["PromotionTier"])
        for each in found["DBClusterMembers"]
    }
    assert tiers == {"staging-1": (True, 1), "staging-2": (False, 5)}


def test_the_target_account_has_a_key_in_the_sources_region(aws):
    """
    For the copy that stays in the Region, of two.
    """
    kms = aws.client("kms", "target", "us-east-1")
    found = kms.describe_key(KeyId="alias/aurora-target")["KeyMetadata"]

    assert found["Arn"] == aws.facts["hop_key_arn"]
    assert found["Arn"].split(":")[3:5] == ["us-east-1", aws.facts["target_account"]]
    assert found["KeyManager"] == "CUSTOMER"


def test_the_event_log_begins_with_the_world(aws):
    """
    After a reset too: whoever reads it later knows what there was.
    """
    [found] = aws.events("initial", resource="cluster:staging")
    endpoint, *_ = aws.events("endpoint", resource="cluster:staging")

    assert (found["to"], endpoint["open"]) == ("available", True)
    assert 0.0 <= found["aws_seconds"] <= endpoint["aws_seconds"]
    assert found["db_cluster_resource_id"] == endpoint["db_cluster_resource_id"]
