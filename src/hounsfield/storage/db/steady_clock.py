"""Steady clock of the installation: milliseconds that go on whatever happens to the clocks of its machines.

    row of the database ─▶ the latest that is known ─┐
    monotonic clock of the process ──────────────────┴─▶ now ─▶ row: by runners, at claims, renewals, and every 30 s

Leases, pauses, and ages that decide whether something is deleted go by it: a wall clock that is set a day ahead, or back, by
hand, by NTP or by a dead battery, moves none of them. It began with the wall clock, so that what was written down before is
older than what is written now, and it never goes faster than the monotonic clock. While no runner runs it stands still:
then nothing is leased, and what is to be deleted is deleted so much later.

What somebody reads, and what others agree on, stays the wall clock's: times in answers, signatures, expiry of keys and tokens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, select, update

from hounsfield.storage.db.clock_table import steady_clock
from hounsfield.storage.db.database import Database

_IDLE_SECONDS: Final = 30.0
"""How much of it may be lost when all processes end while nothing is under way."""


def steady_ms(connection: Connection) -> int:
    """Return the time that the database has, which is never ahead of any runner's."""
    return int(connection.execute(select(steady_clock.c.ms)).scalar_one())


class SteadyClock:
    """The time as a process knows it.

    Parameters
    ----------
    database : Database
        The database of the installation.
    monotonic : callable
        Seconds that never jump.
    """

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: tuple[int, float] | None = None
        self._written_at = float("-inf")

    def now(self) -> int:
        """Return the time; asks the database only at first."""
        with self._lock:
            now = self._reckoned()
        if now is not None:
            return now
        with self._database.read() as connection:
            return self.follow(connection)

    def follow(self, connection: Connection) -> int:
        """Return the time, having looked in a transaction whether another process is ahead."""
        return self._at_least(steady_ms(connection))

    def advance(self, connection: Connection) -> int:
        """Write the time down in a transaction of a runner, and give it."""
        now = self.follow(connection)
        connection.execute(update(steady_clock).where(steady_clock.c.ms < now).values(ms=now))
        with self._lock:
            self._written_at = self._monotonic()
        return now

    def tick(self) -> None:
        """Write the time down where that was not done for a while, because nothing is under way."""
        with self._lock:
            recent = self._monotonic() - self._written_at < _IDLE_SECONDS
        if recent:
            return
        with self._database.write() as connection:
            self.advance(connection)

    def _at_least(self, moment: int) -> int:
        with self._lock:
            now = self._reckoned()
            if now is None or now < moment:
                self._known = (moment, self._monotonic())
                return moment
            return now

    def _reckoned(self) -> int | None:
        if self._known is None:
            return None
        known, since = self._known
        return known + int((self._monotonic() - since) * 1000)
