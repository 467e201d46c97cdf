"""Read replica: a standby of PostgreSQL that answers searches while it is no older than a bound.

    primary   where its log ends, and when that was asked ─┐
                                                           ├─▶ the replica has all that was there at that moment
    replica   how far it has replayed the log ─────────────┘

Only the primary knows what a replica lacks: one that lost its connection says of itself that it has replayed all that it
got. So its age is counted from the last moment of which the primary's end of the log is known to be replayed. No clock of
another machine counts. Beyond the bound, or where the replica does not answer, the primary is asked.

Sources: PostgreSQL documentation, 9.28.3 (``pg_current_wal_lsn``) and 9.28.4 (``pg_last_wal_replay_lsn``).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_END_OF_PRIMARY: Final = text(
    "SELECT CAST(pg_current_wal_lsn() AS text), (SELECT system_identifier FROM pg_control_system())"
)
_END_OF_REPLICA: Final = text(
    "SELECT CAST(pg_last_wal_replay_lsn() AS text), (SELECT system_identifier FROM pg_control_system()), pg_is_in_recovery()"
)
_LOOKS: Final = 10
"""How often, at most, it is looked within the bound."""
_AWAY_SECONDS: Final = 5.0
"""How long a replica that did not answer is left alone."""
_MOST_MARKS: Final = 1024

_log = structlog.get_logger(__name__)


class ReadReplica:
    """A replica and what is known of its age; for several threads.

    Parameters
    ----------
    primary : Engine
        Gives connections to the primary.
    engine : Engine
        Gives connections to the replica.
    most_seconds : float
        How old what it answers may be.

    Attributes
    ----------
    reason : str
        Why it was not used when it was looked last; empty where it was.
    """

    def __init__(self, primary: Engine, engine: Engine, most_seconds: float) -> None:
        self.engine = engine
        self._primary = primary
        self._most_seconds = most_seconds
        self._lock = threading.Lock()
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MOST_MARKS)
        self._complete_at = float("-inf")
        self._look_from = float("-inf")
        self._is_used: bool | None = None
        self.reason = "it has not been asked"

    def is_fresh(self) -> bool:
        """Return whether the replica may be asked; now and then this asks it, and the primary, how far they are."""
        if time.monotonic() >= self._look_from and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return time.monotonic() - self._complete_at <= self._most_seconds

    def leave(self) -> None:
        """Leave the replica alone for a while: it did not answer."""
        self._complete_at = float("-inf")
        self._look_from = time.monotonic() + _AWAY_SECONDS

    def _look(self) -> None:
        asked_at = time.monotonic()
        self._look_from = asked_at + self._most_seconds / _LOOKS
        try:
            with self._primary.connect() as connection:
                end, identifier = connection.execute(_END_OF_PRIMARY).one()
            self._marks.append((asked_at, _position(end)))
            with self.engine.connect() as connection:
                replayed, replica, is_standby = connection.execute(_END_OF_REPLICA).one()
        except (DBAPIError, PoolTimeoutError) as error:
            self.leave()
            self._tell(used=False, reason=type(error).__name__)
            return
        if replica != identifier or not is_standby or replayed is None:
            self.leave()
            self._tell(used=False, reason="it is no standby of the database")
            return
        while self._marks and self._marks[0][1] <= _position(replayed):
            self._complete_at = self._marks.popleft()[0]
        is_fresh = time.monotonic() - self._complete_at <= self._most_seconds
        self._tell(used=is_fresh, reason="" if is_fresh else "it is behind")

    def _tell(self, *, used: bool, reason: str) -> None:
        self.reason = reason
        if used == self._is_used:
            return
        self._is_used = used
        if used:
            _log.info("read replica is used")
        else:
            _log.warning("read replica is not used", reason=reason)


def _position(lsn: str) -> int:
    """Return a place in the log as a number, from its text: two hexadecimal numbers of 32 bits."""
    high, _, low = lsn.partition("/")
    return int(high, 16) << 32 | int(low, 16)
