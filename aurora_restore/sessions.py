"""Account, role and Region -> AWS client. The only place where a session is made."""

import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.loaders import Loader, create_loader

from aurora_restore import leases
from aurora_restore.errors import Refused, aws_code
from aurora_restore.request import RestoreRequest
from aurora_restore.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sts import STSClient

_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
}

Service = Literal["dynamodb", "ec2", "kms", "rds", "s3", "secretsmanager", "sns", "sts"]


@overload
def target_client(service: Literal["rds"], region: str) -> "RDSClient": ...
@overload
def target_client(service: Literal["dynamodb"], region: str | None = None) -> "DynamoDBClient": ...
@overload
def target_client(service: Literal["ec2"], region: str) -> "EC2Client": ...
@overload
def target_client(service: Literal["kms"], region: str) -> "KMSClient": ...
@overload
def target_client(service: Literal["s3"], region: str) -> "S3Client": ...
@overload
def target_client(service: Literal["secretsmanager"], region: str) -> "SecretsManagerClient": ...
@overload
def target_client(service: Literal["sns"], region: str) -> "SNSClient": ...
@overload
def target_client(service: Literal["sts"], region: str) -> "STSClient": ...
def target_client(service: Service, region: str | None = None) -> Any:
    """Return a client of the account this runs in; without `region`, in the Region it runs in."""
    return _client(service, region, None, None)


@overload
def source_client(service: Literal["kms"], request: RestoreRequest) -> "KMSClient": ...
@overload
def source_client(service: Literal["rds"], request: RestoreRequest) -> "RDSClient": ...
@overload
def source_client(service: Literal["sts"], request: RestoreRequest) -> "STSClient": ...
def source_client(service: Service, request: RestoreRequest) -> Any:
    """Return a client of the source account and Region.

    Its credentials come from the source role and refresh by themselves: a chained role's session
    ends after an hour, a copy may take many. Without a source role the target account's own
    credentials are used, which see what is shared with it.
    """
    known = settings()
    elsewhere = request.source_account_id != request.target_account_id
    role = known.source_role_arn if elsewhere else None
    return _client(service, request.source_region, role, known.source_external_id)


def owns_source(request: RestoreRequest) -> bool:
    """Whether the source client acts in the account that owns the snapshot."""
    return (
        settings().source_role_arn is not None
        or request.source_account_id == request.target_account_id
    )


def enter_source(region: str) -> str:
    """Return who the source role's session acts as (an ARN), by assuming that role.

    Raises:
        botocore.exceptions.ClientError: it may not be assumed.

    Source: STS API, AssumeRole and GetCallerIdentity.
    """
    known = settings()
    client = _client("sts", region, known.source_role_arn, known.source_external_id)
    return str(client.get_caller_identity()["Arn"])


def check_identity(client: "STSClient", expected_account: str, side: str) -> str:
    """Return who the client acts as (an ARN), once that is of the account the request claims.

    Raises:
        Refused: they are another account's, or the role may not be assumed.

    Source: STS API, GetCallerIdentity.
    """
    try:
        identity = client.get_caller_identity()
    except client.exceptions.ClientError as error:
        if aws_code(error) not in _REFUSED:
            raise
        raise Refused(
            f"{side}_account_id {expected_account}",
            f"its credentials were refused ({aws_code(error)})",
            "Let the task role assume the role AURORA_RESTORE_SOURCE_ROLE_ARN (trust policy, "
            "external id), or correct that setting."
            if side == "source"
            else "Run with credentials that are valid now.",
        ) from error
    if identity["Account"] != expected_account:
        raise Refused(
            f"{side}_account_id",
            f"the request says {expected_account}, the credentials are of {identity['Account']}",
            "Correct the request, or run in the right account.",
        )
    return identity["Arn"]


@cache
def _client(
    service: Service, region: str | None, role_arn: str | None, external_id: str | None
) -> Any:
    # RDS really throttles ("Rate exceeded"); botocore's default gives up after two seconds.
    # The records' table has a patience of its own (table.py); here only a lost reply is sent again.
    attempts = 2 if service == "dynamodb" else 10
    with _MAKING:
        client = _session(role_arn, external_id).client(
            service,
            region_name=region,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=5,
                read_timeout=30,
                user_agent_extra="aurora-restore",
            ),
        )
    if service == "rds":
        client.meta.events.register("before-send.rds", leases.guard)
    if service == "sns":
        client.meta.events.register("before-send.sns", leases.guard_telling)
    return client


@cache
def _session(role_arn: str | None, external_id: str | None) -> boto3.Session:
    """Return the session of one identity: AWS's models are read once, not for each client."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    if role_arn is not None:
        extra = {"RoleSessionName": "aurora-restore"}
        if external_id is not None:
            extra["ExternalId"] = external_id
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=core.create_client,
            source_credentials=core.get_credentials(),
            role_arn=role_arn,
            extra_args=extra,
        )
        # botocore's set_credentials takes fixed keys only; those of a role must refresh.
        core._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]  # noqa: SLF001
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )
    return boto3.Session(botocore_session=core)


@cache
def _loader() -> Loader:
    return create_loader()


# A session makes its clients one at a time only.
_MAKING = threading.Lock()


def rds_clients(request: RestoreRequest) -> "Callable[[str, str], RDSClient]":
    """Return what gives an RDS client of an account and Region of the request."""

    def client_of(account: str, region: str) -> "RDSClient":
        if account == request.target_account_id:
            return target_client("rds", region)
        return source_client("rds", request)

    return client_of
