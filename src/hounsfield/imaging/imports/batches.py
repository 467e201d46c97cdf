"""The files of an import job on their way through the workers, each to an outcome that its row keeps.

    pending files ─▶ shares ─▶ IngestScheduler ─▶ results ─▶ one transaction for all that are ready
                                     │
                                     └ a worker died ─▶ an attempt is noted for each file of the lost shares,
                                                        then each goes alone (`IsolatedWorker`) ─▶ only the culprit fails

A file too large for one worker is cut into ranges of frames that all workers share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.files import FileRecord, JobFile, list_pending_files, note_attempt, record_outcomes
from hounsfield.imaging.imports.input_listing import check_permitted
from hounsfield.imaging.imports.waiting import JobWait
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import ENDED_ITS_WORKER, Failure, FailureReason, FileResult, Share
from hounsfield.imaging.ingest.isolation import IsolatedWorker
from hounsfield.imaging.ingest.large_files import ingest_frames, ingest_with_parts
from hounsfield.imaging.ingest.pixel_writer import StoredPixels
from hounsfield.imaging.ingest.scheduler import IngestScheduler, Results
from hounsfield.imaging.ingest.worker import InputUnreadableError
from hounsfield.imaging.ingest.workers import IngestWorkers
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.runtime.batches import in_batches
from hounsfield.storage.blobs.packs import delete_packs
from hounsfield.storage.buckets.bucket_access import BucketAccess, BucketAction, BucketUse
from hounsfield.storage.identifiers import new_instance_key
from hounsfield.storage.keys.data_key import KeyUnavailableError

T = TypeVar("T")
_log = structlog.get_logger(__name__)

FILES_PER_SHARE = 25
BYTES_PER_SHARE = 32 * 1024 * 1024
LARGE_FILE_BYTES = 48 * 1024 * 1024
_MAX_ATTEMPTS = 3
_STOP_SECONDS = 0.5
_COMMIT_SECONDS = 0.5
_MESSAGES: dict[type[Exception], str] = {
    BrokenProcessPool: ENDED_ITS_WORKER,
    InputUnreadableError: "The file could not be read",
}
_FAILED = "The file could not be processed, see the log of the service"


class BatchRun:
    """Brings every pending file of a job to an outcome.

    Parameters
    ----------
    image_store : ImageStore
        Where the rows are.
    workers : IngestWorkers
        The processes that do the work.
    item : WorkItem
        The lease that every commit checks.
    context : IngestContext
        What the workers need to know.
    check : callable
        Called again and again; raises when the work is not to go on.
    access : BucketAccess
        What the job may read, asked for every file before a worker gets it.
    wait : JobWait
        Lets the job wait while the disks take no more.
    """

    def __init__(
        self,
        image_store: ImageStore,
        workers: IngestWorkers,
        item: WorkItem,
        context: IngestContext,
        check: Callable[[], None],
        access: BucketAccess,
        wait: JobWait,
    ) -> None:
        self._image_store = image_store
        self._workers = workers
        self._item = item
        self._context = context
        self._check = check
        self._access = access
        self._wait = wait

    def run(self) -> None:
        """Work until no file is pending, in an event loop of this thread.

        Raises
        ------
        JobFailedError
            The job may not read one of its files. What ``check``, the database or the lease raise is raised too.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        scheduler = IngestScheduler(self._workers)
        while pending := self._pending():
            fresh = [file for file in pending if file.attempts == 0]
            if fresh:
                await self._run_together(scheduler, [file for file in fresh if file.size < LARGE_FILE_BYTES])
                for file in fresh:
                    if file.size >= LARGE_FILE_BYTES:
                        await self._run_alone(file, self._result_of_parts(scheduler, file))
            else:
                await self._run_suspects(pending)

    def _check_readable(self, files: Iterable[JobFile]) -> None:
        bucket, metadata = self._context.bucket, self._context.metadata
        keys = [file.content.key for file in files]
        if metadata is not None:
            keys += [source.entry.key for source in metadata.sources if source.entry is not None]
        check_permitted(self._access, (BucketUse(BucketAction.READ, bucket, key) for key in keys))

    def _pending(self) -> list[JobFile]:
        with self._image_store.database.read() as connection:
            return list_pending_files(connection, self._item.subject_id)

    async def _run_together(self, scheduler: IngestScheduler, files: Sequence[JobFile]) -> None:
        waiting = cut_shares(files, self._workers.processes)
        running: dict[Results, tuple[JobFile, ...]] = {}
        finished: dict[Results, tuple[JobFile, ...]] = {}
        recorded, all_begun = time.monotonic(), False
        while True:
            while len(running) < scheduler.places and self._wait.is_over and not all_begun:
                batch = next(waiting, None)
                if batch is None:
                    all_begun = True
                    break
                self._check_readable(batch)
                share = scheduler.submit(self._item.subject_id, self._context, Share(batch), isolates=False)
                running[share.results] = batch
            if finished and (not running or time.monotonic() - recorded > _COMMIT_SECONDS):
                self._record(finished)
                finished, recorded = {}, time.monotonic()
            if not running:
                if all_begun:
                    return
                # What was begun is in the rows.
                self._wait.for_room()
                continue
            done, _ = await asyncio.wait(running, timeout=_STOP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._check()
            finished.update((results, running.pop(results)) for results in done)
            if any(isinstance(results.exception(), BrokenProcessPool) for results in done):
                recorded = 0.0

    def _record(self, finished: dict[Results, tuple[JobFile, ...]]) -> None:
        records: list[FileRecord] = []
        lost: list[JobFile] = []
        for results, files in finished.items():
            try:
                by_ordinal = {result.ordinal: result for result in results.result()}
                records.extend(FileRecord.of(file, by_ordinal[file.ordinal]) for file in files)
            except OSError:
                # The packs cannot be written; the job waits and tries again.
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, each file alone shows whose doing it was
                _log.warning("batch lost", job=self._item.subject_id, files=len(files), error=type(error).__name__)
                lost.extend(files)
        self._commit(records, lost)

    def _commit(self, records: Sequence[FileRecord], lost: Sequence[JobFile] = ()) -> None:
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, self._item)
            record_outcomes(connection, self._item.subject_id, self._context.key, records)
            note_attempt(connection, self._item.subject_id, lost)

    async def _run_suspects(self, files: Sequence[JobFile]) -> None:
        """Work on files that were lost before, each alone."""
        async with IsolatedWorker(self._workers) as worker:
            for file in files:
                await self._run_alone(file, worker.result(self._context, file))

    async def _run_alone(self, file: JobFile, work: Coroutine[Any, Any, FileResult]) -> None:
        """Bring one file to its outcome, or count one more attempt of it."""
        try:
            self._wait.for_room()
            self._check_readable((file,))
        except BaseException:
            work.close()
            raise
        try:
            result = await self._checked(work)
        except (OSError, StoppedError, KeyUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - a file that no worker can be done with must not stop the others
            _log.warning("file lost", job=self._item.subject_id, ordinal=file.ordinal, error=type(error).__name__)
            if file.attempts + 1 < _MAX_ATTEMPTS:
                self._commit([], [file])
                return
            message = _MESSAGES.get(type(error), _FAILED)
            result = FileResult(file.ordinal, failure=Failure(FailureReason.PROCESSING_FAILURE, message))
        self._commit([FileRecord.of(file, result)])

    async def _result_of_parts(self, scheduler: IngestScheduler, file: JobFile) -> FileResult:
        """Let all workers share the frames of a large file, then make the instance of them."""
        key, count = new_instance_key(), self._workers.processes
        calls = (scheduler.call(ingest_frames, self._context, file, key, part, count) for part in range(count))
        whole = [part for part in await asyncio.gather(*calls) if part is not None]
        # A part that could not be made (pixel data that has no frames, say) leaves the whole file to one worker.
        usable = tuple(whole) if len(whole) == count else None
        if usable is None:
            self._drop(whole)
        return await scheduler.call(ingest_with_parts, self._context, file, key, usable)

    def _drop(self, parts: Sequence[StoredPixels]) -> None:
        """Delete the packs of parts that become no instance; one that cannot be deleted is found as an orphan later."""
        pack_ids = {run.pack_id for part in parts for run in part.runs}
        with suppress(OSError):
            delete_packs(self._image_store.blobs, self._context.key.datastore_id, pack_ids)

    async def _checked(self, work: Awaitable[T]) -> T:
        """Wait for something, and check again and again whether to go on."""
        task = asyncio.ensure_future(work)
        while not task.done():
            self._check()
            await asyncio.wait([task], timeout=_STOP_SECONDS)
        return task.result()


def cut_shares(files: Sequence[JobFile], processes: int) -> Iterator[tuple[JobFile, ...]]:
    """Cut files into shares, small enough that all processes are busy to the end."""
    most = max(1, min(FILES_PER_SHARE, -(-len(files) // (processes * 8))))
    return map(tuple, in_batches(files, lambda file: file.size, BYTES_PER_SHARE, most))
