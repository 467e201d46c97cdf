"""Attempts to sign in that failed: who has failed often has to wait, whether or not the key exists.

failure ─▶ Attempts.note ─▶ by address and by key ─▶ Attempts.wait_seconds: 0, 0, 0, 1, 2, 4 … 60
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

_FREE: Final = 3
_LONGEST_SECONDS: Final = 60
_KEPT_SECONDS: Final = 900.0
_KEPT: Final = 10_000


class Attempts:
    """Counts failures, in the memory of an API process.

    Parameters
    ----------
    clock : callable
        The time in seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: TTLCache[str, tuple[int, float]] = TTLCache(_KEPT, _KEPT_SECONDS, clock)

    def wait_seconds(self, *names: str) -> int:
        """Return how many seconds are to be waited before the next attempt; 0 where it may be made.

        Parameters
        ----------
        *names : str
            What failures are counted by: an address, a key.
        """
        now = self._clock()
        waits = [self._until(name) - now for name in names]
        longest = max(waits, default=0.0)
        return 0 if longest <= 0 else int(longest) + 1

    def note(self, *names: str) -> None:
        """Note that an attempt failed."""
        now = self._clock()
        for name in names:
            count, _ = self._failed.get(name, (0, now))
            self._failed[name] = (count + 1, now)

    def forget(self, *names: str) -> None:
        """Begin anew, since somebody signed in."""
        for name in names:
            self._failed.pop(name, None)

    def _until(self, name: str) -> float:
        count, last = self._failed.get(name, (0, 0.0))
        return last + min(2 ** (count - _FREE), _LONGEST_SECONDS) if count >= _FREE else 0.0
