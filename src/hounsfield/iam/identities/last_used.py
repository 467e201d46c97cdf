"""Last use of access keys: noted in memory, written at intervals.

request ─▶ LastUsedWriter.note (a dict entry) ─▶ now and then one write of what is a minute newer ─▶ access_keys
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import or_, update

from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.iam_tables import access_keys

_log = structlog.get_logger(__name__)
PRECISION_MS: Final = 60_000
"""How much older than the last use a row may say it was; it is also how often the row of a key in use is written."""
_EVERY_SECONDS: Final = 2.0


class LastUsedWriter:
    """Notes and writes the uses of one process.

    Parameters
    ----------
    database : Database
        Where the keys are.
    clock : callable
        The time in milliseconds since 1970-01-01 UTC.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = SupervisedThread("key-uses", self._run, self._stop)

    def note(self, access_key_id: str) -> None:
        """Note that a key of the directory has just signed a request."""
        self._noted[access_key_id] = self._clock()

    def start(self) -> None:
        """Begin to write now and then."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self._try_to_flush(PRECISION_MS)
        self._try_to_flush(1)

    def _try_to_flush(self, newer_by: int) -> None:
        try:
            self._flush(newer_by)
        except Exception as error:  # noqa: BLE001 - the database may be away; what was noted is kept for the next time
            _log.warning("uses of access keys not written", error=type(error).__name__)

    def _flush(self, newer_by: int) -> None:
        due = {
            key: moment
            for key, moment in sorted(dict(self._noted).items())
            if moment >= self._written.get(key, 0) + newer_by
        }
        if not due:
            return
        column = access_keys.c.last_used_at
        with self._database.write() as connection:
            for key, moment in due.items():
                older = or_(column.is_(None), column <= moment - newer_by)
                connection.execute(
                    update(access_keys).where(access_keys.c.id == key, older).values(last_used_at=moment)
                )
        self._written |= due
