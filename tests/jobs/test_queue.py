"""The queue of work: one owner at a time, leases that run out, effects only with the lease. On both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hounsfield.jobs.queue import LeaseLostError, WorkQueue
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from support.servers import wait_for


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


def put(database: Database, queue: WorkQueue, *subjects: str) -> None:
    with database.write() as connection:
        for subject in subjects:
            queue.enqueue(connection, "k", subject)


def test_many_claimants_get_each_item_once(database: Database) -> None:
    queue = WorkQueue(database, lease_seconds=60)
    subjects = [f"s{n}" for n in range(20)]
    put(database, queue, *subjects)

    def drain(owner: int) -> list[str]:
        taken = []
        while (item := queue.claim(["k"], f"owner-{owner}")) is not None:
            taken.append(item.subject_id)
        return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [subject for some in threads.map(drain, range(4)) for subject in some]
    assert Counter(taken) == Counter(subjects)


def test_a_lease_that_ran_out_is_taken_by_another_and_lost_for_the_first(database: Database) -> None:
    queue = WorkQueue(database, lease_seconds=0.05)
    put(database, queue, "s")
    first = queue.claim(["k"], "first")
    second = wait_for(lambda: queue.claim(["k"], "second"), "the lease to run out")
    assert second.attempts == 2
    with pytest.raises(LeaseLostError), database.write() as connection:
        queue.finish(connection, first)
    with pytest.raises(LeaseLostError):
        queue.renew(first)
    with database.write() as connection:
        queue.finish(connection, second)
    assert queue.claim(["k"], "third") is None


def test_a_released_item_waits(database: Database) -> None:
    queue = WorkQueue(database, lease_seconds=60)
    put(database, queue, "s")
    queue.release_lease(queue.claim(["k"], "one"), delay_seconds=3600)
    assert queue.claim(["k"], "two") is None
    put(database, queue, "t")
    assert queue.claim(["k"], "two").subject_id == "t"


def test_only_the_asked_kinds_are_claimed(database: Database) -> None:
    queue = WorkQueue(database)
    put(database, queue, "s")
    assert queue.claim(["other"], "one") is None
    assert queue.claim(["other", "k"], "one").subject_id == "s"
