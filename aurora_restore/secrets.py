"""Passwords: read from Secrets Manager at the last moment, kept nowhere."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import SecretStr

from aurora_restore.errors import NotFound, Refused, aws_code

_MASTER_PASSWORD = re.compile(r"[!#-&(-.0-?A-~]{8,41}")
_BROKEN_OBJECT = re.compile(r'\s*\{\s*["}]')
# PostgreSQL takes any length; SCRAM in clients before PostgreSQL 14 gives up above this.
_MOST_BYTES = 1024
_RANDOM_LENGTH = 40
_DENIED = {"AccessDenied", "AccessDeniedException"}

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True)
class Password:
    """A password, and the version of the secret it was read from."""

    value: SecretStr
    version: str


@dataclass(frozen=True)
class NewSecret:
    """What a secret that is made shall hold beside a random password: RDS's JSON shape.

    `where`: host, port, dbname, as far as they are known. `tags`: of the secret.
    """

    operation_id: str
    username: str
    where: Mapping[str, str | int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, str | int]:
        return {"engine": "postgres", **self.where, "username": self.username}


def get_password(client: "SecretsManagerClient", secret_id: str, field: str) -> SecretStr:
    """Return the password of a secret; as `read_password`."""
    return read_password(client, secret_id, field).value


def read_password(client: "SecretsManagerClient", secret_id: str, field: str) -> Password:
    """Return the password of a secret and the version that holds it.

    The secret is in RDS's JSON shape (an object with a `password` text), or its text is the
    password itself. `field` names the request's field, for the error.

    Raises:
        NotFound: there is no such secret.
        Refused: it may not be read, has neither form, or PostgreSQL cannot take the password.

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
        if aws_code(error) not in _DENIED:
            raise
        raise Refused(
            resource, "the secret may not be read", "Grant secretsmanager:GetSecretValue on it."
        ) from error
    found = _password(answer.get("SecretString", ""), resource)
    if "\0" in found:
        raise Refused(resource, "the password holds a NUL character", "Choose another password.")
    if len(found.encode()) > _MOST_BYTES:
        raise Refused(
            resource,
            f"the password is longer than {_MOST_BYTES} bytes, older clients cannot log in with it",
            "Choose a shorter password.",
        )
    return Password(SecretStr(found), answer.get("VersionId", ""))


def get_master_password(client: "SecretsManagerClient", secret_id: str) -> SecretStr:
    """Return a master password that RDS accepts.

    Raises:
        NotFound: there is no such secret.
        Refused: it may not be read, has no password, or RDS would refuse the password.

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


def ensure_password(
    client: "SecretsManagerClient", secret_id: str, field: str, new: NewSecret
) -> Password:
    """Return the password of a secret, which is made as `new` says if there is none.

    Safe to repeat, and for two runs at once: the first one's secret is everybody's.

    Raises:
        Refused: as `read_password`; or the secret may not be made, or not under this name.

    Source: Secrets Manager API, CreateSecret, GetRandomPassword.
    """
    try:
        return read_password(client, secret_id, field)
    except NotFound:
        _make(client, secret_id, f"{field} {secret_id}", new)
    return read_password(client, secret_id, field)


def _make(client: "SecretsManagerClient", secret_id: str, resource: str, new: NewSecret) -> None:
    if secret_id.startswith("arn:"):
        raise Refused(
            resource,
            "there is no such secret, and none can be made under an ARN",
            "Give the new secret a name.",
        )
    try:
        # Letters and digits only: nothing that a URI, a shell or a .pgpass would read differently.
        made = client.get_random_password(PasswordLength=_RANDOM_LENGTH, ExcludePunctuation=True)
        client.create_secret(
            Name=secret_id,
            # AWS's own rule: a repeat with the same token is no second secret.
            ClientRequestToken=sha256(f"{new.operation_id}\n{secret_id}".encode()).hexdigest(),
            SecretString=json.dumps(new.content | {"password": made["RandomPassword"]}),
            Tags=[{"Key": key, "Value": text} for key, text in new.tags.items()],
        )
    except client.exceptions.ResourceExistsException:
        pass  # another run has made it meanwhile
    except (
        client.exceptions.InvalidRequestException,
        client.exceptions.InvalidParameterException,
    ) as fault:
        raise Refused(
            resource,
            f"the secret cannot be made: {fault.response['Error'].get('Message', '')}",
            "Correct its name, or make it yourself.",
        ) from fault
    except client.exceptions.ClientError as error:
        if aws_code(error) not in _DENIED:
            raise
        raise Refused(
            resource,
            "the secret may not be made",
            "Grant secretsmanager:CreateSecret and secretsmanager:TagResource on it and "
            "secretsmanager:GetRandomPassword, or make it yourself.",
        ) from error


def _password(text: str, resource: str) -> str:
    """Return the password that the text of a secret holds.

    Digits or `true` are a password though they are JSON as well. A JSON string or list is refused:
    nobody can tell whether its quotes belong to the password. So is an object that is broken.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # the parser's message would quote the secret
        content = {} if _BROKEN_OBJECT.match(text) else None
    if isinstance(content, dict):
        password = content.get("password")
    else:
        ambiguous = isinstance(content, (str, list)) or text != text.strip()
        password = None if ambiguous else text
    if isinstance(password, str) and password:
        return password
    raise Refused(
        resource,
        "the secret is neither a JSON object with a `password` text nor a password alone",
        'Store it as {"username": "...", "password": "..."}.',
    )
