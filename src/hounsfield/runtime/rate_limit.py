"""Bound of the bytes a second that a verification, a backup, or compaction reads."""

from __future__ import annotations

import threading
import time


class RateLimit:
    """Waits before bytes are read, so that their mean rate stays below a bound; for several threads.

    Parameters
    ----------
    bytes_per_second : float
        The bound; 0 for none.
    stop : threading.Event
        Ends the waiting.
    """

    def __init__(self, bytes_per_second: float, stop: threading.Event) -> None:
        self._bytes_per_second = bytes_per_second
        self._stop = stop
        self._free_at = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, size: int) -> None:
        """Wait until ``size`` bytes may be read."""
        if not self._bytes_per_second:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free_at)
            self._free_at = begin + size / self._bytes_per_second
        self._stop.wait(begin - now)
