"""Last access of image sets: noted in memory by every read, written at intervals.

    read ─▶ PendingAccesses.touch (one entry of a dict) ─▶ every few seconds, those whose row is out of date ─▶ image_sets

A row is out of date when its image set is archived, or when the access it tells of is older than a set precision; so a
set that is read a thousand times a second costs one write an hour.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import select, update

from hounsfield.imaging.states import StorageTier
from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import Database, in_groups, lock_row
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.journal.changes import note_accessed

_MOST_NOTED = 100_000
_log = structlog.get_logger(__name__)


class PendingAccesses:
    """The accesses of this process that are not written down yet.

    Parameters
    ----------
    most : int
        How many image sets are noted at most; what comes beyond between two writes is not noted.
    """

    def __init__(self, most: int = _MOST_NOTED) -> None:
        self._most = most
        self._noted: dict[str, int] = {}

    def touch(self, image_set_id: str) -> None:
        """Note that an image set was accessed now: what tells of it is the time of its last GetImageFrame and the like."""
        if len(self._noted) < self._most or image_set_id in self._noted:
            self._noted[image_set_id] = now_ms()

    def take(self) -> dict[str, int]:
        """Return the time of the last access of each image set noted, in milliseconds, and forget them."""
        taken: dict[str, int] = {}
        # Entry by entry, each in one step, so that an access noted meanwhile by another thread is never lost.
        while self._noted:
            image_set_id, moment = self._noted.popitem()
            taken[image_set_id] = moment
            if len(taken) >= self._most:
                break
        return taken

    def put_back(self, notes: Mapping[str, int]) -> None:
        """Note accesses again that could not be written down."""
        for image_set_id, moment in notes.items():
            if len(self._noted) < self._most:
                self._noted.setdefault(image_set_id, moment)


class AccessWriter:
    """Writes accesses down, from a thread of its own.

    Parameters
    ----------
    database : Database
        Where the image sets are.
    notes : PendingAccesses
        What was accessed.
    every_seconds : float
        How often.
    precision_seconds : float
        How much older than the access a row may say the last one was; an archived set comes back whatever it says.
    """

    def __init__(
        self, database: Database, notes: PendingAccesses, *, every_seconds: float, precision_seconds: float
    ) -> None:
        self._database = database
        self._notes = notes
        self._every_seconds = every_seconds
        self._precision_ms = int(precision_seconds * 1000)
        self._stop = threading.Event()
        self._thread = SupervisedThread("accesses", self._run, self._stop)

    def start(self) -> None:
        """Begin to write now and then."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds):
            self._try_to_flush()
        self._try_to_flush()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001 - the database may be away; the notes are kept for the next time
            _log.warning("accesses not written", error=type(error).__name__)

    def flush(self) -> None:
        """Write down all accesses noted; those of image sets that are being written meanwhile are left for the next time."""
        noted = self._notes.take()
        written: set[str] = set()
        try:
            for some in in_groups(sorted(noted)):
                written.update(self._write({name: noted[name] for name in some}))
        finally:
            self._notes.put_back({name: moment for name, moment in noted.items() if name not in written})

    def _write(self, noted: Mapping[str, int]) -> set[str]:
        """Write those that are out of date; give all that need no other try."""
        due = self._due(noted)
        if not due:
            return set(noted)
        columns = image_sets.c
        with self._database.write() as connection:
            # Never waits for a lock, so that it can never be part of a deadlock, whatever order others lock in.
            query = select(columns.id, columns.last_accessed_at).where(
                columns.id.in_(due), columns.deleted_at.is_(None)
            )
            rows = connection.execute(lock_row(connection, query, skip_locked=True)).all()
            for row in rows:
                moment = max(row.last_accessed_at, noted[row.id])
                connection.execute(
                    update(image_sets)
                    .where(columns.id == row.id)
                    .values(last_accessed_at=moment, storage_tier=StorageTier.FREQUENT_ACCESS)
                )
            note_accessed(connection, {row.id: max(row.last_accessed_at, noted[row.id]) for row in rows})
        return set(noted).difference(due).union(row.id for row in rows)

    def _due(self, noted: Mapping[str, int]) -> Sequence[str]:
        columns = image_sets.c
        query = select(columns.id, columns.last_accessed_at, columns.storage_tier)
        with self._database.read() as connection:
            rows = connection.execute(query.where(columns.id.in_(list(noted)), columns.deleted_at.is_(None))).all()
        return [
            row.id
            for row in rows
            if row.storage_tier != StorageTier.FREQUENT_ACCESS
            or row.last_accessed_at < noted[row.id] - self._precision_ms
        ]
