"""What can stop or delay a step: each error names the resource, the problem and the remedy."""

from collections.abc import Sequence
from typing import Any, ClassVar

from botocore.exceptions import ClientError


class RestoreError(Exception):
    """A step could not do its work: what happened, to what, what to do next. One line."""

    remedy: ClassVar[str] = ""

    def __init__(self, resource: str, problem: str, remedy: str | None = None) -> None:
        self.resource, self.problem = resource, problem.rstrip(".")
        self.advice = self.remedy if remedy is None else remedy
        text = f"{resource}: {self.problem}. {self.advice}"
        super().__init__(" ".join(text.split()))


class NotReady(RestoreError):
    """AWS or PostgreSQL is still working: look again later. The only error that is retried.

    `percent` is how much of the awaited work is done, where that can be told; `look_again_in` are
    the seconds after which to look, once the step has decided them.
    """

    look_again_in: float = 0.0

    def __init__(self, resource: str, problem: str, percent: int | None = None) -> None:
        super().__init__(resource, problem)
        self.percent = percent


class TimedOut(RestoreError):
    """A wait passed its deadline."""

    remedy = (
        "Look at the resource's RDS events; run again with the same operation_id to go on waiting."
    )


class NotFound(RestoreError):
    """Something the request names does not exist, or may not be seen."""

    remedy = "Check the name, the account and the Region in the request."


class EndedBadly(RestoreError):
    """A resource reached a status that it never leaves."""

    remedy = "Read the resource's RDS events, remove it, then run again."


class Refused(RestoreError):
    """A guard of ours, or a rule of AWS, forbids to go on. Nothing was changed by this step."""


class Superseded(Refused):
    """A later operation has replaced what this one restored: it neither goes on nor back."""


class PreflightFailed(RestoreError):
    """Something stands in the way of the refresh; nothing was changed.

    `findings` are all that was found, each with its remedy.
    """

    def __init__(self, findings: Sequence[RestoreError]) -> None:
        self.findings = list(findings)
        said = " ".join(f"({n}) {each}" for n, each in enumerate(self.findings, 1))
        count = f"{len(self.findings)} finding{'s' if len(self.findings) > 1 else ''}"
        super().__init__("preflight", f"{count}, nothing was changed: {said}", "")


class RecordsUnavailable(RestoreError):
    """The record table cannot be read or written, so nothing more may be done."""

    remedy = (
        "Make the DynamoDB table reachable (name, Region, permissions, throughput), then run again "
        "with the same operation_id."
    )


class RecordsDamaged(RestoreError):
    """An item of the record table is not of the contract's shape; nothing was done."""

    remedy = "Restore the item (point-in-time recovery), or start another operation."


class LeaseHeld(Refused):
    """Another run is at work on the target, for `operation_id`. Nothing was changed."""

    def __init__(self, operation_id: str, resource: str, problem: str, remedy: str) -> None:
        super().__init__(resource, problem, remedy)
        self.operation_id = operation_id


class LeaseLost(Refused):
    """Another run has taken the target over, so this one may change nothing any more."""

    remedy = "Nothing to do here: the other run goes on, or has told its end."


class DatabaseSetupError(RestoreError):
    """PostgreSQL refused a role or a grant. Never holds a password."""

    remedy = "Correct the role in the request or its privileges, then run again."


def aws_code(error: BaseException) -> str:
    """Return the error code AWS sent ("" if the error is not AWS's), e.g. "AccessDenied"."""
    return str(error.response["Error"].get("Code", "")) if isinstance(error, ClientError) else ""


def describe(error: BaseException) -> dict[str, Any]:
    """Return an error as a record keeps it: type, message and, where AWS sent them, code and id.

    The message is one line of at most 2,000 characters.
    """
    facts: dict[str, Any] = {
        "type": type(error).__name__,
        "message": " ".join(str(error).split())[:2000],
    }
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ClientError):
        cause = cause.__cause__
    if cause is not None:
        facts["aws_error_code"] = aws_code(cause)
        facts["aws_request_id"] = str(cause.response["ResponseMetadata"].get("RequestId", ""))
    return facts
