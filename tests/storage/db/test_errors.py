"""What is wrong with a database is told the same way for both: busy, down, full or damaged; and the log stays short."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseDownError,
    DatabaseFullError,
    DatabaseTroubleError,
)
from hounsfield.storage.db.iam_tables import identity_generation
from hounsfield.storage.db.image_set_tables import datastores, tags
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.db.write_ahead_log import LogCheckpointer
from support.servers import wait_for
from support.services.postgresql import PostgresqlServer

LARGE = "x" * 200_000
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n, tags"


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Database]:
    database = open_embedded(tmp_path / "h.db", bytes(32), 0.3)
    yield database
    database.close()


@pytest.fixture(scope="module")
def on_server(postgresql_url: str) -> Iterator[Database]:
    database = open_postgresql(postgresql_url, 0.5)
    yield database
    database.close()


def tag(database: Database, key: str, value: str = "1") -> None:
    with database.write() as connection:
        connection.execute(insert(tags).values(resource_arn="arn", tag_key=key, tag_value=value))


def keys(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(tags.c.tag_key)).scalars())


@pytest.mark.parametrize(
    ("state", "trouble"),
    [
        ("53100", DatabaseFullError),
        ("XX001", DatabaseDamagedError),
        ("XX002", DatabaseDamagedError),
        ("58030", DatabaseDownError),
        ("57P01", DatabaseDownError),
        ("25006", DatabaseDownError),
        ("53300", DatabaseBusyError),
        ("40P01", DatabaseBusyError),
        ("55P03", DatabaseBusyError),
        ("57014", DatabaseBusyError),
    ],
)
def test_states_of_postgresql(on_server: Database, state: str, trouble: type[DatabaseTroubleError]) -> None:
    raised = f"DO $$ BEGIN RAISE EXCEPTION 'as a test' USING ERRCODE = '{state}'; END $$"

    def write() -> None:
        with on_server.write() as connection:
            connection.execute(insert(tags).values(resource_arn="arn", tag_key="half", tag_value="1"))
            connection.exec_driver_sql(raised)

    with pytest.raises(trouble):
        write()
    with pytest.raises(trouble), on_server.read() as connection:
        connection.exec_driver_sql(raised)
    assert "half" not in keys(on_server)


def test_waits_on_postgresql_are_bounded(on_server: Database) -> None:
    tag(on_server, "a")
    with on_server.write() as holder:
        holder.exec_driver_sql("SELECT * FROM tags FOR UPDATE")
        with pytest.raises(DatabaseBusyError), on_server.write() as connection:
            connection.exec_driver_sql("UPDATE tags SET tag_value = '2'")
        assert "a" in keys(on_server)
    with pytest.raises(DatabaseBusyError), on_server.read() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 20; SELECT pg_sleep(60)")
    with ExitStack() as taken:
        for _ in range(8):
            taken.enter_context(on_server.write())
        with pytest.raises(DatabaseBusyError):
            taken.enter_context(on_server.write())
        assert "a" in keys(on_server), "readers have connections of their own"
    tag(on_server, "b")


def test_errors_of_the_caller_stay_what_they_are(embedded: Database, on_server: Database) -> None:
    for database in (embedded, on_server):
        tag(database, "own")
        with pytest.raises(IntegrityError):
            tag(database, "own")
        assert "own" in keys(database)


def test_a_server_that_is_gone(postgresql_server: PostgresqlServer) -> None:
    gone = open_postgresql(postgresql_server.new_database(), 0.5)
    with pytest.raises(DatabaseDownError), gone.write() as connection:
        # The server ends the connection before it has answered on it.
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    tag(gone, "goes on")
    gone.close()


def test_a_locked_database_is_opened_and_read(embedded: Database, tmp_path: Path) -> None:
    with embedded.write():
        other = open_embedded(tmp_path / "h.db", bytes(32), 0.3)
        assert keys(other) == set()
    with other.write():
        with pytest.raises(DatabaseBusyError):
            tag(embedded, "a")
        assert keys(embedded) == set()
    with embedded.write():
        failures = []

        def wait() -> None:
            try:
                tag(embedded, "b")
            except DatabaseBusyError as error:
                failures.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join()
        assert len(failures) == 1, "the threads of a process take turns, for no longer than is waited for a lock"
    tag(embedded, "c")
    assert keys(other) == {"c"}
    other.close()


def test_a_damaged_page_spoils_no_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Connections that met it are closed, of the pool and those that look-ups keep; what is elsewhere is read and written."""
    path, seed = tmp_path / "h.db", random.randrange(2**32)
    print(f"seed {seed}")
    database = open_embedded(path, bytes(32))
    for number in range(40):
        tag(database, f"key-{number}", "x" * 3000)
    assert database.fold_log(1.0)
    with database.read() as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'tags'"
        pages = connection.exec_driver_sql(query).scalars().all()
    database.close()
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4096 + random.Random(seed).randrange(16, 4000))
            file.write(random.Random(seed).randbytes(32))
    database = open_embedded(path, bytes(32))
    damaged = PreparedStatement(select(tags.c.tag_value).where(tags.c.resource_arn == bindparam("arn")))
    whole = PreparedStatement(select(datastores.c.id).where(datastores.c.id == bindparam("arn")))
    for _ in range(6):
        with pytest.raises(DatabaseDamagedError):
            database.lookup(damaged, {"arn": "arn"})
        assert database.lookup(whole, {"arn": "arn"}) is None
        with pytest.raises(DatabaseDamagedError):
            keys(database)
        with pytest.raises(DatabaseDamagedError), database.read() as connection:
            damaged.rows(connection, {"arn": "arn"})
        with pytest.raises(DatabaseDamagedError):
            tag(database, "another")
        with database.write() as connection:
            connection.execute(update(identity_generation).values(generation=identity_generation.c.generation + 1))
    database.close()
    assert "ERROR CORE" not in capsys.readouterr().err


def test_a_full_database_keeps_what_it_had(embedded: Database) -> None:
    tag(embedded, "a")
    with embedded.write() as connection:
        (pages,) = connection.exec_driver_sql("PRAGMA page_count").one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseFullError):
        tag(embedded, "large", LARGE)
    assert keys(embedded) == {"a"}


def test_the_log_is_cut_when_nobody_writes(embedded: Database) -> None:
    tag(embedded, "a", LARGE)
    keeper = LogCheckpointer(embedded)
    assert embedded.log is not None
    keeper.look()
    assert embedded.log.stat().st_size > len(LARGE), "somebody may still be writing"
    keeper.look()
    assert embedded.log.stat().st_size == 0
    assert keys(embedded) == {"a"}


def test_readers_that_keep_an_old_state_are_ended_when_the_log_grows_too_long(embedded: Database) -> None:
    assert embedded.log is not None
    tag(embedded, "a")
    began, told = threading.Event(), []

    def read() -> None:
        try:
            with embedded.read() as connection:
                connection.exec_driver_sql("SELECT * FROM tags").all()
                began.set()
                connection.exec_driver_sql(ENDLESS).all()
        except DatabaseBusyError as error:
            told.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    began.wait()
    keeper = LogCheckpointer(embedded, long_bytes=len(LARGE), longest_read_seconds=0.0)
    number = 0
    while reader.is_alive():
        number += 1
        tag(embedded, f"key-{number}", LARGE)
        keeper.look()
        assert embedded.log.stat().st_size < 100 * len(LARGE)
    reader.join()
    assert len(told) == 1
    wait_for(lambda: keeper.look() is None and embedded.log.stat().st_size == 0, "the log to be cut")
    assert len(keys(embedded)) == number + 1


def test_reads_without_a_pause_do_not_keep_the_log_growing(embedded: Database) -> None:
    """At every moment somebody reads, so that SQLite by itself never begins the log anew."""
    assert embedded.log is not None
    stop = threading.Event()
    held: list[threading.Event] = [threading.Event() for _ in range(2)]

    def read(own: threading.Event, other: threading.Event) -> None:
        while not stop.is_set():
            with embedded.read() as connection:
                connection.execute(select(tags.c.tag_key)).all()
                own.set()
                # The other one begins to read before this one ends.
                other.wait(0.2)
                own.clear()

    readers = [threading.Thread(target=read, args=pair) for pair in (held, held[::-1])]
    for reader in readers:
        reader.start()
    try:
        keeper = LogCheckpointer(embedded, long_bytes=2 * len(LARGE), longest_read_seconds=30.0)
        for number in range(60):
            tag(embedded, f"key-{number}", LARGE)
            keeper.look()
        assert embedded.log.stat().st_size < 30 * len(LARGE)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert len(keys(embedded)) == 60
