"""The database: read and write transactions, the same on SQLite and PostgreSQL (`hounsfield.storage.db.engines`).

A write transaction takes the write lock at its start (SQLite: ``BEGIN IMMEDIATE``), so that what it reads cannot change
before it commits; on PostgreSQL it takes row locks where the caller asks for them. A read transaction sees one state of the
database from its first statement to its last, on both (PostgreSQL: ``REPEATABLE READ``).

Where the connection is lost while a transaction commits, its outcome is asked for on another one:

    COMMIT ─▶ no answer ─▶ outcome of the transaction ─┬─ committed ─▶ as if it had been answered
                                                       ├─ aborted   ─▶ TransactionLostError
                                                       └─ not told  ─▶ CommitUnknownError
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Final, Protocol, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection

from hounsfield.storage.db.commit_outcomes import CommitOutcome, Transaction, find_outcome, transaction_of
from hounsfield.storage.db.errors import (
    CommitUnknownError,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseTroubleError,
    TransactionLostError,
    code_of,
    is_lost,
    log_damage,
    translate_error,
)
from hounsfield.storage.db.image_set_tables import metadata
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.db.read_replica import ReadReplica

WAIT_SECONDS: Final = 20.0
"""How long a lock or a connection is waited for, unless the installation says otherwise."""
STATEMENT_SECONDS: Final = 300.0
"""How long a statement of PostgreSQL may take, unless the installation says otherwise."""

_VALUES_AT_ONCE = 400
ONE: Final[ColumnElement[int]] = literal_column("1", Integer)
"""A limit written out: SQLite prepares a statement anew at every execution when its limit is a parameter."""
_AFTER_COMMIT = "hounsfield_after_commit"
_committed: ContextVar[bool] = ContextVar("committed", default=False)
"""Whether the work of this context has committed something, see `begin_work`."""
NOTED_CHANGES: Final = "hounsfield_noted_changes"
"""What a transaction has noted for the recorder, among the things that go with its connection."""

Value = TypeVar("Value")


class CommitRecorder(Protocol):
    """What writes down what transactions change, as a part of each of them."""

    def record(self, connection: Connection) -> None:
        """Write down what the transaction noted, before it commits."""
        ...

    def look(self) -> None:
        """Make durable what was written so far; raises OSError and DatabaseTroubleError."""
        ...

    def close(self) -> None:
        """Make durable what was written, as the process ends or closes its connections; must not raise."""
        ...


class Database:
    """The two kinds of transaction, each with connections of its own: who waits to write takes none that somebody reads with.

    Parameters
    ----------
    reading : Engine
        Gives connections to read with.
    writing : Engine
        Gives connections to write with.
    wait_seconds : float
        How long a lock, a connection or the turn to write is waited for.
    log : Path or None
        The write-ahead log of an embedded database, in which one transaction writes at a time.
    """

    def __init__(self, reading: Engine, writing: Engine, *, wait_seconds: float, log: Path | None = None) -> None:
        self.engine = reading
        self.wait_seconds = wait_seconds
        self.log = log
        self._own = threading.local()
        # SQLite opens no transaction by itself here; PostgreSQL's driver does, with a round trip each to begin and to end it.
        self._begins_by_itself = reading.dialect.name != "sqlite"
        self._driver_error: type[Exception] = reading.dialect.loaded_dbapi.Error
        self._writing = writing.execution_options(hounsfield_write=True)
        self._turn = threading.Lock()
        self._readers: dict[int, list[Any]] = {}
        self._readers_change = threading.Lock()
        self._closed_with: list[IO[str]] = []
        self.recorder: CommitRecorder | None = None
        self.replica: ReadReplica | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection all of whose statements see the state that the first of them saw.

        Raises
        ------
        DatabaseTroubleError
            The database cannot do what is asked; see `hounsfield.storage.db.errors`.
        """
        # A list of its own for each reader, by whose id `interrupt_readers` knows it.
        mark: list[Any] = []
        try:
            with self.engine.connect() as connection:
                if self.log is not None:
                    mark += (time.monotonic(), connection.connection.dbapi_connection)
                    self._readers[id(mark)] = mark
                try:
                    yield connection
                finally:
                    if mark:
                        with self._readers_change:
                            del self._readers[id(mark)]
        except (DBAPIError, PoolTimeoutError) as error:
            trouble = _trouble(error)
            if trouble is None:
                raise
            raise trouble from error

    def read_from_replica(self, work: Callable[[Connection], Value]) -> Value:
        """Do some work that only reads, and may see what a replica saw a moment ago, on a connection as `read` gives it.

        Where there is no replica, it is too far behind, or the work fails there for whatever reason, the database itself is
        asked: what the replica does not have yet may be there.

        Raises
        ------
        DatabaseTroubleError
            As `read` does.
        """
        replica = self.replica
        if replica is not None and replica.is_fresh():
            try:
                with replica.engine.connect() as connection:
                    return work(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, the database itself knows better
                if isinstance(error, DBAPIError | PoolTimeoutError):
                    replica.leave()
        with self.read() as connection:
            return work(connection)

    @contextmanager
    def read_snapshot(self) -> Iterator[Connection]:
        """Open a connection as `read` does, for what would be wrong with anything less; nothing can be written with it."""
        with self.read() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a connection in a transaction that commits at the end and rolls back on any error.

        Raises
        ------
        CommitUnknownError
            The database was lost while it committed: all of the transaction was carried out, or nothing.
        DatabaseTroubleError
            The database cannot do what is asked; nothing of the transaction is left.
        """
        transaction, commits = None, False
        actions: list[Callable[[], None]] = []
        with self._turn_to_write(self.wait_seconds):
            try:
                with self._writing.begin() as connection:
                    # What a transaction left that was rolled back on the same connection is not done.
                    connection.info.pop(_AFTER_COMMIT, None)
                    connection.info.pop(NOTED_CHANGES, None)
                    transaction = transaction_of(connection)
                    yield connection
                    if self.recorder is not None:
                        self.recorder.record(connection)
                    actions = connection.info.pop(_AFTER_COMMIT, [])
                    commits = True
            except (self._driver_error, DBAPIError, PoolTimeoutError) as error:
                if not self._has_committed(error, transaction, commits=commits):
                    trouble = _trouble(error)
                    if trouble is None:
                        raise
                    raise trouble from error
        _committed.set(True)
        for action in actions:
            action()

    def _has_committed(self, error: Exception, transaction: Transaction | None, *, commits: bool) -> bool:
        """Return whether a transaction was carried out all the same that ended with an error.

        Raises
        ------
        TransactionLostError
            It was not, and nobody but the network is to blame.
        CommitUnknownError
            Nobody knows.
        """
        if transaction is None or not is_lost(error):
            return False
        if commits:
            match find_outcome(self.engine, transaction, self.wait_seconds):
                case CommitOutcome.COMMITTED:
                    return True
                case CommitOutcome.UNKNOWN:
                    raise CommitUnknownError(f"the database was lost while it committed: {code_of(error)}") from error
        message = f"the database was lost before it committed: {code_of(error)}"
        raise TransactionLostError(message, is_first=not _committed.get()) from error

    @contextmanager
    def _turn_to_write(self, seconds: float) -> Iterator[None]:
        """Let the threads of this process write one after another, where the database lets only one of all write."""
        if self.log is None:
            yield
            return
        if not self._turn.acquire(timeout=seconds):
            raise DatabaseBusyError(f"no turn to write within {seconds} s")
        try:
            yield
        finally:
            self._turn.release()

    def interrupt_readers(self, older_than_seconds: float) -> int:
        """End the statements of readers of this process that began so long ago, which then fail with `DatabaseBusyError`.

        Returns
        -------
        int
            How many there were.
        """
        latest = time.monotonic() - older_than_seconds
        with self._readers_change:
            old = [driver for since, driver in list(self._readers.values()) if since <= latest]
            for driver in old:
                driver.interrupt()
        return len(old)

    def fold_log(self, wait_seconds: float) -> bool:
        """Bring the write-ahead log of an embedded database into its file and leave it empty.

        Parameters
        ----------
        wait_seconds : float
            How long writers, and readers that still need the log, are waited for.

        Returns
        -------
        bool
            Whether it is empty now; if not, as much of it as could be is in the file.
        """
        try:
            with self._turn_to_write(wait_seconds), closing(self._writing.raw_connection()) as connection:
                driver: Any = connection.dbapi_connection
                driver.execute(f"PRAGMA busy_timeout = {int(wait_seconds * 1000)}")
                try:
                    (busy, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    driver.execute(f"PRAGMA busy_timeout = {int(self.wait_seconds * 1000)}")
        except (self._driver_error, DBAPIError, PoolTimeoutError) as error:
            trouble = _trouble(error)
            if trouble is None:
                raise
            raise trouble from error
        except DatabaseBusyError:
            return False
        return not busy

    def lookup(self, statement: PreparedStatement, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the first row of a prepared statement, on a connection of the thread's own and without a transaction.

        This is for the one query that thousands of requests a second make; everything else reads through `read`.

        Raises
        ------
        DatabaseTroubleError
            The database cannot be asked.
        """
        connection: PoolProxiedConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            try:
                return self._first_row(self._own.driver, statement, parameters)
            except self._driver_error:
                # The database may have been away; the pool gives connections that work, or says that it still is.
                self._let_go()
        try:
            connection = self.engine.raw_connection()
            self._own.driver = connection.dbapi_connection
            self._own.connection = connection
            connection.detach()
            if self._begins_by_itself:
                self._own.driver.autocommit = True
            return self._first_row(self._own.driver, statement, parameters)
        except (self._driver_error, DBAPIError, PoolTimeoutError) as error:
            self._let_go()
            trouble = _trouble(error, statement.bound(self.engine.dialect, parameters)[0])
            if trouble is None:
                raise
            raise trouble from error

    def _let_go(self) -> None:
        """Close the thread's own connection; the next look-up gets another."""
        connection: PoolProxiedConnection | None = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is not None:
            with suppress(self._driver_error):
                connection.close()

    def _first_row(
        self, driver: Any, statement: PreparedStatement, parameters: Mapping[str, Any]
    ) -> tuple[Any, ...] | None:
        cursor = driver.cursor()
        try:
            cursor.execute(*statement.bound(self.engine.dialect, parameters))
            row: tuple[Any, ...] | None = cursor.fetchone()
        finally:
            cursor.close()
        return row

    def close(self) -> None:
        """Close all connections."""
        if self.recorder is not None:
            self.recorder.close()
        self.engine.dispose()
        self._writing.dispose()
        if self.replica is not None:
            self.replica.engine.dispose()
        while self._closed_with:
            self._closed_with.pop().close()

    def close_with(self, file: IO[str]) -> None:
        """Close a file, such as one that holds a lock, along with the connections."""
        self._closed_with.append(file)


def _trouble(error: Exception, statement: str | None = None) -> DatabaseTroubleError | None:
    """Return what is wrong with the database by an error, logged where somebody must mend it; None for every other error."""
    trouble = translate_error(error)
    if trouble is None:
        return None
    if trouble is DatabaseDamagedError:
        log_damage(error, error.statement if isinstance(error, DBAPIError) else statement, metadata.tables.keys())
    return trouble(f"the database failed: {code_of(error)}")


def begin_work(work: Callable[[], Value]) -> Value:
    """Do some work that can be begun again where it raises a `TransactionLostError` that says so."""
    token = _committed.set(False)
    try:
        return work()
    finally:
        _committed.reset(token)


def lift_time_limits(connection: Connection) -> None:
    """Let the statements of a transaction, and the pauses between them, take as long as they need: for work on all rows."""
    if connection.dialect.name == "postgresql":
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")


def after_commit(connection: Connection, action: Callable[[], None]) -> None:
    """Have something done once the transaction of `Database.write` has committed, and not at all when it does not.

    The action must not raise: what it follows has happened.
    """
    connection.info.setdefault(_AFTER_COMMIT, []).append(action)


def lock_row(connection: Connection, statement: Any, *, skip_locked: bool = False) -> Any:
    """Return ``statement`` with a row lock where the database has row locks (SQLite holds the one write lock already).

    With ``skip_locked`` rows that another transaction has locked are left out instead of waited for.
    """
    if connection.dialect.name != "postgresql":
        return statement
    return cast("Any", statement).with_for_update(skip_locked=skip_locked)


def lock_name(connection: Connection, name: str) -> None:
    """Keep every other transaction out that asks for the same name, until this one ends; for what no row stands for."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def in_groups(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """Cut values into groups small enough for one ``IN`` of a statement, on both databases."""
    for start in range(0, len(values), _VALUES_AT_ONCE):
        yield values[start : start + _VALUES_AT_ONCE]
