"""Fair slots: places that callers share by turns, so that the burst of one of them does not keep the others waiting.

    acquire ─▶ a place is free, and the caller has fewer than one caller may have ─▶ taken
       └──▶ else it waits in the caller's own line ◀── release: the next caller in the round whose line is not empty

However many requests one caller has waiting, the request of another waits for its turn only: for one request of each caller
that waits. Everything here happens in the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque


class FairSlots:
    """Places that callers take by turns.

    Parameters
    ----------
    places : int
        How many there are.
    each : int
        How many of them one caller has at the same time; where that is less than all, one caller alone leaves some to others.
    """

    def __init__(self, places: int, each: int) -> None:
        self._free = places
        self._each = each
        self._held: dict[str, int] = {}
        # Authenticator in the order of their turns: whoever had one goes to the end.
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    async def acquire(self, caller: str) -> None:
        """Take a place, to be given back by `release`, when it is the turn of ``caller``; the task may be cancelled before."""
        if self._has_room(caller):
            # Nobody who could have the place waits: it would have been given away.
            self._take(caller)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled():
                # The place was given in the moment in which nobody wanted it any more.
                self.release(caller)
            raise

    def release(self, caller: str) -> None:
        """Free a place."""
        self._free += 1
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]
        while (following := next(filter(self._has_room, self._lines), None)) is not None:
            self._serve(following)

    def _has_room(self, caller: str) -> bool:
        return self._free > 0 and self._held.get(caller, 0) < self._each

    def _take(self, caller: str) -> None:
        self._free -= 1
        self._held[caller] = self._held.get(caller, 0) + 1

    def _serve(self, caller: str) -> None:
        line = self._lines.pop(caller)
        waiting = line.popleft()
        if line:
            self._lines[caller] = line
        if not waiting.cancelled():
            self._take(caller)
            waiting.set_result(None)
