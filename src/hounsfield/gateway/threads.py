"""The threads that carry out requests, shared by the callers by turns (`hounsfield.gateway.fair_slots`).

    work ─▶ turn of the caller ─▶ thread ─▶ KeyNotCachedError ─▶ fetch, in a thread of its own kind ─▶ work
                                         └─▶ TransactionLostError, and nothing was changed ─▶ work, once more

Whoever waits for the key service holds no thread of the other requests. Nor does what changes something, which waits for others
that do: it has threads of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread

from hounsfield.gateway.fair_slots import FairSlots
from hounsfield.gateway.response_memory import ResponseRoom
from hounsfield.storage.blobs.large_reads import RoomNeededError, within
from hounsfield.storage.db.database import begin_work
from hounsfield.storage.db.errors import DatabaseBusyError, TransactionLostError
from hounsfield.storage.keys.data_key_cache import MOST_FETCHES, KeyNotCachedError

T = TypeVar("T")

_waiting = CapacityLimiter(32)
_THREADS: Final = 40
_EACH_BEHIND_NETWORK: Final = 20
_WRITING: Final = 16
_EACH_WRITING: Final = 8
_LEAST_EACH: Final = 2
_MOST_GROWTHS: Final = 4
"""How often work is begun again because it reads a record larger than all before."""


class Threads:
    """Threads of a process, so many at a time.

    Parameters
    ----------
    count : int
        How many there are.
    each : int
        How many of them one caller has at the same time.
    wait_seconds : float or None
        How long a turn is waited for; None for as long as it takes.
    """

    def __init__(self, count: int, each: int, wait_seconds: float | None = None) -> None:
        self._slots = FairSlots(count, each)
        self._wait_seconds = wait_seconds
        self._count = count
        self._limiter: CapacityLimiter | None = None

    def of(self, caller: str, room: ResponseRoom | None = None) -> CallerThreads:
        """Return the threads as one caller, by its unique id, has them, for a request with room for large records."""
        return CallerThreads(self, caller, room)

    async def run(self, caller: str, work: Callable[[], T]) -> T:
        """Do some work in a thread, when it is the turn of a caller.

        Parameters
        ----------
        caller : str
            Unique id of who it is done for.
        work : callable
            What to do; where it needs a key that is not at hand, it is begun again: what it began must be undone. So it is,
            once, where the database was lost before the work had committed anything.

        Raises
        ------
        DatabaseBusyError
            It was not the caller's turn in time: work of others waits for the database.
        KeyUnavailableError
            A key cannot be had.
        """
        may_repeat = True
        for _ in range(MOST_FETCHES):
            try:
                return await self.run_once(caller, partial(begin_work, work))
            except KeyNotCachedError as needed:
                await to_thread.run_sync(needed.fetch, limiter=_waiting)
            except TransactionLostError as error:
                if not (error.is_first and may_repeat):
                    raise
                may_repeat = False
        return await self.run_once(caller, work)

    async def run_once(self, caller: str, work: Callable[[], T]) -> T:
        """Do some work that cannot be begun again, such as the next step of a generator, otherwise as `run` does."""
        await self._turn(caller)
        if self._limiter is None:
            # One that is made while no event loop runs has to find out at each use which one does.
            self._limiter = CapacityLimiter(self._count)
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._slots.release(caller)

    async def _turn(self, caller: str) -> None:
        if self._wait_seconds is None:
            await self._slots.acquire(caller)
            return
        try:
            with fail_after(self._wait_seconds):
                await self._slots.acquire(caller)
        except TimeoutError:
            raise DatabaseBusyError(f"no thread to write with within {self._wait_seconds} s") from None


@dataclass(frozen=True, slots=True)
class CallerThreads:
    """Threads, as one caller has them.

    Attributes
    ----------
    threads : Threads
        The threads.
    caller : str
        Unique id of the caller whose turns are taken.
    room : ResponseRoom or None
        The room for large records that the request has; None where it is not bounded.
    """

    threads: Threads
    caller: str
    room: ResponseRoom | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Do some work in a thread when it is the caller's turn; see `Threads.run`."""
        room = self.room
        if room is None:
            return await self.threads.run(self.caller, work)
        for _ in range(_MOST_GROWTHS):
            try:
                return await self.threads.run(self.caller, partial(within, room, work))
            except RoomNeededError as needed:
                await room.grow(needed.name, needed.size)
        return await self.threads.run(self.caller, work)

    async def run_once(self, work: Callable[[], T]) -> T:
        """Do some work that cannot be begun again; see `Threads.run_once`."""
        return await self.threads.run_once(self.caller, work)


def request_threads(*, local: bool) -> Threads:
    """Return the threads for all requests but those that render.

    One caller has few of them where all that is waited for is on this machine: more would not be faster, as they share one
    interpreter, and each makes all others wait for it.
    """
    return Threads(_THREADS, max(_LEAST_EACH, os.cpu_count() or 1) if local else _EACH_BEHIND_NETWORK)


def writing_threads(wait_seconds: float) -> Threads:
    """Return the threads for requests that change something, which mostly wait: for the disk, other writers, a lock.

    Parameters
    ----------
    wait_seconds : float
        How long a request waits for one of them.
    """
    return Threads(_WRITING, _EACH_WRITING, wait_seconds)


def session_threads() -> Threads:
    """Return the threads that begin sessions, which may wait for an issuer of tokens; strangers count as one caller."""
    return Threads(_THREADS, _THREADS)


def rendering_threads() -> Threads:
    """Return the threads that render: as many for one caller as there are processors, and one that is left to others."""
    processors = os.cpu_count() or 1
    return Threads(processors + 1, processors)
