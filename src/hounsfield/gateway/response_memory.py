"""The memory that large responses of a process take while they wait to be sent: bounded, and shared by turns.

    RoomNeededError ─▶ room of the request ─▶ free? ─▶ held until the answer is sent ─▶ the next caller in the round
                                                └─ no ─▶ the caller's own line

Whoever takes an answer slowly holds what is read for it. One caller holds at most half of all there is, unless a single record
is larger, and a record that is larger than all goes alone. Everything here happens in the event loop.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections import deque
from collections.abc import Hashable
from typing import Final, Self

from anyio import fail_after

from hounsfield.aws.protocol.errors import ServiceUnavailableException
from hounsfield.aws.protocol.response import SOON_SECONDS, retry_after_headers

WAIT_SECONDS: Final = 30.0
"""How long an answer waits for room."""
_TRIM_FROM_BYTES: Final = 16 * 1024 * 1024
_TRIM_AFTER_SECONDS: Final = 1.0


class ResponseMemory:
    """Bounds what large records take that are read for answers.

    Parameters
    ----------
    most : int
        Largest number of bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._peak = 0
        self._by_caller: dict[str, int] = {}
        # Records that several requests read: how large, whose, and how many read it.
        self._named: dict[Hashable, tuple[str, int, int]] = {}
        self._lines: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    async def take(self, caller: str, name: Hashable, size: int) -> None:
        """Hold a record when there is room and it is the caller's turn; one that another request holds is shared.

        Raises
        ------
        ServiceUnavailableException
            There is no room within `WAIT_SECONDS`.
        """
        if self._share(name):
            return
        if self._next() is None and self._fits(caller, size):
            self.force(caller, name, size)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append((size, waiting))
        try:
            with fail_after(WAIT_SECONDS):
                await waiting
        except TimeoutError:
            self._leave(caller, size, waiting)
            raise ServiceUnavailableException(
                "The server holds as much of large answers as it can; try again.", retry_after_headers(SOON_SECONDS)
            ) from None
        except asyncio.CancelledError:
            self._leave(caller, size, waiting)
            raise
        if self._share(name):
            # Meanwhile somebody else began to read the same.
            self._add(caller, -size)
            self._serve()
        else:
            self._named[name] = (caller, size, 1)

    def _leave(self, caller: str, size: int, waiting: asyncio.Future[None]) -> None:
        """Wait no longer; what was given in the same moment is given back."""
        if waiting.done() and not waiting.cancelled():
            self._add(caller, -size)
        waiting.cancel()
        self._serve()

    def force(self, caller: str, name: Hashable, size: int) -> None:
        """Hold a record that is there already, whether or not there is room."""
        if not self._share(name):
            self._named[name] = (caller, size, 1)
            self._add(caller, size)

    def give_back(self, name: Hashable) -> None:
        """Hold a record no longer for one of the requests that read it."""
        caller, size, count = self._named.pop(name)
        if count > 1:
            self._named[name] = (caller, size, count - 1)
            return
        self._add(caller, -size)
        self._serve()
        if self._peak >= _TRIM_FROM_BYTES and self._held <= self._peak // 4:
            self._peak = self._held
            loop = asyncio.get_running_loop()
            loop.call_later(_TRIM_AFTER_SECONDS, loop.run_in_executor, None, _trim)

    def _share(self, name: Hashable) -> bool:
        found = self._named.get(name)
        if found is not None:
            self._named[name] = (found[0], found[1], found[2] + 1)
        return found is not None

    def _add(self, caller: str, size: int) -> None:
        self._held += size
        self._peak = max(self._peak, self._held)
        self._by_caller[caller] = self._by_caller.get(caller, 0) + size
        if not self._by_caller[caller]:
            del self._by_caller[caller]

    def _fits(self, caller: str, size: int) -> bool:
        return self._may(caller, size) and (not self._held or self._held + size <= self._most)

    def _may(self, caller: str, size: int) -> bool:
        own = self._by_caller.get(caller, 0)
        return not own or own + size <= self._most // 2

    def _next(self) -> str | None:
        """Return whose turn it is: the first in the round who does not hold its half. Nobody behind it goes first."""
        return next((caller for caller, line in self._lines.items() if self._may(caller, line[0][0])), None)

    def _serve(self) -> None:
        while (caller := self._next()) is not None:
            line = self._lines[caller]
            size, waiting = line[0]
            gone = waiting.done()
            if not gone and not self._fits(caller, size):
                return
            line.popleft()
            del self._lines[caller]
            if line:
                self._lines[caller] = line
            if not gone:
                self._add(caller, size)
                waiting.set_result(None)


class ResponseRoom:
    """What one request holds of the memory for responses, for a block at the end of which it is given back.

    It is a `hounsfield.storage.blobs.large_reads.Room`.

    Attributes
    ----------
    caller : str
        Unique id of who sent the request, to be known before anything is read.
    """

    __slots__ = ("_held", "_largest", "_memory", "caller")

    def __init__(self, memory: ResponseMemory, caller: str = "") -> None:
        self._memory = memory
        self.caller = caller
        self._held: list[Hashable] = []
        self._largest = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._held:
            self._memory.give_back(name)
        self._held = []

    def covers(self, name: Hashable, size: int) -> bool:
        """Return whether a record may be read: this one, or one after another of its size."""
        return size <= self._largest or name in self._held

    async def grow(self, name: Hashable, size: int) -> None:
        """Wait until a record may be read; raises ServiceUnavailableException when that takes too long."""
        await self._memory.take(self.caller, name, size)
        self._note(name, size)

    def hold(self, size: int) -> None:
        """Hold what was made for the answer and is that large, where it is larger than what is held."""
        if size > self._largest:
            name = (id(self), size)
            self._memory.force(self.caller, name, size - self._largest)
            self._note(name, size)

    def _note(self, name: Hashable, size: int) -> None:
        self._held.append(name)
        self._largest = max(self._largest, size)


def _trim() -> None:
    """Return memory that the allocator holds to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
