"""Usage: how many image sets, instances, frames and bytes there are, and how many files import jobs imported.

    image_sets, studies, import_jobs ─one pass over each─▶ UsageCounts ─▶ of a data store, or of all

The pass over image sets takes a fraction of a second with 100,000 of them, so what was counted is kept for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, func, select

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.jobs import JobStatus
from hounsfield.imaging.states import StorageTier
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.db.study_tables import studies

Key = TypeVar("Key", bound=Hashable)
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


@dataclass(frozen=True)
class Usage:
    """What was counted, of a data store or of all. There may be thousands of groups: what is summed is kept.

    Attributes
    ----------
    counted_at : datetime
        When.
    groups : sequence of ImageSetGroup
        Image sets that are not deleted.
    studies : int
        Studies of primary image sets.
    imports : sequence of ImportDay
        Import jobs, as long as they are kept; there may be several entries of a day.
    """

    counted_at: datetime
    groups: Sequence[ImageSetGroup]
    studies: int
    imports: Sequence[ImportDay]

    @cached_property
    def total(self) -> Amount:
        """All image sets."""
        return _sum(self._by_day.values())

    @cached_property
    def primary(self) -> Amount:
        """The primary image sets, of which each series has one."""
        return _tally(self.groups, lambda group: group.is_primary).get(True, Amount())

    @cached_property
    def by_datastore(self) -> Mapping[str, Amount]:
        """How much each data store has, by its id, the largest first."""
        return _largest_first(_tally(self.groups, lambda group: group.datastore_id))

    @cached_property
    def by_tier(self) -> Mapping[str, Amount]:
        """How much there is in each storage tier, the largest first."""
        return _largest_first(_tally(self.groups, lambda group: group.tier.value))

    @cached_property
    def by_modality(self) -> Mapping[str, Amount]:
        """How much there is of each modality, the largest first."""
        return _largest_first(_tally(self.groups, lambda group: group.modality))

    @cached_property
    def _by_day(self) -> Mapping[date, Amount]:
        return _tally(self.groups, lambda group: group.day)

    def growth(self, days: int) -> Iterator[GrowthDay]:
        """Yield the last some days up to that of counting."""
        last = self.counted_at.date()
        first = last - timedelta(days=days - 1)
        total = _sum(amount for day, amount in self._by_day.items() if day < first)
        for number in range(days):
            day = first + timedelta(days=number)
            added = self._by_day.get(day, Amount())
            total += added
            yield GrowthDay(day, added, total)

    def import_days(self, days: int) -> Iterator[ImportDay]:
        """Yield the import jobs of the last some days up to that of counting."""
        found: dict[date, ImportDay] = {}
        for counted in self.imports:
            found[counted.day] = found.get(counted.day, ImportDay(counted.day)) + counted
        last = self.counted_at.date()
        for number in reversed(range(days)):
            day = last - timedelta(days=number)
            yield found.get(day, ImportDay(day))


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, Amount())


def _tally(groups: Iterable[ImageSetGroup], of: Callable[[ImageSetGroup], Key]) -> dict[Key, Amount]:
    """Return how much there is of each of something."""
    found: dict[Key, list[int]] = {}
    for group in groups:
        counts = found.setdefault(of(group), [0, 0, 0, 0])
        amount = group.amount
        counts[0] += amount.image_sets
        counts[1] += amount.instances
        counts[2] += amount.frames
        counts[3] += amount.bytes
    return {key: Amount(*counts) for key, counts in found.items()}


def _largest_first(amounts: Mapping[str, Amount]) -> dict[str, Amount]:
    return dict(sorted(amounts.items(), key=lambda entry: (-entry[1].bytes, entry[0])))


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
    _counted: dict[str | None, Usage] = field(default_factory=dict)
    _until: float = 0.0

    def read(self, datastore_id: str | None = None) -> Usage:
        """Return the usage of a data store, or of all; one that is not there has none."""
        # Whoever comes meanwhile waits: counting twice at a time takes longer.
        with self._lock:
            if not self._counted or self.clock() >= self._until:
                with self.image_store.database.read() as connection:
                    self._counted = _count(connection)
                self._until = self.clock() + KEPT_SECONDS
            found = self._counted.get(datastore_id)
            return found if found is not None else Usage(self._counted[None].counted_at, [], 0, [])


def _count(connection: Connection) -> dict[str | None, Usage]:
    """Count, and return the usage of each data store that has some, and with None that of all."""
    now = datetime.now(UTC)
    studies_of = {row[0]: row[1] for row in connection.execute(_of_each_datastore())}
    groups_of: dict[str, list[ImageSetGroup]] = {}
    for group in _image_sets(connection):
        groups_of.setdefault(group.datastore_id, []).append(group)
    imports_of: dict[str, list[ImportDay]] = {}
    for datastore_id, imported in _imports(connection):
        imports_of.setdefault(datastore_id, []).append(imported)
    groups, imports = [*chain(*groups_of.values())], [*chain(*imports_of.values())]
    found: dict[str | None, Usage] = {None: Usage(now, groups, sum(studies_of.values()), imports)}
    for datastore_id in groups_of.keys() | imports_of.keys():
        found[datastore_id] = Usage(
            now,
            groups_of.get(datastore_id, []),
            studies_of.get(datastore_id, 0),
            imports_of.get(datastore_id, []),
        )
    return found


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
