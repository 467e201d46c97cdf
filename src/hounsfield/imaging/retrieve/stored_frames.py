"""The one look-up of a stored frame, for whoever asks for it: by frame id, by UIDs, or to render it.

    frame id                ─▶ find_frames_by_id   ─┐  instance row   ┌─▶ find_frame ─▶ (pack, offset, length) ─▶ read_frame
    study, series, instance ─▶ find_frames_by_uids ─┴─▶ StoredFrames ─┘    frame index    one range read, decrypted, cached

Both ways are two index look-ups; the second is saved for frames near one that was found before. No DICOM code runs here.
What `find_frames_by_uids` does not find (an image set that is being changed, an instance that is not there)
`hounsfield.imaging.retrieve.instances` finds, or it says why it is not there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import bindparam, or_, select

from hounsfield.imaging.datastores import DatastoreStatus
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.moved_records import find_pixel_record, read_or_look_again
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.imaging.states import ImageSetState
from hounsfield.storage.blobs.frame_cache import is_large
from hounsfield.storage.blobs.packs import Extent, Label, RecordKind
from hounsfield.storage.db.database import ONE
from hounsfield.storage.db.image_set_tables import datastores, image_sets, instances
from hounsfield.storage.db.prepared import PreparedStatement
from hounsfield.storage.keys.data_key import DataKey

_FRAMES = (
    select(
        datastores.c.wrapped_key,
        instances.c.source_key,
        instances.c.stored_transfer_syntax,
        image_sets.c.latest_version,
        instances.c.pixel_kind,
    )
    .select_from(instances)
    .join(image_sets, image_sets.c.id == instances.c.image_set_id)
    .join(datastores, datastores.c.id == instances.c.datastore_id)
    .where(
        instances.c.datastore_id == bindparam("datastore_id"),
        image_sets.c.deleted_at.is_(None),
        datastores.c.account_id == bindparam("account_id"),
        datastores.c.status == DatastoreStatus.ACTIVE,
    )
    .limit(ONE)
)
_BY_ID = PreparedStatement(
    _FRAMES.where(instances.c.key == bindparam("key"), instances.c.image_set_id == bindparam("image_set_id"))
)
_BY_UIDS = PreparedStatement(
    _FRAMES.add_columns(image_sets.c.id, instances.c.key).where(
        instances.c.sop_uid == bindparam("sop_uid"),
        instances.c.last_version.is_(None),
        or_(instances.c.pixel_kind == PixelKind.FRAMES, instances.c.pixel_kind == PixelKind.DAMAGED),
        image_sets.c.study_uid == bindparam("study_uid"),
        image_sets.c.series_uid == bindparam("series_uid"),
        image_sets.c.is_primary,
        image_sets.c.state == ImageSetState.ACTIVE,
    )
)

_IN_FRAMES: Final = frozenset(kind.value for kind in PixelKind if kind.in_frames)


class StoredFrames(NamedTuple):
    """Where the pixel data of an instance is, and the key of its data store.

    Attributes
    ----------
    data_key : DataKey
        What its records are sealed with.
    source_key : str
        What its records were written under.
    transfer_syntax : str
        How its frames are encoded.
    version : int
        The latest version of its image set.
    pixel_kind : str
        The value of its `hounsfield.imaging.staged_instance.PixelKind`.
    image_set_id : str
        Its image set.
    instance_key : str
        What its frame ids begin with.
    """

    data_key: DataKey
    source_key: str
    transfer_syntax: str
    version: int
    pixel_kind: str
    image_set_id: str
    instance_key: str

    @property
    def in_frames(self) -> bool:
        """Whether the pixel data is stored frame by frame."""
        return self.pixel_kind in _IN_FRAMES


class StoredFrame(NamedTuple):
    """One frame that is there: of which instance, which one from 0 on, and where it is stored."""

    frames: StoredFrames
    ordinal: int
    extent: Extent

    @property
    def is_large(self) -> bool:
        """Whether it is held once for all who want it at the same time."""
        return is_large(self.extent)


def find_frames_by_id(
    image_store: ImageStore, datastore_id: str, image_set_id: str, instance_key: str
) -> StoredFrames | None:
    """Find the pixel data of an instance, of whichever version, by what its frame ids begin with; None without it."""
    parameters = {
        "key": instance_key,
        "image_set_id": image_set_id,
        "datastore_id": datastore_id,
        "account_id": image_store.account_id,
    }
    row = image_store.database.lookup(_BY_ID, parameters)
    if row is None:
        return None
    wrapped_key, source_key, syntax, version, kind = row
    key = image_store.keys.open(datastore_id, wrapped_key)
    return StoredFrames(key, source_key, syntax, version, kind, image_set_id, instance_key)


def find_frames_by_uids(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, study_uid: str, series_uid: str, sop_uid: str
) -> StoredFrames | None:
    """Find the frames of an instance of the primary image set; None when another way must look for them.

    Raises
    ------
    AccessDeniedError
        The caller may not read the image set, as ``access`` raises it.
    """
    parameters = {
        "datastore_id": datastore_id,
        "study_uid": study_uid,
        "series_uid": series_uid,
        "sop_uid": sop_uid,
        "account_id": image_store.account_id,
    }
    row = image_store.database.lookup(_BY_UIDS, parameters)
    if row is None:
        return None
    if access.is_limited:
        access.require(None, datastore_id, [row[-2]])
    # Also what is cached, and whether it changed, is for those only who may use the key.
    return StoredFrames(image_store.keys.open(datastore_id, row[0]), *row[1:])


def find_frame(image_store: ImageStore, frames: StoredFrames, ordinal: int) -> StoredFrame | None:
    """Find frame ``ordinal``, counted from 0, in the frame index; None when the instance has no such frame."""
    extent = image_store.frame_index.find(image_store.database, frames.source_key, ordinal)
    return None if extent is None else StoredFrame(frames, ordinal, extent)


def read_frame(
    image_store: ImageStore, frame: StoredFrame, before: bytes = b"", after: bytes = b""
) -> bytes | bytearray:
    """Read a frame; that is an access to its image set.

    Parameters
    ----------
    image_store : ImageStore
        Where it is.
    frame : StoredFrame
        Which one.
    before, after : bytes
        What is to stand before and behind it, where it is not large.

    Returns
    -------
    bytes or bytearray
        The frame. A large one comes alone and is not to be written to: others hold it too.

    Raises
    ------
    PackDamagedError
        The stored bytes were changed.
    """
    frames, ordinal, found = frame
    label = Label(RecordKind.FRAME, frames.source_key, ordinal)
    cache, data_key = image_store.frame_cache, frames.data_key

    def read(extent: Extent) -> bytes | bytearray:
        if frame.is_large:
            return cache.shared(image_store.blobs, data_key, extent, label)
        return cache.read(image_store.blobs, data_key, extent, label, before, after)

    data = read_or_look_again(read, found, lambda: find_pixel_record(image_store, label, found))
    image_store.accesses.touch(frames.image_set_id)
    return data
