"""The files of an import job and what became of each, as rows; the sealed part is the staged instance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hounsfield.imaging.ingest.file_results import FileErrorType, FileOutcome, FileRecord, FileResult, InputFile
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.storage.db.job_tables import import_files
from hounsfield.storage.keys.data_key import DataKey


def add_files(
    connection: Connection, job_id: str, files: Sequence[InputFile], *, outcome: FileOutcome = FileOutcome.PENDING
) -> None:
    """Write the list of files of a job; those that are no instances are SKIPPED from the beginning."""
    if files:
        rows = [
            {
                "job_id": job_id,
                "ordinal": f.ordinal,
                "object_key": f.key,
                "size_bytes": f.size,
                "etag": f.etag,
                "outcome": outcome,
            }
            for f in files
        ]
        connection.execute(insert(import_files), rows)


def pending_files(connection: Connection, job_id: str) -> list[InputFile]:
    """Give the files whose outcome is not known yet, in order."""
    return _files(connection, job_id, FileOutcome.PENDING)


def skipped_files(connection: Connection, job_id: str) -> list[InputFile]:
    """Give the files that are no instances, in order."""
    return _files(connection, job_id, FileOutcome.SKIPPED)


def _files(connection: Connection, job_id: str, outcome: FileOutcome) -> list[InputFile]:
    columns = import_files.c
    rows = connection.execute(
        select(columns.ordinal, columns.object_key, columns.size_bytes, columns.attempts, columns.etag)
        .where(columns.job_id == job_id, columns.outcome == outcome)
        .order_by(columns.ordinal)
    )
    return [InputFile(*row) for row in rows]


def note_attempt(connection: Connection, job_id: str, files: Iterable[InputFile]) -> None:
    """Count one more try of each file that broke, or was with one that broke, a worker."""
    for file in files:
        connection.execute(
            update(import_files)
            .where(import_files.c.job_id == job_id, import_files.c.ordinal == file.ordinal)
            .values(attempts=import_files.c.attempts + 1)
        )


def record_results(connection: Connection, job_id: str, key: DataKey, results: Sequence[FileResult]) -> None:
    """Write the outcome of files, the staged instances sealed."""
    rows = [
        {
            "b_ordinal": result.ordinal,
            "outcome": result.outcome,
            "error_type": result.error_type,
            "message": result.message,
            "sealed_instance": (
                key.seal(result.instance.to_bytes(), _context(job_id, result.ordinal)) if result.instance else None
            ),
        }
        for result in results
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


def file_records(connection: Connection, job_id: str, key: DataKey) -> list[FileRecord]:
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
        result = FileResult(row.ordinal, FileOutcome(row.outcome), instance, error_type, row.message)
        records.append(
            FileRecord(InputFile(row.ordinal, row.object_key, row.size_bytes, row.attempts, row.etag), result)
        )
    return records


def forget_files(connection: Connection, job_id: str) -> None:
    """Remove the rows of a job that ended; what became of each file is in its output files."""
    connection.execute(delete(import_files).where(import_files.c.job_id == job_id))


def _context(job_id: str, ordinal: int) -> str:
    return f"import-file:{job_id}:{ordinal}"
