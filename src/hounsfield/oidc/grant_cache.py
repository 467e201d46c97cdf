"""Grants of tokens, and a cache of the last few seconds.

A viewer asks for a hundred frames with one token: the first request finds the grant, those that come meanwhile wait for it, and
those of the next seconds find it here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final

from cachetools import TTLCache

MOST_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for.

    Attributes
    ----------
    role_arn : str
        ARN of the role.
    session_name : str
        Name of its session.
    provider : str
        Who vouched: ARN of the authorizer, or URL of the issuer.
    """

    role_arn: str
    session_name: str
    provider: str


class GrantCache:
    """The grants of the last seconds; for use in one event loop.

    Parameters
    ----------
    seconds : float
        How long a grant is kept; 0 for not at all. Refusals never are.
    clock : callable
        Seconds, never going back.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._kept: TTLCache[Hashable, Grant] = TTLCache(MOST_KEPT, seconds, clock)
        self._sought: dict[Hashable, asyncio.Task[Grant]] = {}

    async def find(self, key: Hashable, seek: Callable[[], Awaitable[Grant]]) -> Grant:
        """Return the grant of a key, seeking it once for all who ask meanwhile.

        Parameters
        ----------
        key : Hashable
            All that the grant depends on.
        seek : callable
            Finds it; what it raises goes to all who wait.
        """
        known = self._kept.get(key)
        if known is not None:
            return known
        task = self._sought.get(key)
        if task is None:
            task = asyncio.ensure_future(self._seek(key, seek))
            self._sought[key] = task
            task.add_done_callback(lambda done: self._found(key, done))
        # The client that asked first may leave; the others still wait.
        return await asyncio.shield(task)

    async def _seek(self, key: Hashable, seek: Callable[[], Awaitable[Grant]]) -> Grant:
        grant = await seek()
        if self._seconds > 0:
            self._kept[key] = grant
        return grant

    def _found(self, key: Hashable, done: asyncio.Task[Grant]) -> None:
        del self._sought[key]
        if not done.cancelled():
            # Looked at, so that nobody is told of an error for which nobody waits any more.
            done.exception()
