"""Batches for the workers of STOW-RS, each made of what several requests have waiting.

    request ─▶ share ─┐                                      ┌─▶ its results
    request ─▶ share ─┼─▶ waiting ─▶ a place is free: batch ─┼─▶ its results
    request ─▶ share ─┘             (one message, one task)  └─▶ its error, alone

A share that finds a place free is begun at once, alone. Those that come while all places are taken wait, and go together: a
message to a worker and its answer cost nearly the same for one file and for many, and what is ready at the same moment is
committed together. What becomes of a share does not depend on the others of its batch. Everything here happens in the event
loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from hounsfield.imaging.ingest import IngestContext
from hounsfield.imaging.received_files import ReceivedResult, ReceivedShare, ShareOutcome
from hounsfield.imaging.receiving import Receiver

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
    context : IngestContext
        What a worker needs to know.
    share : ReceivedShare
        The files.
    begun : asyncio.Future
        Done when it is with the workers: whoever waits for it lets no more of a request arrive than can be worked on.
    results : asyncio.Future
        What becomes of the files.
    """

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
        self._waiting: list[GivenShare] = []
        self._running: set[asyncio.Task[None]] = set()

    def give(self, context: IngestContext, share: ReceivedShare) -> GivenShare:
        """Let a share be worked on when its turn comes."""
        loop = asyncio.get_running_loop()
        given = GivenShare(context, share, loop.create_future(), loop.create_future())
        self._waiting.append(given)
        self._begin()
        return given

    def withdraw(self, unwanted: Collection[Results]) -> None:
        """Let go of shares that nobody wants any more, those that are not begun; the others go on."""
        gone = [waiting for waiting in self._waiting if waiting.results in unwanted]
        self._waiting = [waiting for waiting in self._waiting if waiting.results not in unwanted]
        for waiting in gone:
            waiting.results.cancel()

    def _begin(self) -> None:
        while self._free and self._waiting:
            batch = self._next_batch()
            self._free -= 1
            for waiting in batch:
                if not waiting.begun.done():
                    waiting.begun.set_result(None)
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _next_batch(self) -> list[GivenShare]:
        """Take the first that waits, and what goes with it: a worker's part of what waits, no more than a batch may have."""
        total = sum(len(waiting.share.files) for waiting in self._waiting)
        most = min(FILES_PER_BATCH, -(-total // self._receiver.processes))
        batch: list[GivenShare] = []
        rest: list[GivenShare] = []
        files = size = 0
        for waiting in self._waiting:
            share = waiting.share
            fits = not batch or (
                waiting.context is batch[0].context
                and files + len(share.files) <= most
                and size + share.size <= BYTES_PER_BATCH
            )
            (batch if fits else rest).append(waiting)
            if fits:
                files, size = files + len(share.files), size + share.size
        self._waiting = rest
        return batch

    async def _run(self, batch: Sequence[GivenShare]) -> None:
        try:
            for waiting, outcome in zip(batch, await self._outcomes(batch), strict=True):
                waiting.answer(outcome)
        finally:
            for waiting in batch:
                # Only of a server that ends are there any left.
                waiting.results.cancel()
            self._free += 1
            self._begin()

    async def _outcomes(self, batch: Sequence[GivenShare]) -> Sequence[ShareOutcome]:
        context, shares = batch[0].context, tuple(waiting.share for waiting in batch)
        try:
            if self._receiver.is_started:
                executor, future = self._receiver.submit(context, shares)
            else:
                executor, future = await run_in_threadpool(self._receiver.submit, context, shares)
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
