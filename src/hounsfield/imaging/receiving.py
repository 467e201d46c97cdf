"""Instances that are received one request at a time (STOW-RS), as opposed to those of an import job.

    SpooledFile ─▶ ingest_received (a worker process) ─▶ StagedInstance ─┐
    SpooledFile ─▶ ingest_received                    ─▶ failure         ├─▶ commit, together with other requests
    SpooledFile ─▶ ingest_received                    ─▶ StagedInstance ─┘   (`hounsfield.imaging.group_commit`)

Nothing of a request is visible before its commit; packs of one that is not committed are removed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum

import structlog

from hounsfield.dicom.errors import DicomDirectory, DicomError
from hounsfield.imaging.archive import Archive
from hounsfield.imaging.datastores import active_datastore, fetched_key
from hounsfield.imaging.group_commit import GroupCommitter, StoreOutcome, StoreRequest, discard_packs
from hounsfield.imaging.ingest import (
    IngestContext,
    SeriesPacks,
    finish_instance,
    read_record,
    time_limit,
    warm_up,
)
from hounsfield.imaging.pixel_store import store_pixels
from hounsfield.imaging.staging import StagedInstance
from hounsfield.jobs.workers import WorkerPool
from hounsfield.pixels.errors import FramesError
from hounsfield.storage.identifiers import new_id, new_instance_key
from hounsfield.storage.spool import SpooledFile

_log = structlog.get_logger(__name__)
_CONTEXT_SECONDS = 1.0


class FailureReason(IntEnum):
    """Why an instance was not stored (Failure Reason (0008,1197), PS3.18 Table I.2-2)."""

    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    WRONG_STUDY = 0xA901
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of a request, by its place in it."""

    ordinal: int
    content: SpooledFile


@dataclass(frozen=True, slots=True)
class StoreFailure:
    """Why a file was not stored; the UIDs are empty where they are not known."""

    reason: FailureReason
    message: str
    sop_uid: str = ""
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedResult:
    """What became of a file: exactly one of ``instance`` and ``failure`` is set."""

    ordinal: int
    instance: StagedInstance | None = None
    failure: StoreFailure | None = None


def ingest_received(
    context: IngestContext, files: Sequence[ReceivedFile], study_uid: str | None
) -> list[ReceivedResult]:
    """Read, transcode, verify and store some files, in a worker process.

    Parameters
    ----------
    context : IngestContext
        What a worker needs to know.
    files : Sequence[ReceivedFile]
        The files.
    study_uid : str or None
        The study that all must belong to.

    Raises
    ------
    OSError
        A pack could not be written.
    """
    packs = SeriesPacks(context.blob_place.open(), context.key)
    results = []
    try:
        for file in files:
            failure = _ingest(context, file, packs, study_uid)
            if failure is not None:
                results.append(ReceivedResult(file.ordinal, failure=failure))
        results.extend(ReceivedResult(staged.ordinal, staged.instance) for staged in packs.close())
    finally:
        packs.abort()
    return results


def _ingest(
    context: IngestContext, file: ReceivedFile, packs: SeriesPacks, study_uid: str | None
) -> StoreFailure | None:
    source = file.content.open()
    sop_uid = sop_class_uid = ""
    try:
        with time_limit(file.content.size):
            part10, record = read_record(context, source)
            sop_uid, sop_class_uid = record.sop_uid, record.sop_class_uid
            if study_uid is not None and record.study_uid != study_uid:
                message = "The Study Instance UID of the instance is not that of the request's path"
                return StoreFailure(FailureReason.WRONG_STUDY, message, sop_uid, sop_class_uid)
            pack = packs.of(record.series_uid)
            key = new_instance_key()
            pixels = store_pixels(part10, key, pack.writer, context.lossless_format)
            pack.add(file.ordinal, finish_instance(context, key, part10, record, pixels))
    except DicomDirectory:
        return StoreFailure(FailureReason.SOP_CLASS_NOT_SUPPORTED, "The file is a DICOMDIR, not an instance")
    except (DicomError, FramesError) as error:
        return StoreFailure(FailureReason.CANNOT_UNDERSTAND, str(error), sop_uid, sop_class_uid)
    finally:
        source.close()
    return None


class Receiver:
    """Takes instances into data stores; one for each process that answers requests.

    Parameters
    ----------
    archive : Archive
        Where everything is.
    processes : int
        Worker processes, started when the first instance is received.
    """

    def __init__(self, archive: Archive, processes: int) -> None:
        self._archive = archive
        self.processes = processes
        self._lock = threading.Lock()
        self._committer = GroupCommitter(archive, processes)
        self._pool: WorkerPool | None = None
        self._contexts: dict[str, tuple[float, IngestContext]] = {}

    @property
    def is_started(self) -> bool:
        """Whether the workers are there, so that `submit` does not wait for them to be started."""
        return self._pool is not None

    def context(self, datastore_id: str) -> IngestContext:
        """Give what workers need to know of a data store.

        Raises
        ------
        NotFoundError
            There is no such data store.
        ConflictError
            It is not ACTIVE.
        """
        with self._archive.database.read() as connection:
            datastore = active_datastore(connection, self._archive, datastore_id)
        context = IngestContext.of(self._archive, datastore, fetched_key(self._archive, datastore))
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
        self, context: IngestContext, files: Sequence[ReceivedFile], study_uid: str | None
    ) -> tuple[Executor, Future[list[ReceivedResult]]]:
        """Hand files to a worker; what the future raises goes to `results_alone`."""
        with self._lock:
            if self._pool is None:
                self._pool = WorkerPool(self.processes, warm_up)
            pool = self._pool
        return pool.submit(ingest_received, context, tuple(files), study_uid)

    def results_alone(
        self, executor: Executor, context: IngestContext, files: Sequence[ReceivedFile], study_uid: str | None
    ) -> list[ReceivedResult]:
        """Work on files whose worker died, each in a process of its own, so that only the culprit fails."""
        pool = self._pool
        if pool is None:
            raise ValueError("no file was submitted yet")
        pool.renew(executor)
        results = []
        for file in files:
            with pool.single() as alone:
                try:
                    results.extend(alone.submit(ingest_received, context, (file,), study_uid).result())
                except BrokenProcessPool:
                    _log.warning("file ended its worker", ordinal=file.ordinal, size=file.content.size)
                    message = "The file could not be processed: it ended the process that worked on it"
                    failure = StoreFailure(FailureReason.PROCESSING_FAILURE, message)
                    results.append(ReceivedResult(file.ordinal, failure=failure))
        return results

    def commit(self, context: IngestContext, staged: Mapping[int, StagedInstance]) -> Future[StoreOutcome]:
        """Make the staged instances of a request, at least one, visible; from here on their packs are the committer's."""
        return self._committer.submit(StoreRequest(new_id(), context.key, staged))

    def expecting(self) -> AbstractContextManager[None]:
        """Tell, as a block, that all of a request is with the workers and will be committed soon."""
        return self._committer.expecting()

    def discard(self, context: IngestContext, staged: Sequence[StagedInstance]) -> None:
        """Remove the packs of instances that are not to be committed."""
        discard_packs(self._archive, context.key.datastore_id, staged)

    def close(self) -> None:
        """Commit what waits, and end the worker processes."""
        self._committer.close()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
