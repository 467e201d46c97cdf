"""One frame of an instance, as it is stored, found by UIDs with two index look-ups: what viewers ask for most.

    study, series, instance, number ─▶ instance row ─▶ (pack, offset, length) ─▶ one range read ─▶ decrypt

No DICOM code runs here. What this way does not find (an image set that is being changed, an instance that is not there)
`hounsfield.imaging.retrieve.instances` finds, or tells why it is not there.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, or_, select

from hounsfield.imaging.datastores import DatastoreStatus
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.imaging.states import ImageSetState
from hounsfield.storage.blobs.frame_cache import is_large
from hounsfield.storage.blobs.packs import Extent, Label, RecordKind
from hounsfield.storage.db.database import ONE
from hounsfield.storage.db.image_set_tables import datastores, image_sets, instances
from hounsfield.storage.db.prepared import Prepared
from hounsfield.storage.keys.data_key import DataKey

_FIND = Prepared(
    select(
        datastores.c.wrapped_key,
        image_sets.c.id,
        instances.c.key,
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
        instances.c.sop_uid == bindparam("sop_uid"),
        instances.c.last_version.is_(None),
        or_(instances.c.pixel_kind == PixelKind.FRAMES, instances.c.pixel_kind == PixelKind.DAMAGED),
        image_sets.c.study_uid == bindparam("study_uid"),
        image_sets.c.series_uid == bindparam("series_uid"),
        image_sets.c.is_primary,
        image_sets.c.state == ImageSetState.ACTIVE,
        image_sets.c.deleted_at.is_(None),
        datastores.c.account_id == bindparam("account_id"),
        datastores.c.status == DatastoreStatus.ACTIVE,
    )
    .limit(ONE)
)


class FoundFrames(NamedTuple):
    """Where the frames of an instance of a primary image set are, and the key of its data store."""

    data_key: DataKey
    image_set_id: str
    instance_key: str
    source_key: str
    transfer_syntax: str
    version: int
    pixel_kind: str


def find_frames(
    image_store: ImageStore, access: ImageSetAccess, datastore_id: str, study_uid: str, series_uid: str, sop_uid: str
) -> FoundFrames | None:
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
    row = image_store.database.lookup(_FIND, parameters)
    if row is None:
        return None
    if access.is_limited:
        access.require(None, datastore_id, [row[1]])
    # Also what is kept ready, and whether it changed, is for those only who may use the key.
    return FoundFrames(image_store.keys.open(datastore_id, row[0]), *row[1:])


def has_frame(image_store: ImageStore, found: FoundFrames, number: int) -> bool:
    """Tell from the index alone whether an instance has frame ``number``, counted from 1; asking is an access."""
    image_store.accesses.touch(found.image_set_id)
    return image_store.frame_places.find(image_store.database, found.source_key, number - 1) is not None


def extent_of_frame(image_store: ImageStore, found: FoundFrames, number: int) -> Extent | None:
    """Give where frame ``number``, counted from 1, is stored; None when the instance has no such frame."""
    return image_store.frame_places.find(image_store.database, found.source_key, number - 1)


def large_stored_frame(
    image_store: ImageStore, found: FoundFrames, number: int, extent: Extent
) -> bytes | bytearray | None:
    """Give frame ``number`` where it is large: held once for all who want it, and not to be written to.

    ``extent`` is where it is stored, the other parameters and the errors are those of `read_stored_frame`.

    Returns
    -------
    bytes or bytearray or None
        None where it is not large.
    """
    if not is_large(extent):
        return None
    label = Label(RecordKind.FRAME, found.source_key, number - 1)
    frame = image_store.kept_frames.shared(image_store.blobs, found.data_key, extent, label)
    image_store.accesses.touch(found.image_set_id)
    return frame


def read_stored_frame(
    image_store: ImageStore,
    found: FoundFrames,
    number: int,
    before: bytes = b"",
    after: bytes = b"",
    extent: Extent | None = None,
) -> bytearray | None:
    """Read frame ``number``, counted from 1; None when the instance has no such frame.

    Parameters
    ----------
    image_store : ImageStore
        Where it is.
    found : FoundFrames
        The frames of its instance.
    number : int
        Which frame.
    before, after : bytes
        What is to stand before and behind it.
    extent : Extent or None
        Where it is stored, where that is known.

    Raises
    ------
    PackDamagedError
        The stored bytes were changed.
    """
    extent = extent or extent_of_frame(image_store, found, number)
    if extent is None:
        return None
    label = Label(RecordKind.FRAME, found.source_key, number - 1)
    whole = image_store.kept_frames.read(image_store.blobs, found.data_key, extent, label, before, after)
    image_store.accesses.touch(found.image_set_id)
    return whole
