"""Usage: how many image sets, instances, frames and bytes there are, and how many files import jobs imported.

    image_sets, studies, import_jobs ─one pass over each─▶ UsageCounts ─▶ of a data store, or of all

The pass over image sets takes a fraction of a second with 100,000 of them, so what was counted is kept for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.jobs import JobStatus
from hounsfield.imaging.states import StorageTier
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.db.study_tables import studies

KEPT_SECONDS: Final = 60.0
"""How long counts are kept."""
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Amount:
    """How much there is of something: image sets, instances, image frames, and bytes of all records of the instances."""

    image_sets: int = 0
    instances: int = 0
    frames: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.image_sets + other.image_sets,
            self.instances + other.instances,
            self.frames + other.frames,
            self.bytes + other.bytes,
        )


@dataclass(frozen=True, slots=True)
class ImageSetGroup:
    """Image sets that are alike in what is counted; ``day`` is that on which they were made, in UTC."""

    datastore_id: str
    is_primary: bool
    tier: StorageTier
    modality: str
    day: date
    amount: Amount


@dataclass(frozen=True, slots=True)
class ImportDay:
    """Import jobs that were submitted on a day, in UTC: how many there are, and what became of their files."""

    day: date
    jobs: int = 0
    completed: int = 0
    failed: int = 0
    imported_files: int = 0
    failed_files: int = 0

    def __add__(self, other: ImportDay) -> ImportDay:
        return ImportDay(
            self.day,
            self.jobs + other.jobs,
            self.completed + other.completed,
            self.failed + other.failed,
            self.imported_files + other.imported_files,
            self.failed_files + other.failed_files,
        )


@dataclass(frozen=True, slots=True)
class GrowthDay:
    """What of all there is now was made on a day, in UTC, and how much of it there was at the end of the day."""

    day: date
    added: Amount
    total: Amount


@dataclass(frozen=True, slots=True)
class Usage:
    """What was counted, of a data store or of all.

    Attributes
    ----------
    counted_at : datetime
        When.
    groups : sequence of ImageSetGroup
        Image sets that are not deleted.
    studies : int
        Studies of primary image sets.
    imports : sequence of (str, ImportDay)
        Import jobs, as long as they are kept, each with the id of its data store.
    """

    counted_at: datetime
    groups: Sequence[ImageSetGroup]
    studies: int
    imports: Sequence[tuple[str, ImportDay]]

    @property
    def total(self) -> Amount:
        """All image sets."""
        return _sum(group.amount for group in self.groups)

    @property
    def primary(self) -> Amount:
        """The primary image sets, of which each series has one."""
        return _sum(group.amount for group in self.groups if group.is_primary)

    def by(self, of: Callable[[ImageSetGroup], str]) -> dict[str, Amount]:
        """Return how much there is of each of something, the largest first."""
        found: dict[str, Amount] = {}
        for group in self.groups:
            found[of(group)] = found.get(of(group), Amount()) + group.amount
        return dict(sorted(found.items(), key=lambda entry: (-entry[1].bytes, entry[0])))

    def growth(self, days: int) -> Iterator[GrowthDay]:
        """Yield the last some days up to that of counting."""
        last = self.counted_at.date()
        first = last - timedelta(days=days - 1)
        total = _sum(group.amount for group in self.groups if group.day < first)
        added: dict[date, Amount] = {}
        for group in self.groups:
            added[group.day] = added.get(group.day, Amount()) + group.amount
        for number in range(days):
            day = first + timedelta(days=number)
            total += added.get(day, Amount())
            yield GrowthDay(day, added.get(day, Amount()), total)

    def import_days(self, days: int) -> Iterator[ImportDay]:
        """Yield the import jobs of the last some days up to that of counting."""
        found: dict[date, ImportDay] = {}
        for _, counted in self.imports:
            found[counted.day] = found.get(counted.day, ImportDay(counted.day)) + counted
        last = self.counted_at.date()
        for number in reversed(range(days)):
            day = last - timedelta(days=number)
            yield found.get(day, ImportDay(day))


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, Amount())


@dataclass(frozen=True, slots=True)
class _Counts:
    """What was counted of all data stores."""

    counted_at: datetime
    groups: Sequence[ImageSetGroup]
    studies: dict[str, int]
    imports: Sequence[tuple[str, ImportDay]]


@dataclass(slots=True)
class UsageReader:
    """Counts, and keeps for a minute what was counted; for all threads of a process.

    Attributes
    ----------
    image_store : ImageStore
        What is counted.
    clock : callable
        Gives seconds that never go back.
    """

    image_store: ImageStore
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counts: _Counts | None = None
    _until: float = 0.0

    def read(self, datastore_id: str | None = None) -> Usage:
        """Return the usage of a data store, or of all; one that is not there has none."""
        counts = self._read()
        if datastore_id is None:
            return Usage(counts.counted_at, counts.groups, sum(counts.studies.values()), counts.imports)
        return Usage(
            counts.counted_at,
            [group for group in counts.groups if group.datastore_id == datastore_id],
            counts.studies.get(datastore_id, 0),
            [entry for entry in counts.imports if entry[0] == datastore_id],
        )

    def _read(self) -> _Counts:
        # Whoever comes meanwhile waits: counting twice at a time takes longer.
        with self._lock:
            if self._counts is None or self.clock() >= self._until:
                with self.image_store.database.read() as connection:
                    self._counts = _count(connection)
                self._until = self.clock() + KEPT_SECONDS
            return self._counts


def _count(connection: Connection) -> _Counts:
    return _Counts(
        datetime.now(UTC),
        [*_image_sets(connection)],
        {row[0]: row[1] for row in connection.execute(_of_each_datastore())},
        [*_imports(connection)],
    )


def _of_each_datastore() -> Any:
    return select(studies.c.datastore_id, func.count()).group_by(studies.c.datastore_id)


def _image_sets(connection: Connection) -> Iterator[ImageSetGroup]:
    columns = image_sets.c
    day = columns.created_at // _DAY_MS
    alike = (columns.datastore_id, columns.is_primary, columns.storage_tier, columns.modality, day)
    amounts = (
        func.count(),
        func.sum(columns.instance_count),
        func.sum(columns.frame_count),
        func.sum(columns.stored_bytes),
    )
    rows = connection.execute(select(*alike, *amounts).where(columns.deleted_at.is_(None)).group_by(*alike))
    for datastore_id, is_primary, tier, modality, number, *counted in rows:
        yield ImageSetGroup(
            datastore_id,
            is_primary,
            StorageTier(tier),
            modality,
            _day(number),
            Amount(*(int(value) for value in counted)),
        )


def _imports(connection: Connection) -> Iterator[tuple[str, ImportDay]]:
    columns = import_jobs.c
    day = columns.submitted_at // _DAY_MS
    files = (func.coalesce(func.sum(columns.imported_files), 0), func.coalesce(func.sum(columns.failed_files), 0))
    alike = (columns.datastore_id, day, columns.status)
    for datastore_id, number, status, jobs, imported, failed in connection.execute(
        select(*alike, func.count(), *files).group_by(*alike)
    ):
        yield (
            datastore_id,
            ImportDay(
                _day(number),
                jobs,
                jobs if status == JobStatus.COMPLETED else 0,
                jobs if status == JobStatus.FAILED else 0,
                int(imported),
                int(failed),
            ),
        )


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number))
