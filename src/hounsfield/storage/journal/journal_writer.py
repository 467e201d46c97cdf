"""The journal of one process: what its transactions changed, written to segments of its own.

    transaction ─▶ outbox (same commit) ─▶ committed ─┬─▶ folder: appended to the segment, before anybody is answered
                                                      └─▶ object store: kept
    every second ─▶ fsync, or one object ─▶ rows of the outbox deleted
    every 10 s   ─▶ rows that stay: left by a process that died ─▶ written too

The outbox is as durable as the change itself, and costs no further fsync. A folder has each record before the answer; so
nothing that was answered is lost with the database, whatever ends the processes. A loss of power takes at most what a second
wrote, and the outbox has that. A record that is written twice is one: its sequence tells.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, bindparam, delete, select, text

from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.blobs.blobs import BlobLocation, Blobs, write_blob
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import NOTED_CHANGES, Database, after_commit, in_groups
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.db.journal_table import highest_sequence, journal_outbox
from hounsfield.storage.db.prepared import PreparedStatement, run_text
from hounsfield.storage.durable_files import make_folder_durably, sync_folder
from hounsfield.storage.journal.changes import NotedChanges, pack_changes
from hounsfield.storage.journal.segments import Ending, SegmentSealer

_RECORDING_LOCK: Final = 1_212_827_212
"""Held shared by transactions that record on PostgreSQL: who takes it alone knows that all sequences so far are committed."""
FLUSH_SECONDS: Final = 1.0
"""How often what was written is made durable; in an object store, how much of the journal the database alone has."""
_KEEP_SECONDS: Final = 3600.0
_SEGMENT_BYTES: Final = 16 * 1024 * 1024
_SEGMENT_SECONDS: Final = 3600.0
_DELETE_FROM: Final = 1000
_DELETE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 10.0
_AT_ONCE: Final = 500
_INSERT: Final = "INSERT INTO journal_outbox (content) VALUES (?) RETURNING sequence"
_INSERT_LOCKED: Final = (
    "INSERT INTO journal_outbox (content) SELECT %s FROM pg_advisory_xact_lock_shared(1212827212) RETURNING sequence"
)
_SEQUENCES: Final = PreparedStatement(
    select(journal_outbox.c.sequence).order_by(journal_outbox.c.sequence).limit(bindparam("most"))
)
_log = structlog.get_logger(__name__)


class JournalWriter:
    """Records what transactions change, and brings it into the journal.

    Parameters
    ----------
    database : Database
        Has the outbox.
    place : BlobLocation
        Where the segments go.
    blobs : Blobs
        The same, opened.
    secret : bytes
        The journal key.
    steady_ms : callable
        Gives the time of the installation.
    """

    def __init__(
        self, database: Database, place: BlobLocation, blobs: Blobs, secret: bytes, steady_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._steady_ms = steady_ms
        self._segments: _FileSegments | _ObjectSegments = (
            _ObjectSegments(blobs, secret) if place.folder is None else _FileSegments(Path(place.folder), secret)
        )
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._late: list[tuple[int, bytes]] = []
        self._written: list[int] = []
        self._durable: list[int] = []
        self._known: set[int] = set()
        self._seen: set[int] = set()
        self._deleted_at = self._looked_at = float("-inf")

    def record(self, connection: Connection) -> None:
        """Write what a transaction noted into the outbox, and have it appended once that is committed."""
        noted: NotedChanges | None = connection.info.pop(NOTED_CHANGES, None)
        if noted is None:
            return
        content = pack_changes(noted.read(connection), now_ms(), self._steady_ms())
        sequence = _insert(connection, content)
        after_commit(connection, partial(self.append, sequence, content))

    def append(self, sequence: int, content: bytes) -> None:
        """Append a committed record; where that fails the outbox keeps it, and it is tried again."""
        with self._lock:
            self._known.add(sequence)
            try:
                self._segments.append(sequence, content)
                self._written.append(sequence)
            except OSError as error:
                if not self._late:
                    _log.error("the journal cannot be written", error=type(error).__name__, reason=error.strerror)
                self._late.append((sequence, content))

    def flush(self) -> None:
        """Make durable what was written, and forget it in the outbox.

        Raises
        ------
        OSError
            The place cannot be written.
        DatabaseTroubleError
            The outbox cannot be reached.
        """
        with self._flushing:
            with self._lock:
                late, self._late = self._late, []
                while late:
                    try:
                        self._segments.append(*late[0])
                    except OSError:
                        self._late = late + self._late
                        raise
                    self._written.append(late.pop(0)[0])
                written, self._written = self._written, []
            try:
                self._segments.flush(self._lock)
            except OSError:
                with self._lock:
                    self._written = written + self._written
                raise
            self._durable += written
            now = time.monotonic()
            if len(self._durable) > 1 and (
                len(self._durable) >= _DELETE_FROM or now - self._deleted_at >= _DELETE_SECONDS
            ):
                self._forget()
                self._deleted_at = now

    def _forget(self) -> None:
        """Delete what is durable from the outbox, but for the row of the highest sequence."""
        remaining: list[int] = []
        for some in in_groups(self._durable):
            with self._database.write() as connection:
                highest = highest_sequence(connection)
                connection.execute(
                    delete(journal_outbox).where(
                        journal_outbox.c.sequence.in_(some), journal_outbox.c.sequence < highest
                    )
                )
                kept = highest in some
            if kept:
                remaining.append(highest)
        self._durable = remaining

    def take_leftovers(self, *, at_once: bool = False) -> int:
        """Write what processes left in the outbox that died; give how many records there were.

        Parameters
        ----------
        at_once : bool
            Take all records of others, of which some may be alive; else those that were there at the look before, too.
        """
        with self._database.read() as connection:
            found = {row.sequence for row in _SEQUENCES.rows(connection, {"most": 100 * _AT_ONCE})}
            others = found - self._known
            left = sorted(others if at_once else others & self._seen)
            self._seen = found
            with self._lock:
                self._known.intersection_update(
                    found.union(self._written, self._durable, (one for one, _ in self._late))
                )
            count = 0
            for some in in_groups(left):
                rows = connection.execute(
                    select(journal_outbox)
                    .where(journal_outbox.c.sequence.in_(some))
                    .order_by(journal_outbox.c.sequence)
                )
                for row in rows:
                    self.append(row.sequence, bytes(row.content))
                    count += 1
        return count

    def look(self) -> None:
        """Take what others left, where that was not done for a while, and flush; raises as `flush` does."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            first = self._looked_at == float("-inf")
            self._looked_at = now
            self.take_leftovers(at_once=first)
        self.flush()

    def close(self) -> None:
        """Flush, and write no more."""
        try:
            self._deleted_at = float("-inf")
            self.flush()
        except (OSError, DatabaseTroubleError) as error:
            _log.warning("the end of the journal is in the database only", error=type(error).__name__)
        finally:
            self._segments.close()


@contextmanager
def read_settled_snapshot(database: Database) -> Iterator[Connection]:
    """Open a snapshot of all that has a sequence up to the highest that it sees.

    On PostgreSQL a transaction may have a sequence and not be committed yet, while one with a higher sequence is: a
    snapshot of that moment would lack it, and so would all that is made of that snapshot and of the records behind it.
    """
    with database.read_snapshot() as connection:
        if connection.dialect.name == "postgresql":
            with database.write() as other:
                _wait_for_records(other)
                # The first statement takes the snapshot.
                highest_sequence(connection)
        yield connection


def settled_sequence(database: Database) -> int:
    """Return the highest sequence; all that was recorded up to it is committed."""
    with database.write() as connection:
        _wait_for_records(connection)
        return highest_sequence(connection)


def _wait_for_records(connection: Connection) -> None:
    """Wait until no transaction has a sequence that is not committed, and keep others from getting one until this one ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _RECORDING_LOCK})


def _insert(connection: Connection, content: bytes) -> int:
    """Put a record into the outbox; gives its sequence."""
    statement = _INSERT_LOCKED if connection.dialect.name == "postgresql" else _INSERT
    return int(run_text(connection, statement, (content,))[0])


class _FileSegments:
    """Segments as files that grow."""

    def __init__(self, root: Path, secret: bytes) -> None:
        self._root = root
        self._secret = secret
        self._writer = secrets.token_hex(16)
        self._number = 0
        self._previous = Ending()
        self._sealer: SegmentSealer | None = None
        self._descriptor = -1
        self._size = 0
        self._began = 0.0
        self._is_named = False

    def append(self, sequence: int, content: bytes) -> None:
        sealer = self._sealer or self._begin()
        self._write(sealer.seal(sequence, content))
        self._previous = Ending(sealer.name.number, sealer.count)

    def _begin(self) -> SegmentSealer:
        sealer = SegmentSealer(self._secret, self._writer, self._number + 1, self._previous)
        path = self._root / str(sealer.name)
        make_folder_durably(path.parent)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._number += 1
        self._sealer, self._size, self._began, self._is_named = sealer, 0, time.monotonic(), False
        self._write(sealer.beginning)
        return sealer

    def _write(self, data: bytes) -> None:
        try:
            _write_whole(self._descriptor, data)
        except OSError:
            # What was half written is not gone on behind: the next record begins a segment.
            self._end()
            raise
        self._size += len(data)

    def _end(self) -> None:
        if self._sealer is not None:
            self._sealer = None
            os.close(self._descriptor)
            self._descriptor = -1

    def flush(self, lock: threading.Lock) -> None:
        with lock:
            if self._sealer is None:
                return
            descriptor, sealer, is_named = os.dup(self._descriptor), self._sealer, self._is_named
        try:
            os.fdatasync(descriptor)
            if not is_named:
                sync_folder((self._root / str(sealer.name)).parent)
        finally:
            os.close(descriptor)
        with lock:
            if self._sealer is sealer:
                self._is_named = True
                if self._size >= _SEGMENT_BYTES or time.monotonic() - self._began >= _SEGMENT_SECONDS:
                    self._end()

    def close(self) -> None:
        self._end()


def _write_whole(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, "no room for a whole record")


class _ObjectSegments:
    """Segments as objects, one for each flush."""

    def __init__(self, blobs: Blobs, secret: bytes) -> None:
        self._blobs = blobs
        self._secret = secret
        self._writer = secrets.token_hex(16)
        self._number = 0
        self._previous = Ending()
        self._kept: list[tuple[int, bytes]] = []

    def append(self, sequence: int, content: bytes) -> None:
        self._kept.append((sequence, content))

    def flush(self, lock: threading.Lock) -> None:
        with lock:
            kept, self._kept = self._kept, []
        if not kept:
            return
        # A number that failed is not used again: whatever became of it, nothing is sealed twice under its key.
        self._number += 1
        sealer = SegmentSealer(self._secret, self._writer, self._number, self._previous)
        data = b"".join([sealer.beginning, *(sealer.seal(*record) for record in kept)])
        try:
            write_blob(self._blobs, str(sealer.name), data)
        except OSError:
            with lock:
                self._kept = kept + self._kept
            raise
        self._previous = Ending(sealer.name.number, sealer.count)

    def close(self) -> None:
        """Keep nothing open."""


class JournalFlusher:
    """Makes the journal durable again and again, from a thread of its own.

    Parameters
    ----------
    database : Database
        Has the recorder of this process.
    keep_key : callable
        Sees to it that what opens the journal stands beside it; raises OSError where that cannot be.
    """

    def __init__(self, database: Database, keep_key: Callable[[], object]) -> None:
        self._database = database
        self._keep_key = keep_key
        self._kept_at = float("-inf")
        self._stop = threading.Event()
        self._thread = SupervisedThread("journal", self._run, self._stop)
        self._is_failing = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Flush once more, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._database.recorder is not None:
            self._database.recorder.close()

    def _run(self) -> None:
        # At once: what the first start has made is in the database only until then.
        self._flush()
        while not self._stop.wait(FLUSH_SECONDS):
            self._flush()

    def _flush(self) -> None:
        try:
            if time.monotonic() - self._kept_at >= _KEEP_SECONDS:
                self._keep_key()
                self._kept_at = time.monotonic()
            if self._database.recorder is not None:
                self._database.recorder.look()
        except (OSError, DatabaseTroubleError) as error:
            if not self._is_failing:
                _log.error("the journal is not written", error=type(error).__name__)
            self._is_failing = True
        else:
            if self._is_failing:
                _log.info("the journal is written again")
            self._is_failing = False
