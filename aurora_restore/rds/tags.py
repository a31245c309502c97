"""The marks on everything this program makes, and the consent it asks for before it deletes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import TagTypeDef

OPERATION = "aurora-restore:operation-id"
MANAGED = "aurora-restore:managed"
TARGET = "aurora-restore:target-cluster"
ARCHIVED = "aurora-restore:archived-at"
MASTER_PASSWORD = "aurora-restore:master-password-set"  # noqa: S105 - a tag's name
FINAL_OF = "aurora-restore:final-snapshot-of"
INTERMEDIATE = "aurora-restore:intermediate-copy"
BROUGHT_BACK = "aurora-restore:brought-back"
DELETE_AFTER = "aurora-restore:delete-after"

MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def marks(operation_id: str, target_cluster_id: str) -> dict[str, str]:
    """Return the tags every resource of an operation carries."""
    return {OPERATION: operation_id, MANAGED: "true", TARGET: target_cluster_id}


def add(rds: "RDSClient", arn: str, tags: Mapping[str, str]) -> None:
    """Set tags on a cluster or snapshot, beside those it has. Safe to repeat.

    Source: RDS API, AddTagsToResource.
    """
    rds.add_tags_to_resource(ResourceName=arn, Tags=to_api(tags))


def own(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that people set, to be inherited: neither this program's nor AWS's."""
    return {
        key: value for key, value in tags.items() if not key.startswith(("aurora-restore:", "aws:"))
    }


def to_api(tags: Mapping[str, str]) -> "list[TagTypeDef]":
    """Return tags in the shape the RDS API takes."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def from_api(tags: "Iterable[TagTypeDef]") -> dict[str, str]:
    """Return tags from the shape the RDS API gives."""
    return {tag.get("Key", ""): tag.get("Value", "") for tag in tags}
