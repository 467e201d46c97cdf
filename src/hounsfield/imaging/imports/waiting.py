"""Import jobs that wait for something to be mended: they stay IN_PROGRESS, and their message says for what.

before each step ─▶ JobWait.for_room ─▶ goes on, or waits ─▶ message ─▶ there is room again ─▶ no message
an outage ended the work ─▶ JobWait.note ─▶ message ─▶ the next try begins ─▶ no message
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import update

from hounsfield.imaging.image_store import ImageStore
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.db.job_tables import import_jobs

_LOOK_SECONDS: Final = 0.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JobWait:
    """Lets one job wait.

    Attributes
    ----------
    image_store : ImageStore
        Where its row and its packs are.
    item : WorkItem
        Its lease.
    stop : threading.Event
        Set when the runner is to end.
    """

    image_store: ImageStore
    item: WorkItem
    stop: threading.Event

    @property
    def is_over(self) -> bool:
        """Whether the disks take more."""
        return self.image_store.free_space.trouble is None

    def for_room(self) -> None:
        """Wait until the disks take more, which goes without waiting as a rule.

        Raises
        ------
        StoppedError
            The runner ends.
        """
        # What is known may be old: a process that was suspended has not looked since.
        trouble = self.image_store.free_space.look()
        if trouble is None:
            return
        _log.warning("import waits", job=self.item.subject_id, reason=trouble.value)
        self.note(f"a disk of the service {trouble.value}")
        while self.image_store.free_space.trouble is not None:
            if self.stop.wait(_LOOK_SECONDS):
                raise StoppedError
        _log.info("import goes on", job=self.item.subject_id)
        self.end()

    def note(self, reason: str) -> None:
        """Let the message of the job say what it waits for, where the database takes it."""
        with suppress(DatabaseTroubleError):
            self._write(f"The job waits and goes on by itself: {reason}")

    def end(self) -> None:
        """Take the message away."""
        self._write(None)

    def _write(self, message: str | None) -> None:
        with self.image_store.database.write() as connection:
            self.image_store.queue.hold(connection, self.item)
            job = import_jobs.c.id == self.item.subject_id
            connection.execute(update(import_jobs).where(job).values(message=message))
