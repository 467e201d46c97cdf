"""The work of an import job, done by a runner under a lease.

    scan ──▶ transcode in batches ──▶ grouping ──▶ output files ──▶ one commit
     │            │                                                   │
     └ list kept  └ outcomes kept batch by batch                      └ image sets and COMPLETED become visible together

Whatever kills the process, another run goes on from the last committed batch: what is in the rows is done, what is not is
done again. Packs written for a batch that was never committed are orphaned packs, never read.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence

import structlog
from sqlalchemy import select, update

from hounsfield.imaging.datastores import Datastore, fetch_key, get_datastore, lock_datastore
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.batches import BatchRun
from hounsfield.imaging.imports.files import (
    FileErrorType,
    FileOutcome,
    FileRecord,
    add_files,
    forget_files,
    list_skipped_files,
    read_file_records,
)
from hounsfield.imaging.imports.input_listing import JobFailedError, check_permitted, scan
from hounsfield.imaging.imports.jobs import ImportJob, JobEvent, JobStatus, get_import_job, move_job
from hounsfield.imaging.imports.output_files import list_output_uses, write_outputs
from hounsfield.imaging.imports.waiting import JobWait
from hounsfield.imaging.ingest.content import KnownSizes
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.grouping import Destination, group_instances
from hounsfield.imaging.ingest.image_set_writer import (
    find_denied,
    find_oversized,
    plan_versions,
    read_existing_image_sets,
    write_versions,
)
from hounsfield.imaging.ingest.metadata_files import ImportMetadata, MetadataSource
from hounsfield.imaging.ingest.workers import IngestWorkers
from hounsfield.imaging.staged_instance import pack_ids_of
from hounsfield.jobs.queue import LeaseLostError, WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.blobs.packs import delete_packs
from hounsfield.storage.buckets.bucket_access import BucketAccess, BucketAction, BucketUse
from hounsfield.storage.buckets.buckets import BucketError, S3Uri
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.outages import describe_outage

_log = structlog.get_logger(__name__)
_LOCKED_SECONDS = 0.2
_DENIED = "A policy of whoever started the job denies the image set that the instance belongs to"


class ImportRunner:
    """Runs import jobs.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    workers : IngestWorkers
        The processes that transcode.
    stop : threading.Event
        Set when the runner is to end; the job is then left where it is.
    access_of : callable
        Gives the buckets as a job may use them now, by its role.
    image_sets_of : callable
        Gives what a job may do with image sets, by the rights of whoever started it.
    """

    def __init__(
        self,
        image_store: ImageStore,
        workers: IngestWorkers,
        stop: threading.Event,
        access_of: Callable[[ImportJob], BucketAccess],
        image_sets_of: Callable[[ImportJob], ImageSetAccess],
    ) -> None:
        self._image_store = image_store
        self._workers = workers
        self._stop = stop
        self._access_of = access_of
        self._image_sets_of = image_sets_of

    def run(self, item: WorkItem) -> None:
        """Bring the job to its end, from wherever it is."""
        job = self._job(item)
        datastore = get_datastore(self._image_store, job.datastore_id)
        log = _log.bind(job=job.id, datastore=job.datastore_id)
        wait = JobWait(self._image_store, item, self._stop)
        log.info("import begins", attempt=item.attempts)
        try:
            self._begin_once(item, job, wait)
            wait.for_room()
            access = self._access_of(job)
            self._scan_once(item, job, access)
            context = self._context(job, datastore, access)
            BatchRun(self._image_store, self._workers, item, context, self._check(datastore), access, wait).run()
            wait.for_room()
            self._finish(item, job, datastore, access)
        except JobFailedError as error:
            log.warning("import failed", reason=str(error))
            self._fail(item, job, str(error))
        except Exception as error:
            outage = describe_outage(error)
            if outage is not None:
                # It comes back, and the job goes on from what is in the rows.
                wait.note(outage)
            if outage is not None or not isinstance(error, KeyUnavailableError):
                raise
            log.warning("import failed", reason="the key is not available")
            self._fail(item, job, "The key of the data store is not available: it was disabled, or may not be used")
        else:
            log.info("import completed")

    def give_up(self, item: WorkItem) -> None:
        """Fail a job that was begun too often."""
        self._fail(item, self._job(item), "The import job could not be run, see the log of the service")

    def _check(self, datastore: Datastore) -> Callable[[], None]:
        """Return what tells whether to go on: no stop was asked for, and the key of the data store may still be used."""

        def check() -> None:
            if self._stop.is_set():
                raise StoppedError
            fetch_key(self._image_store, datastore)

        return check

    def _job(self, item: WorkItem) -> ImportJob:
        with self._image_store.database.read() as connection:
            datastore_id = connection.execute(
                select(import_jobs.c.datastore_id).where(import_jobs.c.id == item.subject_id)
            ).scalar_one()
        return get_import_job(self._image_store, datastore_id, item.subject_id)

    def _context(self, job: ImportJob, datastore: Datastore, access: BucketAccess) -> IngestContext:
        return IngestContext.of(
            self._image_store,
            datastore,
            fetch_key(self._image_store, datastore),
            S3Uri.parse(job.input_uri).bucket,
            self._metadata(job),
            access.buckets,
        )

    def _begin_once(self, item: WorkItem, job: ImportJob, wait: JobWait) -> None:
        if job.message is not None:
            wait.end()
        if job.status is JobStatus.SUBMITTED:
            with self._image_store.database.write() as connection:
                self._image_store.queue.hold(connection, item)
                move_job(connection, job.id, JobEvent.BEGIN)

    def _metadata(self, job: ImportJob) -> ImportMetadata | None:
        """Return the metadata files of the job as they were listed."""
        if not job.metadata_mappings:
            return None
        with self._image_store.database.read() as connection:
            listed = {file.content.key: file.content for file in list_skipped_files(connection, job.id)}
        sources = [MetadataSource(m, listed.get(m.key(job.input_uri))) for m in job.metadata_mappings]
        return ImportMetadata(job.id, tuple(sources))

    def _scan_once(self, item: WorkItem, job: ImportJob, access: BucketAccess) -> None:
        with self._image_store.database.read() as connection:
            query = select(import_jobs.c.scanned_at).where(import_jobs.c.id == job.id)
            if connection.execute(query).scalar_one() is not None:
                return
        input_location = S3Uri.parse(job.input_uri)
        check_permitted(access, [BucketUse(BucketAction.LIST, input_location.bucket, input_location.key)])
        self._check_owner(job, access)
        metadata_keys = {mapping.key(job.input_uri) for mapping in job.metadata_mappings}
        listing = scan(access.buckets, job.input_uri, self._image_store.quotas, metadata_keys)
        check_permitted(
            access, (BucketUse(BucketAction.READ, input_location.bucket, file.content.key) for file in listing.metadata)
        )
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            add_files(connection, job.id, listing.files)
            add_files(connection, job.id, listing.metadata, outcome=FileOutcome.SKIPPED)
            connection.execute(update(import_jobs).where(import_jobs.c.id == job.id).values(scanned_at=now_ms()))

    def _check_owner(self, job: ImportJob, access: BucketAccess) -> None:
        """Make sure that the input bucket belongs to the account that the caller named; raises `JobFailedError`."""
        if job.input_owner_account_id is None:
            return
        bucket = access.buckets.open(S3Uri.parse(job.input_uri).bucket)
        try:
            bucket.check_owner(job.input_owner_account_id, self._image_store.account_id)
        except BucketError as error:
            raise JobFailedError(f"inputOwnerAccountId does not fit the input location: {error}") from error

    def _finish(self, item: WorkItem, job: ImportJob, datastore: Datastore, access: BucketAccess) -> None:
        """Group by what is there, write the output files, and commit if nothing changed in between."""
        key, image_sets = fetch_key(self._image_store, datastore), self._image_sets_of(job)
        with self._image_store.database.read() as connection:
            records = read_file_records(connection, job.id, key)
        staged = {r.file.ordinal: r.instance for r in records if r.instance is not None}
        while True:
            # A job that waited for others must not commit with a key that was disabled meanwhile.
            key = fetch_key(self._image_store, datastore)
            with self._image_store.database.read() as connection:
                existing = read_existing_image_sets(connection, datastore.id, list(staged.values()))
                plan = group_instances(sorted(staged.items(), key=lambda entry: entry[0]), existing)
                versions = plan_versions(connection, key, plan, staged, job.id, KnownSizes())
                denied = find_denied(connection, image_sets, datastore.id, plan)
            refused = find_oversized(versions, self._image_store.quotas.metadata_bytes) | dict.fromkeys(denied, _DENIED)
            if refused:
                # Without them others may come to stand first, so that the plan is made anew.
                records = [_refuse(record, refused) for record in records]
                staged = {ordinal: instance for ordinal, instance in staged.items() if ordinal not in refused}
                continue
            if any(assignment.extends is not None and assignment.extends.locked for assignment in plan):
                self._wait_for_others()
                continue
            self._check_under_way(item, job)
            destinations = [entry.destination for entry in versions]
            counts = _counts(records, destinations)
            self._write_outputs(job, access, records, destinations)
            with self._image_store.database.write() as connection:
                self._image_store.queue.hold(connection, item)
                lock_datastore(connection, datastore.id)
                if read_existing_image_sets(connection, datastore.id, list(staged.values())) != existing:
                    continue
                if find_denied(connection, image_sets, datastore.id, plan):
                    continue
                write_versions(connection, key, versions, staged)
                forget_files(connection, job.id)
                move_job(connection, job.id, JobEvent.COMPLETE, **self._ended(), **counts)
                self._image_store.queue.finish(connection, item)
                return

    def _ended(self) -> dict[str, int]:
        """Return when a job ends: what is shown, and what its age goes by."""
        return {"ended_at": now_ms(), "ended_steady": self._image_store.queue.clock.now()}

    def _check_under_way(self, item: WorkItem, job: ImportJob) -> None:
        """Make sure that the lease is ours and the job has not been ended by another runner."""
        self._image_store.queue.renew(item)
        if get_import_job(self._image_store, job.datastore_id, job.id).status is not JobStatus.IN_PROGRESS:
            raise LeaseLostError(f"import job {job.id} has ended")

    def _wait_for_others(self) -> None:
        """Let an update or a copy of an image set that the job extends come to its end."""
        if self._stop.wait(_LOCKED_SECONDS):
            raise StoppedError

    def _write_outputs(
        self,
        job: ImportJob,
        access: BucketAccess,
        records: Sequence[FileRecord],
        destinations: Sequence[Destination],
    ) -> None:
        check_permitted(access, list_output_uses(job.output_uri))
        try:
            write_outputs(access.buckets, job, records, destinations)
        except BucketError as error:
            raise JobFailedError(f"The output location cannot be written: {error}") from error

    def _fail(self, item: WorkItem, job: ImportJob, message: str) -> None:
        self._image_store.queue.renew(item)
        records = self._known_records(job)
        try:
            self._write_outputs(job, self._access_of(job), records, [])
        except (JobFailedError, OSError):
            _log.warning("output files of a failed job could not be written", job=job.id)
        counts = _counts(records, [])
        with self._image_store.database.write() as connection:
            self._image_store.queue.hold(connection, item)
            forget_files(connection, job.id)
            move_job(connection, job.id, JobEvent.FAIL, message=_clean_message(message), **self._ended(), **counts)
            self._image_store.queue.finish(connection, item)
        self._delete_packs(job, records)

    def _delete_packs(self, job: ImportJob, records: Sequence[FileRecord]) -> None:
        """Delete what a failed job had stored; nothing else can name its packs."""
        instances = [record.instance for record in records if record.instance is not None]
        try:
            delete_packs(self._image_store.blobs, job.datastore_id, pack_ids_of(instances))
        except OSError as error:
            _log.warning("packs of a failed job are left", job=job.id, error=type(error).__name__)

    def _known_records(self, job: ImportJob) -> list[FileRecord]:
        """Return what is known of the files of a job that failed; nothing when its key is not available."""
        try:
            key = fetch_key(self._image_store, get_datastore(self._image_store, job.datastore_id))
            with self._image_store.database.read() as connection:
                return read_file_records(connection, job.id, key)
        except KeyUnavailableError:
            return []


def _counts(records: Sequence[FileRecord], destinations: Sequence[Destination]) -> dict[str, int]:
    """Return how many files a job imported and how many it could not, as its manifest has them."""
    return {
        "imported_files": sum(len(d.ordinals) + len(d.superseded) for d in destinations),
        "failed_files": sum(1 for record in records if record.outcome is FileOutcome.FAILED),
    }


def _refuse(record: FileRecord, reasons: Mapping[int, str]) -> FileRecord:
    """Let a file fail that has a reason to, whatever became of it before."""
    reason = reasons.get(record.file.ordinal)
    if reason is None:
        return record
    return FileRecord(record.file, FileOutcome.FAILED, None, FileErrorType.CUSTOMER, reason)


def _clean_message(message: str) -> str:
    """Bring a message into the form that the service model allows for the message of a job."""
    return re.sub(r"[^\w -:]", "-", message)[:2048]
