"""Kills a run in the middle, with all its processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
from rich.console import Console

from sandbox import Sandbox

LOOK_EVERY_SECONDS = 0.2


@contextmanager
def killing(
    console: Console, aws: Sandbox, operation_id: str, step: str, worker_pid: int
) -> Iterator[None]:
    """Kill whatever the worker has started, once the step has a record. `kill -9`: no hook runs.

    The worker itself lives: it sees its child gone and tells that the run has crashed.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_SECONDS):
            if any(item["step"] == step for item in aws.items(operation_id)):
                processes = psutil.Process(worker_pid).children(recursive=True)
                for each in processes:
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
                console.print(f"[bold]kill -9 of {len(processes)} processes[/bold]")
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
