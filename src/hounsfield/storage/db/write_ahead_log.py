"""Checkpoints of the write-ahead log of the embedded database, which keep it short.

    every few seconds ─▶ there is a log, and nobody wrote since the last look ─▶ brought into the database, cut to nothing
                      ├▶ it is long, whoever writes                           ─▶ the same, as soon as readers let it
                      └▶ it is too long                                       ─▶ readers that keep the old state are ended

SQLite brings pages of the log into the database at commits, but begins the log anew only in a moment in which nobody reads it.
With reads without a pause, or one that takes long, it would grow for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.errors import DatabaseTroubleError

LONG_LOG_BYTES: Final = 64 * 1024 * 1024
"""Length from which the log is folded also while others write, which wait for that."""

LONGEST_READ_SECONDS: Final = 30.0
"""How long a read may take once the log has twice that length."""

_LOOK_SECONDS: Final = 2.0
_IDLE_WAIT_SECONDS: Final = 0.1
_LONG_WAIT_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class LogCheckpointer:
    """Keeps the log short, from a thread of its own; for PostgreSQL there is nothing to do.

    Parameters
    ----------
    database : Database
        The database; readers of this process are those that can be ended.
    long_bytes : int
        Length from which the log is folded also while others write.
    longest_read_seconds : float
        How long a read may take while the log has twice that length.
    """

    def __init__(
        self,
        database: Database,
        *,
        long_bytes: int = LONG_LOG_BYTES,
        longest_read_seconds: float = LONGEST_READ_SECONDS,
    ) -> None:
        self._database = database
        self._long_bytes = long_bytes
        self._longest_read_seconds = longest_read_seconds
        self._seen: tuple[int, int] = (0, 0)
        self._stop = threading.Event()
        self._thread = SupervisedThread("write-ahead-log", self._run, self._stop)

    def start(self) -> None:
        """Begin to look now and then."""
        if self._database.log is not None:
            self._thread.start()

    def stop(self) -> None:
        """End, with the log folded: a copy of the database file alone then has all that was written.

        Of several processes that end, the last one leaves no log.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._database.log is not None:
            self._fold_or_warn(partial(self._database.fold_log, _LONG_WAIT_SECONDS))

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self._fold_or_warn(self.look)

    @staticmethod
    def _fold_or_warn(fold: Callable[[], object]) -> None:
        try:
            fold()
        except (DatabaseTroubleError, OSError) as error:
            _log.warning("write-ahead log not folded", error=type(error).__name__)

    def look(self) -> None:
        """Fold the log where that is due."""
        size, changed = self._state()
        idle, self._seen = (size, changed) == self._seen, (size, changed)
        if size == 0 or not (idle or size >= self._long_bytes):
            return
        folded = self._database.fold_log(_LONG_WAIT_SECONDS if size >= self._long_bytes else _IDLE_WAIT_SECONDS)
        if not folded and size >= 2 * self._long_bytes:
            ended = self._database.interrupt_readers(self._longest_read_seconds)
            _log.warning("write-ahead log cannot be cut while it is read", bytes=size, readers_ended=ended)

    def _state(self) -> tuple[int, int]:
        """Return length and time of the last change of the log."""
        if self._database.log is None:
            return 0, 0
        try:
            status = self._database.log.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_size, status.st_mtime_ns
