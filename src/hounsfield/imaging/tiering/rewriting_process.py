"""The process that writes the packs of compaction: it decrypts and encrypts, at the lowest priority and a bounded rate."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import TimeoutError as NotDoneError
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from hounsfield.jobs.runner import StoppedError
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.runtime.worker_pool import WorkerPool
from hounsfield.storage.blobs.pack_rewrite import PackRewrite, RewrittenPack, rewrite_pack
from hounsfield.storage.blobs.tiered_blobs import PackLocations

_NICENESS: Final = 15
_LOOK_SECONDS: Final = 0.2


def start_politely() -> None:
    """Run only when nobody else wants the processor, and leave interrupts to whoever started the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)


def write_at_rate(locations: PackLocations, task: PackRewrite, rate: float) -> RewrittenPack:
    """Write a pack, reading so many bytes a second at most; 0 for any number. Raises as `rewrite_pack` does."""
    return rewrite_pack(locations.open(), task, RateLimit(rate, threading.Event()).wait)


class RewritingProcess:
    """Writes packs in a process of its own, which is there from the first pack until `close`.

    Parameters
    ----------
    locations : PackLocations
        Where the packs are.
    rate : float
        Bytes a second that are read at most; 0 for any number.
    stop : threading.Event
        Ends the waiting for a pack, which is then not there.
    """

    def __init__(self, locations: PackLocations, rate: float, stop: threading.Event) -> None:
        self._locations = locations
        self._rate = rate
        self._stop = stop
        self._pool: WorkerPool | None = None

    def write(self, task: PackRewrite) -> RewrittenPack:
        """Write a pack, and wait for it.

        Raises
        ------
        StoppedError
            The work is to end.
        OSError
            The pack cannot be written, or the process ended.
        PackDamagedError, PackMissingError
            A record cannot be read where it is.
        """
        if self._pool is None:
            self._pool = WorkerPool(1, start_politely)
        executor, future = self._pool.submit(write_at_rate, self._locations, task, self._rate)
        while True:
            try:
                return future.result(_LOOK_SECONDS)
            except NotDoneError:
                if self._stop.is_set():
                    raise StoppedError from None
            except BrokenProcessPool as error:
                self._pool.renew(executor)
                raise OSError("the process that writes packs ended") from error

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
