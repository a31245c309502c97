"""Passwords: read from Secrets Manager at the last moment, kept nowhere."""

import json
import re
from typing import TYPE_CHECKING

from pydantic import SecretStr

from aurora_restore.errors import NotFound, Refused, aws_code

_MASTER_PASSWORD = re.compile(r"[!#-&(-.0-?A-~]{8,41}")

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def get_password(client: "SecretsManagerClient", secret_id: str, field: str) -> SecretStr:
    """Return the password of a secret in RDS's JSON shape: an object with a `password` text.

    `field` names the request's field, for the error.

    Raises:
        NotFound: there is no such secret.
        Refused: it may not be read, or is not in that shape.

    Source: Secrets Manager API, GetSecretValue.
    """
    resource = f"{field} {secret_id}"
    try:
        answer = client.get_secret_value(SecretId=secret_id)
    except client.exceptions.ResourceNotFoundException as fault:
        raise NotFound(resource, "no such secret in the target account and Region") from fault
    except (
        client.exceptions.InvalidRequestException,
        client.exceptions.InvalidParameterException,
    ) as fault:
        raise Refused(
            resource,
            f"the secret cannot be read: {fault.response['Error'].get('Message', '')}",
            "Restore the secret, or name another.",
        ) from fault
    except client.exceptions.ClientError as error:
        if aws_code(error) not in {"AccessDenied", "AccessDeniedException"}:
            raise
        raise Refused(
            resource, "the secret may not be read", "Grant secretsmanager:GetSecretValue on it."
        ) from error
    try:
        content = json.loads(answer.get("SecretString", ""))
    except json.JSONDecodeError:
        content = None
    password = content.get("password") if isinstance(content, dict) else None
    if not isinstance(password, str) or not password:
        # The parser's message would quote the secret: it is not chained.
        raise Refused(
            resource,
            "the secret is not a JSON object with a `password` text",
            'Store it as {"username": "...", "password": "..."}.',
        ) from None
    return SecretStr(password)


def get_master_password(client: "SecretsManagerClient", secret_id: str) -> SecretStr:
    """Return a master password that RDS accepts.

    Raises:
        NotFound: there is no such secret.
        Refused: it may not be read, is not in RDS's JSON shape, or RDS would refuse the password.

    Source: RDS API, ModifyDBCluster, MasterUserPassword.
    """
    password = get_password(client, secret_id, "master_secret_id")
    if not _MASTER_PASSWORD.fullmatch(password.get_secret_value()):
        raise Refused(
            f"master_secret_id {secret_id}",
            "RDS does not accept this password",
            "Use 8 to 41 printable ASCII characters without slash, quotes, at sign or space.",
        )
    return password
