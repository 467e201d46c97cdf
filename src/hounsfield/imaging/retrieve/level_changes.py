"""The level changes of an image set: what updates changed in patient, study and series levels, seen from an instance.

Levels are kept once for an image set, and the latest import wins. An instance keeps its own elements as they came all the
same; what an update sets, it has like all others:

    version  1 created   PatientWeight 70   ─▶ an instance that came with 71 has 71
             2 updated   PatientWeight 72   ─▶ every instance has 72
             3 imported                     ─▶ instances that came now have what they came with
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.dicom.healthimaging.levels import KEYWORDS, Level
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.dictionary import TAGS
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.levels import open_levels
from hounsfield.imaging.retrieve.instances import ReadableImageSet, StoredInstance
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import image_set_versions

LEVEL_KEYWORDS: Final = KEYWORDS[Level.PATIENT] | KEYWORDS[Level.STUDY] | KEYWORDS[Level.SERIES]
LEVEL_TAGS: Final = frozenset(TAGS[keyword] for keyword in LEVEL_KEYWORDS)
"""The elements that are kept at the patient, study or series level."""

_ABSENT: Final = object()

Values = Mapping[str, JsonValue]


class LevelChanges:
    """The changes that updates made in one image set, up to the version that is read.

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    image_set : ReadableImageSet
        The image set.
    """

    def __init__(self, image_store: ImageStore, image_set: ReadableImageSet) -> None:
        self._now = together(image_set.levels)
        self._steps = _steps(image_store, image_set)
        self._changed: dict[int, frozenset[str]] = {}

    def concern(self, instance: StoredInstance) -> bool:
        """Return whether an instance may have other values at these levels than it came with."""
        return instance.is_copy or bool(self._keywords(instance.since))

    def wanted(self, instance: StoredInstance, own: Values) -> dict[str, JsonValue]:
        """Return the values of an instance at all three levels.

        Parameters
        ----------
        instance : StoredInstance
            The instance. A copy has the levels of the image set it is in: whether they were edited where it came from
            is not known here, and a corrected value must never come back as it was.
        own : Mapping of str to JsonValue
            The values that it came with.
        """
        if instance.is_copy:
            return dict(self._now)
        changed = self._keywords(instance.since)
        kept = {key: value for key, value in own.items() if key not in changed}
        return {**kept, **{key: self._now[key] for key in changed if key in self._now}}

    def _keywords(self, since: int) -> frozenset[str]:
        """Find what updates later than a version changed, and did not change back."""
        if since not in self._changed:
            self._changed[since] = changed_since(since, self._steps)
        return self._changed[since]


def changed_since(since: int, steps: Sequence[tuple[int, Values, Values]]) -> frozenset[str]:
    """Find the keywords that updates changed, and did not change back.

    Parameters
    ----------
    since : int
        Only updates that made later versions count.
    steps : Sequence of (int, Mapping, Mapping)
        Version an update made, values before and after it; oldest first.
    """
    first: dict[str, object] = {}
    changed: set[str] = set()
    for version, before, after in steps:
        if version <= since:
            continue
        for key in before.keys() | after.keys():
            old, new = before.get(key, _ABSENT), after.get(key, _ABSENT)
            if old != new:
                (changed.discard if new == first.setdefault(key, old) else changed.add)(key)
    return frozenset(changed)


def together(levels: Levels) -> dict[str, JsonValue]:
    """Return the values of all three levels in one object."""
    return {**levels.patient, **levels.study, **levels.series}


def _steps(image_store: ImageStore, image_set: ReadableImageSet) -> list[tuple[int, Values, Values]]:
    """Read the levels before and after each update."""
    if not image_set.updates:
        return []
    versions = sorted({version for made in image_set.updates for version in (made - 1, made)})
    found: dict[int, dict[str, JsonValue]] = {}
    with image_store.database.read() as connection:
        for some in in_groups(versions):
            rows = connection.execute(
                select(image_set_versions.c.version, image_set_versions.c.sealed_levels).where(
                    image_set_versions.c.image_set_id == image_set.image_set_id, image_set_versions.c.version.in_(some)
                )
            )
            for row in rows:
                levels = open_levels(image_set.key, image_set.image_set_id, row.version, row.sealed_levels)
                found[row.version] = together(levels)
    return [(made, found[made - 1], found[made]) for made in image_set.updates]
