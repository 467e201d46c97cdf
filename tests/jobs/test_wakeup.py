"""Bells: work that was put in wakes an idle runner, and nothing depends on a ring being heard. On both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from hounsfield.jobs.queue import WorkItem, WorkQueue
from hounsfield.jobs.runner import Runner, WakeupSignal
from hounsfield.jobs.wakeup import PipeWakeup, Wakeup, make_wakeup
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from support.servers import wait_for

NEVER_SECONDS = 3600.0


@pytest.fixture(params=["embedded", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "embedded":
        opened = open_embedded(tmp_path / "h.db", bytes(32))
    else:
        opened = open_postgresql(request.getfixturevalue("postgresql_url"))
        with opened.write() as connection:
            connection.exec_driver_sql("DELETE FROM work_items")
    yield opened
    opened.close()


class Finishing:
    """A handler that notes its items and finishes them."""

    def __init__(self, database: Database, queue: WorkQueue) -> None:
        self.database, self.queue = database, queue
        self.done: list[str] = []

    def run(self, item: WorkItem) -> None:
        with self.database.write() as connection:
            self.queue.finish(connection, item)
        self.done.append(item.subject_id)

    def give_up(self, item: WorkItem) -> None:
        raise AssertionError(item)


@contextmanager
def running(queue: WorkQueue, handler: Finishing, poll_seconds: float) -> Iterator[WakeupSignal]:
    """A runner and its listener; the alarm tells what was heard."""
    stop, signal = threading.Event(), WakeupSignal()
    runner = Runner(queue, {"k": handler}, stop, slots=1, poll_seconds=poll_seconds, signal=signal)
    threads = [
        threading.Thread(target=queue.listen, args=(signal.notify, stop)),
        threading.Thread(target=runner.run),
    ]
    for thread in threads:
        thread.start()
    try:
        yield signal
    finally:
        # That is all a runner is told; its idle slots, which look by themselves in an hour, must end all the same.
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def put(database: Database, queue: WorkQueue, subject: str) -> None:
    with database.write() as connection:
        queue.enqueue(connection, "k", subject)


def test_work_begins_although_the_runner_never_looks_by_itself(database: Database, tmp_path: Path) -> None:
    queue = WorkQueue(database, wakeup=make_wakeup(database, tmp_path))
    handler = Finishing(database, queue)
    with running(queue, handler, NEVER_SECONDS) as signal:
        wait_for(lambda: signal.count, "the listener to begin")
        for subject in ("a", "b", "c"):
            put(database, queue, subject)
            wait_for(lambda subject=subject: subject in handler.done, f"{subject} to be done")
    assert handler.done == ["a", "b", "c"]


def test_work_put_in_before_anybody_listens_is_found(database: Database, tmp_path: Path) -> None:
    queue = WorkQueue(database, wakeup=make_wakeup(database, tmp_path))
    put(database, queue, "early")
    handler = Finishing(database, queue)
    with running(queue, handler, NEVER_SECONDS):
        wait_for(lambda: handler.done, "the item to be done")
    assert handler.done == ["early"]


def test_a_transaction_that_is_rolled_back_rings_for_nobody(database: Database, tmp_path: Path) -> None:
    wakeup = make_wakeup(database, tmp_path)
    queue = WorkQueue(database, wakeup=wakeup)
    handler = Finishing(database, queue)
    with running(queue, handler, NEVER_SECONDS) as signal:
        wait_for(lambda: signal.count, "the listener to begin")
        before = signal.count
        with suppress(ZeroDivisionError), database.write() as connection:
            queue.enqueue(connection, "k", "lost")
            raise ZeroDivisionError
        # The next transaction uses the connection again; it puts nothing in, so that it must not ring either.
        with database.write() as connection:
            connection.exec_driver_sql("DELETE FROM secrets WHERE name = 'none'")
        with database.write() as connection:
            wakeup.notify(connection)
        wait_for(lambda: signal.count > before, "the one ring to be heard")
        assert signal.count == before + 1
    assert handler.done == []


def test_rings_that_nobody_hears_lose_no_work(database: Database) -> None:
    class Deaf:
        def notify(self, connection: object) -> None: ...

        def listen(self, _woken: object, stop: threading.Event) -> None:
            stop.wait()

    deaf: Wakeup = Deaf()
    queue = WorkQueue(database, wakeup=deaf)
    handler = Finishing(database, queue)
    with running(queue, handler, 0.05):
        put(database, queue, "a")
        wait_for(lambda: handler.done, "the item to be done")


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Database]:
    opened = open_embedded(tmp_path / "h.db", bytes(32))
    yield opened
    opened.close()


def test_a_listener_that_lost_its_connection_listens_again(postgresql_url: str, tmp_path: Path) -> None:
    database = open_postgresql(postgresql_url)
    queue = WorkQueue(database, wakeup=make_wakeup(database, tmp_path))
    handler = Finishing(database, queue)
    listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"

    def listeners() -> set[int]:
        with database.read() as connection:
            return set(connection.execute(text(listening)).scalars())

    try:
        with running(queue, handler, NEVER_SECONDS):
            before = wait_for(listeners, "the listener to begin")
            with database.read() as connection:
                for pid in before:
                    connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            wait_for(lambda: listeners() - before, "it to listen again")
            for number in range(5):
                put(database, queue, str(number))
            wait_for(lambda: len(handler.done) == 5, "all to be done")
    finally:
        database.close()


def test_a_pipe_that_was_taken_away_is_made_anew_and_gone_at_the_end(embedded: Database, tmp_path: Path) -> None:
    pipe = tmp_path / "work.pipe"
    queue = WorkQueue(embedded, wakeup=PipeWakeup(pipe))
    handler = Finishing(embedded, queue)
    with running(queue, handler, NEVER_SECONDS) as signal:
        wait_for(lambda: signal.count, "the listener to begin")
        assert pipe.stat().st_mode & 0o777 == 0o600
        pipe.unlink()
        put(embedded, queue, "a")
        wait_for(pipe.exists, "the pipe to be made anew")
        wait_for(lambda: handler.done, "the item to be done")
    assert not pipe.exists()


@pytest.mark.parametrize("content", [b"", b"kept"])
def test_a_file_in_the_place_of_the_pipe_is_left_alone(embedded: Database, tmp_path: Path, content: bytes) -> None:
    pipe = tmp_path / "work.pipe"
    pipe.write_bytes(content)
    queue = WorkQueue(embedded, wakeup=PipeWakeup(pipe))
    handler = Finishing(embedded, queue)
    with running(queue, handler, 0.05):
        put(embedded, queue, "a")
        wait_for(lambda: handler.done, "the item to be done")
    assert pipe.read_bytes() == content


def test_more_rings_than_a_pipe_holds_do_no_harm(embedded: Database, tmp_path: Path) -> None:
    wakeup = PipeWakeup(tmp_path / "work.pipe")
    stop, held, count = threading.Event(), threading.Event(), []

    def woken() -> None:
        count.append(1)
        held.wait()

    listener = threading.Thread(target=wakeup.listen, args=(woken, stop))
    listener.start()
    wait_for(lambda: count, "the listener to begin")
    with embedded.write() as connection:
        for _ in range(70_000):
            wakeup.notify(connection)
    held.set()
    wait_for(lambda: len(count) > 1, "a ring to be heard")
    stop.set()
    listener.join()
