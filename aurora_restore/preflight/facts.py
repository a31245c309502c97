"""What preflight knows, each fact as the answer to a read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora_restore.access.declared import DatabaseRole
from aurora_restore.files import TextFile
from aurora_restore.preflight.draft import Draft
from aurora_restore.preflight.keys import Key, SharedKey
from aurora_restore.preflight.reading import Answer, Place
from aurora_restore.preflight.reads import Quotas
from aurora_restore.preflight.reads_region import Group, Version
from aurora_restore.rds.snapshots import Snapshot
from aurora_restore.request import RestoreRequest
from aurora_restore.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import (
        DBClusterTypeDef,
        DBInstanceTypeDef,
        DBSubnetGroupTypeDef,
    )


@dataclass(frozen=True)
class First:
    """What can be read without knowing anything but the request and the settings."""

    request: RestoreRequest
    settings: Settings
    operation_id: str
    own: bool
    target: Place
    source: Place
    table: Answer[None]
    topic: Answer[None]
    snapshot: Answer[Snapshot]
    clusters: "Answer[list[DBClusterTypeDef]]"
    instances: "Answer[list[DBInstanceTypeDef]]"
    snapshots: Answer[list[Snapshot]]
    quotas: Answer[Quotas]
    versions: Answer[dict[str, Version]]
    secrets: Mapping[str, Answer[str]]
    role_file: Answer[Sequence[DatabaseRole]] | None
    roles: Sequence[DatabaseRole]
    scripts: Mapping[str, Answer[TextFile]]
    hop_key: Answer[Key] | None
    source_copy_key: Answer[SharedKey] | None

    @property
    def abroad(self) -> bool:
        """Whether the snapshot is another account's."""
        return self.request.source_account_id != self.request.target_account_id


@dataclass(frozen=True)
class Facts(First):
    """All that is read; `draft` is what would be built if nothing were in the way."""

    draft: Draft
    shared_with: Answer[list[str]] | None
    source_key: Answer[SharedKey] | None
    target_key: Answer[Key] | None
    subnet_group: "Answer[DBSubnetGroupTypeDef] | None"
    security_groups: Answer[dict[str, str]] | None
    cluster_group: Answer[Group] | None
    instance_groups: Mapping[str, Answer[Group]]
    classes: Mapping[str, Answer[set[str]]]
    quotas_elsewhere: Mapping[tuple[str, str], Answer[Quotas]]
