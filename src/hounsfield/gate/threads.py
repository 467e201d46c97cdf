"""Work of a request in a thread, begun again once a data key that it needed was fetched.

    work ─▶ KeyNotAtHandError ─▶ fetch, in one of the threads that wait for the key service ─▶ work

Whoever waits for the key service holds no thread of the other requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from hounsfield.storage.data_keys import MOST_FETCHES, KeyNotAtHandError

T = TypeVar("T")

_waiting = CapacityLimiter(32)


async def in_thread(work: Callable[[], T], slots: CapacityLimiter | None = None) -> T:
    """Do some work in a thread.

    Parameters
    ----------
    work : callable
        What to do; where it needs a key that is not at hand, what it had begun must have been undone.
    slots : CapacityLimiter or None
        The threads to do it in; None for those of every request.

    Raises
    ------
    KeyUnavailableError
        A key cannot be had.
    """
    for _ in range(MOST_FETCHES):
        try:
            return await to_thread.run_sync(work, limiter=slots)
        except KeyNotAtHandError as needed:
            fetch = needed.fetch
        await to_thread.run_sync(fetch, limiter=_waiting)
    return await to_thread.run_sync(work, limiter=slots)
