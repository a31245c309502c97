"""The failures of API calls that can be planted by name. (Those of lifecycles: `sandbox.rds`.)

Each takes the fields of `Fault` as options, such as `identifier` and `times`.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from sandbox.dynamodb import WRITES
from sandbox.faults import Fault

DENIED = "User is not authorized to perform: {}"
FORBIDDEN, SERVER_ERROR = 403, 500
FOREVER: dict[str, Any] = {"times": None}
RDS, DYNAMODB = "rds", "dynamodb"
COPY, RESTORE = "CopyDBClusterSnapshot", "RestoreDBClusterFromSnapshot"


@dataclass(frozen=True)
class Failure:
    """One line of what happens, the fault that makes it happen, and options of its own.

    `options` turns what is asked for into fields of the fault.
    """

    summary: str
    fault: Fault
    options: Callable[..., dict[str, Any]] = dict


def _record(step: str | None = None, status: str | None = None, **more: Any) -> dict[str, Any]:
    wanted = {"step": step, "status": status}
    return more | {"match": {name: text for name, text in wanted.items() if text is not None}}


def _outage(seconds: float | None = None, **more: Any) -> dict[str, Any]:
    return more | {"aws_seconds": seconds}


# Texts: AWS's where one is known (docs/fidelity.md), else in its manner.
FAILURES: dict[str, Failure] = {
    "kms-denied": Failure(
        f"{COPY}: KMSKeyNotAccessibleFault, until cleared",
        Fault(
            RDS,
            COPY,
            "KMSKeyNotAccessibleFault",
            "The source snapshot KMS key does not exist, is not enabled or you do not have "
            "permissions to access it.",
            **FOREVER,
        ),
    ),
    "snapshot-quota": Failure(
        f"{COPY}: SnapshotQuotaExceeded (100 manual snapshots), until cleared",
        Fault(
            RDS,
            COPY,
            "SnapshotQuotaExceeded",
            "Cannot create more than 100 manual snapshots",
            **FOREVER,
        ),
    ),
    "copies-in-flight": Failure(
        f"{COPY}: SnapshotQuotaExceeded (5 copies under way), 3 times",
        Fault(
            RDS,
            COPY,
            "SnapshotQuotaExceeded",
            "Cannot copy more than 5 snapshots across regions",
            times=3,
        ),
    ),
    "single-step-refused": Failure(
        f"{COPY} across account and Region at once: InvalidParameterCombination, until cleared",
        Fault(
            RDS,
            COPY,
            "InvalidParameterCombination",
            "Copying a DB cluster snapshot across accounts and across Regions in a single step "
            "isn't supported.",
            single_step=True,
            **FOREVER,
        ),
    ),
    "rename-refused": Failure(
        "ModifyDBCluster with a new name: InvalidDBClusterStateFault or code=, until cleared",
        Fault(
            RDS,
            "ModifyDBCluster",
            "InvalidDBClusterStateFault",
            "DB cluster is not available for modification with status backing-up",
            match={"NewDBClusterIdentifier": ""},
            **FOREVER,
        ),
    ),
    "restore-refused": Failure(
        f"{RESTORE}: InvalidRestoreFault, until cleared",
        Fault(
            RDS,
            RESTORE,
            "InvalidRestoreFault",
            "Cannot restore from vpc backup to non-vpc DB instance.",
            **FOREVER,
        ),
    ),
    "cluster-capacity": Failure(
        f"{RESTORE}: InsufficientDBClusterCapacityFault, once",
        Fault(
            RDS,
            RESTORE,
            "InsufficientDBClusterCapacityFault",
            "The DB cluster doesn't have enough capacity for the current operation.",
            FORBIDDEN,
        ),
    ),
    "delete-refused": Failure(
        "DeleteDBCluster: InvalidParameterCombination (deletion protection), until cleared",
        Fault(
            RDS,
            "DeleteDBCluster",
            "InvalidParameterCombination",
            "Cannot delete protected Cluster, please disable deletion protection and try again.",
            **FOREVER,
        ),
    ),
    "throttling": Failure(
        "every 3rd call of RDS: Throttling, 40 times",
        Fault(RDS, None, "Throttling", "Rate exceeded", times=40, every=3),
    ),
    "assume-role-denied": Failure(
        "AssumeRole: AccessDenied, until cleared",
        Fault(
            "sts",
            "AssumeRole",
            "AccessDenied",
            DENIED.format("sts:AssumeRole"),
            FORBIDDEN,
            **FOREVER,
        ),
    ),
    "source-denied": Failure(
        "DescribeDBClusterSnapshots in the source account: AccessDenied, until cleared",
        Fault(
            RDS,
            "DescribeDBClusterSnapshots",
            "AccessDenied",
            DENIED.format("rds:DescribeDBClusterSnapshots"),
            FORBIDDEN,
            account="123456789012",
            **FOREVER,
        ),
    ),
    "secret-denied": Failure(
        "GetSecretValue: AccessDeniedException, until cleared",
        Fault(
            "secretsmanager",
            "GetSecretValue",
            "AccessDeniedException",
            DENIED.format("secretsmanager:GetSecretValue"),
            **FOREVER,
        ),
    ),
    "sns-refused": Failure(
        "Publish: AuthorizationError, until cleared",
        Fault(
            "sns",
            "Publish",
            "AuthorizationError",
            DENIED.format("SNS:Publish"),
            FORBIDDEN,
            **FOREVER,
        ),
    ),
    "sns-down": Failure(
        "Publish: InternalError (500), 3 times or times=",
        Fault(
            "sns", "Publish", "InternalError", "An internal error occurred", SERVER_ERROR, times=3
        ),
    ),
    "dynamodb-throttled": Failure(
        "every call of DynamoDB: ProvisionedThroughputExceededException, 4 times",
        Fault(
            DYNAMODB,
            None,
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded. Consider "
            "increasing your provisioning level with the UpdateTable API.",
            times=4,
        ),
    ),
    "dynamodb-denied": Failure(
        "writing an item of step= (with status=): AccessDeniedException, once or times=",
        Fault(DYNAMODB, WRITES, "AccessDeniedException", DENIED.format("dynamodb:PutItem")),
        _record,
    ),
    "dynamodb-down": Failure(
        "every call of DynamoDB: InternalServerError (500), until cleared or for seconds= of AWS "
        "time; after_step= begins once an item of that step was written",
        Fault(
            DYNAMODB,
            None,
            "InternalServerError",
            "Internal server error",
            SERVER_ERROR,
            **FOREVER,
        ),
        _outage,
    ),
}


def build(name: str, /, **options: Any) -> Fault:
    """Return the fault of a named failure; options change its fields (`times=2`, `after=1`).

    Raises:
        ValueError: no such name, or no such option.
    """
    if name not in FAILURES:
        raise ValueError(f"There is no failure {name!r}.")
    changes = FAILURES[name].options(**options)
    if unknown := changes.keys() - {field.name for field in fields(Fault)}:
        raise ValueError(f"{name!r} has no option {', '.join(sorted(unknown))}.")
    return replace(FAILURES[name].fault, **changes)
