"""Who calls: access keys, role sessions that expire, and the STS operations that hand them out."""

import json
import math
import secrets
import string
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role, iam_backends

from sandbox.clock import Clock
from sandbox.wire import AwsError, Call, Reply, xml_reply

CONTAINER_HOURS = 6  # what ECS hands out lasts so long
# Below this a client on a busy machine finds what it has just fetched expired already.
LEAST_REAL_SECONDS = 4.0
LONGEST_SECONDS = 12 * 3600
CHAINED_SECONDS = 3600  # and a session that was assumed by a session at most so long
_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Identity:
    """A principal with one set of keys."""

    account: str
    arn: str
    user_id: str
    access_key: str
    secret_key: str
    role: str | None = None  # the role's ARN, for a session
    token: str | None = None
    expires: float | None = None  # in real seconds since the epoch, by the sandbox's clock
    overtaken: float = math.inf  # the clock's jumps by which it has expired as well

    @property
    def is_session(self) -> bool:
        return self.token is not None


class Credentials:
    """All keys of the sandbox. Safe for threads."""

    def __init__(self, clock: Clock, task_role: str, *, lasting: bool = False) -> None:
        """`task_role` is the ARN of the role whose keys the container endpoint hands out."""
        self._clock = clock
        self._lasting = lasting
        self._task_role = task_role
        self._sessions: dict[str, Identity] = {}
        self._container: Identity | None = None
        self._lock = threading.Lock()

    def identify(self, call: Call) -> Identity:
        """Return who signed the call.

        Raises:
            AwsError: the key is unknown, its token is another one, or it has expired; each with
                the code of the call's protocol.

        Source: Common Errors of the query protocol (InvalidClientTokenId, ExpiredToken) and of
        the JSON services (UnrecognizedClientException, ExpiredTokenException).
        """
        if not call.access_key:
            code = "MissingAuthenticationToken"
            raise AwsError(
                code if call.protocol != "json" else f"{code}Exception",
                "Request is missing Authentication Token",
                HTTPStatus.FORBIDDEN,
            )
        if (admin := _administrator(call.access_key)) is not None:
            return admin
        found = self._sessions.get(call.access_key)
        if found is None or found.token != call.headers.get("x-amz-security-token"):
            json_code = "UnrecognizedClientException"
            raise AwsError(
                json_code if call.protocol == "json" else "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                HTTPStatus.BAD_REQUEST if call.protocol == "json" else HTTPStatus.FORBIDDEN,
            )
        if self._is_over(found):
            json_code = "ExpiredTokenException"
            raise AwsError(
                json_code if call.protocol == "json" else "ExpiredToken",
                "The security token included in the request is expired",
                HTTPStatus.BAD_REQUEST if call.protocol == "json" else HTTPStatus.FORBIDDEN,
            )
        return found

    def secret_of(self, access_key: str, token: str) -> str | None:
        """Return the secret key of keys that are good now ("" for no session token), or None."""
        found = _administrator(access_key) or self._sessions.get(access_key)
        if found is None or (found.token or "") != token or self._is_over(found):
            return None
        return found.secret_key

    def _is_over(self, session: Identity) -> bool:
        past = session.expires is not None and self._clock.now() >= session.expires
        return past or self._clock.jumped >= session.overtaken

    def container_document(self) -> dict[str, str]:
        """Return the task role's keys as ECS's endpoint does; new ones from half their life on.

        Source: Amazon ECS developer guide, "Task IAM role" (the reply of the endpoint).
        """
        seconds = max(self._real(CONTAINER_HOURS * 3600), CONTAINER_HOURS * LEAST_REAL_SECONDS)
        with self._lock:
            held = self._container
        if held is None or (held.expires or 0) - self._clock.now() < seconds / 2:
            held = self._open_session(self._task_role, secrets.token_hex(16), seconds)
            with self._lock:
                self._container = held
        return {
            "RoleArn": self._task_role,
            "AccessKeyId": held.access_key,
            "SecretAccessKey": held.secret_key,
            "Token": str(held.token),
            "Expiration": self._expiration(held),
        }

    def answer(self, call: Call, caller: Identity) -> Reply:
        """Return the reply of an STS operation.

        Source: AWS STS API reference, AssumeRole and GetCallerIdentity.
        """
        if call.operation == "GetCallerIdentity":
            return xml_reply(
                call,
                f"<Arn>{escape(caller.arn)}</Arn><UserId>{escape(caller.user_id)}</UserId>"
                f"<Account>{caller.account}</Account>",
            )
        if call.operation == "AssumeRole":
            return self._assume_role(call, caller)
        raise AwsError("InvalidAction", f"Could not find operation {call.operation}")

    def _assume_role(self, call: Call, caller: Identity) -> Reply:
        asked = call.parameters
        role, name = str(asked.get("RoleArn", "")), str(asked.get("RoleSessionName", ""))
        seconds = int(asked.get("DurationSeconds", 3600))
        _check_duration(seconds, caller)
        found = _find_role(role)
        if found is None or not _is_trusted(found, caller, asked.get("ExternalId")):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole "
                f"on resource: {role}",
                HTTPStatus.FORBIDDEN,
            )
        if seconds > int(found.max_session_duration or CHAINED_SECONDS):
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        made = self._open_session(role, name, self._real(seconds))
        return xml_reply(
            call,
            f"<Credentials><AccessKeyId>{made.access_key}</AccessKeyId>"
            f"<SecretAccessKey>{made.secret_key}</SecretAccessKey>"
            f"<SessionToken>{made.token}</SessionToken>"
            f"<Expiration>{self._expiration(made)}</Expiration></Credentials>"
            f"<AssumedRoleUser><AssumedRoleId>{made.user_id}</AssumedRoleId>"
            f"<Arn>{made.arn}</Arn></AssumedRoleUser>",
        )

    def _real(self, aws_seconds: float) -> float:
        """Return how long a session lasts here: an hour is one if sessions are to last."""
        return aws_seconds if self._lasting else self._clock.real(aws_seconds)

    def _open_session(self, role: str, name: str, real_seconds: float) -> Identity:
        account, role_name = role.split(":")[4], role.rpartition("/")[2]
        found = _find_role(role)
        role_id = found.id if found is not None else "AROASANDBOX"
        made = Identity(
            account=account,
            arn=f"arn:aws:sts::{account}:assumed-role/{role_name}/{name}",
            user_id=f"{role_id}:{name}",
            access_key="ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16)),
            secret_key=secrets.token_urlsafe(30),
            role=role,
            token=secrets.token_urlsafe(90),
            expires=self._clock.now() + max(real_seconds, LEAST_REAL_SECONDS),
            overtaken=self._clock.jumped + real_seconds,
        )
        with self._lock:
            self._sessions[made.access_key] = made
        return made

    def _expiration(self, session: Identity) -> str:
        """Return the expiry by this machine's own clock, which is the one the client reads."""
        left = (session.expires or 0) - self._clock.now()
        moment = datetime.fromtimestamp(time.time() + left, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _administrator(access_key: str) -> Identity | None:
    account, kind = access_key[4:16], access_key[16:]
    if not access_key.startswith("AKIA") or kind not in {"ADMN", "HOST"}:
        return None
    user = "admin" if kind == "ADMN" else "sandbox"
    user_id = f"AIDA{account}{kind}"
    return Identity(account, f"arn:aws:iam::{account}:user/{user}", user_id, access_key, "sandbox")


def _check_duration(seconds: int, caller: Identity) -> None:
    if seconds > LONGEST_SECONDS:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to "
            f"satisfy constraint: Member must have value less than or equal to {LONGEST_SECONDS}",
        )
    if caller.is_session and seconds > CHAINED_SECONDS:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining",
        )


def _find_role(arn: str) -> Role | None:
    try:
        return iam_backends[arn.split(":")[4]]["aws"].get_role_by_arn(arn)
    except (NotFoundException, IndexError):
        return None


def _is_trusted(role: Role, caller: Identity, external_id: str | None) -> bool:
    """Tell whether the role's trust policy lets `caller` in; only what the world needs of IAM.

    Principals: `*`, account, account root, role, session, user. Conditions: sts:ExternalId.
    """
    statements: Any = json.loads(role.assume_role_policy_document)["Statement"]
    names = {"*", caller.account, f"arn:aws:iam::{caller.account}:root", caller.arn, caller.role}
    for statement in statements if isinstance(statements, list) else [statements]:
        trusted = statement.get("Principal", {}).get("AWS", [])
        principals = {trusted} if isinstance(trusted, str) else set(trusted)
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
        accepted = wanted if isinstance(wanted, list) else [wanted]
        if principals & names and (wanted is None or external_id in accepted):
            return bool(statement["Effect"] == "Allow")
    return False
