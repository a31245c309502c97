"""The marks on everything this program makes, and the consent it asks for before it deletes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import TagTypeDef

OPERATION = "aurora-restore:operation-id"
MANAGED = "aurora-restore:managed"
TARGET = "aurora-restore:target-cluster"
SOURCE_TIME = "aurora-restore:data-from"
ARCHIVED = "aurora-restore:archived-at"
MASTER_PASSWORD = "aurora-restore:master-password-set"  # noqa: S105 - a tag's name
SHARED_BY_US = "aurora-restore:shared-source"


def marks(operation_id: str, target_cluster_id: str) -> dict[str, str]:
    """Return the tags every resource of an operation carries."""
    return {OPERATION: operation_id, MANAGED: "true", TARGET: target_cluster_id}


def to_api(tags: Mapping[str, str]) -> "list[TagTypeDef]":
    """Return tags in the shape the RDS API takes."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def from_api(tags: "Iterable[TagTypeDef]") -> dict[str, str]:
    """Return tags from the shape the RDS API gives."""
    return {tag.get("Key", ""): tag.get("Value", "") for tag in tags}
