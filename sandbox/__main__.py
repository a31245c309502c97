"""`python -m sandbox`: the sandbox in the foreground."""

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.environment import environment
from sandbox.postgres import PostgresHost

if TYPE_CHECKING:
    from sandbox.process import Process

IDLE_SECONDS = 0.5
ROOMY_BYTES = 4 * 2**30
DESCRIPTION = """\
AWS on this machine: two accounts, an Aurora cluster in each with a real PostgreSQL behind its
endpoint, and what a restore between them needs. Listens on 127.0.0.1 only; Ctrl-C ends it and
leaves nothing behind."""
EPILOG = """\
In another terminal paste the export lines it prints, or with --env-file FILE:  . FILE
To look inside:  curl URL/sandbox/events  (also messages, items, facts, failures)"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        "python -m sandbox",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--speed", type=float, default=300, help="AWS seconds per second here (default: 300)"
    )
    parser.add_argument("--port", type=int, default=0, help="of the API (default: a free one)")
    parser.add_argument(
        "--plant", metavar="NAME", action="append", default=[], help="a failure to begin with"
    )
    parser.add_argument("--env-file", metavar="FILE", type=Path, help="for the export lines")
    parser.add_argument(
        "--lasting-sessions",
        action="store_true",
        help="let credentials last as long as on AWS, not compressed: fewer calls to renew them",
    )
    parser.add_argument("--failures", action="store_true", help="list what can be planted, and end")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)  # the library's child
    return parser.parse_args(arguments)


def quick_folder() -> str | None:
    """Return a folder in memory if there is a roomy one, else None: the temporary folder.

    The sandbox copies whole databases; on a disk that takes up to ten times as long. TMPDIR wins.
    """
    if "TMPDIR" in os.environ:
        return None
    memory = Path("/dev/shm")  # noqa: S108  mkdtemp makes a private folder in it
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        return None
    room = os.statvfs(memory)
    if room.f_flag & os.ST_NOEXEC or room.f_bavail * room.f_frsize < ROOMY_BYTES:
        return None
    return str(memory)


def main() -> int:
    """Run until told to end; return the exit code."""
    options = parse()
    if options.speed <= 0:
        say("--speed must be greater than 0")
        return 2
    if options.failures:
        return list_failures()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    return Run(options, ended).until_ended()


class Run:
    """The sandbox in this process. It is built in a thread: so a signal is heard at any moment."""

    def __init__(self, options: argparse.Namespace, ended: threading.Event) -> None:
        self._ended = ended
        self._options = options
        self._code = 0
        self._root = Path(tempfile.mkdtemp(prefix="aurora-restore-", dir=quick_folder()))
        self._host = PostgresHost(self._root)
        self._pool = ThreadPoolExecutor(1)
        self._process: Process | None = None

    def until_ended(self) -> int:
        """Build it, wait for the end, leave nothing behind; return the exit code."""
        threading.Thread(target=self._build, daemon=True).start()
        if self._options.ready_fd is not None:
            threading.Thread(target=self._end_with_parent, daemon=True).start()
        while not self._ended.wait(IDLE_SECONDS):
            pass
        silence_libraries()
        if self._process is not None:
            self._process.agent.close()
        self._host.close()
        self._pool.shutdown(cancel_futures=True)
        return self._code

    def _build(self) -> None:
        # PostgreSQL prepares its first data folder while moto is still being imported.
        host = self._pool.submit(self._prepare)
        from sandbox.control import describe_failures  # noqa: PLC0415
        from sandbox.process import Process  # noqa: PLC0415

        try:
            if unknown := set(self._options.plant) - describe_failures().keys():
                say(f"There is no failure {', '.join(map(repr, sorted(unknown)))}; see --failures.")
                self._code = 2
                self._ended.set()
                return
            began = time.monotonic()
            process = self._process = Process(
                self._options.speed,
                self._options.port,
                host,
                lasting_sessions=self._options.lasting_sessions,
            )
            for name in self._options.plant:
                process.plant(name)
            present(process.facts, self._options, time.monotonic() - began)
        except Exception:  # noqa: BLE001  whoever started it has to know
            if not self._ended.is_set():
                traceback.print_exc()
            self._code = 1
            self._ended.set()

    def _prepare(self) -> PostgresHost:
        self._host.create(
            "first",
            master_username="postgres",
            master_password="-",  # noqa: S106  dropped at once
            database=None,
        )
        self._host.drop("first")
        return self._host

    def _end_with_parent(self) -> None:
        """End when standard input closes: the parent holds its other end."""
        sys.stdin.buffer.read()
        self._ended.set()


def silence_libraries() -> None:
    """Keep standard error for Python alone.

    A server that is stopped while somebody connects to it says so, and libpq prints that by itself.
    """
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def list_failures() -> int:
    """Say what can be planted."""
    from sandbox.control import describe_failures  # noqa: PLC0415  it imports moto

    known = describe_failures()
    width = max(map(len, known))
    for name, summary in sorted(known.items()):
        say(f"{name:{width}}  {summary}")
    return 0


def present(facts: dict[str, str], options: argparse.Namespace, seconds: float) -> None:
    """Tell the parent, or whoever sits there, that the world is built."""
    lines = export_lines(environment(facts))
    if options.env_file is not None:
        options.env_file.write_text(lines)
    if options.ready_fd is None:
        introduce(facts, options, lines, seconds)
        return
    os.write(options.ready_fd, json.dumps(facts).encode() + b"\n")
    os.close(options.ready_fd)


def introduce(
    facts: dict[str, str], options: argparse.Namespace, lines: str, seconds: float
) -> None:
    """Say what there is."""
    say(f"The sandbox is ready at {facts['url']} after {seconds:.1f} s; ", end="")
    say(f"one second here is {options.speed:g} of AWS's.\n")
    say(f"  source {facts['source_account']} {facts['source_region']}")
    say(f"    cluster {facts['source_cluster']}, snapshot {facts['snapshot']}")
    say(f"  target {facts['target_account']} {facts['target_region']}")
    say(f"    cluster {facts['target_cluster']}, table {facts['table']}, topic {facts['topic']}")
    say(f"  PostgreSQL {facts['engine_version']} on 127.0.0.1:{facts['postgres_port']}, TLS")
    if options.plant:
        say(f"  planted: {', '.join(options.plant)}")
    say(f"\n{lines}\nCtrl-C ends it.")


def export_lines(variables: dict[str, str]) -> str:
    """Return what a shell needs."""
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())


def say(text: str, end: str = "\n") -> None:
    """Write to standard output at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # all is tidied up; taking the emulator's objects apart would only take time
