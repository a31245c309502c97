"""A process that keeps the PostgreSQL servers, so that none outlives the sandbox.

`Keeper` starts this very file as a small child process (standard library only, single-threaded,
in a session of its own), and the servers are its children. Its standard input is a pipe held by
the sandbox: when that closes, be it by `close` or because the sandbox was killed, the keeper stops
every server and removes the folders. Should the keeper itself be killed, Linux ends the servers.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT  # PostgreSQL's shutdown modes, as signals
PATIENCE = 5.0  # seconds for a server to follow such a signal
ATTEMPTS = 50
PR_SET_PDEATHSIG = 1
IPC_RMID = 0


class Keeper:
    """The sandbox's end: orders servers to be started and stopped. Safe for threads."""

    def __init__(self, folders: Sequence[Path], identity: Mapping[str, Any]) -> None:
        """Start the process; it removes `folders` at the end.

        `identity` is the OS user of the servers, as arguments of `subprocess.Popen`.
        """
        self._lock = threading.Lock()
        self._folders = [str(folder) for folder in folders]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, json.dumps(dict(identity)), *self._folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
            text=True,
        )

    def start(self, name: str, arguments: Sequence[str], log: Path) -> int:
        """Start a server whose output is added to `log`; return its process id."""
        return int(self._ask("start", name=name, argv=list(arguments), log=str(log)))

    def is_alive(self, name: str) -> bool:
        """Tell whether that server's process runs."""
        return bool(self._ask("is_alive", name=name))

    def stop(self, name: str) -> None:
        """Shut a server down cleanly and return when it is gone. Safe to repeat."""
        self._ask("stop", name=name)

    def close(self) -> None:
        """Stop all servers at once, remove the folders. Safe to repeat."""
        with self._lock:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process.wait()
        for folder in self._folders:  # the keeper has done so, unless it was killed
            remove(Path(folder))

    def _ask(self, order: str, **details: Any) -> Any:
        with self._lock:
            stdin, stdout = self._process.stdin, self._process.stdout
            if stdin is None or stdout is None or stdin.closed:
                raise RuntimeError("The PostgreSQL servers of this sandbox are closed.")
            stdin.write(json.dumps({"order": order, **details}) + "\n")
            stdin.flush()
            reply = stdout.readline()
        if not reply:
            raise RuntimeError("The keeper of the PostgreSQL servers has died.")
        answer = json.loads(reply)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]


def end_with_parent() -> None:
    """Have Linux send SIGQUIT when the parent dies; runs between fork and exec.

    Sound here only: the keeper has a single thread.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def stop(server: subprocess.Popen[bytes], *how: signal.Signals) -> None:
    """Shut down one server by the first of `how` that it obeys; return when it is gone."""
    for number in (*how, signal.SIGKILL):
        server.send_signal(number)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            continue
        return


class Servers:
    """The keeper's end: its child processes by name, and the orders it follows."""

    def __init__(self, identity: Mapping[str, Any]) -> None:
        self._identity = identity
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def follow(self, order: str, name: str, **details: Any) -> dict[str, Any]:
        """Carry out one order; return the reply."""
        if order == "start":
            return self._start(name, **details)
        process = self._processes.get(name)
        if order == "stop" and process is not None:
            stop(process, FAST, IMMEDIATE)
        return {"result": process is not None and process.poll() is None}

    def stop_all(self) -> None:
        """Stop every server at once."""
        for process in self._processes.values():
            process.send_signal(IMMEDIATE)
        for process in self._processes.values():
            stop(process, IMMEDIATE)

    def _start(self, name: str, argv: list[str], log: str) -> dict[str, Any]:
        before_exec: Callable[[], None] | None = None
        if sys.platform == "linux":
            before_exec = end_with_parent
        try:
            with Path(log).open("ab") as output:
                self._processes[name] = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    umask=0o077,
                    env={"PATH": os.defpath, "TZ": "UTC"},
                    preexec_fn=before_exec,  # noqa: PLW1509  one thread
                    **self._identity,
                )
        except OSError as problem:
            return {"error": f"{argv[0]}: {problem}"}
        return {"result": self._processes[name].pid}


def free_memory(folder: Path) -> None:
    """Free the little System V segment that a killed server leaves: postmaster.pid names it."""
    for note in folder.glob("data/*/postmaster.pid"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it may be half written
            _, segment = note.read_text().split("\n")[6].split()
            ctypes.CDLL(None).shmctl(int(segment), IPC_RMID, None)


def remove(folder: Path) -> None:
    """Remove a folder, also one into which initdb or cp of a killed sandbox are still writing."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def keep(identity: Mapping[str, Any], folders: Sequence[str]) -> NoReturn:
    """Follow the orders on standard input until it closes, then leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # only the pipe decides; not inherited by servers
    servers = Servers(identity)
    try:
        for line in sys.stdin:
            print(json.dumps(servers.follow(**json.loads(line))), flush=True)  # noqa: T201
    finally:
        servers.stop_all()
        for folder in folders:
            free_memory(Path(folder))
            remove(Path(folder))
        os._exit(0)  # a reply that nobody reads any more must not become an error


if __name__ == "__main__":
    keep(json.loads(sys.argv[1]), sys.argv[2:])
