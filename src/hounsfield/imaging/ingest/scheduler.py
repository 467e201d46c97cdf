"""The scheduler of shares: hands them to the workers, in batches and by turns, and deals with the death of a worker.

    request, job ─▶ share ─┐                                      ┌─▶ its results
    request, job ─▶ share ─┼─▶ waiting ─▶ a place is free: batch ─┼─▶ its results
    request, job ─▶ share ─┘             (one message, one task)  └─▶ its error, alone
                                                  │
                                                  └ a worker died ─▶ the files of each share alone, or the loss is reported

A share that finds a place free is begun at once, alone. Those that come while all places are taken wait, and go together: a
message to a worker and its answer cost nearly the same for one file and for many, and what is ready at the same moment is
committed together. What becomes of a share does not depend on the others of its batch.

Owners, the callers of requests or a job, take the places by turns. Nobody can take a file from a worker that has begun with
it, and some take long; whoever has nothing with the workers while others hold all places therefore goes to a spare one. All
of this happens in one event loop: that of the API process, or of the thread that runs a job.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeAlias, TypeVar

import structlog

from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import (
    ENDED_ITS_WORKER,
    Failure,
    FailureReason,
    FileResult,
    Share,
    ShareOutcome,
    list_staged,
)
from hounsfield.imaging.ingest.isolation import IsolatedWorker
from hounsfield.imaging.ingest.worker import ingest
from hounsfield.imaging.ingest.workers import IngestWorkers
from hounsfield.imaging.staged_instance import pack_ids_of
from hounsfield.runtime.worker_pool import NoWorkersError
from hounsfield.storage.blobs.packs import delete_packs

P = ParamSpec("P")
T = TypeVar("T")
_log = structlog.get_logger(__name__)

FILES_PER_BATCH = 16
BYTES_PER_BATCH = 8 * 1024 * 1024
_PLACES_PER_WORKER = 2

Results: TypeAlias = "asyncio.Future[list[FileResult]]"
"""What becomes of the files of a share; raises what its outcome is where that is an exception."""


@dataclass(frozen=True, slots=True, eq=False)
class ScheduledShare:
    """A share that waits for its turn, or is worked on.

    Attributes
    ----------
    owner : str
        Unique id of the caller who stores them, or of the job.
    context : IngestContext
        What a worker needs to know.
    share : Share
        The files.
    isolates : bool
        Whether its files are tried alone when their worker died. Otherwise `BrokenProcessPool` is their outcome.
    begun : asyncio.Future
        Done when it is with the workers: whoever waits for it lets no more of a request arrive than can be worked on.
    results : asyncio.Future
        What becomes of the files.
    """

    owner: str
    context: IngestContext
    share: Share
    isolates: bool
    begun: asyncio.Future[None]
    results: Results

    def settle(self, outcome: ShareOutcome) -> None:
        """Hand over what became of the files."""
        if self.results.done():
            return
        if isinstance(outcome, Exception):
            self.results.set_exception(outcome)
        else:
            self.results.set_result(outcome)


class IngestScheduler:
    """Gathers the shares of all requests of this process, or those of a job, into batches.

    Parameters
    ----------
    workers : IngestWorkers
        So many batches are with them at a time that each finds the next one when it ends one.
    """

    def __init__(self, workers: IngestWorkers) -> None:
        self._workers = workers
        self._taken = 0
        self._spare_is_free = True
        # Owners in the order of their turns: whoever had one goes to the end.
        self._lines: dict[str, deque[ScheduledShare]] = {}
        self._under_way: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def places(self) -> int:
        """Batches that are with the workers at most, besides the one of the spare worker; more when workers join."""
        return _PLACES_PER_WORKER * self._workers.processes

    def submit(self, owner: str, context: IngestContext, share: Share, *, isolates: bool = True) -> ScheduledShare:
        """Let a share be worked on when the turn of its owner comes; parameters are those of `ScheduledShare`."""
        loop = asyncio.get_running_loop()
        scheduled = ScheduledShare(owner, context, share, isolates, loop.create_future(), loop.create_future())
        self._lines.setdefault(owner, deque()).append(scheduled)
        self._begin()
        return scheduled

    async def call(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a worker do something else than a share, at once; raises what it raises, `BrokenProcessPool` when it dies."""
        executor, future = self._workers.pool().submit(task, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            self._workers.renew(executor)
            raise

    def withdraw(self, unwanted: Collection[Results]) -> None:
        """Let go of shares that nobody wants any more, those that are not begun; the others go on."""
        for owner, line in list(self._lines.items()):
            gone = [waiting for waiting in line if waiting.results in unwanted]
            if gone:
                self._set_line(owner, [waiting for waiting in line if waiting.results not in unwanted])
            for waiting in gone:
                waiting.results.cancel()

    def _set_line(self, owner: str, line: Sequence[ScheduledShare]) -> None:
        if line:
            self._lines[owner] = deque(line)
        else:
            self._lines.pop(owner, None)

    def _begin(self) -> None:
        while (turn := self._turn()) is not None:
            owner, spare = turn
            batch = self._next_batch(owner)
            if spare:
                self._spare_is_free = False
            else:
                self._taken += 1
            self._under_way[owner] += 1
            for waiting in batch:
                if not waiting.begun.done():
                    waiting.begun.set_result(None)
            task = asyncio.create_task(self._run(batch, spare=spare))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _turn(self) -> tuple[str, bool] | None:
        """Return whose turn it is, and whether it goes to the spare worker; None when there is nobody, or no place."""
        if self._taken < self.places:
            following = next(iter(self._lines), None)
            return None if following is None else (following, False)
        if not self._spare_is_free:
            return None
        newcomer = next((owner for owner in self._lines if not self._under_way[owner]), None)
        return None if newcomer is None else (newcomer, True)

    def _next_batch(self, owner: str) -> list[ScheduledShare]:
        """Take the first that waits of an owner, and what goes with it: a worker's part of what waits, at most a batch."""
        line = self._lines.pop(owner)
        total = sum(len(waiting.share.files) for waiting in line)
        most = min(FILES_PER_BATCH, -(-total // self._workers.processes))
        batch: list[ScheduledShare] = []
        rest: list[ScheduledShare] = []
        files = size = 0
        for waiting in line:
            share = waiting.share
            fits = not batch or (
                waiting.context is batch[0].context
                and waiting.isolates == batch[0].isolates
                and files + len(share.files) <= most
                and size + share.size <= BYTES_PER_BATCH
            )
            (batch if fits else rest).append(waiting)
            if fits:
                files, size = files + len(share.files), size + share.size
        self._set_line(owner, rest)
        return batch

    async def _run(self, batch: Sequence[ScheduledShare], *, spare: bool) -> None:
        owner = batch[0].owner
        try:
            for waiting, outcome in zip(batch, await self._outcomes(batch, spare=spare), strict=True):
                waiting.settle(outcome)
        finally:
            for waiting in batch:
                # Only of a server that ends are there any left.
                waiting.results.cancel()
            if spare:
                self._spare_is_free = True
            else:
                self._taken -= 1
            self._under_way[owner] -= 1
            if not self._under_way[owner]:
                del self._under_way[owner]
            self._begin()

    async def _outcomes(self, batch: Sequence[ScheduledShare], *, spare: bool) -> Sequence[ShareOutcome]:
        context, shares = batch[0].context, tuple(waiting.share for waiting in batch)
        try:
            remote = self._workers.remote(shares)
            try:
                if remote is not None:
                    # Those that are not reached any more are not waited for where processes of this machine can do it.
                    with suppress(NoWorkersError):
                        return await asyncio.wrap_future(remote.submit(ingest, context, shares)[1])
                pool = partial(self._workers.pool, spare=spare)
                ready = pool() if self._workers.is_started(spare=spare) else await asyncio.to_thread(pool)
                executor, future = ready.submit(ingest, context, shares)
                try:
                    return await asyncio.wrap_future(future)
                except BrokenProcessPool:
                    await asyncio.to_thread(self._workers.renew, executor)
                    raise
            except BrokenProcessPool as error:
                return [await self._isolated(waiting) if waiting.isolates else error for waiting in batch]
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            return [error] * len(batch)

    async def _isolated(self, waiting: ScheduledShare) -> ShareOutcome:
        """Work on the files of a share whose worker died, each alone, so that only the culprit fails."""
        context, results = waiting.context, list[FileResult]()
        try:
            async with IsolatedWorker(self._workers) as worker:
                for file in waiting.share.files:
                    try:
                        results.append(await worker.result(context, file, waiting.share.study_uid))
                    except BrokenProcessPool:
                        _log.warning("file ended its worker", ordinal=file.ordinal, size=file.size)
                        failure = Failure(FailureReason.PROCESSING_FAILURE, ENDED_ITS_WORKER)
                        results.append(FileResult(file.ordinal, failure=failure))
        except Exception as error:  # noqa: BLE001 - it is that of one share, and the others go on
            await asyncio.to_thread(_delete_packs, context, results)
            return error
        return results


def _delete_packs(context: IngestContext, results: list[FileResult]) -> None:
    """Delete the packs of results that nobody gets; one that cannot be deleted is found as an orphan later."""
    with suppress(OSError):
        delete_packs(context.blob_location.open(), context.key.datastore_id, pack_ids_of(list_staged(results)))
