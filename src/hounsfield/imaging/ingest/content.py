"""The content of an image set once new instances are in it: its levels, its count of instances, the size of its metadata.

    assignment, rows of what it replaces ─▶ compute_content ─▶ ImageSetContent ─┬─▶ find_oversized: whether that may be
                                                                                └─▶ write_versions: the rows

Nothing is read that grows with the image set, where its size is remembered from before (`KnownSizes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import orjson
from cachetools import LRUCache
from sqlalchemy import Connection, bindparam, select

from hounsfield.dicom.healthimaging.document import Levels, document_size_of_totals
from hounsfield.imaging.ingest.grouping import Assignment, PrimaryImageSet
from hounsfield.imaging.levels import merge_levels, open_levels
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.imaging.version_rows import fragment_total, stored_bytes_of
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets, instances
from hounsfield.storage.db.prepared import PreparedStatement, PreparedValueStatement
from hounsfield.storage.keys.data_key import DataKey

_MOST_KNOWN: Final = 4096
_EXTENDED: Final = PreparedStatement(
    select(
        image_sets.c.created_at,
        image_sets.c.frame_count,
        image_sets.c.stored_bytes,
        image_set_versions.c.sealed_levels,
    )
    .join(image_set_versions, image_set_versions.c.image_set_id == image_sets.c.id)
    .where(image_sets.c.id == bindparam("image_set"), image_set_versions.c.version == bindparam("number"))
)
_REPLACED: Final = PreparedValueStatement(
    lambda uids: select(
        instances.c.sop_uid, instances.c.fragment_bytes, instances.c.frame_count, stored_bytes_of(instances.c)
    ).where(
        instances.c.image_set_id == bindparam("image_set"),
        instances.c.sop_uid.in_(uids),
        instances.c.last_version.is_(None),
    )
)


@dataclass(frozen=True, slots=True)
class ImageSetContent:
    """What an image set has after an assignment.

    Attributes
    ----------
    levels : Levels
        Its patient, study and series values.
    count : int
        How many instances it has.
    total : int
        Bytes of the SOP Instance UIDs and the JSON of all its instances.
    frames : int
        How many image frames they have.
    stored_bytes : int
        Bytes of all their records.
    replaces : bool
        Whether instances that were there are replaced.
    created_at : int or None
        When it was made, in milliseconds since 1970-01-01 UTC; None when it is new.
    levels_before : Levels or None
        The levels of the version before; None when it is new.
    """

    levels: Levels
    count: int
    total: int
    frames: int
    stored_bytes: int
    replaces: bool = False
    created_at: int | None = None
    levels_before: Levels | None = None

    @property
    def metadata_bytes(self) -> int:
        """Size of its metadata document before compression."""
        return document_size_of_totals(self.levels, self.count, self.total)


class KnownSizes:
    """Remembers how many instances versions have and how large they are together; one for each thread that commits."""

    def __init__(self) -> None:
        self._known: LRUCache[str, tuple[int, int, int]] = LRUCache(_MOST_KNOWN)

    def of(self, connection: Connection, primary: PrimaryImageSet) -> tuple[int, int]:
        """Return count and total of the version that an image set has, counted where it is not remembered."""
        version, count, total = self._known.get(primary.image_set_id, (0, 0, 0))
        if version == primary.version:
            return count, total
        return fragment_total(connection, primary.image_set_id, primary.version)

    def note(self, image_set_id: str, version: int, content: ImageSetContent) -> None:
        """Remember the content of a version that was committed; only the last some image sets are remembered."""
        self._known[image_set_id] = (version, content.count, content.total)


def compute_content(
    connection: Connection,
    key: DataKey,
    assignment: Assignment,
    staged: Mapping[int, StagedInstance],
    sizes: KnownSizes,
) -> ImageSetContent:
    """Find what an image set has once the instances of an assignment are in it.

    Parameters
    ----------
    connection : Connection
        Sees what the assignment was planned from.
    key : DataKey
        The key of the data store.
    assignment : Assignment
        Which instances enter which image set.
    staged : Mapping of int to StagedInstance
        The instances by file ordinal.
    sizes : KnownSizes
        What is remembered of image sets.
    """
    entering = [staged[ordinal] for ordinal in assignment.ordinals]
    levels = merge_entering_levels(entering)
    added = sum(_size(instance.sop_uid, instance.fragment_bytes) for instance in entering)
    frames = sum(instance.frame_count for instance in entering)
    stored = sum(instance.stored_bytes for instance in entering)
    if assignment.extends is None:
        return ImageSetContent(levels, len(entering), added, frames, stored)
    image_set_id, version = assignment.extends.image_set_id, assignment.extends.version
    (row,) = _EXTENDED.rows(connection, {"image_set": image_set_id, "number": version})
    replaced = _replaced(connection, image_set_id, entering)
    count, total = sizes.of(connection, assignment.extends)
    before = open_levels(key, image_set_id, version, row.sealed_levels)
    return ImageSetContent(
        merge_levels(before, levels),
        count - len(replaced) + len(entering),
        total - sum(_size(gone.sop_uid, gone.fragment_bytes) for gone in replaced) + added,
        row.frame_count - sum(gone.frame_count for gone in replaced) + frames,
        row.stored_bytes - sum(gone.stored_bytes for gone in replaced) + stored,
        replaces=bool(replaced),
        created_at=row.created_at,
        levels_before=before,
    )


def _replaced(connection: Connection, image_set_id: str, entering: Sequence[StagedInstance]) -> list[Any]:
    """Return SOP Instance UIDs and sizes of the instances that those entering take the place of."""
    groups = in_groups(sorted({instance.sop_uid for instance in entering}))
    return [row for some in groups for row in _REPLACED.rows(connection, some, {"image_set": image_set_id})]


def _size(sop_uid: str, fragment_bytes: int) -> int:
    return len(orjson.dumps(sop_uid)) - len('""') + fragment_bytes


def merge_entering_levels(entering: Sequence[StagedInstance]) -> Levels:
    """Return the levels of instances that enter an image set together; of values that differ the last one counts."""
    levels = Levels.from_json(entering[0].levels.encode())
    for before, instance in pairwise(entering):
        if instance.levels != before.levels:
            levels = merge_levels(levels, Levels.from_json(instance.levels.encode()))
    return levels
