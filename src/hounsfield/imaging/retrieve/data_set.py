"""The data set of an instance as it is in the version that is read: as it came, with the edits made since.

    kept data set ─┬─ nothing edited ────────────────────────────────────────▶ as it came, every byte
                   ├─ patient, study, series values that updates changed ─┐
                   └─ its own elements edited: its fragment now           ┴──▶ those elements are made anew

Edits are found by comparing values, not replayed: what the metadata document shows is what the data set has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson

from hounsfield.dicom.healthimaging.edited_data_set import Amendment, apply_amendment, compute_amendment
from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.file_meta import preamble_and_meta
from hounsfield.dicom.io.part10 import Part10, read_part10
from hounsfield.dicom.values.decode import JsonValue, ValueDecoder
from hounsfield.dicom.values.dictionary import tag_of
from hounsfield.dicom.values.elements import Element
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.instances import StoredInstance, find_moved_instances
from hounsfield.imaging.retrieve.level_changes import LEVEL_TAGS, LevelChanges
from hounsfield.imaging.retrieve.moved_records import read_or_look_again
from hounsfield.imaging.retrieve.stored_data_set import as_little_endian
from hounsfield.storage.blobs.packs import Extent, Label, RecordKind, read_records

_GROUP = 256
_WARNING_REASON = "WarningReason"
_FILE_META_GROUP = 0x0002
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018


@dataclass(frozen=True, slots=True)
class CurrentDataSet:
    """The data set of an instance, without its pixel data.

    Attributes
    ----------
    instance : StoredInstance
        The instance.
    part10 : Part10
        The data set now, values little endian; file meta information, transfer syntax and the empty pixel data element
        are still those of the file that came in.
    original : Part10
        The data set as it came, values little endian: what describes the stored pixel data.
    """

    instance: StoredInstance
    part10: Part10
    original: Part10

    def file_meta(self, transfer_syntax: str) -> bytes:
        """Write preamble and file meta information for the data set in a transfer syntax."""
        sop_class = self.part10.text(_SOP_CLASS_UID) or self.instance.sop_class_uid
        sop_uid = self.part10.text(_SOP_INSTANCE_UID) or self.instance.sop_uid
        return preamble_and_meta(self.part10.meta, sop_class, sop_uid, transfer_syntax)


@dataclass(frozen=True, slots=True)
class StoredDataSet:
    """The data set of an instance as it is kept, and what may have been edited of it.

    Attributes
    ----------
    instance : StoredInstance
        The instance.
    data : bytes
        The file that came in, without the value of its pixel data.
    fragment : bytes or None
        Its own elements now, where they were edited.
    levels : LevelChanges
        What updates changed in the levels of its image set.
    """

    instance: StoredInstance
    data: bytes
    fragment: bytes | None
    levels: LevelChanges

    def current(self) -> CurrentDataSet:
        """Read the data set and edit it."""
        return _current(self.instance, self.data, self.fragment, self.levels)


def read_current_data_set(image_store: ImageStore, instance: StoredInstance) -> CurrentDataSet:
    """Read the data set of one instance; errors are those of `read_current_data_sets`."""
    return next(read_current_data_sets(image_store, [instance]))


def read_current_data_sets(image_store: ImageStore, instances: Sequence[StoredInstance]) -> Iterator[CurrentDataSet]:
    """Read the data sets of instances, near ones together.

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    instances : Sequence of StoredInstance
        Of any image sets.

    Returns
    -------
    Iterator of CurrentDataSet
        In the order of the instances; only some of them are in memory at a time.

    Raises
    ------
    PackDamagedError, BlobMissingError
        Stored bytes were changed or are gone.
    """
    return (kept.current() for kept in read_stored_data_sets(image_store, instances))


def read_stored_data_sets(image_store: ImageStore, instances: Sequence[StoredInstance]) -> Iterator[StoredDataSet]:
    """Read the data sets of instances as they are kept; see `read_current_data_sets`."""
    changes: dict[str, LevelChanges] = {}
    for start in range(0, len(instances), _GROUP):
        group = instances[start : start + _GROUP]
        fragments = _fragments(image_store, group)
        for instance, data in zip(group, _data_sets(image_store, group), strict=True):
            image_set = instance.image_set
            if image_set.image_set_id not in changes:
                changes[image_set.image_set_id] = LevelChanges(image_store, image_set)
            yield StoredDataSet(instance, data, fragments.get(instance.key), changes[image_set.image_set_id])


def _data_sets(image_store: ImageStore, instances: Sequence[StoredInstance]) -> list[bytes]:
    return _read(image_store, instances, RecordKind.DATASET)


def _fragments(image_store: ImageStore, instances: Sequence[StoredInstance]) -> dict[str, bytes]:
    """Read the fragments of edited instances, by their keys."""
    edited = [instance for instance in instances if instance.is_edited]
    found = _read(image_store, edited, RecordKind.FRAGMENT)
    return {instance.key: data for instance, data in zip(edited, found, strict=True)}


def _read(image_store: ImageStore, instances: Sequence[StoredInstance], kind: RecordKind) -> list[bytes]:
    """Read a record of each instance; all are of one data store, whose key is the same for all image sets."""
    if not instances:
        return []
    return read_or_look_again(
        partial(read_records, image_store.blobs, instances[0].image_set.key),
        _wanted(instances, kind),
        lambda: _wanted(find_moved_instances(image_store, instances), kind),
    )


def _wanted(instances: Sequence[StoredInstance], kind: RecordKind) -> list[tuple[Extent, Label]]:
    return [
        (instance.fragment if kind is RecordKind.FRAGMENT else instance.dataset, Label(kind, instance.source_key))
        for instance in instances
    ]


def _current(instance: StoredInstance, data: bytes, fragment: bytes | None, levels: LevelChanges) -> CurrentDataSet:
    original = as_little_endian(read_part10(BytesSource(data)))
    current = original
    if levels.concern(instance):
        own = _values(original, tuple(element for element in original.elements if element.tag in LEVEL_TAGS))
        current = _with(current, compute_amendment(own, levels.wanted(instance, own), {}))
    if fragment is not None:
        current = _with(current, _edits(original, fragment))
    return CurrentDataSet(instance, current, original)


def _with(part10: Part10, amendment: Amendment) -> Part10:
    return replace(part10, elements=apply_amendment(part10.elements, amendment)) if amendment else part10


def _edits(original: Part10, fragment: bytes) -> Amendment:
    """Find what was edited in the elements that belong to the instance alone.

    File meta information follows the data set, and the warning of the import was not in it.
    """
    content = orjson.loads(fragment)
    own = _values(original, tuple(element for element in original.elements if element.tag not in LEVEL_TAGS))
    now = {key: value for key, value in content["DICOM"].items() if (tag_of(key) or 0) >> 16 != _FILE_META_GROUP}
    for values in (own, now):
        values.pop(_WARNING_REASON, None)
    return compute_amendment(own, now, content["DICOMVRs"])


def _values(part10: Part10, elements: tuple[Element, ...]) -> dict[str, JsonValue]:
    """Decode elements to the values that the metadata document has."""
    values: dict[str, JsonValue] = {}
    ValueDecoder(little_endian=True).add(values, elements, part10.character_set)
    return values
