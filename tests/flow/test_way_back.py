"""Whatever ends a refresh after its first irreversible call, the target serves afterwards."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from safety import open_endpoints, resources, serves_old_data, unmarked, unsafe_moments

from aurora_restore.inheriting import differences
from aurora_restore.rds.blueprint import Blueprint
from sandbox import Sandbox
from sandbox.faults import Fault

RESTORE, CREATE, MODIFY = "RestoreDBClusterFromSnapshot", "CreateDBInstance", "ModifyDBCluster"
# Terminal by AWS's own model (botocore), for the calls that come after the first deletion.
RESTORE_FAULTS = [
    "DBClusterSnapshotNotFoundFault",
    "DBSnapshotNotFound",
    "DBSubnetGroupNotFoundFault",
    "DBSubnetGroupDoesNotCoverEnoughAZs",
    "DBClusterParameterGroupNotFound",
    "OptionGroupNotFoundFault",
    "DomainNotFoundFault",
    "InvalidSubnet",
    "InvalidVPCNetworkStateFault",
    "StorageTypeNotSupported",
    "VpcEncryptionControlViolationException",
    "NetworkTypeNotSupported",
    "StorageQuotaExceeded",
    "DBClusterQuotaExceededFault",
    "DBClusterRoleQuotaExceeded",
    "KMSKeyNotAccessibleFault",
    "InvalidRestoreFault",
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "AccessDenied",
]
CREATE_FAULTS = [
    "DBClusterNotFoundFault",
    "DBParameterGroupNotFound",
    "DBSecurityGroupNotFound",
    "InvalidSubnet",
    "InvalidVPCNetworkStateFault",
    "InstanceQuotaExceeded",
    "StorageQuotaExceeded",
    "StorageTypeNotSupported",
    "NetworkTypeNotSupported",
    "CertificateNotFound",
    "KMSKeyNotAccessibleFault",
    "AuthorizationNotFound",
    "OptionGroupNotFoundFault",
    "DomainNotFoundFault",
    "ProvisionedIopsNotAvailableInAZFault",
    "InvalidParameterCombination",
    "AccessDenied",
]
MODIFY_FAULTS = ["InvalidSubnet", "InvalidParameterValue", "KMSKeyNotAccessibleFault"]


@dataclass(frozen=True)
class Ending:
    """One way in which a refresh ends, and where the old data is found afterwards.

    `serves_as`: its identifier, or how that begins, where delete-first with one identifier meets
    the ending; with `always_so` in every case. `waits`: the ending is a wait that passes its
    deadline, shortened here.
    """

    name: str
    plant: str | Fault
    options: dict[str, Any] = field(default_factory=dict)
    serves_as: str = "staging"
    always_so: bool = False
    waits: bool = False
    modes: tuple[str, ...] = ("delete-first",)
    wishes: dict[str, Any] = field(default_factory=dict)


def of_api(operation: str, code: str, **options: Any) -> Ending:
    """An API call that AWS refuses once, for good."""
    fault = Fault("rds", operation, code, f"planted {code}", **options)
    return Ending(f"{operation} {code}", fault)


BOTH = ("delete-first", "swap")
SAMPLE = [
    Ending("restored cluster ends badly", "restore-failed", modes=BOTH),
    Ending("restore hangs", "restore-stuck", serves_as="staging-back-", waits=True, modes=BOTH),
    Ending("instance ends badly", "instance-failed", modes=BOTH),
    Ending("deletion is refused half-way", "delete-refused", {"times": 1}),
    Ending(
        "database refuses a role",
        Fault("rds", "DescribeNothing"),
        wishes={"access": "read_only", "schemas": ["nowhere"]},
        modes=BOTH,
    ),
    Ending(
        "old name is not given up",
        "rename-refused",
        {"identifier": "staging", "code": "AccessDenied", "times": 1},
        modes=("swap",),
    ),
    Ending(
        "new name is not given",
        "rename-refused",
        {"identifier": "staging-new-*", "code": "AccessDenied", "times": 1},
        modes=("swap",),
    ),
]
LONG = [
    Ending("deletion hangs", "delete-stuck", {}, "staging-back-", always_so=True, waits=True),
    Ending(
        "new cluster hangs while it is renamed",
        "rename-stuck",
        {"identifier": "staging-new-*"},
        "staging-old-",
        always_so=True,
        waits=True,
        modes=("swap",),
    ),
    *(of_api(RESTORE, code) for code in RESTORE_FAULTS),
    *(of_api(CREATE, code) for code in CREATE_FAULTS),
    *(of_api(MODIFY, code) for code in MODIFY_FAULTS),
    Ending("writer finds no capacity", "capacity", modes=BOTH),
    Ending("instance hangs", "instance-stuck", waits=True, modes=BOTH),
    Ending("master password hangs", "password-stuck", {}, "staging-back-", waits=True, modes=BOTH),
    Ending(
        "capacity is missing for long",
        Fault(
            "rds",
            RESTORE,
            "InsufficientDBClusterCapacityFault",
            "none",
            times=None,
            match={"SnapshotIdentifier": "daily-backup"},
        ),
        waits=True,
    ),
    Ending(
        "secret may not be read any more",
        Fault(
            "secretsmanager",
            "GetSecretValue",
            "AccessDeniedException",
            "no",
            times=None,
            after_step="restore-snapshot",
        ),
        modes=BOTH,
    ),
    Ending(
        "writer's deletion is denied",
        Fault("rds", "DeleteDBInstance", "AccessDenied", "no", identifier="staging-1"),
    ),
    Ending(
        "reader's deletion is denied",
        Fault("rds", "DeleteDBInstance", "AccessDenied", "no", identifier="staging-2"),
    ),
    Ending(
        "old cluster hangs while it is renamed",
        "rename-stuck",
        {"identifier": "staging"},
        waits=True,
        modes=("swap",),
    ),
]
ONE, TWO = "one identifier", "two identifiers"


def cases() -> Iterator[Any]:
    """Give each ending in each mode; with a second identifier those that are not an API's codes."""
    for ending in [*SAMPLE, *LONG]:
        for mode in ending.modes:
            for identifiers in (ONE, TWO):
                renames = ending.plant in ("rename-refused", "rename-stuck")
                if identifiers == TWO and (renames or ending.name.startswith(REPEATED)):
                    continue
                short = ending in SAMPLE and mode == ending.modes[0] and identifiers == ONE
                yield pytest.param(
                    ending,
                    mode,
                    identifiers,
                    marks=() if short else pytest.mark.long,
                    id=f"{mode}: {ending.name}, {identifiers}",
                )


# Of an API's codes the first ones are enough: what is done about them is the same.
REPEATED = tuple(
    f"{operation} {code}"
    for operation, codes in ((RESTORE, RESTORE_FAULTS), (CREATE, CREATE_FAULTS))
    for code in codes[2:]
)


def blueprint(aws: Sandbox, cluster_id: str) -> Blueprint:
    """Return what a cluster is made by, as AWS shows it."""
    rds = aws.client("rds")
    [cluster] = rds.describe_db_clusters(DBClusterIdentifier=cluster_id)["DBClusters"]
    wanted = [{"Name": "db-cluster-id", "Values": [cluster_id]}]
    instances = rds.describe_db_instances(Filters=wanted)["DBInstances"]
    return Blueprint.from_api(cluster, instances)


def password(aws: Sandbox) -> str:
    """Return the old cluster's master password."""
    keeper = aws.client("secretsmanager")
    content = keeper.get_secret_value(SecretId=aws.facts["master_secret_arn"])["SecretString"]
    return str(json.loads(content)["password"])


def old_cluster_now(aws: Sandbox, wanted: str) -> str:
    """Return the identifier under which the old data is to be found: `wanted`, or begins so."""
    found = [
        each["DBClusterIdentifier"]
        for each in aws.client("rds").describe_db_clusters()["DBClusters"]
    ]
    [name] = [each for each in found if each == wanted or each.startswith(f"{wanted}op")]
    return str(name)


@pytest.mark.parametrize(("ending", "mode", "identifiers"), cases())
def test_target_serves_after_every_ending(
    refresh, aws: Sandbox, monkeypatch, ending: Ending, mode: str, identifiers: str
):
    """
    The operation is FAILED, the old cluster serves its old data with its old settings, and nothing
    of ours is unmarked; the old data was safe at every moment.
    """
    before, was, word = set(resources(aws)), blueprint(aws, "staging"), password(aws)
    wishes: dict[str, Any] = {"replace": mode}
    if identifiers == TWO:
        wishes |= {"replaces": "staging", "target_cluster_id": "fresh"}
    if ending.wishes:
        secret = aws.facts["app_secret_arn"]
        wishes["roles"] = [{"name": "app", "secret_id": secret, **ending.wishes}]
    if ending.waits:
        for wait in ("DELETE", "RESTORE"):
            monkeypatch.setenv(f"AURORA_RESTORE_{wait}_POLL__GIVE_UP_AFTER", "6")
    aws.plant(ending.plant, **ending.options)

    run = refresh(**wishes)

    assert run.error is not None
    assert run.items["operation"]["status"] == "FAILED"
    assert [message["Subject"].split(" at ")[0] for message in run.messages] == [
        f"{wishes.get('target_cluster_id', 'staging')} refresh FAILED"
    ]
    own = mode == "swap" or identifiers == TWO
    serves_as = "staging" if own and not ending.always_so else ending.serves_as
    now = old_cluster_now(aws, serves_as)
    assert serves_old_data(aws, now, word)
    names = [
        name
        for each in open_endpoints(aws.events(), aws.facts["target_account"]).values()
        for name in each
    ]
    assert any(name.startswith(f"{now}.cluster-") for name in names)
    assert now in run.context()["old_cluster"] or mode == "swap"
    if ending.plant != "rename-stuck":
        assert differences(blueprint(aws, now), was) == []
    assert unmarked(aws, before) == []
    assert unsafe_moments(aws.events(), aws.facts["target_account"]) == []
