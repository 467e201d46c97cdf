"""Outcomes of commits whose answer was lost, by what PostgreSQL remembers of each transaction.

    BEGIN, id of the transaction ─▶ ... ─▶ COMMIT ─▶ no answer ─▶ another connection: what became of that id?

The id comes with the answer to ``BEGIN``, so that it costs no round trip. Only the server that gave it knows what it means: one
that was a standby has another timeline, and may give the same id to another transaction.

Sources: PostgreSQL documentation, 9.27.10 (``pg_current_xact_id``, ``pg_xact_status``), 9.28.3 (``pg_walfile_name``).
"""

from __future__ import annotations

import time
from contextlib import suppress
from enum import Enum
from typing import Any, Final, NamedTuple

import psycopg
import structlog
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_log = structlog.get_logger(__name__)
_BEGIN: Final = b"BEGIN; SELECT pg_current_xact_id()"
_TIMELINE: Final = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
"""The first eight digits of the name of a file of the write-ahead log are the timeline."""
_OUTCOME: Final = text(f"SELECT pg_xact_status(CAST(CAST(:id AS text) AS xid8)), ({_TIMELINE})")
_TRANSACTION: Final = "hounsfield_transaction"
_SERVER: Final = "hounsfield_timeline"
_PAUSE_SECONDS: Final = 0.1


class Transaction(NamedTuple):
    """A transaction: its id, and the timeline of the server that gave it."""

    id: str
    timeline: str


class CommitOutcome(Enum):
    """What became of a transaction."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


def remember_transactions(engine: Engine) -> None:
    """Let every transaction of an engine for PostgreSQL be one whose outcome can be asked for."""

    @event.listens_for(engine, "connect")
    def note_server(driver: Any, record: Any) -> None:
        record.info[_SERVER] = ""
        # A standby has none; it refuses what comes next by itself.
        with suppress(psycopg.errors.ObjectNotInPrerequisiteState), driver.transaction():
            record.info[_SERVER] = driver.execute(_TIMELINE).fetchone()[0]

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        connection.info.pop(_TRANSACTION, None)
        # The driver would begin by itself with a round trip of its own.
        result = driver.pgconn.exec_(_BEGIN)
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result)
        identifier = result.get_value(0, 0).decode()
        connection.info[_TRANSACTION] = Transaction(identifier, connection.info[_SERVER])


def transaction_of(connection: Connection) -> Transaction | None:
    """Return the transaction of a connection; None where its outcome cannot be asked for."""
    return connection.info.get(_TRANSACTION)


def find_outcome(engine: Engine, transaction: Transaction, seconds: float) -> CommitOutcome:
    """Ask what became of a transaction whose connection was lost.

    Parameters
    ----------
    engine : Engine
        Gives other connections.
    transaction : Transaction
        The transaction.
    seconds : float
        How long to ask while there is no answer, or it is still under way.
    """
    until = time.monotonic() + seconds
    while True:
        outcome = _ask(engine, transaction)
        if outcome is not None or time.monotonic() >= until:
            break
        time.sleep(_PAUSE_SECONDS)
    outcome = outcome or CommitOutcome.UNKNOWN
    _log.warning("database lost while it committed", outcome=outcome.value)
    return outcome


def _ask(engine: Engine, transaction: Transaction) -> CommitOutcome | None:
    """Return the outcome; None where it is to be asked for again."""
    try:
        with engine.connect() as connection:
            state, timeline = connection.execute(_OUTCOME, {"id": transaction.id}).one()
    except (DBAPIError, PoolTimeoutError):
        return None
    if timeline != transaction.timeline:
        return CommitOutcome.UNKNOWN
    return {"committed": CommitOutcome.COMMITTED, "aborted": CommitOutcome.ABORTED, "in progress": None}.get(
        state, CommitOutcome.UNKNOWN
    )
