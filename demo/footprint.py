"""How much memory a flow run's processes take, and how soon they reach their first step."""

import threading
from contextlib import suppress

import psutil


class Footprint:
    """Samples the descendants of a worker until stopped; `itself`: and that process too.

    `peak_mib`: the largest sum, at one moment, of the resident sizes of a flow run's processes.
    `started_at`: when the first of them began, in seconds since the epoch.
    """

    def __init__(self, worker_pid: int, *, itself: bool = False) -> None:
        self.peak_mib = 0.0
        self.started_at: float | None = None
        self._worker = psutil.Process(worker_pid)
        self._itself = [self._worker] if itself else []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the sampling."""
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            total = 0.0
            with suppress(psutil.NoSuchProcess):
                for each in [*self._itself, *self._worker.children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        total += each.memory_info().rss / 2**20
                        started = each.create_time()
                        if self.started_at is None or started < self.started_at:
                            self.started_at = started
            self.peak_mib = max(self.peak_mib, total)
