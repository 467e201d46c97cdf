"""The transcoding of a job's files: batches to the workers, outcomes to the database, and what to do when a worker dies.

    pending files ─▶ batches ─▶ WorkerPool ─▶ results ─▶ one transaction for all that are ready
                                     │
                                     └ a worker died ─▶ each file of the lost batches alone ─▶ only the culprit fails

A file too large for one worker is cut into ranges of frames that all workers share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.files import note_attempt, pending_files, record_results
from hounsfield.imaging.imports.input_listing import check_permitted
from hounsfield.imaging.ingest.file_results import FileErrorType, FileOutcome, FileResult, InputFile
from hounsfield.imaging.ingest.large_files import FramePart, ingest_frames, ingest_with_parts
from hounsfield.imaging.ingest.worker import IngestContext, InputUnreadableError, ingest_batch
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.runtime.worker_pool import WorkerPool
from hounsfield.storage.blobs.packs import pack_name
from hounsfield.storage.buckets.bucket_access import BucketAccess, BucketAction, BucketUse
from hounsfield.storage.identifiers import new_instance_key
from hounsfield.storage.keys.data_key import KeyUnavailableError

T = TypeVar("T")
_log = structlog.get_logger(__name__)

FILES_PER_BATCH = 25
BYTES_PER_BATCH = 32 * 1024 * 1024
LARGE_FILE_BYTES = 48 * 1024 * 1024
_MAX_ATTEMPTS = 3
_STOP_SECONDS = 0.5
_COMMIT_SECONDS = 0.5
_MESSAGES: dict[type[Exception], str] = {
    BrokenProcessPool: "The file could not be processed: it ended the process that worked on it",
    InputUnreadableError: "The file could not be read",
}
_FAILED = "The file could not be processed, see the log of the service"


@dataclass(frozen=True, slots=True)
class _Submitted:
    files: tuple[InputFile, ...]
    executor: Executor


class BatchRun:
    """Brings every pending file of a job to an outcome.

    Parameters
    ----------
    image_store : ImageStore
        Where the rows are.
    pool : WorkerPool
        Who does the work.
    item : WorkItem
        The lease that every commit checks.
    context : IngestContext
        What the workers need to know.
    check : callable
        Called again and again; raises when the work is not to go on.
    access : BucketAccess
        What the job may read, asked for every file before a worker gets it.
    """

    def __init__(
        self,
        image_store: ImageStore,
        pool: WorkerPool,
        item: WorkItem,
        context: IngestContext,
        check: Callable[[], None],
        access: BucketAccess,
    ) -> None:
        self._image_store = image_store
        self._pool = pool
        self._item = item
        self._context = context
        self._check = check
        self._access = access

    def run(self) -> None:
        """Work until no file is pending.

        Raises
        ------
        JobFailedError
            The job may not read one of its files. What ``check``, the database or the lease raise is raised too.
        """
        while pending := self._pending():
            fresh = [file for file in pending if file.attempts == 0]
            if fresh:
                self._run_together([file for file in fresh if file.size < LARGE_FILE_BYTES])
                for file in fresh:
                    if file.size >= LARGE_FILE_BYTES:
                        self._run_alone(file, self._result_of_parts)
            else:
                self._run_suspects(pending)

    def _check_readable(self, files: Iterable[InputFile]) -> None:
        bucket, metadata = self._context.bucket, self._context.metadata
        keys = [file.key for file in files]
        if metadata is not None:
            keys += [source.entry.key for source in metadata.sources if source.entry is not None]
        check_permitted(self._access, (BucketUse(BucketAction.READ, bucket, key) for key in keys))

    def _pending(self) -> list[InputFile]:
        with self._image_store.database.read() as connection:
            return pending_files(connection, self._item.subject_id)

    def _run_together(self, files: Sequence[InputFile]) -> None:
        waiting = batches(files, self._pool.processes)
        running: dict[Future[list[FileResult]], _Submitted] = {}
        finished: list[tuple[_Submitted, Future[list[FileResult]]]] = []
        recorded = time.monotonic()
        while True:
            while len(running) < 2 * self._pool.processes and (batch := next(waiting, None)) is not None:
                self._check_readable(batch)
                executor, future = self._pool.submit(ingest_batch, self._context, batch)
                running[future] = _Submitted(batch, executor)
            if finished and (not running or time.monotonic() - recorded > _COMMIT_SECONDS):
                self._record(finished)
                finished, recorded = [], time.monotonic()
            if not running:
                return
            done, _ = wait(running, timeout=_STOP_SECONDS, return_when=FIRST_COMPLETED)
            self._check()
            finished.extend((running.pop(future), future) for future in done)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                recorded = 0.0

    def _record(self, finished: Sequence[tuple[_Submitted, Future[list[FileResult]]]]) -> None:
        results: list[FileResult] = []
        lost: list[InputFile] = []
        for submitted, future in finished:
            try:
                results.extend(future.result())
            except OSError:
                # The packs cannot be written; the job waits and tries again.
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, each file alone shows whose doing it was
                _log.warning(
                    "batch lost", job=self._item.subject_id, files=len(submitted.files), error=type(error).__name__
                )
                lost.extend(submitted.files)
                if isinstance(error, BrokenProcessPool):
                    self._pool.renew(submitted.executor)
        self._commit(results, lost)

    def _commit(self, results: Sequence[FileResult], lost: Sequence[InputFile] = ()) -> None:
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, self._item)
            record_results(connection, self._item.subject_id, self._context.key, results)
            note_attempt(connection, self._item.subject_id, lost)

    def _run_suspects(self, files: Sequence[InputFile]) -> None:
        """Work on files that were lost before, in a process that no other file can end; a new one after each death."""
        waiting = list(files)
        while waiting:
            with self._pool.single() as executor:

                def result(file: InputFile, executor: Executor = executor) -> FileResult:
                    return self._wait_for(executor, executor.submit(ingest_batch, self._context, (file,)))[0]

                while waiting and self._run_alone(waiting.pop(0), result):
                    pass

    def _run_alone(self, file: InputFile, work: Callable[[InputFile], FileResult]) -> bool:
        """Bring one file to its outcome, or count one more try of it; False when a process died of it."""
        self._check_readable((file,))
        try:
            result = work(file)
        except (OSError, StoppedError, KeyUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - a file that no worker can be done with must not stop the others
            _log.warning("file lost", job=self._item.subject_id, ordinal=file.ordinal, error=type(error).__name__)
            if file.attempts + 1 < _MAX_ATTEMPTS:
                self._commit([], [file])
            else:
                message = _MESSAGES.get(type(error), _FAILED)
                self._commit([FileResult(file.ordinal, FileOutcome.FAILED, None, FileErrorType.SERVER, message)])
            return not isinstance(error, BrokenProcessPool)
        self._commit([result])
        return True

    def _result_of_parts(self, file: InputFile) -> FileResult:
        """Let all workers share the frames of a large file, then make the instance of them."""
        key = new_instance_key()
        count = self._pool.processes
        submitted = [self._pool.submit(ingest_frames, self._context, file, key, part, count) for part in range(count)]
        parts: list[FramePart | None] = [self._wait_for(*entry) for entry in submitted]
        whole = [part for part in parts if part is not None]
        # A part that could not be made (pixel data that has no frames, say) leaves the whole file to one worker.
        usable = tuple(whole) if len(whole) == count else None
        if usable is None:
            self._drop(whole)
        return self._wait_for(*self._pool.submit(ingest_with_parts, self._context, file, key, usable))

    def _drop(self, parts: Sequence[FramePart]) -> None:
        """Delete the packs of parts that become no instance; one that cannot be deleted is found as an orphan later."""
        for pack_id in {run.pack_id for part in parts for run in part.pixels.runs}:
            with suppress(OSError):
                self._image_store.blobs.delete(pack_name(self._context.key.datastore_id, pack_id))

    def _wait_for(self, executor: Executor, future: Future[T]) -> T:
        try:
            while True:
                self._check()
                if wait([future], timeout=_STOP_SECONDS).done:
                    return future.result()
        except BrokenProcessPool:
            self._pool.renew(executor)
            raise


def batches(files: Sequence[InputFile], processes: int) -> Iterator[tuple[InputFile, ...]]:
    """Cut files into batches, small enough that all processes are busy to the end."""
    most = max(1, min(FILES_PER_BATCH, -(-len(files) // (processes * 8))))
    batch: list[InputFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) >= most or size + file.size > BYTES_PER_BATCH):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield tuple(batch)
