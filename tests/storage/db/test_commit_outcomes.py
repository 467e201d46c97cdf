"""A connection to PostgreSQL that is lost in a transaction: what became of it is found out, or said to be unknown."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, insert, select, text

from hounsfield.storage.db.commit_outcomes import CommitOutcome, find_outcome, transaction_of
from hounsfield.storage.db.database import Database, after_commit, begin_work
from hounsfield.storage.db.engines import open_postgresql
from hounsfield.storage.db.errors import CommitUnknownError, DatabaseBusyError, DatabaseDownError, TransactionLostError
from hounsfield.storage.db.image_set_tables import tags
from support.faults.cut_postgresql import COMMIT, Cut, CutPostgresql, cut_postgresql

INSERT = b"INSERT INTO tags"


@pytest.fixture(scope="module")
def proxy(postgresql_url: str) -> Iterator[CutPostgresql]:
    with cut_postgresql(postgresql_url) as proxy:
        yield proxy


@pytest.fixture
def database(proxy: CutPostgresql) -> Iterator[Database]:
    proxy.closed = False
    database = open_postgresql(proxy.url, 0.5, 0.5)
    with database.write() as connection:
        connection.execute(tags.delete())
    yield database
    database.close()


def tag(database: Database, key: str) -> list[str]:
    """Write a row; return what was done after the commit."""
    done: list[str] = []
    with database.write() as connection:
        connection.execute(insert(tags).values(resource_arn="arn", tag_key=key, tag_value="1"))
        after_commit(connection, lambda: done.append(key))
    return done


def keys(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(tags.c.tag_key)).scalars())


def test_a_commit_whose_answer_is_lost_is_one_all_the_same(database: Database, proxy: CutPostgresql) -> None:
    proxy.arm(Cut.AFTER, within=INSERT)
    assert tag(database, "committed") == ["committed"]
    assert keys(database) == {"committed"}


@pytest.mark.parametrize("trigger", [COMMIT, INSERT])
def test_a_commit_that_never_came_changed_nothing(database: Database, proxy: CutPostgresql, trigger: bytes) -> None:
    proxy.arm(Cut.BEFORE, trigger, INSERT)
    with pytest.raises(TransactionLostError):
        tag(database, "lost")
    assert keys(database) == set()


def test_nobody_knows_where_the_database_stays_away(database: Database, proxy: CutPostgresql) -> None:
    proxy.arm(Cut.GONE, within=INSERT)
    with pytest.raises(CommitUnknownError):
        tag(database, "unknown")
    with pytest.raises(DatabaseDownError):
        keys(database)
    proxy.closed = False
    assert keys(database) == {"unknown"}


def test_another_server_does_not_know(database: Database) -> None:
    """The id means nothing on the timeline of a standby that was promoted meanwhile."""
    with database.write() as connection:
        transaction = transaction_of(connection)
    assert transaction is not None
    assert find_outcome(database.engine, transaction, 0.5) is CommitOutcome.COMMITTED
    elsewhere = transaction._replace(timeline="0000002A")
    assert find_outcome(database.engine, elsewhere, 0.5) is CommitOutcome.UNKNOWN


def test_only_the_first_transaction_of_a_work_lets_it_begin_again(database: Database, proxy: CutPostgresql) -> None:
    def work() -> None:
        tag(database, "first")
        proxy.arm(Cut.BEFORE, within=INSERT)
        tag(database, "second")

    with pytest.raises(TransactionLostError) as caught:
        begin_work(work)
    assert not caught.value.is_first
    proxy.arm(Cut.BEFORE, within=INSERT)
    with pytest.raises(TransactionLostError) as caught:
        begin_work(lambda: tag(database, "third"))
    assert caught.value.is_first


def test_a_statement_that_takes_too_long_is_ended(database: Database) -> None:
    with pytest.raises(DatabaseBusyError), database.read() as connection:
        connection.execute(text("SELECT pg_sleep(30)"))


def test_a_transaction_that_stands_still_lets_go_of_its_locks(database: Database, postgresql_url: str) -> None:
    tag(database, "held")

    def hold(connection: Connection) -> None:
        connection.execute(tags.update().values(tag_value="2"))
        with psycopg.connect(postgresql_url) as other:
            # It waits for the row until the server ends the transaction.
            other.execute("UPDATE tags SET tag_value = '3'")

    with pytest.raises(TransactionLostError), database.write() as connection:
        hold(connection)
    with database.read() as connection:
        assert connection.execute(select(tags.c.tag_value)).scalars().all() == ["3"]


def test_a_read_sees_one_state(database: Database) -> None:
    with database.read() as connection:
        assert connection.execute(select(tags.c.tag_key)).all() == []
        tag(database, "later")
        assert connection.execute(select(tags.c.tag_key)).all() == []
    assert keys(database) == {"later"}
