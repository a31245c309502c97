"""What a command gives back, and the one JSON document that carries it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, SerializeAsAny

from aurora_restore.cli.exits import ExitCode, exit_code_of, one_line_of
from aurora_restore.errors import describe

if TYPE_CHECKING:
    from aurora_restore.cli.screen import Screen


class Fault(BaseModel, frozen=True):
    """Why a command did not end well. `message` is one line: what, where, why, what next."""

    type: str
    message: str
    aws_error_code: str | None = None
    aws_request_id: str | None = None


class Envelope(BaseModel, frozen=True):
    """What `--json` prints. `error` is null exactly if `ok`, which is: exit code 0."""

    command: str | None
    ok: bool
    exit_code: int
    error: Fault | None
    result: SerializeAsAny[BaseModel] | None


@dataclass(frozen=True)
class Answer:
    """What a command found out: `result` for machines, `show` prints the same for people.

    An answer with findings has an `error` that sums them up, and the exit code `with_error`.
    """

    result: BaseModel
    show: "Callable[[Screen], None]"
    error: Fault | None = None
    with_error: ExitCode = ExitCode.FINDINGS

    @property
    def exit_code(self) -> ExitCode:
        """0 exactly if there is no error."""
        return ExitCode.DONE if self.error is None else self.with_error

    def envelope(self, command: str | None) -> Envelope:
        """Return it as a machine reads it."""
        return Envelope(
            command=command,
            ok=self.error is None,
            exit_code=self.exit_code,
            error=self.error,
            result=self.result,
        )


def failure(command: str | None, error: BaseException) -> Envelope:
    """Return the envelope of a command that raised."""
    return Envelope(
        command=command,
        ok=False,
        exit_code=exit_code_of(error),
        error=fault_of(error),
        result=None,
    )


def fault_of(error: BaseException) -> Fault:
    """Return an error as the envelope has it."""
    return Fault.model_validate(describe(error) | {"message": one_line_of(error)})
