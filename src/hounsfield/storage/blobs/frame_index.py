"""Frame index: instance key and ordinal ─▶ (pack, offset, length).

What was looked up once is kept, and the frames of a multi-frame instance cost one look-up together. A run of records never
changes, but compaction brings it to another pack, and deletes the one before after a grace time: who finds the pack missing
looks it up anew. Whether a frame may be seen is not asked here.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from sqlalchemy import bindparam, select

from hounsfield.storage.blobs.packs import Extent
from hounsfield.storage.db.database import ONE, Database
from hounsfield.storage.db.image_set_tables import frame_runs
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.lru_cache import SharedCache

_KEPT_BYTES: Final = 32 * 1024 * 1024
_ENTRY_BYTES: Final = 512
_NEIGHBOURS: Final = 1024
"""Ordinals that are looked for under one entry; a run has at most so many records."""

_FIND_RUN = PreparedStatement(
    select(frame_runs.c.first_ordinal, frame_runs.c.pack_id, frame_runs.c.first_offset, frame_runs.c.lengths)
    .where(frame_runs.c.source_key == bindparam("source_key"), frame_runs.c.first_ordinal <= bindparam("ordinal"))
    .order_by(frame_runs.c.first_ordinal.desc())
    .limit(ONE)
)


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of records: their pack, the ordinal of the first, and where each begins, with the end of the last."""

    first_ordinal: int
    pack_id: str
    offsets: array[int]

    def size(self) -> int:
        return _ENTRY_BYTES + self.offsets.itemsize * len(self.offsets)

    def extent(self, ordinal: int) -> Extent | None:
        index = ordinal - self.first_ordinal
        if not 0 <= index < len(self.offsets) - 1:
            return None
        start = self.offsets[index]
        return Extent(self.pack_id, start, self.offsets[index + 1] - start)


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """Finds frames, and keeps the runs that were found; for several threads."""

    _kept: SharedCache[tuple[str, int], _Run] = field(default_factory=lambda: SharedCache(_KEPT_BYTES, _Run.size))

    def find(self, database: Database, source_key: str, ordinal: int, *, anew: bool = False) -> Extent | None:
        """Find the place of a frame, None when the instance has no such frame.

        Parameters
        ----------
        database : Database
            Where the runs are.
        source_key : str
            The key that the records of the instance were written under.
        ordinal : int
            Which frame, from 0 on.
        anew : bool
            Ask the database, also where the place is kept.
        """
        near = (source_key, ordinal // _NEIGHBOURS)
        run = None if anew else self._kept.get(near)
        extent = None if run is None else run.extent(ordinal)
        if extent is not None:
            return extent
        row = database.lookup(_FIND_RUN, {"source_key": source_key, "ordinal": ordinal})
        if row is None:
            return None
        first_ordinal, pack_id, first_offset, packed = row
        run = _Run(first_ordinal, pack_id, array("Q", accumulate(array("I", packed), initial=first_offset)))
        extent = run.extent(ordinal)
        if extent is not None:
            self._kept.put(near, run)
        return extent
