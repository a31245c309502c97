"""Runs one command: its arguments, its answer as JSON or for people, its exit code."""

import io
import json
import logging
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from aurora_restore.cli import commands
from aurora_restore.cli.answers import Answer, failure
from aurora_restore.cli.exits import BadUsage, ExitCode, exit_code_of, one_line_of
from aurora_restore.cli.requests import STDIN
from aurora_restore.cli.screen import Screen

if TYPE_CHECKING:
    from pydantic import BaseModel

NAME = "aurora-restore"
Commands = Mapping[str, Callable[..., Answer]]
COMMANDS: Commands = {
    "doctor": commands.doctor,
    "plan": commands.plan,
    "status": commands.status,
    "history": commands.history,
    "resume": commands.resume,
    "announce": commands.announce,
    "cleanup": commands.cleanup,
}
HELP = """Refresh an Aurora PostgreSQL cluster from another account's snapshot.

The refresh itself is a Prefect flow. `doctor`, `plan`, `status` and `history` look and change
nothing; the other commands do what they are called.

Example: aurora-restore plan request.yaml

Exit codes: 0 done, 1 findings, refused or not ended in success, 2 bad usage or an invalid request,
3 AWS, the records or Prefect could not be reached, 70 a fault of this program, 130 interrupted.
NO_COLOR is obeyed.
"""


def main(arguments: Sequence[str] | None = None, commands: Commands = COMMANDS) -> int:
    """Run a command line; return its exit code. Never raises, and never shows a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # What the library logs is said by the answer or the error; Python would print it as well.
    logging.getLogger("aurora_restore").addHandler(logging.NullHandler())
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    command = next((each for each in tokens if each in commands), None)
    as_json = _wants_json(tokens)
    code = ExitCode.DONE
    try:
        try:
            answer = _answer(tokens, commands)
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: one line
            code = exit_code_of(error)
            if as_json:
                _print_json(failure(command, error))
            else:
                about = " ".join([NAME, command or ""]).strip()
                sys.stderr.write(f"{about}: {one_line_of(error)}\n")
        else:
            if answer is not None:
                code = answer.exit_code
                if as_json:
                    _print_json(answer.envelope(command))
                else:
                    answer.show(Screen(sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough, e.g. `head`; Python would complain about it at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _answer(tokens: list[str], commands: Commands) -> Answer | None:
    """Return what the command found; None if it was for the help or the version."""
    app = App(
        name=NAME,
        help=HELP,
        version=_version,
        help_format="markdown",
        console=Screen(sys.stdout).console,
        suppress_keyboard_interrupt=False,
    )
    for name, function in commands.items():
        app.command(function, name=name)
    # Cyclopts takes a lone hyphen for an option.
    named = [STDIN if each == "-" else each for each in tokens]
    try:
        answer = app(named, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        error.verbose = False
        about = " ".join([NAME, *(error.command_chain or ())])
        problem = re.sub(r'[.] Did you mean "?([^"?]+)"?[?]', r" (did you mean \1?)", str(error))
        raise BadUsage("arguments", problem, f"Run `{about} --help`.") from None
    return answer if isinstance(answer, Answer) else None


def _wants_json(tokens: list[str]) -> bool:
    before = tokens[: tokens.index("--")] if "--" in tokens else tokens
    return "--json" in before


def _print_json(document: "BaseModel") -> None:
    # Escaped to ASCII: whatever reads it, in whatever locale, gets the same text.
    sys.stdout.write(json.dumps(document.model_dump(mode="json"), indent=2) + "\n")


def _version() -> str:
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:  # run from a checkout
        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"])
