"""Import jobs as the API shows them: start, get, list (StartDICOMImportJob, GetDICOMImportJob, ListDICOMImportJobs).

    SUBMITTED ─▶ IN_PROGRESS ─▶ COMPLETED | FAILED

`JOB_TRANSITIONS` is the table of the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from hounsfield.imaging.client_tokens import find_resource, record_resource
from hounsfield.imaging.datastores import get_datastore, startable_datastore
from hounsfield.imaging.errors import ConflictError, InvalidRequestError, NotFoundError, QuotaExceededError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.files import FileOutcome
from hounsfield.imaging.ingest.metadata_mappings import (
    MetadataMapping,
    check_mappings,
    mappings_from_json,
    mappings_to_json,
)
from hounsfield.imaging.pagination import Page, Position, newest_first, page_of
from hounsfield.imaging.quotas import exceeds
from hounsfield.runtime.picklable_error import PicklableError
from hounsfield.storage.buckets.buckets import BucketError, S3Uri
from hounsfield.storage.clock import now_ms, to_datetime
from hounsfield.storage.db.job_tables import import_files, import_jobs
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.journal.changes import note_job

IMPORT = "import"


class JobStatus(StrEnum):
    """States of an import job (API shape JobStatus)."""

    SUBMITTED = "SUBMITTED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class JobEvent(StrEnum):
    """What moves an import job from one state to the next."""

    BEGIN = "begin"
    """A runner took it."""
    COMPLETE = "complete"
    """Everything it made becomes visible."""
    FAIL = "fail"
    """It cannot be run as a whole."""


JOB_TRANSITIONS: Final[Mapping[tuple[JobStatus, JobEvent], JobStatus]] = {
    (JobStatus.SUBMITTED, JobEvent.BEGIN): JobStatus.IN_PROGRESS,
    (JobStatus.IN_PROGRESS, JobEvent.COMPLETE): JobStatus.COMPLETED,
    (JobStatus.IN_PROGRESS, JobEvent.FAIL): JobStatus.FAILED,
    # Given up by runners of which none came as far as to begin it.
    (JobStatus.SUBMITTED, JobEvent.FAIL): JobStatus.FAILED,
}
"""The states of an import job (API shape JobStatus); what is not here cannot be."""


@dataclass(frozen=True, slots=True)
class ImportJob:
    """Properties of an import job (API shape DICOMImportJobProperties).

    ``output_uri`` is the folder of this job, with a slash at its end. ``role_id`` is the unique id of the role whose policies
    decide about buckets; None where it runs with the rights of the installation, or those that the object store gives.
    ``starter_rights`` is what decides about the image sets that instances go into; None where no policy may deny one.
    """

    id: str
    datastore_id: str
    name: str | None
    status: JobStatus
    data_access_role_arn: str
    input_uri: str
    output_uri: str
    message: str | None
    submitted_at: datetime
    ended_at: datetime | None
    input_owner_account_id: str | None = None
    metadata_mappings: tuple[MetadataMapping, ...] = ()
    role_id: str | None = None
    starter_rights: str | None = None


class UnusableLocationError(PicklableError, InvalidRequestError):
    """A job cannot read its input, or cannot write its output, where it was told to.

    Parameters
    ----------
    reason : str
        Why.
    is_output : bool
        Whether it is about the output.
    """

    def __init__(self, reason: str, *, is_output: bool) -> None:
        super().__init__(f"the {'output' if is_output else 'input'} location cannot be used: {reason}")
        self.reason = reason
        self.is_output = is_output


@dataclass(frozen=True, slots=True)
class NewImportJob:
    """What a caller says of a job to be started (API shape StartDICOMImportJobRequest).

    ``role_id`` is the id of the role it names, ``starter_rights`` what the caller may do with image sets, as in `ImportJob`.
    """

    datastore_id: str
    client_token: str
    data_access_role_arn: str
    input_uri: str
    output_uri: str
    name: str | None = None
    input_owner_account_id: str | None = None
    metadata_mappings: tuple[MetadataMapping, ...] = ()
    role_id: str | None = None
    starter_rights: str | None = None

    @property
    def output_folder(self) -> str:
        """The output location, with a slash at its end."""
        return self.output_uri if self.output_uri.endswith("/") else f"{self.output_uri}/"


def start_import_job(image_store: ImageStore, new: NewImportJob) -> ImportJob:
    """Take in an import job; a runner does the work (StartDICOMImportJob).

    Raises
    ------
    NotFoundError
        There is no such data store.
    ConflictError
        The data store is not ACTIVE, or the client token was used with other parameters.
    InvalidRequestError
        The metadata mappings are not usable, or a location is not written as keys are where the buckets are.
    QuotaExceededError
        Too many jobs of the data store are under way.
    """
    _check_locations(image_store, new)
    check_mappings(new.metadata_mappings)
    mappings = mappings_to_json(new.metadata_mappings) if new.metadata_mappings else None
    parameters = [
        new.datastore_id,
        new.data_access_role_arn,
        new.input_uri,
        new.output_uri,
        new.name,
        new.input_owner_account_id,
        *([mappings] if mappings else []),
    ]
    with image_store.database.write() as connection:
        startable_datastore(connection, image_store, new.datastore_id, lock=True)
        known = find_resource(connection, image_store.account_id, "StartDICOMImportJob", new.client_token, parameters)
        if known is not None:
            return _job(_row(connection, new.datastore_id, known))
        _check_quota(connection, image_store, new.datastore_id)
        identifier = new_id()
        connection.execute(
            insert(import_jobs).values(
                id=identifier,
                datastore_id=new.datastore_id,
                name=new.name,
                status=JobStatus.SUBMITTED,
                data_access_role_arn=new.data_access_role_arn,
                role_id=new.role_id,
                starter_rights=new.starter_rights,
                input_uri=new.input_uri,
                output_uri=f"{new.output_folder}{new.datastore_id}-DicomImport-{identifier}/",
                input_owner_account_id=new.input_owner_account_id,
                metadata_mappings=mappings,
                submitted_at=now_ms(),
            )
        )
        record_resource(
            connection, image_store.account_id, "StartDICOMImportJob", new.client_token, parameters, identifier
        )
        image_store.queue.enqueue(connection, IMPORT, identifier)
        note_job(connection, identifier)
        return _job(_row(connection, new.datastore_id, identifier))


def _check_locations(image_store: ImageStore, new: NewImportJob) -> None:
    for is_output, location in ((False, new.input_uri), (True, new.output_folder)):
        try:
            image_store.buckets.check_prefix(S3Uri.parse(location))
        except BucketError as error:
            raise UnusableLocationError(str(error), is_output=is_output) from error


def _check_quota(connection: Connection, image_store: ImageStore, datastore_id: str) -> None:
    running = connection.execute(
        select(func.count()).where(
            import_jobs.c.datastore_id == datastore_id,
            import_jobs.c.status.in_([JobStatus.SUBMITTED, JobStatus.IN_PROGRESS]),
        )
    ).scalar_one()
    quota = image_store.quotas.concurrent_import_jobs
    if exceeds(running + 1, quota):
        raise QuotaExceededError(f"data store {datastore_id} has {running} import jobs under way, its quota is {quota}")


def get_import_job(image_store: ImageStore, datastore_id: str, job_id: str) -> ImportJob:
    """Return the properties of a job; raises `NotFoundError`, also when it ended too long ago (GetDICOMImportJob)."""
    get_datastore(image_store, datastore_id)
    with image_store.database.read() as connection:
        return _job(_row(connection, datastore_id, job_id, _is_shown(image_store)))


def shown_since(image_store: ImageStore) -> int:
    """Return the time in milliseconds since 1970 before which an ended job is no longer shown."""
    return now_ms() - int(image_store.job_retention_seconds * 1000)


def _is_shown(image_store: ImageStore) -> ColumnElement[bool]:
    return or_(import_jobs.c.ended_at.is_(None), import_jobs.c.ended_at > shown_since(image_store))


def list_import_jobs(
    image_store: ImageStore,
    datastore_id: str,
    *,
    status: JobStatus | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> Page[ImportJob]:
    """List the jobs of a data store, newest first, as long as they are kept (ListDICOMImportJobs).

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    datastore_id : str
        Whose jobs.
    status : JobStatus | None
        Only jobs in this state.
    after : Position | None
        Where the page before this one ended.
    limit : int
        At most so many.

    Raises
    ------
    NotFoundError
        There is no such data store.
    """
    get_datastore(image_store, datastore_id)
    query = select(import_jobs).where(import_jobs.c.datastore_id == datastore_id, _is_shown(image_store))
    if status is not None:
        query = query.where(import_jobs.c.status == status)
    query = newest_first(query, import_jobs.c.submitted_at, import_jobs.c.id, after, limit)
    with image_store.database.read() as connection:
        rows = connection.execute(query).all()
    return page_of(rows, limit, _job, lambda row: Position(row.submitted_at, row.id))


def move_job(connection: Connection, job_id: str, event: JobEvent, **values: object) -> None:
    """Bring a job into its next state, together with other columns of its row.

    The caller holds the lease of the job in the same transaction, so that nobody else moves it.

    Raises
    ------
    ConflictError
        The state of the job does not know the event.
    """
    status = JobStatus(connection.execute(select(import_jobs.c.status).where(import_jobs.c.id == job_id)).scalar_one())
    following = JOB_TRANSITIONS.get((status, event))
    if following is None:
        raise ConflictError(f"import job {job_id} is {status}, {event} is no step from there")
    connection.execute(update(import_jobs).where(import_jobs.c.id == job_id).values(status=following, **values))
    note_job(connection, job_id)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes
    ----------
    scanned : int
        How many files it found, without those that are no instances.
    done : int
        For how many of them the outcome is known.
    failed : int
        How many of those that are done cannot be imported.
    """

    scanned: int
    done: int
    failed: int


def read_progress(image_store: ImageStore, job_id: str) -> Progress:
    """Return the progress of a job; all numbers are 0 before the input was listed and after the end."""
    outcome = import_files.c.outcome
    counts = select(outcome, func.count()).where(import_files.c.job_id == job_id).group_by(outcome)
    with image_store.database.read() as connection:
        by_outcome = {FileOutcome(name): count for name, count in connection.execute(counts)}
    failed = by_outcome.get(FileOutcome.FAILED, 0)
    done = by_outcome.get(FileOutcome.STAGED, 0) + failed
    return Progress(done + by_outcome.get(FileOutcome.PENDING, 0), done, failed)


def _row(connection: Connection, datastore_id: str, job_id: str, *which: ColumnElement[bool]) -> Row[Any]:
    row = connection.execute(
        select(import_jobs).where(import_jobs.c.id == job_id, import_jobs.c.datastore_id == datastore_id, *which)
    ).first()
    if row is None:
        raise NotFoundError(f"import job {job_id} does not exist in data store {datastore_id}")
    return row


def _job(row: Row[Any]) -> ImportJob:
    return ImportJob(
        id=row.id,
        datastore_id=row.datastore_id,
        name=row.name,
        status=JobStatus(row.status),
        data_access_role_arn=row.data_access_role_arn,
        input_uri=row.input_uri,
        output_uri=row.output_uri,
        message=row.message,
        submitted_at=to_datetime(row.submitted_at),
        ended_at=to_datetime(row.ended_at) if row.ended_at is not None else None,
        input_owner_account_id=row.input_owner_account_id,
        metadata_mappings=mappings_from_json(row.metadata_mappings),
        role_id=row.role_id,
        starter_rights=row.starter_rights,
    )
