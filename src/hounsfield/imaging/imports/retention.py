"""The retention of import jobs: those that ended long ago go; ListDICOMImportJobs shows them for 90 days.

The image sets that a job made stay, and so do its output files; what goes is the job itself, which nothing else refers to.
"""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy import delete, select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.jobs import shown_since
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.job_tables import client_tokens, import_files, import_jobs
from hounsfield.storage.journal.changes import note_jobs_forgotten

FORGET_IMPORT_JOBS: Final = "forget-import-jobs"
_LONGEST_PAUSE_SECONDS: Final = 24 * 3600.0
_SHORTEST_PAUSE_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


def schedule_forgetting(image_store: ImageStore) -> None:
    """Make sure that there is the one work item that forgets jobs again and again."""
    image_store.queue.schedule(FORGET_IMPORT_JOBS)


class ImportJobForgetter:
    """Removes the rows of import jobs that are no longer shown; once a day, more often where they are kept for less.

    Parameters
    ----------
    image_store : ImageStore
        Where the jobs are, and how long they are kept.
    """

    def __init__(self, image_store: ImageStore) -> None:
        self._image_store = image_store
        tenth = image_store.job_retention_seconds / 10
        self._pause_seconds = min(max(tenth, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)

    def run(self, item: WorkItem) -> None:
        """Forget, and come again later."""
        self.forget()
        self._image_store.queue.release_lease(item, self._pause_seconds, failed=False)

    def give_up(self, item: WorkItem) -> None:
        """Try again later."""
        self._image_store.queue.release_lease(item, self._pause_seconds, failed=False)

    def forget(self) -> int:
        """Remove what is too old, some jobs at a time; give how many there were."""
        latest = self._image_store.queue.clock.now() - int(self._image_store.job_retention_seconds * 1000)
        # No longer shown, by the wall clock, is not enough: a clock that was set ahead for a moment removes nothing.
        no_longer_shown = import_jobs.c.ended_at <= shown_since(self._image_store)
        old = select(import_jobs.c.id).where(import_jobs.c.ended_steady <= latest, no_longer_shown)
        with self._image_store.database.read() as connection:
            ids = connection.execute(old).scalars().all()
        for some in in_groups(ids):
            with self._image_store.database.write() as connection:
                for statement in (
                    delete(import_files).where(import_files.c.job_id.in_(some)),
                    delete(client_tokens).where(client_tokens.c.resource_id.in_(some)),
                    delete(import_jobs).where(import_jobs.c.id.in_(some)),
                ):
                    connection.execute(statement)
                note_jobs_forgotten(connection, some)
        if ids:
            _log.info("import jobs forgotten", jobs=len(ids))
        return len(ids)
