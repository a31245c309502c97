"""How a command ends, for the shell and for CI."""

from enum import IntEnum
from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError

from aurora_restore.announcements import TopicUnavailable
from aurora_restore.cli.prefect_run import PrefectUnreachable
from aurora_restore.errors import RecordsUnavailable, RestoreError


class ExitCode(IntEnum):
    """The exit codes of every command; docs/command-line.md has the same table."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    UNREACHABLE = 3
    BROKEN = 70
    INTERRUPTED = 130


class BadUsage(RestoreError):
    """The command line, its file or its environment is not what the command needs."""

    remedy = "Run `aurora-restore --help`."


def exit_code_of(error: BaseException) -> ExitCode:
    """Return how a command ends that raised this."""
    match error:
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case BadUsage():
            return ExitCode.USAGE
        case RecordsUnavailable() | PrefectUnreachable():
            return ExitCode.UNREACHABLE
        case RestoreError():
            silent = isinstance(error, TopicUnavailable) and not _is_refusal(error.__cause__)
            return ExitCode.UNREACHABLE if silent else ExitCode.FINDINGS
        case ClientError() | BotoCoreError() | OSError():
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.BROKEN


def _is_refusal(error: BaseException | None) -> bool:
    """Whether AWS has answered, and said no."""
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status < HTTPStatus.INTERNAL_SERVER_ERROR


def one_line_of(error: BaseException) -> str:
    """Return what happened and what to do next, in one line."""
    text = " ".join(str(error).split()).rstrip(".")
    match error:
        case KeyboardInterrupt():
            return "interrupted. Run the command again when you like."
        case RestoreError():
            return str(error)
        case ClientError() | BotoCoreError() | OSError():
            return (
                f"AWS could not be asked: {text}. Check the credentials (AWS_PROFILE), the Region "
                "and the network of this shell, then run again."
            )
        case _:
            return f"a fault of aurora-restore itself: {type(error).__name__}: {text}. Report it."
