"""Re-pointing: rows that name records of old packs come to name the same records in a new one.

    some instance keys ─▶ one short transaction: lease held, data store locked
                           ├─ an image set of theirs is being changed ─▶ left for later
                           └─ rows as they were read ─▶ extents of fragments, data sets, runs of frames

What changes image sets reads rows before it writes others with the same places, and keeps them LOCKED meanwhile. So rows of
LOCKED image sets are left alone, and no row comes to name a place that was left before.

Edits write the fragment of an instance to a pack apart from its data set, by which edited instances are known: no row goes
from two packs to one, or from one to two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hounsfield.imaging.frame_runs import frame_runs_of, run_extents, run_row
from hounsfield.imaging.staged_instance import RUN_LENGTH
from hounsfield.imaging.states import ImageSetState
from hounsfield.imaging.tiering.pack_references import dataset_extent, fragment_extent, read_places
from hounsfield.storage.blobs.packs import Extent
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import frame_runs, image_sets, instances

Moves = Mapping[Extent, Extent]
"""Where records are now, by where they were."""

_OF_ROW: Final = (instances.c.key == bindparam("of_key"), instances.c.first_version == bindparam("of_version"))
_OF_RUN: Final = (
    frame_runs.c.source_key == bindparam("of_key"),
    frame_runs.c.first_ordinal == bindparam("of_ordinal"),
)
_SET_PLACES: Final = update(instances).where(*_OF_ROW)
_SET_RUN: Final = update(frame_runs).where(*_OF_RUN)


@dataclass(frozen=True, slots=True)
class Repointed:
    """What became of some instance keys.

    Attributes
    ----------
    left : frozenset of str
        Keys of image sets that are being changed: nothing of them was done.
    image_set_ids : frozenset of str
        Image sets whose records are elsewhere now.
    """

    left: frozenset[str]
    image_set_ids: frozenset[str]


def repoint(connection: Connection, source_keys: Sequence[str], moves: Moves) -> Repointed:
    """Re-point the rows of some instances, originals and copies.

    Parameters
    ----------
    connection : Connection
        A write transaction that has the lock of the data store.
    source_keys : Sequence of str
        What their records were written under.
    moves : Mapping of Extent to Extent
        Where records are now.
    """
    rows = read_places(connection, source_keys)
    locked = _find_locked(connection, {row.image_set_id for row in rows})
    left = frozenset(row.source_key for row in rows if row.image_set_id in locked)
    moved = [row for row in rows if row.source_key not in left]
    _repoint_rows(connection, moved, moves)
    _repoint_runs(connection, sorted({row.source_key for row in moved}), moves)
    return Repointed(left, frozenset(row.image_set_id for row in moved))


def _find_locked(connection: Connection, image_set_ids: Iterable[str]) -> set[str]:
    locked: set[str] = set()
    for some in in_groups(sorted(image_set_ids)):
        query = select(image_sets.c.id).where(image_sets.c.id.in_(some), image_sets.c.state == ImageSetState.LOCKED)
        locked.update(connection.execute(query).scalars())
    return locked


def _repoint_rows(connection: Connection, rows: Sequence[Any], moves: Moves) -> None:
    values = []
    for row in rows:
        fragment = fragment_extent(row)
        dataset = dataset_extent(row)
        now = moves.get(fragment, fragment), moves.get(dataset, dataset)
        is_edited = fragment.pack_id != dataset.pack_id
        if now == (fragment, dataset) or is_edited is not (now[0].pack_id != now[1].pack_id):
            continue
        values.append(
            {
                "of_key": row.key,
                "of_version": row.first_version,
                "fragment_pack_id": now[0].pack_id,
                "fragment_offset": now[0].offset,
                "dataset_pack_id": now[1].pack_id,
                "dataset_offset": now[1].offset,
            }
        )
    if values:
        connection.execute(_SET_PLACES, values)


def _repoint_runs(connection: Connection, source_keys: Sequence[str], moves: Moves) -> None:
    runs: dict[str, list[Any]] = defaultdict(list)
    for some in in_groups(source_keys):
        query = select(frame_runs).where(frame_runs.c.source_key.in_(some))
        for run in connection.execute(query.order_by(frame_runs.c.source_key, frame_runs.c.first_ordinal)):
            runs[run.source_key].append(run)
    in_place, gone, entering = [], [], []
    for source_key, before in runs.items():
        places = [(ordinal, extent) for run in before for ordinal, extent in run_extents(run)]
        now = [(ordinal, moves.get(extent, extent)) for ordinal, extent in places]
        if now == places:
            continue
        joined = [
            run_row(source_key, first, start.pack_id, start.offset, lengths)
            for first, start, lengths in frame_runs_of(now, RUN_LENGTH)
        ]
        if [row["first_ordinal"] for row in joined] == [run.first_ordinal for run in before]:
            in_place += joined
        else:
            gone.append(source_key)
            entering += joined
    if in_place:
        # The records are as long as before.
        connection.execute(
            _SET_RUN,
            [
                {
                    "of_key": row["source_key"],
                    "of_ordinal": row["first_ordinal"],
                    "pack_id": row["pack_id"],
                    "first_offset": row["first_offset"],
                }
                for row in in_place
            ],
        )
    for some in in_groups(gone):
        connection.execute(delete(frame_runs).where(frame_runs.c.source_key.in_(some)))
    if entering:
        connection.execute(insert(frame_runs), entering)
