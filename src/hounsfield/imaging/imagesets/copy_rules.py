"""Rules of CopyImageSet: metadata that disagrees, duplicate SOP instances, two primary image sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.imaging.grouping_keys import StudyVariant, variant_of
from hounsfield.imaging.imagesets.copy_request import PendingCopy
from hounsfield.imaging.imagesets.workflow import LockedImageSet
from hounsfield.imaging.levels import IndexEntry, grouping_of, index_entry
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_sets, instances

_MISMATCH: Final = "INVALID_REQUEST:  {level} of SourceImageSet and DestinationImageSet don't match."
_TWICE: Final = "INVALID_REQUEST:  SOP Instance UIDs of SourceImageSet are in DestinationImageSet already."
_ELSEWHERE: Final = (
    "INVALID_REQUEST:  SOP Instance UIDs of SourceImageSet are in the primary image set of another series."
)
_TAKEN: Final = "INVALID_REQUEST:  The series of SourceImageSet has a primary image set already."
_STUDY: Final = "INVALID_REQUEST:  Study of SourceImageSet and primary image sets of the study don't match."


def refusal(
    connection: Connection, copy: PendingCopy, source: LockedImageSet, into: LockedImageSet, sop_uids: Sequence[str]
) -> str | None:
    """Say why a copy cannot be made, or None when it can.

    Parameters
    ----------
    connection : Connection
        A transaction that has the lock of the data store.
    copy : PendingCopy
        What was asked for.
    source, into : LockedImageSet
        The two image sets; a destination of version 1 was made for the copy and is empty.
    sop_uids : Sequence[str]
        SOP Instance UIDs to copy.
    """
    given = into.version > 1
    if given and not copy.force:
        level = _grouping_mismatch(source, into) if copy.promote else _mismatch(source.levels, into.levels)
        if level is not None:
            return _MISMATCH.format(level=level)
    if given and _are_in(connection, into, sop_uids):
        return _TWICE
    if copy.promote and not given:
        conflict = _conflict(connection, source)
        if conflict is not None:
            return conflict
    if (copy.promote or into.is_primary) and _are_elsewhere(connection, into, sop_uids):
        return _ELSEWHERE
    return None


def _mismatch(source: Levels, into: Levels) -> str | None:
    """Name the first level whose elements disagree; an empty element is as good as none."""
    pairs = {
        "Patient": (source.patient, into.patient),
        "Study": (source.study, into.study),
        "Series": (source.series, into.series),
    }
    return next((name for name, (one, other) in pairs.items() if _present(one) != _present(other)), None)


def _present(level: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    trimmed = {key: value.strip() if isinstance(value, str) else value for key, value in level.items()}
    return {key: value for key, value in trimmed.items() if value not in (None, "", [], {})}


def _grouping_mismatch(source: LockedImageSet, into: LockedImageSet) -> str | None:
    """Compare what an import compares: the seven grouping elements."""
    one, other = (grouping_of(index_entry(entry.levels)) for entry in (source, into))
    if one.patient_id != other.patient_id:
        return "Patient"
    if variant_of(one).study != variant_of(other).study or one.study_uid != other.study_uid:
        return "Study"
    return "Series" if one != other else None


def _conflict(connection: Connection, source: LockedImageSet) -> str | None:
    """Check that a new primary set fits among those of its study."""
    grouping = grouping_of(index_entry(source.levels))
    rows = connection.execute(
        select(image_sets).where(
            image_sets.c.datastore_id == source.datastore_id,
            image_sets.c.study_uid == grouping.study_uid,
            image_sets.c.is_primary,
            image_sets.c.deleted_at.is_(None),
        )
    ).all()
    if any(row.series_uid == grouping.series_uid for row in rows):
        return _TAKEN
    present: set[StudyVariant] = set()
    for row in rows:
        entry = IndexEntry(**{name: getattr(row, name) for name in IndexEntry.__dataclass_fields__})
        present.add(variant_of(grouping_of(entry)).study)
    return None if present <= {variant_of(grouping).study} else _STUDY


def _are_in(connection: Connection, into: LockedImageSet, sop_uids: Sequence[str]) -> bool:
    current = select(instances.c.key).where(instances.c.image_set_id == into.id, instances.c.last_version.is_(None))
    return any(
        connection.execute(current.where(instances.c.sop_uid.in_(some)).limit(1)).first() is not None
        for some in in_groups(sop_uids)
    )


def _are_elsewhere(connection: Connection, into: LockedImageSet, sop_uids: Sequence[str]) -> bool:
    """Return whether a primary image set other than the destination holds one of the instances."""
    others = (
        select(instances.c.key)
        .join(image_sets, image_sets.c.id == instances.c.image_set_id)
        .where(
            instances.c.datastore_id == into.datastore_id,
            instances.c.last_version.is_(None),
            image_sets.c.id != into.id,
            image_sets.c.is_primary,
            image_sets.c.deleted_at.is_(None),
        )
    )
    return any(
        connection.execute(others.where(instances.c.sop_uid.in_(some)).limit(1)).first() is not None
        for some in in_groups(sop_uids)
    )
