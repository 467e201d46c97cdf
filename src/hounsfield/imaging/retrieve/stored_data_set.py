"""The data set of an instance that nothing was edited of since it came in, found by its key with one look-up.

    instance key ─▶ row (not edited, no copy, no update of its image set) ─▶ (pack, offset, length) ─▶ data set as it came

What this way does not find `hounsfield.imaging.retrieve.data_set` makes, whose result for these instances is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import bindparam, exists, select

from hounsfield.dicom.io.byte_order import to_little_endian
from hounsfield.dicom.io.byte_source import BytesSource
from hounsfield.dicom.io.part10 import Part10, read_part10
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.stored_frames import StoredFrames
from hounsfield.imaging.states import ImageSetState, WorkflowStatus
from hounsfield.storage.blobs.packs import Extent, Label, PackMissingError, RecordKind, read_record
from hounsfield.storage.db.database import ONE
from hounsfield.storage.db.image_set_tables import image_set_versions, image_sets, instances
from hounsfield.storage.db.prepared import PreparedStatement

_FIND = PreparedStatement(
    select(
        instances.c.frame_count,
        instances.c.dataset_pack_id,
        instances.c.dataset_offset,
        instances.c.dataset_length,
    )
    .select_from(instances)
    .join(image_sets, image_sets.c.id == instances.c.image_set_id)
    .where(
        instances.c.key == bindparam("key"),
        instances.c.image_set_id == bindparam("image_set_id"),
        instances.c.last_version.is_(None),
        # Copies have the levels of the image set that they are in; edits write a fragment apart from the data set.
        instances.c.source_key == instances.c.key,
        instances.c.fragment_pack_id == instances.c.dataset_pack_id,
        image_sets.c.latest_version == bindparam("version"),
        image_sets.c.state == ImageSetState.ACTIVE,
        ~exists().where(
            image_set_versions.c.image_set_id == instances.c.image_set_id,
            image_set_versions.c.workflow_status == WorkflowStatus.UPDATED,
        ),
    )
    .limit(ONE)
)


class UneditedDataSet(NamedTuple):
    """A data set as it came: its file without the value of its pixel data; and the frames that its instance is served in."""

    data: bytes
    frame_count: int

    def read(self) -> Part10:
        """Read the data set, values little endian."""
        return as_little_endian(read_part10(BytesSource(self.data)))


def read_unedited_data_set(image_store: ImageStore, found: StoredFrames) -> UneditedDataSet | None:
    """Read the data set of an instance whose frames were found; None where it may have been edited.

    Raises
    ------
    PackDamagedError, BlobMissingError
        Stored bytes were changed or are gone.
    """
    parameters = {"key": found.instance_key, "image_set_id": found.image_set_id, "version": found.version}
    try:
        return _look_up(image_store, found, parameters)
    except PackMissingError:
        # It may have been brought to another pack at this moment.
        return _look_up(image_store, found, parameters)


def _look_up(image_store: ImageStore, found: StoredFrames, parameters: Mapping[str, object]) -> UneditedDataSet | None:
    row = image_store.database.lookup(_FIND, parameters)
    if row is None:
        return None
    frame_count, pack_id, offset, length = row
    label = Label(RecordKind.DATASET, found.source_key)
    return UneditedDataSet(
        read_record(image_store.blobs, found.data_key, Extent(pack_id, offset, length), label), frame_count
    )


def as_little_endian(part10: Part10) -> Part10:
    """Return a data set with its values little endian."""
    if part10.little_endian:
        return part10
    return replace(part10, elements=to_little_endian(part10.elements), little_endian=True)
