"""Batches for the workers of STOW-RS, each made of what several requests of one caller have waiting.

    request ─▶ share ─┐                                      ┌─▶ its results
    request ─▶ share ─┼─▶ waiting ─▶ a place is free: batch ─┼─▶ its results
    request ─▶ share ─┘             (one message, one task)  └─▶ its error, alone

A share that finds a place free is begun at once, alone. Those that come while all places are taken wait, and go together: a
message to a worker and its answer cost nearly the same for one file and for many, and what is ready at the same moment is
committed together. What becomes of a share does not depend on the others of its batch.

Callers take the places by turns. Nobody can take a file from a worker that has begun with it, and some take long; whoever has
nothing with the workers while others hold all places therefore goes to a spare one. All of this happens in the event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial

from starlette.concurrency import run_in_threadpool

from hounsfield.imaging.ingest.worker import IngestContext
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.imaging.receive.worker import ReceivedResult, ReceivedShare, ShareOutcome

FILES_PER_BATCH = 16
BYTES_PER_BATCH = 8 * 1024 * 1024
_PLACES_PER_WORKER = 2

Results = asyncio.Future[list[ReceivedResult]]
"""What becomes of the files of a share; raises `OSError` when they could not be stored."""


@dataclass(frozen=True, slots=True, eq=False)
class GivenShare:
    """A share that waits for its turn, or is worked on.

    Attributes
    ----------
    caller : str
        Unique id of who stores them.
    context : IngestContext
        What a worker needs to know.
    share : ReceivedShare
        The files.
    begun : asyncio.Future
        Done when it is with the workers: whoever waits for it lets no more of a request arrive than can be worked on.
    results : asyncio.Future
        What becomes of the files.
    """

    caller: str
    context: IngestContext
    share: ReceivedShare
    begun: asyncio.Future[None]
    results: Results

    def answer(self, outcome: ShareOutcome) -> None:
        """Tell what became of the files."""
        if self.results.done():
            return
        if isinstance(outcome, Exception):
            self.results.set_exception(outcome)
        else:
            self.results.set_result(outcome)


class StoreBatches:
    """Gathers the shares of all requests of this process into batches.

    Parameters
    ----------
    receiver : Receiver
        Has the workers; so many batches are with them at a time that each finds the next one when it ends one.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._free = _PLACES_PER_WORKER * receiver.processes
        self._spare_is_free = True
        # Callers in the order of their turns: whoever had one goes to the end.
        self._lines: dict[str, deque[GivenShare]] = {}
        self._under_way: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    def give(self, caller: str, context: IngestContext, share: ReceivedShare) -> GivenShare:
        """Let a share be worked on when the turn of its caller, by the unique id, comes."""
        loop = asyncio.get_running_loop()
        given = GivenShare(caller, context, share, loop.create_future(), loop.create_future())
        self._lines.setdefault(caller, deque()).append(given)
        self._begin()
        return given

    def withdraw(self, unwanted: Collection[Results]) -> None:
        """Let go of shares that nobody wants any more, those that are not begun; the others go on."""
        for caller, line in list(self._lines.items()):
            gone = [waiting for waiting in line if waiting.results in unwanted]
            if gone:
                self._set_line(caller, [waiting for waiting in line if waiting.results not in unwanted])
            for waiting in gone:
                waiting.results.cancel()

    def _set_line(self, caller: str, line: Sequence[GivenShare]) -> None:
        if line:
            self._lines[caller] = deque(line)
        else:
            self._lines.pop(caller, None)

    def _begin(self) -> None:
        while (turn := self._turn()) is not None:
            caller, spare = turn
            batch = self._next_batch(caller)
            if spare:
                self._spare_is_free = False
            else:
                self._free -= 1
            self._under_way[caller] += 1
            for waiting in batch:
                if not waiting.begun.done():
                    waiting.begun.set_result(None)
            task = asyncio.create_task(self._run(batch, spare=spare))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _turn(self) -> tuple[str, bool] | None:
        """Give whose turn it is, and whether it goes to the spare worker; None when there is nobody, or no place."""
        if self._free:
            following = next(iter(self._lines), None)
            return None if following is None else (following, False)
        if not self._spare_is_free:
            return None
        newcomer = next((caller for caller in self._lines if not self._under_way[caller]), None)
        return None if newcomer is None else (newcomer, True)

    def _next_batch(self, caller: str) -> list[GivenShare]:
        """Take the first that waits of a caller, and what goes with it: a worker's part of what waits, at most a batch."""
        line = self._lines.pop(caller)
        total = sum(len(waiting.share.files) for waiting in line)
        most = min(FILES_PER_BATCH, -(-total // self._receiver.processes))
        batch: list[GivenShare] = []
        rest: list[GivenShare] = []
        files = size = 0
        for waiting in line:
            share = waiting.share
            fits = not batch or (
                waiting.context is batch[0].context
                and files + len(share.files) <= most
                and size + share.size <= BYTES_PER_BATCH
            )
            (batch if fits else rest).append(waiting)
            if fits:
                files, size = files + len(share.files), size + share.size
        self._set_line(caller, rest)
        return batch

    async def _run(self, batch: Sequence[GivenShare], *, spare: bool) -> None:
        caller = batch[0].caller
        try:
            for waiting, outcome in zip(batch, await self._outcomes(batch, spare=spare), strict=True):
                waiting.answer(outcome)
        finally:
            for waiting in batch:
                # Only of a server that ends are there any left.
                waiting.results.cancel()
            if spare:
                self._spare_is_free = True
            else:
                self._free += 1
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]
            self._begin()

    async def _outcomes(self, batch: Sequence[GivenShare], *, spare: bool) -> Sequence[ShareOutcome]:
        context, shares = batch[0].context, tuple(waiting.share for waiting in batch)
        try:
            submit = partial(self._receiver.submit, context, shares, spare=spare)
            executor, future = submit() if self._receiver.is_started(spare=spare) else await run_in_threadpool(submit)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            return [await self._outcome_alone(executor, context, share) for share in shares]
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            return [error] * len(batch)

    async def _outcome_alone(self, executor: Executor, context: IngestContext, share: ReceivedShare) -> ShareOutcome:
        try:
            return await run_in_threadpool(self._receiver.results_alone, executor, context, share)
        except Exception as error:  # noqa: BLE001 - it is that of one share, and the others go on
            return error
