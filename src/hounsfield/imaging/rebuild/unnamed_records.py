"""Records that no row names when the rows are made again: compaction erases them, as it would have done before.

    records of each pack, as its contents tell ─▶ fewer are named by rows? ─┬─▶ some: noted, with the bytes to erase
                                                                            └─▶ none: old, if all it has is known

What is to be erased stands in no journal. Without this, records of deleted image sets would stay in packs that others use,
and those in packs that were merged already would stay beside the new ones. A pack that has a record of an unknown key is
nobody's to delete: it may be what is still to be saved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, func, select

from hounsfield.imaging.rebuild.replay import Replay
from hounsfield.imaging.tiering.noted_packs import note_dead_of_kept, note_unused
from hounsfield.imaging.tiering.pack_references import find_named_records, read_references
from hounsfield.storage.blobs.packs import Extent, Label
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import frame_runs, instances
from hounsfield.storage.db.steady_clock import steady_ms

_LENGTH_BYTES: Final = 4
"""Of the length of a record in ``frame_runs``."""


def note_unnamed_records(connection: Connection, replay: Replay) -> None:
    """Note the records to erase of all data stores of a replay that has ended, and of which nothing is missing."""
    now = steady_ms(connection)
    named = _count_named(connection)
    for datastore_id, source in replay.sources.items():
        counts = source.places.record_counts()
        partly = {pack_id for pack_id, count in counts.items() if named[pack_id] != count}
        for pack_id, records in source.places.contents_of(partly).items():
            _note(connection, replay, datastore_id, pack_id, records, now)


def _count_named(connection: Connection) -> Counter[str]:
    """Count the records of each pack that rows name."""
    columns, runs = instances.c, frame_runs.c
    named: Counter[str] = Counter()
    for pack, offset in (
        (columns.fragment_pack_id, columns.fragment_offset),
        (columns.dataset_pack_id, columns.dataset_offset),
    ):
        for pack_id, count in connection.execute(select(pack, func.count(offset.distinct())).group_by(pack)):
            named[pack_id] += count
    sizes = select(runs.pack_id, func.sum(func.length(runs.lengths))).group_by(runs.pack_id)
    for pack_id, size in connection.execute(sizes):
        named[pack_id] += int(size) // _LENGTH_BYTES
    return named


def _note(
    connection: Connection,
    replay: Replay,
    datastore_id: str,
    pack_id: str,
    records: Sequence[tuple[Label, Extent]],
    now: int,
) -> None:
    owners = {label.owner for label, _ in records}
    named = find_named_records(connection, {pack_id}, owners)
    if not named:
        known = {key for key in owners if replay.is_released(key)}
        for some in in_groups(sorted(owners - known)):
            known.update(row.source_key for row in read_references(connection, some))
        if known == owners:
            note_unused(connection, datastore_id, {pack_id}, now)
        return
    dead = sum(extent.length for label, extent in records if (label, extent) not in named)
    note_dead_of_kept(connection, datastore_id, pack_id, records, dead, now)
