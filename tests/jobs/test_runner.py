"""The runner: what it says of leases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hounsfield.jobs.queue import LeaseLostError, WorkItem, WorkQueue
from hounsfield.jobs.runner import Runner
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded
from support.servers import wait_for

LEASE_SECONDS = 0.06


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_embedded(tmp_path / "h.db", bytes(32))
    yield opened
    opened.close()


class CountingQueue(WorkQueue):
    """A queue that counts how often a lease was found to be nobody's when it was to be renewed."""

    missed = 0

    def renew(self, item: WorkItem) -> None:
        try:
            super().renew(item)
        except LeaseLostError:
            self.missed += 1
            raise


class Handler:
    """A handler that does as a test says."""

    def __init__(self, work: Callable[[WorkItem], None]) -> None:
        self.work = work
        self.ended = 0

    def run(self, item: WorkItem) -> None:
        try:
            self.work(item)
        finally:
            self.ended += 1

    def give_up(self, item: WorkItem) -> None:
        raise AssertionError(item)


def logs_of(database: Database, queue: WorkQueue, work: Callable[[WorkItem], None]) -> list[Any]:
    """Return what a runner logs over one item."""
    with database.write() as connection:
        queue.enqueue(connection, "k", "s")
    handler, stop = Handler(work), threading.Event()
    runner = threading.Thread(target=Runner(queue, {"k": handler}, stop, slots=1, poll_seconds=0.05).run)
    with capture_logs() as logs:
        runner.start()
        try:
            wait_for(lambda: handler.ended, "the work to end")
        finally:
            stop.set()
            runner.join(60)
    return list(logs)


def test_an_item_that_is_finished_and_still_talked_about_is_not_called_lost(database: Database) -> None:
    queue = CountingQueue(database, lease_seconds=LEASE_SECONDS)

    def finish_and_go_on(item: WorkItem) -> None:
        with database.write() as connection:
            queue.finish(connection, item)
        wait_for(lambda: queue.missed >= 2, "the lease to be renewed twice")

    assert logs_of(database, queue, finish_and_go_on) == []


def test_whoever_works_on_an_item_that_is_lost_says_so(database: Database) -> None:
    queue = CountingQueue(database, lease_seconds=LEASE_SECONDS)

    def lose(item: WorkItem) -> None:
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE work_items SET lease_owner = 'another', available_at = 1e18")
        wait_for(lambda: queue.missed, "the lease to be renewed")
        with database.write() as connection:
            queue.hold(connection, item)

    (entry,) = logs_of(database, queue, lose)
    assert (entry["event"], entry["kind"], entry["subject"]) == ("lease lost", "k", "s")


def test_an_item_that_is_taken_as_the_runner_stops_keeps_its_lease(database: Database) -> None:
    stop = threading.Event()

    class StoppingQueue(WorkQueue):
        """A queue whose runner is told to stop between taking an item and beginning with it."""

        renewed = 0

        def claim(self, kinds: Collection[str], owner: str) -> WorkItem | None:
            item = super().claim(kinds, owner)
            stop.set()
            for thread in threading.enumerate():
                if thread.name == "heartbeat":
                    # It has time to find that nothing is under way.
                    thread.join(0.3)
            return item

        def renew(self, item: WorkItem) -> None:
            super().renew(item)
            self.renewed += 1

    queue, other = StoppingQueue(database, lease_seconds=1.0), WorkQueue(database, lease_seconds=60.0)
    stolen: list[WorkItem] = []

    def work_for_longer_than_a_lease(_: WorkItem) -> None:
        def another_has_it() -> bool:
            stolen.extend(item for item in [other.claim(["k"], "another")] if item is not None)
            return bool(stolen)

        wait_for(lambda: queue.renewed >= 15 or another_has_it(), "the lease to be renewed, or to run out")

    with database.write() as connection:
        queue.enqueue(connection, "k", "s")
    Runner(queue, {"k": Handler(work_for_longer_than_a_lease)}, stop, slots=1).run()
    assert stolen == []
