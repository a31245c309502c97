"""Reads that run side by side, each made once; what cannot be read is known to be unknown."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from aurora_restore.errors import NotReady, Refused, RestoreError, aws_code
from aurora_restore.faults import Act, verdict, waiting

T = TypeVar("T")

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


class Unknown(Exception):
    """What a check needs is not known. `owner` is the name of the check that tells why.

    `courtesy`: the refresh itself does not need what could not be read.
    """

    def __init__(self, owner: str, error: RestoreError, *, courtesy: bool = False) -> None:
        super().__init__(owner)
        self.owner, self.error, self.courtesy = owner, error, courtesy


class Answer(Generic[T]):
    """What a read gives, as soon as that is asked for."""

    def __init__(self, future: "Future[T]") -> None:
        self._future = future

    def get(self) -> T:
        """Return what was read.

        Raises:
            Unknown: it could not be read, or it is not as it must be.
        """
        return self._future.result()


@dataclass(frozen=True)
class Place:
    """As whom calls are made: which check tells whether that works, and for which role to ask."""

    identity: Answer[str]
    role: str | None = None

    def who(self) -> str:
        """Return the role that calls are made as, for people."""
        if self.role is not None:
            return f"role {self.role}"
        arn = self.identity.get()
        kind, _, name = arn.rpartition(":")[2].partition("/")
        return f"role {name.split('/')[0]}" if kind == "assumed-role" else arn


class Reader:
    """Starts reads in a pool of threads."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self.busy: list[NotReady] = []
        """What AWS did not answer just now: no finding, but worth another look."""

    def ask(
        self,
        owner: str,
        place: Place | None,
        service: str,
        read: Callable[..., T],
        *arguments: Any,
        courtesy: bool = False,
    ) -> Answer[T]:
        """Start `read(*arguments)`; `owner` is the check that tells if it cannot be done."""

        def asked() -> T:
            if place is not None:
                place.identity.get()
            try:
                return read(*arguments)
            except RestoreError as error:
                raise Unknown(owner, error) from error
            except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError):
                raise
            except (BotoCoreError, ClientError) as error:
                if verdict(error) is Act.WAIT:
                    self.busy.append(waiting(error))
                raise self._unknown(error, owner, place, service, courtesy=courtesy) from error

        return Answer(self._pool.submit(asked))

    @staticmethod
    def _unknown(
        error: BotoCoreError | ClientError,
        owner: str,
        place: Place | None,
        service: str,
        *,
        courtesy: bool,
    ) -> Unknown:
        if isinstance(error, ClientError):
            who = "the role that makes it" if place is None else place.who()
            return Unknown(owner, _refused(error, service, who), courtesy=courtesy)
        said = f"AWS could not be reached ({type(error).__name__})"
        return Unknown(owner, Refused(service, said, "Try again."), courtesy=courtesy)


def denied(action: str, who: str) -> Refused:
    """Return that a call is not permitted, and what to grant to whom."""
    return Refused(action, f"{who} may not make this call", f"Grant {action} to {who}.")


def _refused(error: ClientError, service: str, who: str) -> Refused:
    action = f"{service}:{error.operation_name}"
    if aws_code(error) in DENIED:
        return denied(action, who)
    said = error.response["Error"].get("Message", "")
    return Refused(action, f"AWS answered {aws_code(error)}: {said}", "Try again.")
