"""Throttling: a token bucket per account and action.

    permission given ─▶ Throttle.take ─┬─▶ the request goes on
                                       └─▶ ThrottledError: when to come again

A bucket holds ``burst`` tokens and gets ``per_second`` new ones a second; a request takes one. All that is kept of a bucket is
the moment at which it would be full again (the generic cell rate algorithm), so that a bucket is one integer, nothing
has to be filled up in between, and a bucket that nobody used lately is the same as a new one.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from hounsfield.runtime.picklable_error import PicklableError
from hounsfield.settings.throttling import Rate

_SECOND_NS: Final = 1_000_000_000


def take_token(rate: Rate, full_at: int, now: int) -> tuple[int, int]:
    """Take one token out of a bucket. Pure.

    Parameters
    ----------
    rate : Rate
        The rate of the bucket.
    full_at : int
        When the bucket would be full again; any moment that is past stands for a full one.
    now : int
        The time, in nanoseconds of the same clock.

    Returns
    -------
    tuple of (int, int)
        When the bucket will be full, and how many nanoseconds are missing until there is a token: 0 when one was taken.
    """
    after = max(full_at, now) + rate.interval_ns
    missing = after - now - rate.burst * rate.interval_ns
    return (after, 0) if missing <= 0 else (full_at, missing)


class ThrottledError(PicklableError):
    """The account made more requests than it may; the message may be shown to the caller.

    Parameters
    ----------
    action : str
        IAM action without its prefix.
    rate : Rate
        What the bucket keeps to.
    wait_ns : int
        Nanoseconds until the next request can be let through.
    """

    def __init__(self, action: str, rate: Rate, wait_ns: int) -> None:
        self.wait_seconds = wait_ns / _SECOND_NS
        super().__init__(
            f"Rate exceeded: {action} can be called {rate.per_second:g} times a second with bursts of {rate.burst}; "
            f"try again in {max(1, math.ceil(self.wait_seconds))} s."
        )


class Throttle:
    """The buckets of one process.

    Parameters
    ----------
    rates : Mapping of str to Rate
        The rate of each action that has one.
    processes : int
        How many processes answer requests; each lets its share through, so that all together keep to the rates.
    clock : callable
        The time in nanoseconds, never going back.
    """

    def __init__(
        self, rates: Mapping[str, Rate], processes: int = 1, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._rates = {action: (rate.share_of(processes), rate) for action, rate in rates.items()}
        self._clock = clock
        self._full_at: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def take(self, account_id: str, action: str) -> None:
        """Count a request that was authenticated and permitted.

        Parameters
        ----------
        account_id : str
            Whose request.
        action : str
            IAM action without its prefix, such as ``GetImageFrame``.

        Raises
        ------
        ThrottledError
            The bucket is empty; the request does not count.
        """
        known = self._rates.get(action)
        if known is None:
            return
        share, rate = known
        with self._lock:
            full_at = self._full_at.get((account_id, action), 0)
            self._full_at[account_id, action], missing = take_token(share, full_at, self._clock())
        if missing:
            raise ThrottledError(action, rate, missing)
