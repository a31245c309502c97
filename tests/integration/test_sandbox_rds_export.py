"""The sandbox's RDS: exporting a cluster snapshot to S3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rds_world import TARGET, World

from sandbox.rds import durations


def trust(service: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )


@pytest.fixture
def wish(aurora: World) -> dict[str, Any]:
    """A request that is right in every respect."""
    iam = aurora.client("iam")
    roles = {role["RoleName"]: role["Arn"] for role in iam.list_roles()["Roles"]}
    for name, service in (("exporter", "export.rds.amazonaws.com"), ("other", "ec2.amazonaws.com")):
        if name not in roles:
            made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))
            roles[name] = made["Role"]["Arn"]
    for name, region in (("archive-here", "us-west-2"), ("archive-there", "eu-west-1")):
        s3 = aurora.client("s3", TARGET, region)
        if name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            place = {"LocationConstraint": region}
            s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return {
        "ExportTaskIdentifier": "export-1",
        "SourceArn": aurora.facts["own"],
        "S3BucketName": "archive-here",
        "IamRoleArn": roles["exporter"],
        "KmsKeyId": "alias/aurora",
    }


def test_export_goes_from_starting_to_complete(aurora: World, wish: dict[str, Any]) -> None:
    """
    Statuses are in upper case and take time.
    """
    client = aurora.client("rds")
    made = client.start_export_task(**wish)
    seen = []
    for seconds in (durations.EXPORT_START, durations.EXPORT / 2, durations.EXPORT / 2):
        aurora.clock.advance(seconds)
        [task] = client.describe_export_tasks(ExportTaskIdentifier="export-1")["ExportTasks"]
        seen.append((task["Status"], task["PercentProgress"]))

    assert (made["Status"], made["SourceType"]) == ("STARTING", "SNAPSHOT")
    assert made["KmsKeyId"] == aurora.facts[TARGET]["key"]
    assert seen == [("IN_PROGRESS", 0), ("IN_PROGRESS", 50), ("COMPLETE", 100)]


def test_export_can_be_cancelled(aurora: World, wish: dict[str, Any]) -> None:
    """
    It goes through CANCELING to CANCELED.
    """
    client = aurora.client("rds")
    client.start_export_task(**wish)
    cancelled = client.cancel_export_task(ExportTaskIdentifier="export-1")
    aurora.clock.advance(durations.EXPORT)
    [task] = client.describe_export_tasks(SourceArn=wish["SourceArn"])["ExportTasks"]

    assert (cancelled["Status"], task["Status"]) == ("CANCELING", "CANCELED")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"S3BucketName": "archive-there"}, "InvalidS3BucketFault"),
        ({"S3BucketName": "archive-none"}, "InvalidS3BucketFault"),
        ({"IamRoleArn": f"arn:aws:iam::{TARGET}:role/none"}, "IamRoleNotFound"),
        ({"IamRoleArn": f"arn:aws:iam::{TARGET}:role/other"}, "IamRoleMissingPermissions"),
        ({"KmsKeyId": "alias/none"}, "KMSKeyNotAccessibleFault"),
        (
            {"SourceArn": f"arn:aws:rds:us-west-2:{TARGET}:cluster-snapshot:none"},
            "DBClusterSnapshotNotFoundFault",
        ),
    ],
)
def test_wrong_export_is_refused(
    aurora: World, wish: dict[str, Any], change: dict[str, str], code: str
) -> None:
    """
    Bucket (same Region), role (trusting RDS), key and source are checked.
    """
    with pytest.raises(ClientError) as refused:
        aurora.client("rds").start_export_task(**(wish | change))
    assert refused.value.response["Error"]["Code"] == code


def test_export_needs_a_new_name_and_an_available_source(
    aurora: World, wish: dict[str, Any]
) -> None:
    """
    The codes are ExportTaskAlreadyExists and InvalidExportSourceState.
    """
    client = aurora.client("rds")
    client.start_export_task(**wish)
    young = aurora.copy(aurora.facts["daily"], "copy-1")["DBClusterSnapshotArn"]
    more = {"ExportTaskIdentifier": "export-2", "SourceArn": young}

    for change, code in (({}, "ExportTaskAlreadyExists"), (more, "InvalidExportSourceState")):
        with pytest.raises(ClientError) as refused:
            client.start_export_task(**(wish | change))
        assert refused.value.response["Error"]["Code"] == code
