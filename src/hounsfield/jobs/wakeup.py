"""Wakeup of idle runners, so that short work begins at once and not at their next poll.

    enqueue ──commit──▶ notify ──▶ a pipe in the data folder, or NOTIFY of PostgreSQL ──▶ listen ──▶ idle slots look for work

A notification carries nothing and may be lost: the rows are the queue, and runners poll it as well. So one notification too
many, a runner that was killed and one that does not listen yet do no harm.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection, text

from hounsfield.storage.db.database import Database, after_commit

_CHANNEL: Final = "hounsfield_work"
_STOP_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 1.0
_BYTES_AT_ONCE: Final = 65_536
_log = structlog.get_logger(__name__)


class Wakeup(Protocol):
    """What wakes idle runners."""

    def notify(self, connection: Connection) -> None:
        """Wake idle runners when the caller's transaction has committed; never raises because nobody listens."""
        ...

    def listen(self, woken: Callable[[], None], stop: threading.Event) -> None:
        """Call ``woken`` at every notification, until ``stop`` is set."""
        ...


class PipeWakeup:
    """A named pipe, for processes of one machine.

    Of several runners one gets a notification; the others poll.

    Parameters
    ----------
    path : Path
        The pipe; made by whoever listens.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def notify(self, connection: Connection) -> None:
        """Write a byte when the caller's transaction has committed."""
        after_commit(connection, self._write)

    def _write(self) -> None:
        # No pipe, no reader, or a pipe that is full: in each case there is nobody to notify.
        with contextlib.suppress(OSError):
            pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                if _is_pipe(pipe):
                    os.write(pipe, b"\0")
            finally:
                os.close(pipe)

    def listen(self, woken: Callable[[], None], stop: threading.Event) -> None:
        """Wait for bytes until ``stop`` is set; a pipe that was taken away is made anew."""
        while not stop.is_set():
            try:
                self._receive(woken, stop)
            except OSError:
                _log.exception("listening for work failed")
                stop.wait(_PAUSE_SECONDS)

    def _receive(self, woken: Callable[[], None], stop: threading.Event) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._path, 0o600)
        # Opened for writing too, so that the pipe does not end with its last writer.
        pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        try:
            if not _is_pipe(pipe):
                raise OSError(f"{self._path.name} is no pipe")
            woken()
            while not stop.is_set() and self._is_mine(pipe):
                readable, _, _ = select.select([pipe], [], [], _STOP_SECONDS)
                if readable:
                    with contextlib.suppress(BlockingIOError):
                        os.read(pipe, _BYTES_AT_ONCE)
                    woken()
            if self._is_mine(pipe):
                # A data folder at rest holds only files, which every tool can copy.
                self._path.unlink()
        finally:
            os.close(pipe)

    def _is_mine(self, pipe: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(pipe))
        except FileNotFoundError:
            return False


def _is_pipe(descriptor: int) -> bool:
    return stat.S_ISFIFO(os.fstat(descriptor).st_mode)


class PostgresqlWakeup:
    """NOTIFY and LISTEN, for any number of machines.

    Parameters
    ----------
    database : Database
        A PostgreSQL database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def notify(self, connection: Connection) -> None:
        """Notify in the caller's transaction; PostgreSQL tells the listeners when it commits."""
        connection.execute(text(f"NOTIFY {_CHANNEL}"))

    def listen(self, woken: Callable[[], None], stop: threading.Event) -> None:
        """Wait for notifications until ``stop`` is set; a lost connection is made anew."""
        while not stop.is_set():
            try:
                self._receive(woken, stop)
            except Exception:  # noqa: BLE001 - the last resort of a thread that must go on
                _log.exception("listening for work failed")
                stop.wait(_PAUSE_SECONDS)

    def _receive(self, woken: Callable[[], None], stop: threading.Event) -> None:
        connection = self._database.engine.raw_connection()
        driver: Any = connection.driver_connection
        connection.detach()
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {_CHANNEL}")
            # What was put in before is found now.
            woken()
            while not stop.is_set():
                # The rest of a batch is lost with the loop, but one notification says as much as many.
                for _ in driver.notifies(timeout=_STOP_SECONDS, stop_after=1):
                    woken()
        finally:
            driver.close()


def make_wakeup(database: Database, data: Path) -> Wakeup:
    """Return the wakeup that fits a database: a pipe in the data folder beside the embedded one."""
    if database.engine.dialect.name == "postgresql":
        return PostgresqlWakeup(database)
    return PipeWakeup(data / "work.pipe")
