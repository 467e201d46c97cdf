"""The database: an encrypted file beside the data, or PostgreSQL; the same SQL for both.

A write transaction takes the write lock at its start (SQLite: ``BEGIN IMMEDIATE``), so that what it reads cannot change
before it commits; on PostgreSQL it takes row locks where the caller asks for them.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, TypeVar, cast

import sqlcipher3.dbapi2
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Integer,
    create_engine,
    event,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from hounsfield.storage.prepared import Prepared
from hounsfield.storage.schema import bring_up_to_date

_BUSY_SECONDS = 60
_VALUES_AT_ONCE = 400
_MIGRATION_LOCK = 0x48_6F_75_6E_73
ONE: Final[ColumnElement[int]] = literal_column("1", Integer)
"""A limit written out: SQLite prepares a statement anew at every execution when its limit is a parameter."""
_AFTER_COMMIT = "hounsfield_after_commit"

Value = TypeVar("Value")


class Database:
    """An engine with its two kinds of transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._own = threading.local()
        # SQLite opens no transaction by itself here; PostgreSQL's driver does, and one left open would see old rows.
        self._transactional = engine.dialect.name != "sqlite"
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._writing = engine.execution_options(hounsfield_write=True)
        self._closed_with: list[IO[str]] = []

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that commits at the end and rolls back on any error."""
        with self._writing.begin() as connection:
            # What a transaction left that was rolled back on the same connection is not done.
            connection.info.pop(_AFTER_COMMIT, None)
            yield connection
            actions: list[Callable[[], None]] = connection.info.pop(_AFTER_COMMIT, [])
        for action in actions:
            action()

    def lookup(self, statement: Prepared, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Give the first row of a prepared statement, on a connection of the thread's own and without a transaction.

        This is for the one query that thousands of requests a second make; everything else reads through `read`.
        """
        connection: PoolProxiedConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            try:
                return self._first_row(self._own.driver, statement, parameters)
            except self._driver_error:
                # The database may have been away; the pool gives connections that work, or says that it still is.
                self._own.connection = None
                with suppress(self._driver_error):
                    connection.close()
        connection = self.engine.raw_connection()
        self._own.driver = connection.dbapi_connection
        self._own.connection = connection
        connection.detach()
        return self._first_row(self._own.driver, statement, parameters)

    def _first_row(self, driver: Any, statement: Prepared, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        cursor = driver.cursor()
        try:
            cursor.execute(*statement.bound(self.engine.dialect, parameters))
            row: tuple[Any, ...] | None = cursor.fetchone()
        finally:
            cursor.close()
            if self._transactional:
                driver.rollback()
        return row

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        while self._closed_with:
            self._closed_with.pop().close()

    def close_with(self, file: IO[str]) -> None:
        """Close a file, such as one that holds a lock, along with the connections."""
        self._closed_with.append(file)


class _HintingCompiler(SQLiteCompiler):
    """Writes hints such as ``INDEXED BY``, which SQLAlchemy knows for other databases only."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002 - as it is called
        return text


def open_embedded(path: Path, key: bytes) -> Database:
    """Open the embedded database, a SQLCipher file in WAL mode with ``synchronous=FULL``.

    Parameters
    ----------
    path : Path
        The database file; made when it does not exist.
    key : bytes
        Its 32-byte key, used as it is (no key derivation).
    """

    def connect() -> Any:
        connection = sqlcipher3.dbapi2.connect(
            str(path), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -65536")
        return connection

    engine = create_engine(
        "sqlite://",
        module=sqlcipher3.dbapi2,
        creator=connect,
        poolclass=QueuePool,
        pool_size=4,
        # What was used last has the pages of the database that are wanted next.
        pool_use_lifo=True,
        max_overflow=28,
        hide_parameters=True,
    )

    engine.dialect.statement_compiler = _HintingCompiler

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("hounsfield_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    database = Database(engine)
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _bring_up_to_date(database)
    path.chmod(0o600)
    return database


def open_postgresql(url: str) -> Database:
    """Open a PostgreSQL database by its URL (``postgresql+psycopg://user@host/name``), migrated to the newest schema."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, pool_size=4, max_overflow=28, pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prefer_indexes(connection: Any, _: object) -> None:
        # By its default the planner reads a table from end to end rather than look some hundred rows up, as on turning disks.
        with connection.cursor() as cursor:
            cursor.execute("SET random_page_cost = 1.1")
        connection.commit()

    database = Database(engine)
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        try:
            _bring_up_to_date(database)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _MIGRATION_LOCK})
    return database


def _bring_up_to_date(database: Database) -> None:
    with database.write() as connection:
        bring_up_to_date(connection)


def after_commit(connection: Connection, action: Callable[[], None]) -> None:
    """Have something done once the transaction of `Database.write` has committed, and not at all when it does not.

    The action must not raise: what it follows has happened.
    """
    connection.info.setdefault(_AFTER_COMMIT, []).append(action)


def lock_row(connection: Connection, statement: Any, *, skip_locked: bool = False) -> Any:
    """Give ``statement`` with a row lock where the database has row locks (SQLite holds the one write lock already).

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
