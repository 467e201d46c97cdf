"""The isolated worker: a process for files that were with a worker when it died, each alone, so that only the culprit fails.

files of the lost shares ─▶ IsolatedWorker ─┬─▶ result
                                            └─▶ its process died: this file did it; a new process for the next
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from types import TracebackType

from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import FileResult, InputFile, Share
from hounsfield.imaging.ingest.worker import ingest
from hounsfield.imaging.ingest.workers import IngestWorkers
from hounsfield.runtime.worker_pool import NoProcessError
from hounsfield.storage.blobs.spool import SpooledFile
from hounsfield.storage.buckets.buckets import ObjectEntry


class IsolatedWorker:
    """One process that works on one file at a time and that no other file can end, as an asynchronous block.

    Parameters
    ----------
    workers : IngestWorkers
        Whose processes died.
    """

    def __init__(self, workers: IngestWorkers) -> None:
        self._workers = workers
        self._single: AbstractContextManager[Executor] | None = None
        self._executor: Executor | None = None

    async def __aenter__(self) -> IsolatedWorker:
        """Begin; the process is started with the first file."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._end()

    async def result(
        self, context: IngestContext, file: InputFile[ObjectEntry | SpooledFile], study_uid: str | None = None
    ) -> FileResult:
        """Work on a file.

        Raises
        ------
        BrokenProcessPool
            The file ended the process.
        NoProcessError
            No process can be started now.
        OSError, InputUnreadableError
            A pack could not be written, or the object not be read. What else a worker meets is raised too.
        """
        if self._executor is None:
            self._single = self._workers.pool().single()
            self._executor = await asyncio.to_thread(self._single.__enter__)
        share = Share((file,), study_uid)
        try:
            (outcome,) = await asyncio.wrap_future(self._executor.submit(ingest, context, (share,)))
        except (BrokenProcessPool, NoProcessError):
            self._end()
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome[0]

    def _end(self) -> None:
        if self._single is not None:
            self._single.__exit__(None, None, None)
        self._single = self._executor = None
