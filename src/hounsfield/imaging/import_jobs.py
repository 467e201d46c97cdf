"""Import jobs as the API shows them: start, get, list (StartDICOMImportJob, GetDICOMImportJob, ListDICOMImportJobs).

SUBMITTED ─▶ IN_PROGRESS ─▶ COMPLETED | FAILED
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select

from hounsfield.imaging.archive import Archive
from hounsfield.imaging.datastores import active_datastore, get_datastore
from hounsfield.imaging.errors import NotFoundError, QuotaExceededError
from hounsfield.imaging.idempotency import remember, remembered
from hounsfield.imaging.paging import Page, Position, newest_first, page_of
from hounsfield.storage.clock import now_ms, to_datetime
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.tables import import_files, import_jobs

IMPORT = "import"
_SHOWN_FOR_MS = 90 * 24 * 3600 * 1000


class JobStatus(StrEnum):
    """States of an import job (API shape JobStatus)."""

    SUBMITTED = "SUBMITTED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ImportJob:
    """Properties of an import job (API shape DICOMImportJobProperties).

    ``output_uri`` is the folder of this job, with a slash at its end.
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


@dataclass(frozen=True, slots=True)
class NewImportJob:
    """What a caller says of a job to be started (API shape StartDICOMImportJobRequest)."""

    datastore_id: str
    client_token: str
    data_access_role_arn: str
    input_uri: str
    output_uri: str
    name: str | None = None
    input_owner_account_id: str | None = None


def start_import_job(archive: Archive, new: NewImportJob) -> ImportJob:
    """Take in an import job; a runner does the work (StartDICOMImportJob).

    Raises
    ------
    NotFoundError
        There is no such data store.
    ConflictError
        The data store is not ACTIVE, or the client token was used with other parameters.
    QuotaExceededError
        Too many jobs of the data store are under way.
    """
    parameters = [
        new.datastore_id,
        new.data_access_role_arn,
        new.input_uri,
        new.output_uri,
        new.name,
        new.input_owner_account_id,
    ]
    with archive.database.write() as connection:
        active_datastore(connection, archive, new.datastore_id, lock=True)
        known = remembered(connection, archive.account_id, "StartDICOMImportJob", new.client_token, parameters)
        if known is not None:
            return _job(_row(connection, new.datastore_id, known))
        _check_quota(connection, archive, new.datastore_id)
        identifier = new_id()
        folder = new.output_uri if new.output_uri.endswith("/") else f"{new.output_uri}/"
        connection.execute(
            insert(import_jobs).values(
                id=identifier,
                datastore_id=new.datastore_id,
                name=new.name,
                status=JobStatus.SUBMITTED,
                data_access_role_arn=new.data_access_role_arn,
                input_uri=new.input_uri,
                output_uri=f"{folder}{new.datastore_id}-DicomImport-{identifier}/",
                submitted_at=now_ms(),
            )
        )
        remember(connection, archive.account_id, "StartDICOMImportJob", new.client_token, parameters, identifier)
        archive.queue.enqueue(connection, IMPORT, identifier)
        return _job(_row(connection, new.datastore_id, identifier))


def _check_quota(connection: Connection, archive: Archive, datastore_id: str) -> None:
    running = connection.execute(
        select(func.count()).where(
            import_jobs.c.datastore_id == datastore_id,
            import_jobs.c.status.in_([JobStatus.SUBMITTED, JobStatus.IN_PROGRESS]),
        )
    ).scalar_one()
    quota = archive.quotas.concurrent_import_jobs
    if running >= quota:
        raise QuotaExceededError(f"data store {datastore_id} has {running} import jobs under way, its quota is {quota}")


def get_import_job(archive: Archive, datastore_id: str, job_id: str) -> ImportJob:
    """Give the properties of a job; raises `NotFoundError` (GetDICOMImportJob)."""
    get_datastore(archive, datastore_id)
    with archive.database.read() as connection:
        return _job(_row(connection, datastore_id, job_id))


def list_import_jobs(
    archive: Archive,
    datastore_id: str,
    *,
    status: JobStatus | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> Page[ImportJob]:
    """List the jobs of a data store, newest first, finished ones for 90 days (ListDICOMImportJobs).

    Parameters
    ----------
    archive : Archive
        The archive.
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
    get_datastore(archive, datastore_id)
    recent = or_(import_jobs.c.ended_at.is_(None), import_jobs.c.ended_at > now_ms() - _SHOWN_FOR_MS)
    query = select(import_jobs).where(import_jobs.c.datastore_id == datastore_id, recent)
    if status is not None:
        query = query.where(import_jobs.c.status == status)
    query = newest_first(query, import_jobs.c.submitted_at, import_jobs.c.id, after, limit)
    with archive.database.read() as connection:
        rows = connection.execute(query).all()
    return page_of(rows, limit, _job, lambda row: Position(row.submitted_at, row.id))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: how many files it found, and for how many the outcome is known."""

    scanned: int
    done: int


def import_progress(archive: Archive, job_id: str) -> Progress:
    """Give the progress of a job; both numbers are 0 before the input was listed and after the end."""
    waiting = import_files.c.outcome == "PENDING"
    counts = select(func.count(), func.count().filter(waiting)).where(import_files.c.job_id == job_id)
    with archive.database.read() as connection:
        total, pending = connection.execute(counts).one()
    return Progress(total, total - pending)


def _row(connection: Connection, datastore_id: str, job_id: str) -> Row[Any]:
    row = connection.execute(
        select(import_jobs).where(import_jobs.c.id == job_id, import_jobs.c.datastore_id == datastore_id)
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
    )
