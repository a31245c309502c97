"""`python -m sandbox`: the sandbox in the foreground."""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from sandbox.environment import environment
from sandbox.postgres import PostgresHost

IDLE_SECONDS = 0.5
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
    parser.add_argument("--failures", action="store_true", help="list what can be planted, and end")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)  # the library's child
    return parser.parse_args(arguments)


def main() -> int:
    """Run until told to end."""
    options = parse()
    if options.speed <= 0:
        say("--speed must be greater than 0")
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    if options.ready_fd is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if options.failures:
        return list_failures()
    # PostgreSQL prepares its first data folder while this process still imports moto.
    with ThreadPoolExecutor(1) as pool, closing(Opening(pool)) as opening:
        from sandbox.control import describe_failures  # noqa: PLC0415
        from sandbox.process import Process  # noqa: PLC0415

        if unknown := set(options.plant) - describe_failures().keys():
            say(f"There is no failure {', '.join(map(repr, sorted(unknown)))}; see --failures.")
            return 2
        began = time.monotonic()
        process = Process(options.speed, options.port, opening.host)
        try:
            for name in options.plant:
                process.plant(name)
            present(process.facts, options, time.monotonic() - began)
            while True:  # a signal's handler ends it
                time.sleep(IDLE_SECONDS)
        finally:
            process.close()


class Opening:
    """The PostgreSQL host, in the making."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="aurora-restore-"))
        self.host: Future[PostgresHost] = pool.submit(self._open)

    def _open(self) -> PostgresHost:
        host = PostgresHost(self._root)
        host.create("first", master_username="postgres", master_password="-", database=None)  # noqa: S106  dropped at once
        host.drop("first")
        return host

    def close(self) -> None:
        """End it, also before it is ready, and remove its folder."""
        with suppress(Exception):
            self.host.result().close()
        shutil.rmtree(self._root, ignore_errors=True)


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


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _end_with_parent() -> None:
    """End when standard input closes: the parent holds its other end."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    sys.stdout.flush()
    os._exit(code)  # all is tidied up; taking the emulator's objects apart would only take time
