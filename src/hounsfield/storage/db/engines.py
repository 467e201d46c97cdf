"""Engines of the database: an encrypted SQLite file, or PostgreSQL, opened with its schema brought up to date."""

from __future__ import annotations

import fcntl
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlcipher3.dbapi2
from sqlalchemy import Connection, Engine, FromClause, Table, create_engine, event, inspect, make_url, select, text
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool

from hounsfield.storage.db.commit_outcomes import remember_transactions
from hounsfield.storage.db.database import ONE, STATEMENT_SECONDS, WAIT_SECONDS, Database, lift_time_limits
from hounsfield.storage.db.errors import spoils_connection
from hounsfield.storage.db.read_replica import ReadReplica
from hounsfield.storage.db.schema import bring_up_to_date, is_up_to_date

KEPT_LOG_BYTES: Final = 16 * 1024 * 1024
"""Length to which the write-ahead log is cut when it begins anew."""

_EMBEDDED_READERS = 48
"""More than there are threads that answer requests (40), so that none waits for a connection."""

POSTGRESQL_READERS: Final = 24
POSTGRESQL_WRITERS: Final = 8
"""Connections of each process at most; threads that look frames up have one more each."""
_REPLICA_WAIT_SECONDS: Final = 2.0
_MIGRATION_LOCK = 0x48_6F_75_6E_73


class _HintingCompiler(SQLiteCompiler):
    """Writes hints such as ``INDEXED BY``, which SQLAlchemy knows for other databases only."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002 - as it is called
        return text


def open_embedded(path: Path, key: bytes, wait_seconds: float = WAIT_SECONDS) -> Database:
    """Open the embedded database, a SQLCipher file in WAL mode with ``synchronous=FULL``.

    Parameters
    ----------
    path : Path
        The database file; made when it does not exist.
    key : bytes
        Its 32-byte key, used as it is (no key derivation).
    wait_seconds : float
        How long a lock or a connection is waited for.
    """

    def connect() -> Any:
        connection = sqlcipher3.dbapi2.connect(
            str(path), timeout=wait_seconds, isolation_level=None, check_same_thread=False
        )
        # It would write to standard error by itself, whoever reads that; what is wrong is told by errors.
        connection.execute("PRAGMA cipher_log_level = NONE")
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
        return connection

    database = Database(
        _embedded_engine(connect, _EMBEDDED_READERS, wait_seconds),
        # They take turns, so that one is enough.
        _embedded_engine(connect, 1, wait_seconds),
        wait_seconds=wait_seconds,
        log=Path(f"{path}-wal"),
    )
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _bring_up_to_date(database)
    path.chmod(0o600)
    return database


def _embedded_engine(connect: Callable[[], Any], most: int, wait_seconds: float) -> Engine:
    kept = min(4, most)
    engine = create_engine(
        "sqlite://",
        module=sqlcipher3.dbapi2,
        creator=connect,
        poolclass=QueuePool,
        pool_size=kept,
        # What was used last has the pages of the database that are wanted next.
        pool_use_lifo=True,
        max_overflow=most - kept,
        pool_timeout=wait_seconds,
        hide_parameters=True,
    )

    engine.dialect.statement_compiler = _HintingCompiler

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("hounsfield_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    @event.listens_for(engine, "handle_error")
    def close_spoilt(context: ExceptionContext) -> None:
        if spoils_connection(context.original_exception):
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False

    return engine


def open_postgresql(
    url: str, wait_seconds: float = WAIT_SECONDS, statement_seconds: float = STATEMENT_SECONDS
) -> Database:
    """Open a PostgreSQL database by its URL (``postgresql+psycopg://user@host/name``), migrated to the newest schema.

    Parameters
    ----------
    url : str
        The URL.
    wait_seconds : float
        How long a lock or a connection is waited for.
    statement_seconds : float
        How long a statement may take, and how long a transaction may wait for its next one; 0 for as long as it takes.
    """
    url = _with_driver(url)
    # A transaction of its own isolation begins with the same round trip as any other.
    reading = _postgresql_engine(url, POSTGRESQL_READERS, wait_seconds, statement_seconds, "REPEATABLE READ")
    writing = _postgresql_engine(url, POSTGRESQL_WRITERS, wait_seconds, statement_seconds, "READ COMMITTED")
    remember_transactions(writing)
    database = Database(reading, writing, wait_seconds=wait_seconds)
    with database.engine.connect() as connection:
        # Another node may be migrating, for as long as that takes.
        lift_time_limits(connection)
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        try:
            _bring_up_to_date(database)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _MIGRATION_LOCK})
    return database


def has_tables(url: str, wait_seconds: float = WAIT_SECONDS) -> bool:
    """Return whether a PostgreSQL database has any tables, and make none."""
    with _as_it_is(url, wait_seconds) as connection:
        return bool(inspect(connection).get_table_names())


def has_rows(url: str, table: Table, wait_seconds: float = WAIT_SECONDS) -> bool:
    """Return whether a PostgreSQL database has a table with rows in it, and neither make nor migrate any."""
    with _as_it_is(url, wait_seconds) as connection:
        return (
            inspect(connection).has_table(table.name)
            and connection.execute(select(ONE).select_from(table).limit(1)).first() is not None
        )


@contextmanager
def _as_it_is(url: str, wait_seconds: float) -> Iterator[Connection]:
    """Open a connection to a PostgreSQL database, whatever is in it."""
    engine = _postgresql_engine(_with_driver(url), POSTGRESQL_READERS, wait_seconds, 0.0, "READ COMMITTED")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1) if url.startswith("postgresql://") else url


def use_replica(
    database: Database, url: str, most_seconds: float, statement_seconds: float = STATEMENT_SECONDS
) -> None:
    """Let what may be a moment old be read from a standby of a PostgreSQL database.

    Parameters
    ----------
    database : Database
        The database.
    url : str
        The URL of the standby; it need not answer yet.
    most_seconds : float
        How old what it answers may be.
    statement_seconds : float
        How long a statement may take.
    """
    # Nobody waits for long: there is the database itself.
    wait_seconds = min(database.wait_seconds, _REPLICA_WAIT_SECONDS)
    engine = _postgresql_engine(
        _with_driver(url), POSTGRESQL_READERS, wait_seconds, statement_seconds, "REPEATABLE READ"
    )
    database.replica = ReadReplica(database.engine, engine, most_seconds)


def _postgresql_engine(url: str, most: int, wait_seconds: float, statement_seconds: float, isolation: str) -> Engine:
    # A server that does not answer at all must not be waited for as long as TCP does.
    bounds = {"connect_timeout": max(2, math.ceil(wait_seconds)), "tcp_user_timeout": math.ceil(wait_seconds * 1000)}
    given = make_url(url).query
    engine = create_engine(
        url,
        pool_size=4,
        max_overflow=most - 4,
        pool_timeout=wait_seconds,
        pool_pre_ping=True,
        isolation_level=isolation,
        hide_parameters=True,
        connect_args={name: value for name, value in bounds.items() if name not in given},
    )
    statement_ms = math.ceil(statement_seconds * 1000)
    settings = {
        # By its default the planner reads a table from end to end rather than look some hundred rows up, as on turning disks.
        "random_page_cost": "1.1",
        # Nothing would be no limit.
        "lock_timeout": str(max(1, int(wait_seconds * 1000))),
        "statement_timeout": str(statement_ms),
        # A process that stands still would hold on to its locks.
        "idle_in_transaction_session_timeout": str(statement_ms),
    }

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
        connection.commit()

    return engine


def _bring_up_to_date(database: Database) -> None:
    # A process that starts while others write for long does not wait for them.
    with database.read() as connection:
        if is_up_to_date(connection):
            return
    with database.write() as connection:
        # It may have much to move; waiting for a lock is bounded all the same.
        lift_time_limits(connection)
        bring_up_to_date(connection)
