"""A container: one command in a process of its own, with the environment it is given alone."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "ECS_CONTAINER_METADATA_URI_V4"  # each task has another
SIGNALLED = 128  # and the signal's number: the exit code as ECS tells it


class NotStarted(Exception):
    """It cannot be started; says why in ECS's words."""


@dataclass(frozen=True)
class Image:
    """What stands for an image: a folder to work in, and the image's own ENV, PATH among it."""

    folder: str
    environment: Mapping[str, str] = field(default_factory=dict)


class Container:
    """A running container."""

    def __init__(
        self, image: Image, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        """Start it; what it prints is added to `log`.

        Raises:
            NotStarted: the image has no such command.
        """
        self._mark = environment[MARK]
        if not command:
            raise NotStarted("CannotCreateContainerError: no command specified")
        program = shutil.which(command[0], path=environment.get("PATH", ""))
        if program is None:
            raise NotStarted(
                f'CannotStartContainerError: exec: "{command[0]}": executable file not found in '
                "$PATH"
            )
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [program, *command[1:]],
                env=dict(environment),
                cwd=image.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the first process, as ECS does."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to all processes: suspended first, or one would tell the end of another."""
        members = self._members()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for each in members:
                with suppress(ProcessLookupError):
                    os.kill(each, number)

    def wait(self) -> int:
        """Return the exit code of the first process once it has ended; the others end with it."""
        code = self._process.wait()
        self.kill()
        return code if code >= 0 else SIGNALLED - code

    def _members(self) -> list[int]:
        """All processes that have the task's mark; a new session is no way out of a container."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark:
                    found.append(process.pid)
        return found
