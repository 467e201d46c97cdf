"""The rows of the files of an import job, and what became of each; the sealed part is the staged instance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hounsfield.imaging.ingest.files import FailureReason, FileResult, InputFile
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.storage.buckets.buckets import ObjectEntry
from hounsfield.storage.db.job_tables import import_files
from hounsfield.storage.keys.data_key import DataKey

JobFile: TypeAlias = InputFile[ObjectEntry]


class FileOutcome(StrEnum):
    """What became of a file of a job."""

    PENDING = "PENDING"
    STAGED = "STAGED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class FileErrorType(StrEnum):
    """Whose fault a failed file is, as failure.ndjson names it."""

    CUSTOMER = "ValidationException"
    SERVER = "InternalServerException"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a job and its outcome; ``instance`` is set exactly when it is STAGED."""

    file: JobFile
    outcome: FileOutcome
    instance: StagedInstance | None = None
    error_type: FileErrorType | None = None
    message: str | None = None

    @classmethod
    def of(cls, file: JobFile, result: FileResult) -> FileRecord:
        """Return the record of a file that a worker was done with; a DICOMDIR is no instance, and skipped."""
        failure = result.failure
        if failure is None:
            return cls(file, FileOutcome.STAGED, result.instance)
        if failure.reason is FailureReason.SOP_CLASS_NOT_SUPPORTED:
            return cls(file, FileOutcome.SKIPPED)
        ours = failure.reason is FailureReason.PROCESSING_FAILURE
        error_type = FileErrorType.SERVER if ours else FileErrorType.CUSTOMER
        return cls(file, FileOutcome.FAILED, None, error_type, failure.message)


def add_files(
    connection: Connection, job_id: str, files: Sequence[JobFile], *, outcome: FileOutcome = FileOutcome.PENDING
) -> None:
    """Write the list of files of a job; those that are no instances are SKIPPED from the beginning."""
    if files:
        rows = [
            {
                "job_id": job_id,
                "ordinal": f.ordinal,
                "object_key": f.content.key,
                "size_bytes": f.content.size,
                "etag": f.content.etag,
                "outcome": outcome,
            }
            for f in files
        ]
        connection.execute(insert(import_files), rows)


def list_pending_files(connection: Connection, job_id: str) -> list[JobFile]:
    """List the files whose outcome is not known yet, in order."""
    return _list_files(connection, job_id, FileOutcome.PENDING)


def list_skipped_files(connection: Connection, job_id: str) -> list[JobFile]:
    """List the files that are no instances, in order."""
    return _list_files(connection, job_id, FileOutcome.SKIPPED)


def _list_files(connection: Connection, job_id: str, outcome: FileOutcome) -> list[JobFile]:
    columns = import_files.c
    rows = connection.execute(
        select(columns.ordinal, columns.object_key, columns.size_bytes, columns.etag, columns.attempts)
        .where(columns.job_id == job_id, columns.outcome == outcome)
        .order_by(columns.ordinal)
    )
    return [InputFile(ordinal, ObjectEntry(*entry), attempts) for ordinal, *entry, attempts in rows]


def note_attempt(connection: Connection, job_id: str, files: Iterable[JobFile]) -> None:
    """Count one more try of each file that broke, or was with one that broke, a worker."""
    for file in files:
        connection.execute(
            update(import_files)
            .where(import_files.c.job_id == job_id, import_files.c.ordinal == file.ordinal)
            .values(attempts=import_files.c.attempts + 1)
        )


def record_outcomes(connection: Connection, job_id: str, key: DataKey, records: Sequence[FileRecord]) -> None:
    """Write the outcome of files, the staged instances sealed."""
    rows = [
        {
            "b_ordinal": record.file.ordinal,
            "outcome": record.outcome,
            "error_type": record.error_type,
            "message": record.message,
            "sealed_instance": (
                key.seal(record.instance.to_bytes(), _context(job_id, record.file.ordinal)) if record.instance else None
            ),
        }
        for record in records
    ]
    if rows:
        statement = update(import_files).where(
            import_files.c.job_id == job_id, import_files.c.ordinal == bindparam("b_ordinal")
        )
        connection.execute(
            statement.values(
                outcome=bindparam("outcome"),
                error_type=bindparam("error_type"),
                message=bindparam("message"),
                sealed_instance=bindparam("sealed_instance"),
            ),
            rows,
        )


def read_file_records(connection: Connection, job_id: str, key: DataKey) -> list[FileRecord]:
    """Read all files of a job, in order, with their staged instances."""
    rows = connection.execute(
        select(import_files).where(import_files.c.job_id == job_id).order_by(import_files.c.ordinal)
    )
    records = []
    for row in rows:
        instance = None
        if row.sealed_instance is not None:
            instance = StagedInstance.from_bytes(key.open(row.sealed_instance, _context(job_id, row.ordinal)))
        error_type = FileErrorType(row.error_type) if row.error_type else None
        file = InputFile(row.ordinal, ObjectEntry(row.object_key, row.size_bytes, row.etag), row.attempts)
        records.append(FileRecord(file, FileOutcome(row.outcome), instance, error_type, row.message))
    return records


def forget_files(connection: Connection, job_id: str) -> None:
    """Remove the rows of a job that ended; what became of each file is in its output files."""
    connection.execute(delete(import_files).where(import_files.c.job_id == job_id))


def _context(job_id: str, ordinal: int) -> str:
    return f"import-file:{job_id}:{ordinal}"
