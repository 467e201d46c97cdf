"""An import job that stands still, with as many files done as a test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.imaging.imports.files import FileOutcome, add_files, forget_files
from hounsfield.imaging.ingest.files import InputFile
from hounsfield.settings import Settings
from hounsfield.storage.buckets.buckets import ObjectEntry
from hounsfield.storage.db.database import Database
from support.faults.suspended_runner import suspended
from support.imaging.import_folders import start_job
from support.servers import ServerProcess


@dataclass(frozen=True)
class StandingJob:
    """The job, as its rows tell of it."""

    id: str
    _database: Database = field(repr=False)

    def note(self, outcomes: Sequence[FileOutcome]) -> None:
        """Write what became of its files so far, instead of what was written before."""
        with self._database.write() as connection:
            forget_files(connection, self.id)
            for number, outcome in enumerate(outcomes):
                file = InputFile(number, ObjectEntry(f"{number}.dcm", 1, None))
                add_files(connection, self.id, [file], outcome=outcome)


@contextmanager
def standing_job(server: ServerProcess, client: Any, datastore_id: str, folder: str) -> Iterator[StandingJob]:
    """Start an import whose runner stands still; it goes on at the end."""
    settings = Settings(data=server.data, database_url=server.environment.get("HOUNSFIELD_DATABASE_URL", ""))
    database = open_database(settings, open_keyring(settings))
    runner = suspended(server)
    try:
        job = StandingJob(start_job(server, client, datastore_id, folder), database)
        yield job
        job.note(())
    finally:
        runner.resume()
        database.close()
