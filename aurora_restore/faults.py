"""What each error of AWS means for a step: take what is there, look again, or give up.

The one table for every RDS operation this program calls and every error AWS models for it; the
tests keep it complete. A code is written here without the "Fault" at its end, which some codes
have on the wire, some only as the name of botocore's class.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from http import HTTPStatus

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's name
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
)

from aurora_restore.errors import NotReady, aws_code


class Act(Enum):
    """What is done about an error.

    ADOPT: what was wanted exists, or is gone, already; the function that calls looks at it by name
    and tag. WAIT: look again until the step's deadline. END: the operation ends.
    """

    ADOPT = "adopt"
    WAIT = "wait"
    END = "end"


def _acts(*, adopt: str = "", wait: str = "", end: str = "") -> dict[str, Act]:
    """Return the table's rows of one operation, from codes with blanks between them."""
    rows = ((Act.ADOPT, adopt), (Act.WAIT, wait), (Act.END, end))
    return {code: act for act, codes in rows for code in codes.split()}


TABLE: Mapping[str, Mapping[str, Act]] = {
    "AddTagsToResource": _acts(
        wait="InvalidDBClusterState InvalidDBInstanceState",
        end="""BlueGreenDeploymentNotFound DBCapacityReservationNotFound DBClusterNotFound
        DBInstanceNotFound DBProxyEndpointNotFound DBProxyNotFound DBProxyTargetGroupNotFound
        DBShardGroupNotFound DBSnapshotNotFound DBSnapshotTenantDatabaseNotFound
        IntegrationNotFound InvalidDBClusterEndpointState TenantDatabaseNotFound""",
    ),
    "CopyDBClusterSnapshot": _acts(
        adopt="DBClusterSnapshotAlreadyExists",
        wait="InvalidDBClusterSnapshotState InvalidDBClusterState",
        # Not found is also "not shared": `hopping` waits if it shares a source that is there.
        end="DBClusterSnapshotNotFound KMSKeyNotAccessible SnapshotQuotaExceeded",
    ),
    "CreateDBClusterSnapshot": _acts(
        adopt="DBClusterSnapshotAlreadyExists",
        wait="InvalidDBClusterSnapshotState InvalidDBClusterState",
        end="DBClusterNotFound SnapshotQuotaExceeded",
    ),
    "CreateDBInstance": _acts(
        adopt="DBInstanceAlreadyExists",
        wait="InsufficientDBInstanceCapacity InvalidDBClusterState",
        end="""AuthorizationNotFound BackupPolicyNotFound CertificateNotFound
        DBCapacityReservationNotFound DBClusterNotFound DBParameterGroupNotFound
        DBSecurityGroupNotFound DBSubnetGroupDoesNotCoverEnoughAZs DBSubnetGroupNotFound
        DomainNotFound InstanceQuotaExceeded InvalidDBCapacityReservationState InvalidSubnet
        InvalidVPCNetworkState KMSKeyNotAccessible NetworkTypeNotSupported OptionGroupNotFound
        ProvisionedIopsNotAvailableInAZ StorageQuotaExceeded StorageTypeNotSupported
        TenantDatabaseQuotaExceeded VpcEncryptionControlViolationException""",
    ),
    "DeleteDBCluster": _acts(
        adopt="DBClusterNotFound",
        wait="InvalidDBClusterSnapshotState InvalidDBClusterState",
        end="""DBClusterAutomatedBackupQuotaExceeded DBClusterSnapshotAlreadyExists
        InvalidGlobalClusterState KMSKeyNotAccessible SnapshotQuotaExceeded""",
    ),
    "DeleteDBClusterSnapshot": _acts(
        adopt="DBClusterSnapshotNotFound",
        wait="InvalidDBClusterSnapshotState",
    ),
    "DeleteDBInstance": _acts(
        adopt="DBInstanceNotFound",
        wait="InvalidDBClusterState InvalidDBInstanceState",
        end="""DBInstanceAutomatedBackupQuotaExceeded DBSnapshotAlreadyExists KMSKeyNotAccessible
        SnapshotQuotaExceeded""",
    ),
    "DescribeAccountAttributes": {},
    "DescribeDBClusterParameterGroups": _acts(end="DBParameterGroupNotFound"),
    # Taking back what was shared from a snapshot that is gone is done: `sharing.withdraw` knows.
    "DescribeDBClusterSnapshotAttributes": _acts(end="DBClusterSnapshotNotFound"),
    "DescribeDBClusterSnapshots": _acts(adopt="DBClusterSnapshotNotFound"),
    "DescribeDBClusters": _acts(adopt="DBClusterNotFound"),
    "DescribeDBEngineVersions": {},
    # Instances are asked for by filter only, which finds none where there is none.
    "DescribeDBInstances": _acts(end="DBInstanceNotFound"),
    "DescribeDBParameterGroups": _acts(end="DBParameterGroupNotFound"),
    "DescribeDBSubnetGroups": _acts(end="DBSubnetGroupNotFound"),
    "DescribeOrderableDBInstanceOptions": {},
    "EnableHttpEndpoint": _acts(wait="InvalidResourceState", end="ResourceNotFound"),
    "ModifyDBCluster": _acts(
        # A name is taken as soon as a cluster is being renamed to it, also by a request of ours
        # whose reply was lost: who has it decides, not the code.
        adopt="DBClusterAlreadyExists",
        # It was seen a moment ago: it has just been renamed, by such a request too, or deleted.
        wait="DBClusterNotFound InvalidDBClusterState InvalidDBInstanceState",
        end="""DBClusterParameterGroupNotFound DBInstanceAlreadyExists DBParameterGroupNotFound
        DBSubnetGroupNotFound DomainNotFound InvalidDBSecurityGroupState InvalidDBSubnetGroupState
        InvalidGlobalClusterState InvalidSubnet InvalidVPCNetworkState KMSKeyNotAccessible
        NetworkTypeNotSupported OptionGroupNotFound StorageQuotaExceeded StorageTypeNotAvailable
        StorageTypeNotSupported VpcEncryptionControlViolationException""",
    ),
    "ModifyDBClusterSnapshotAttribute": _acts(
        # For good it is an automated snapshot's only, and `route` shares none.
        wait="InvalidDBClusterSnapshotState",
        end="DBClusterSnapshotNotFound SharedSnapshotQuotaExceeded",
    ),
    "RestoreDBClusterFromSnapshot": _acts(
        # The snapshot's code is not AWS's for this operation, but emulators send it.
        adopt="DBClusterAlreadyExists DBClusterSnapshotAlreadyExists",
        wait="""InsufficientDBClusterCapacity InsufficientDBInstanceCapacity
        InsufficientStorageClusterCapacity InvalidDBClusterSnapshotState InvalidDBInstanceState
        InvalidDBSnapshotState""",
        end="""DBClusterParameterGroupNotFound DBClusterQuotaExceeded DBClusterRoleQuotaExceeded
        DBClusterSnapshotNotFound DBSnapshotNotFound DBSubnetGroupDoesNotCoverEnoughAZs
        DBSubnetGroupNotFound DomainNotFound InvalidRestore InvalidSubnet InvalidVPCNetworkState
        KMSKeyNotAccessible NetworkTypeNotSupported OptionGroupNotFound StorageQuotaExceeded
        StorageTypeNotSupported VpcEncryptionControlViolationException""",
    ),
}

EVERYWHERE: Mapping[str, Act] = _acts(
    # Credentials refresh by themselves before the next look; throttling slows the looks down.
    wait="""BandwidthLimitExceeded EC2ThrottledException ExpiredToken ExpiredTokenException
    InternalError InternalFailure InternalServerError KMSThrottlingException PriorRequestNotComplete
    ProvisionedThroughputExceededException RequestExpired RequestLimitExceeded RequestThrottled
    RequestThrottledException RequestTimeout RequestTimeoutException ServiceUnavailable
    ServiceUnavailableException SlowDown ThrottledException Throttling ThrottlingException
    TooManyRequestsException""",
    end="""AccessDenied AccessDeniedException AuthFailure IncompleteSignature InvalidAction
    InvalidClientTokenId InvalidParameterCombination InvalidParameterValue MalformedQueryString
    MissingAuthenticationToken MissingParameter OptInRequired SignatureDoesNotMatch
    UnauthorizedOperation UnrecognizedClientException ValidationError ValidationException""",
)
"""Codes that AWS models for no operation, but sends for any."""

SAID: Mapping[tuple[str, str], tuple[str, Act]] = {
    # "Cannot copy more than 5 snapshots across regions", not "… more than 100 manual snapshots".
    ("CopyDBClusterSnapshot", "SnapshotQuotaExceeded"): ("across regions", Act.WAIT),
    ("DeleteDBInstance", "InvalidDBInstanceState"): ("already being deleted", Act.ADOPT),
    # Ties that were made since `deleting.obstacles` has looked do not come undone by waiting:
    # "This cluster is a part of a global cluster", "Delete the replica cluster before …".
    ("DeleteDBCluster", "InvalidDBClusterState"): ("global cluster", Act.END),
    ("DeleteDBInstance", "InvalidDBClusterState"): ("replica cluster", Act.END),
}
"""Codes with two meanings: what AWS's message says, and then is done in place of the table's."""

_UNREACHABLE = (ConnectionError, CredentialRetrievalError, HTTPClientError, IncompleteReadError)


def verdict(error: ClientError | BotoCoreError) -> Act:
    """Return what is done about an error of AWS, or of the way there.

    A code that is not in the table waits if AWS says by the status that it is its own fault.
    """
    if isinstance(error, BotoCoreError):
        return Act.WAIT if isinstance(error, _UNREACHABLE) else Act.END
    operation, code = error.operation_name, aws_code(error).removesuffix("Fault")
    said, instead = SAID.get((operation, code), ("", Act.END))
    if said and said in str(error):
        return instead
    act = TABLE.get(operation, {}).get(code) or EVERYWHERE.get(code)
    if act is not None:
        return act
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    return Act.WAIT if passing else Act.END


def waiting(error: ClientError | BotoCoreError) -> NotReady:
    """Return the error that has the step look again: which call, which code, what AWS said."""
    if isinstance(error, BotoCoreError):
        return NotReady("AWS", f"{_code(error)}: {_short(str(error))}")
    said = error.response["Error"].get("Message", "")
    return NotReady(error.operation_name, f"AWS answers {_code(error)}: {_short(said)}")


@contextmanager
def looking_again(resource: str, problem: str, percent: int | None = None) -> Iterator[None]:
    """Turn an error that is waited for into one that says what of which resource waits.

    Raises:
        NotReady: the error's verdict is to wait; every other error passes.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        if verdict(error) is not Act.WAIT:
            raise
        raise NotReady(resource, f"{problem} ({_code(error)})", percent) from error


def _code(error: ClientError | BotoCoreError) -> str:
    return aws_code(error) or type(error).__name__


def _short(said: str) -> str:
    text = " ".join(said.split())
    return text if len(text) <= 200 else text[:199] + "…"  # noqa: PLR2004 - a line to be read
