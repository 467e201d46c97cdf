"""What a change writes: packs, rows table by table, and pages of the database; seen from before and after.

packs: new ones, and whether old ones changed ─┐
rows:  added, changed, removed, table by table ─┼─▶ before and after
database: growth of the file, pages in the log ─┘
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select

from bench.server import BenchmarkError, Server
from hounsfield.imaging.image_store import ImageStore
from hounsfield.storage.db.image_set_tables import metadata

T = TypeVar("T")
_CHECKPOINT_SECONDS = 30


@dataclass(frozen=True)
class Snapshot:
    """What is stored: packs as (size, time of change), rows by table and primary key, sizes of the database files."""

    packs: dict[str, tuple[int, int]]
    rows: dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]
    database: int
    log: int


@dataclass(frozen=True)
class Written:
    """What one change wrote."""

    pack_bytes: int
    packs_added: int
    packs_changed: int
    database_growth: int
    log_bytes: int
    rows: dict[str, dict[str, int]]

    @property
    def total(self) -> int:
        """Bytes written: packs, and pages of the database in its log."""
        return self.pack_bytes + self.log_bytes


def written_by(server: Server, change: Callable[[], T]) -> tuple[Written, T]:
    """Make a change and compare before with after; gives also what the change gave."""
    image_store = server.image_store()
    try:
        _empty_log(image_store)
        before = _snapshot(server.settings.data, image_store)
        made = change()
        after = _snapshot(server.settings.data, image_store)
    finally:
        image_store.database.close()
    new = after.packs.keys() - before.packs.keys()
    written = Written(
        pack_bytes=sum(after.packs[name][0] for name in new),
        packs_added=len(new),
        packs_changed=sum(after.packs.get(name) != state for name, state in before.packs.items()),
        database_growth=after.database - before.database,
        log_bytes=after.log - before.log,
        rows={name: rows for name in after.rows if (rows := _change(before.rows[name], after.rows[name]))},
    )
    return written, made


def _empty_log(image_store: ImageStore) -> None:
    """Bring the write-ahead log into the database file and cut it to nothing, so that what it grows by is what is written."""
    deadline = time.monotonic() + _CHECKPOINT_SECONDS
    with image_store.database.read() as connection:
        # A checkpoint cannot run inside of the transaction that a statement of SQLAlchemy begins with.
        driver: Any = connection.connection.driver_connection
        while driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise BenchmarkError("the write-ahead log could not be emptied, the database is too busy")
            time.sleep(0.05)


def _snapshot(data: Path, image_store: ImageStore) -> Snapshot:
    packs = {}
    for path in (data / "blobs").rglob("*"):
        if path.is_file():
            status = path.stat()
            packs[str(path)] = (status.st_size, status.st_mtime_ns)
    rows = {}
    with image_store.database.read() as connection:
        for table in metadata.sorted_tables:
            keys = [column.name for column in table.primary_key]
            found = connection.execute(select(table)).mappings()
            rows[table.name] = {tuple(row[key] for key in keys): tuple(row.values()) for row in found}
    database = data / "hounsfield.db"
    log = Path(f"{database}-wal")
    return Snapshot(packs, rows, database.stat().st_size, log.stat().st_size if log.exists() else 0)


def _change(before: dict[tuple[Any, ...], Any], after: dict[tuple[Any, ...], Any]) -> dict[str, int]:
    change = {
        "added": len(after.keys() - before.keys()),
        "changed": sum(after[key] != before[key] for key in after.keys() & before.keys()),
        "removed": len(before.keys() - after.keys()),
    }
    return {what: count for what, count in change.items() if count}
