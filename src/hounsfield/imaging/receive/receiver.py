"""Instances that are received one request at a time (STOW-RS), as opposed to those of an import job.

    SpooledFile ─▶ ingest_received (a worker process) ─▶ StagedInstance ─┐
    SpooledFile ─▶ ingest_received                    ─▶ failure         ├─▶ commit, together with other requests
    SpooledFile ─▶ ingest_received                    ─▶ StagedInstance ─┘   (`hounsfield.imaging.receive.group_commit`)

Nothing of a request is visible before its commit; packs of one that is not committed are removed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager

import structlog

from hounsfield.imaging.datastores import active_datastore, fetched_key
from hounsfield.imaging.errors import BusyError
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.worker import IngestContext, warm_up
from hounsfield.imaging.receive.group_commit import GroupCommitter, StoreOutcome, StoreRequest, discard_packs
from hounsfield.imaging.receive.worker import (
    FailureReason,
    ReceivedResult,
    ReceivedShare,
    ShareOutcome,
    StoreFailure,
    ingest_received,
)
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.runtime.worker_pool import WorkerPool
from hounsfield.storage.identifiers import new_id

_log = structlog.get_logger(__name__)
_CONTEXT_SECONDS = 1.0
START_SECONDS = 5.0
"""How long a process answers requests before its workers are started, if none that stores came before."""


class Receiver:
    """Takes instances into data stores; one for each process that answers requests.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    processes : int
        Worker processes; they are started a while after `start`, or with the first instance that is received. There is one
        more, the spare one, from when it is used first.
    """

    def __init__(self, image_store: ImageStore, processes: int) -> None:
        self._image_store = image_store
        self.processes = processes
        self._lock = threading.Lock()
        self._committer = GroupCommitter(image_store, processes)
        self._pool: WorkerPool | None = None
        self._spare: WorkerPool | None = None
        self._closed = False
        self._starting = threading.Timer(START_SECONDS, self._started_pool)
        self._starting.daemon = True
        self._contexts: dict[str, tuple[float, IngestContext]] = {}

    def start(self) -> None:
        """Start the workers in a while: importing takes each of them longer than an instance, and nobody should wait for it."""
        self._starting.start()

    def is_started(self, *, spare: bool = False) -> bool:
        """Tell whether the workers, or the spare one, are there, so that `submit` does not wait for them to be started."""
        return (self._spare if spare else self._pool) is not None

    def context(self, datastore_id: str) -> IngestContext:
        """Give what workers need to know of a data store.

        Raises
        ------
        NotFoundError
            There is no such data store.
        ConflictError
            It is not ACTIVE.
        """
        with self._image_store.database.read() as connection:
            datastore = active_datastore(connection, self._image_store, datastore_id)
        context = IngestContext.of(self._image_store, datastore, fetched_key(self._image_store, datastore))
        self._contexts[datastore_id] = (time.monotonic() + _CONTEXT_SECONDS, context)
        return context

    def recent_context(self, datastore_id: str) -> IngestContext | None:
        """Give what `context` gave a moment ago; whether the data store is still ACTIVE is looked at again in the commit."""
        until, context = self._contexts.get(datastore_id, (0.0, None))
        if until > time.monotonic():
            return context
        self._contexts.pop(datastore_id, None)
        return None

    def submit(
        self, context: IngestContext, shares: Sequence[ReceivedShare], *, spare: bool = False
    ) -> tuple[Executor, Future[list[ShareOutcome]]]:
        """Hand shares of requests to a worker, or to the spare one; when it dies, each goes to `results_alone`."""
        pool = self._started_spare() if spare else self._started_pool()
        if pool is None:
            raise BusyError("The server is being stopped. Store the instances again in a moment.")
        return pool.submit(ingest_received, context, tuple(shares))

    def _started_pool(self) -> WorkerPool | None:
        """Give the workers, started when they are not there yet; None when there will be none any more."""
        with self._lock:
            if self._pool is None and not self._closed:
                self._pool = WorkerPool(self.processes, warm_up)
            return self._pool

    def _started_spare(self) -> WorkerPool | None:
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = WorkerPool(1, warm_up)
            return self._spare

    def results_alone(self, executor: Executor, context: IngestContext, share: ReceivedShare) -> list[ReceivedResult]:
        """Work on files whose worker died, each in a process of its own, so that only the culprit fails.

        Raises
        ------
        OSError
            A pack could not be written.
        """
        pool = self._pool
        if pool is None:
            raise ValueError("no file was submitted yet")
        for broken in (pool, self._spare):
            if broken is not None:
                broken.renew(executor)
        results: list[ReceivedResult] = []
        for file in share.files:
            single = ReceivedShare((file,), share.study_uid)
            with pool.single() as alone:
                try:
                    (outcome,) = alone.submit(ingest_received, context, (single,)).result()
                except BrokenProcessPool:
                    _log.warning("file ended its worker", ordinal=file.ordinal, size=file.content.size)
                    message = "The file could not be processed: it ended the process that worked on it"
                    failure = StoreFailure(FailureReason.PROCESSING_FAILURE, message)
                    outcome = [ReceivedResult(file.ordinal, failure=failure)]
                if isinstance(outcome, Exception):
                    self.discard(context, [result.instance for result in results if result.instance is not None])
                    raise outcome
                results.extend(outcome)
        return results

    def commit(
        self, context: IngestContext, access: ImageSetAccess, caller: str, staged: Mapping[int, StagedInstance]
    ) -> Future[StoreOutcome]:
        """Make the staged instances of a request, at least one, visible; from here on their packs are the committer's."""
        return self._committer.submit(StoreRequest(new_id(), context.key, staged, access, caller))

    def expecting(self, caller: str) -> AbstractContextManager[None]:
        """Tell, as a block, that all of a request of a caller is with the workers and will be committed soon."""
        return self._committer.expecting(caller)

    def discard(self, context: IngestContext, staged: Sequence[StagedInstance]) -> None:
        """Remove the packs of instances that are not to be committed."""
        discard_packs(self._image_store, context.key.datastore_id, staged)

    def close(self) -> None:
        """Commit what waits, and end the worker processes."""
        self._starting.cancel()
        self._committer.close()
        with self._lock:
            pools = [pool for pool in (self._pool, self._spare) if pool is not None]
            self._pool = self._spare = None
            self._closed = True
        for pool in pools:
            pool.close()
