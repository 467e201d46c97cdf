"""The worker processes of one process that imports or receives: a pool, and a spare one that is started when it is needed."""

from __future__ import annotations

import threading
from concurrent.futures import Executor

from hounsfield.imaging.errors import BusyError
from hounsfield.imaging.ingest.worker import warm_up
from hounsfield.runtime.worker_pool import WorkerPool


class IngestWorkers:
    """Worker processes, for several threads.

    Parameters
    ----------
    processes : int
        How many there are, besides the spare one.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._lock = threading.Lock()
        self._pool: WorkerPool | None = None
        self._spare: WorkerPool | None = None
        self._closed = False
        self._starting: threading.Timer | None = None

    def start(self, after_seconds: float = 0.0) -> None:
        """Start the workers, now or in a while: importing takes each of them longer than an instance."""
        if not after_seconds:
            self._started()
            return
        self._starting = threading.Timer(after_seconds, self._started)
        self._starting.daemon = True
        self._starting.start()

    def is_started(self, *, spare: bool = False) -> bool:
        """Return whether the workers, or the spare one, are there, so that `pool` does not wait for them to be started."""
        return (self._spare if spare else self._pool) is not None

    def pool(self, *, spare: bool = False) -> WorkerPool:
        """Return the workers, or the spare one, started where they are not yet; raises `BusyError` when they were ended."""
        pool = self._started(spare=spare)
        if pool is None:
            raise BusyError("The server is being stopped. Store the instances again in a moment.")
        return pool

    def renew(self, broken: Executor) -> None:
        """Replace the processes of an executor of which one died, once, however many callers saw it break."""
        for pool in (self._pool, self._spare):
            if pool is not None:
                pool.renew(broken)

    def cancel_start(self) -> None:
        """Do not start the workers any more of which `start` said that they are started in a while."""
        if self._starting is not None:
            self._starting.cancel()

    def close(self) -> None:
        """End the processes; what they have not handed in yet is lost."""
        self.cancel_start()
        with self._lock:
            pools = [pool for pool in (self._pool, self._spare) if pool is not None]
            self._pool = self._spare = None
            self._closed = True
        for pool in pools:
            pool.close()

    def _started(self, *, spare: bool = False) -> WorkerPool | None:
        """Return the workers, or the spare one, started where they are not yet; None when there will be none any more."""
        with self._lock:
            pool = self._spare if spare else self._pool
            if pool is None and not self._closed:
                pool = WorkerPool(1 if spare else self.processes, warm_up)
                if spare:
                    self._spare = pool
                else:
                    self._pool = pool
            return pool
