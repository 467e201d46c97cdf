"""Errors of the database that no statement is to blame for, the same for SQLite and PostgreSQL.

    error of the driver ─▶ translate_error ─┬─▶ DatabaseBusyError     locked, or too many use it: comes right by itself
                                            ├─▶ DatabaseDownError     not reached, or a disk that fails
                                            │     ├─ TransactionLostError  lost within a transaction that changed nothing
                                            │     └─ CommitUnknownError    lost while it committed: nobody knows
                                            ├─▶ DatabaseFullError     no room is left
                                            └─▶ DatabaseDamagedError  a part of it cannot be read

Everything else, such as a constraint that does not hold, stays the error that it was.

Sources: SQLite result codes (sqlite.org/rescode.html), PostgreSQL error codes (PostgreSQL documentation, appendix A).
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from typing import Any, Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hounsfield.runtime.picklable_error import PicklableError

_log = structlog.get_logger(__name__)
_TOLD_SECONDS: Final = 60.0
_told_at: Final[dict[tuple[str, ...], float]] = {}
_PRIMARY: Final = 0xFF

_BUSY, _LOCKED, _READONLY, _INTERRUPT, _IOERR, _CORRUPT, _FULL = 5, 6, 8, 9, 10, 11, 13
_CANTOPEN, _PROTOCOL, _NOTADB = 14, 15, 26
_IOERR_READ, _IOERR_SHORT_READ, _IOERR_CORRUPTFS = 266, 522, 8458

_DISK_FULL: Final = frozenset({"53100"})
_DAMAGED: Final = frozenset({"XX001", "XX002"})
_BUSY_STATES: Final = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57014",  # query_canceled, as by statement_timeout
    }
)
_DOWN_STATES: Final = frozenset(
    {
        "25006",  # read_only_sql_transaction: a standby
        "25P03",  # idle_in_transaction_session_timeout
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
        "58000",  # system_error
        "58030",  # io_error
    }
)
_ENDING_STATES: Final = frozenset({"25P03", "57P01", "57P02", "57P03", "57P05"})
"""After these the server closes the connection."""
_CONNECTION_CLASS: Final = "08"


class DatabaseTroubleError(Exception):
    """The database cannot do what it was asked, whatever that was."""


class DatabaseBusyError(DatabaseTroubleError):
    """A lock, a connection or the turn to write was not to be had in time."""


class DatabaseDownError(DatabaseTroubleError):
    """The database is not reached, or its disk fails."""


class TransactionLostError(PicklableError, DatabaseDownError):
    """The connection was lost within a transaction that writes, and nothing of it was carried out.

    Attributes
    ----------
    is_first : bool
        Whether the work had committed nothing before, so that it can be begun again from its beginning.
    """

    def __init__(self, message: str, *, is_first: bool = False) -> None:
        super().__init__(message)
        self.is_first = is_first


class CommitUnknownError(DatabaseDownError):
    """The connection was lost while a transaction committed, and nobody can tell whether it did."""


class DatabaseFullError(DatabaseTroubleError):
    """There is no room for what is to be written; nothing of the transaction was."""


class DatabaseDamagedError(DatabaseTroubleError):
    """The database, or a part of it, is not as it was written."""


def translate_error(error: BaseException) -> type[DatabaseTroubleError] | None:
    """Find what is wrong with the database by an error of its driver or of SQLAlchemy; None where nothing is.

    Parameters
    ----------
    error : BaseException
        The error.
    """
    if isinstance(error, PoolTimeoutError):
        return DatabaseBusyError
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _trouble_of_sqlite(code)
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return _trouble_of_postgresql(state)
    # A driver that lost its connection, or got none, has no code from the server.
    driver_error = type(cause).__name__ in {"OperationalError", "InterfaceError", "DatabaseError"}
    return DatabaseDownError if lost or driver_error else None


def _trouble_of_sqlite(code: int) -> type[DatabaseTroubleError] | None:
    if code in (_IOERR_READ, _IOERR_SHORT_READ, _IOERR_CORRUPTFS):
        return DatabaseDamagedError
    return {
        _BUSY: DatabaseBusyError,
        _LOCKED: DatabaseBusyError,
        _PROTOCOL: DatabaseBusyError,
        _INTERRUPT: DatabaseBusyError,
        _READONLY: DatabaseDownError,
        _IOERR: DatabaseDownError,
        _CANTOPEN: DatabaseDownError,
        _FULL: DatabaseFullError,
        _CORRUPT: DatabaseDamagedError,
        _NOTADB: DatabaseDamagedError,
    }.get(code & _PRIMARY)


def _trouble_of_postgresql(state: str) -> type[DatabaseTroubleError] | None:
    if state in _DISK_FULL:
        return DatabaseFullError
    if state in _DAMAGED:
        return DatabaseDamagedError
    if state in _BUSY_STATES:
        return DatabaseBusyError
    if state in _DOWN_STATES or state.startswith(_CONNECTION_CLASS):
        return DatabaseDownError
    return None


def is_lost(error: BaseException) -> bool:
    """Return whether a connection to PostgreSQL broke, or the server ended it, so that nobody is there to answer any more."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    state = getattr(error, "sqlstate", None)
    if state is None:
        return type(error).__name__ in {"OperationalError", "InterfaceError"}
    return str(state) in _ENDING_STATES or str(state).startswith(_CONNECTION_CLASS)


def spoils_connection(error: BaseException) -> bool:
    """Return whether a connection of SQLCipher is of no more use: it goes on refusing pages once it has met a damaged one."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & _PRIMARY in {_READONLY, _IOERR, _CORRUPT, _CANTOPEN, _NOTADB}


def code_of(error: BaseException) -> str:
    """Return the code of an error by the database's own name for it, that of its class where it has none."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or type(cause).__name__)


def log_damage(error: BaseException, statement: str | None, tables: Collection[str]) -> None:
    """Log which tables could not be read, and what is to be done about it; the same tables once a minute.

    Parameters
    ----------
    error : BaseException
        What the driver or SQLAlchemy raised.
    statement : str or None
        The statement that failed, where one did.
    tables : collection of str
        The names of all tables.
    """
    concerned = tuple(sorted(frozenset(re.findall(r"\w+", statement or "")).intersection(tables)))
    now = time.monotonic()
    if now - _told_at.get(concerned, float("-inf")) < _TOLD_SECONDS:
        return
    _told_at[concerned] = now
    _log.error(
        "database damaged",
        tables=list(concerned),
        code=code_of(error),
        what_to_do="Requests that need these tables fail, all others go on. Stop the service, keep a copy of the data folder, "
        "check its disk, and put the database back from a backup; see docs/how-to/monitor.md.",
    )
