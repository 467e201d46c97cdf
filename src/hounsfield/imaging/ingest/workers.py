"""The workers of one process that imports or receives: processes of this machine, a cluster, or both.

imports   ─▶ the cluster alone, where there is one: they wait for it
STOW-RS   ─▶ the cluster, for what is in memory and while it has workers ─┐ otherwise
             processes of this machine, a pool and a spare one         ◀──┘
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from hounsfield.imaging.errors import BusyError
from hounsfield.imaging.ingest.files import Share
from hounsfield.imaging.ingest.worker import warm_up
from hounsfield.runtime.worker_pool import TaskPool, WorkerPool
from hounsfield.storage.blobs.spool import SpooledFile

if TYPE_CHECKING:
    # What it needs is installed only where there is a cluster.
    from hounsfield.runtime.cluster.remote_pool import RemotePool


class IngestWorkers:
    """Workers, for several threads.

    Parameters
    ----------
    processes : int
        How many processes of this machine there are, besides the spare one.
    cluster : RemotePool or None
        The workers of a cluster.
    waits : bool
        Whether all work is done by the cluster, and waits for it.
    """

    def __init__(self, processes: int, cluster: RemotePool | None = None, *, waits: bool = False) -> None:
        self._processes = processes
        self._cluster = cluster
        self._waits = waits and cluster is not None
        self._lock = threading.Lock()
        self._pool: WorkerPool | None = None
        self._spare: WorkerPool | None = None
        self._closed = False
        self._starting: threading.Timer | None = None

    def start(self, after_seconds: float = 0.0) -> None:
        """Start the workers, now or in a while: importing takes each of them longer than an instance.

        Where there is a cluster, processes of this machine are started with the first work that it cannot do.
        """
        if self._cluster is not None:
            self._cluster.start()
            return
        if not after_seconds:
            self._started()
            return
        self._starting = threading.Timer(after_seconds, self._started)
        self._starting.daemon = True
        self._starting.start()

    @property
    def processes(self) -> int:
        """How many files are worked on at a time; it changes when workers join a cluster or leave it."""
        if self._cluster is None:
            return self._processes
        return self._cluster.processes if self._waits else max(self._processes, self._cluster.processes)

    def remote(self, shares: Iterable[Share]) -> RemotePool | None:
        """Return the workers of the cluster, where they are there now for work that need not be done by them.

        What was spooled to a file of this machine cannot be read there.
        """
        if self._cluster is None or self._waits or not self._cluster.is_ready:
            return None
        travels = all(
            isinstance(file.content, SpooledFile) and file.content.data is not None
            for share in shares
            for file in share.files
        )
        return self._cluster if travels else None

    def is_started(self, *, spare: bool = False) -> bool:
        """Return whether the workers, or the spare one, are there, so that `pool` does not wait for them to be started."""
        return self._waits or (self._spare if spare else self._pool) is not None

    def pool(self, *, spare: bool = False) -> TaskPool:
        """Return the workers, or the spare one, started where they are not yet; raises `BusyError` when they were ended."""
        if self._waits and self._cluster is not None:
            return self._cluster
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
        if self._cluster is not None:
            self._cluster.close()
        for pool in pools:
            pool.close()

    def _started(self, *, spare: bool = False) -> WorkerPool | None:
        """Return the workers, or the spare one, started where they are not yet; None when there will be none any more."""
        with self._lock:
            pool = self._spare if spare else self._pool
            if pool is None and not self._closed:
                pool = WorkerPool(1 if spare else self._processes, warm_up)
                if spare:
                    self._spare = pool
                else:
                    self._pool = pool
            return pool
