"""The last entry of an audit index, kept in the database by several processes at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from hounsfield.audit.anchors import Anchor, write_anchor
from hounsfield.audit.hash_chain import Position
from hounsfield.storage.db.audit_tables import audit_indexes
from hounsfield.storage.db.engines import open_postgresql

PROCESSES = 6


def test_processes_that_start_together_keep_one_anchor(postgresql_url: str) -> None:
    """PostgreSQL lets all of them look before the first has written."""
    database = open_postgresql(postgresql_url)
    together = threading.Barrier(PROCESSES)

    def write(number: int, name: str) -> None:
        together.wait()
        write_anchor(database, Anchor(name, "host", Position(number, b"mac")))

    with ThreadPoolExecutor(PROCESSES) as threads:
        for turn in range(20):
            list(threads.map(write, range(1, PROCESSES + 1), [f"{turn:064d}"] * PROCESSES))
    with database.read() as connection:
        rows = connection.execute(select(audit_indexes.c.sequence)).scalars().all()
    assert rows == [PROCESSES] * 20
    database.close()
