"""One image frame as GetImageFrame returns it: a stored frame, or pixel data that is stored as one object."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.get import not_found
from hounsfield.imaging.retrieve.moved_records import find_pixel_record, read_or_look_again
from hounsfield.imaging.retrieve.stored_frames import StoredFrames, find_frame, find_frames_by_id, read_frame
from hounsfield.imaging.staged_instance import FrameRun, PixelKind
from hounsfield.pixels.transfer_syntaxes import TABLE, TreatmentKind
from hounsfield.storage.blobs.packs import SEAL_BYTES, Extent, Label, RecordKind, read_record
from hounsfield.storage.db.image_set_tables import frame_runs, image_sets
from hounsfield.storage.identifiers import split_frame_id
from hounsfield.storage.keys.data_key import DataKey

_FIND_RUNS = (
    select(frame_runs).where(frame_runs.c.source_key == bindparam("source_key")).order_by(frame_runs.c.first_ordinal)
)


@dataclass(frozen=True, slots=True)
class StoredImageFrame:
    """One image frame as it is stored.

    Attributes
    ----------
    stored_transfer_syntax : str
        How the bytes are encoded.
    is_frame : bool
        False for pixel data kept as one object because no frames could be made of it, and where what goes before a frame
        cannot be made.
    size : int
        Length in bytes.
    chunk_count : int
        How many chunks there are.
    chunks : Iterator of bytes or bytearray
        The bytes; a frame comes as one chunk, with what was to be put before it, a large object in several.
    is_shared : bool
        Whether the chunk is a large frame that others hold too: it is not to be written to, and nothing was put before it.
    """

    stored_transfer_syntax: str
    is_frame: bool
    size: int
    chunk_count: int
    chunks: Iterator[bytes | bytearray]
    is_shared: bool = False


def _nothing(_transfer_syntax: str) -> bytes:
    return b""


def get_image_frame(
    image_store: ImageStore,
    datastore_id: str,
    image_set_id: str,
    frame_id: str,
    before: Callable[[str], bytes] = _nothing,
) -> StoredImageFrame:
    """Read an image frame of an image set, of whichever version (GetImageFrame).

    Parameters
    ----------
    image_store : ImageStore
        Where it is.
    datastore_id, image_set_id, frame_id : str
        What it is called.
    before : callable
        Returns what to put before a frame that is stored in a transfer syntax; not before an object that is no frame.

    Raises
    ------
    NotFoundError
        The data store, the image set or the frame is not there.
    PackDamagedError
        The stored bytes were changed.
    """
    split = split_frame_id(frame_id)
    if split is None:
        raise _missing(image_store, datastore_id, image_set_id, frame_id)
    key, ordinal = split
    found = find_frames_by_id(image_store, datastore_id, image_set_id, key)
    if found is None:
        raise _missing(image_store, datastore_id, image_set_id, frame_id)
    if found.in_frames:
        frame = find_frame(image_store, found, ordinal)
        if frame is None:
            raise _missing(image_store, datastore_id, image_set_id, frame_id)
        first = before(found.transfer_syntax)
        # What goes before a frame is made of its codestream, which may be damaged.
        as_it_came = bool(first) and found.pixel_kind == PixelKind.DAMAGED
        return StoredImageFrame(
            found.transfer_syntax,
            is_frame=not as_it_came,
            size=frame.extent.length - SEAL_BYTES,
            chunk_count=1,
            chunks=iter((read_frame(image_store, frame, b"" if as_it_came else first),)),
            is_shared=frame.is_large,
        )
    if found.pixel_kind != PixelKind.WHOLE or ordinal != 0:
        raise _missing(image_store, datastore_id, image_set_id, frame_id)
    image_store.accesses.touch(image_set_id)
    return _whole_object(image_store, found)


def _whole_object(image_store: ImageStore, found: StoredFrames) -> StoredImageFrame:
    chunks = _object_chunks(image_store, found.source_key)
    return StoredImageFrame(
        found.transfer_syntax,
        is_frame=TABLE.get(found.transfer_syntax) is TreatmentKind.KEEP_VIDEO,
        size=sum(extent.length - SEAL_BYTES for extent, _ in chunks),
        chunk_count=len(chunks),
        chunks=(_read_chunk(image_store, found.data_key, *wanted) for wanted in chunks),
    )


def _read_chunk(image_store: ImageStore, key: DataKey, extent: Extent, label: Label) -> bytes:
    # A client may take as long over the chunks before as an old pack stays.
    return read_or_look_again(
        lambda place: read_record(image_store.blobs, key, place, label),
        extent,
        lambda: find_pixel_record(image_store, label, extent),
    )


def read_frame_runs(image_store: ImageStore, source_key: str) -> list[FrameRun]:
    """Find the places of all pixel records written under a key, by ordinal."""
    with image_store.database.read() as connection:
        rows = connection.execute(_FIND_RUNS, {"source_key": source_key}).all()
    return [FrameRun(row.first_ordinal, row.pack_id, row.first_offset, tuple(array("I", row.lengths))) for row in rows]


def _object_chunks(image_store: ImageStore, source_key: str) -> list[tuple[Extent, Label]]:
    """Find the records of pixel data kept as one object, but for empty ones that only end a fragment."""
    chunks = []
    for run in read_frame_runs(image_store, source_key):
        offset = run.first_offset
        for ordinal, length in enumerate(run.lengths, run.first_ordinal):
            if length > SEAL_BYTES:
                chunks.append((Extent(run.pack_id, offset, length), Label(RecordKind.BLOB, source_key, ordinal)))
            offset += length
    return chunks


def _missing(image_store: ImageStore, datastore_id: str, image_set_id: str, frame_id: str) -> NotFoundError:
    """Say which of data store, image set and frame is missing; the finding query does not tell."""
    with image_store.database.read() as connection:
        active_datastore(connection, image_store, datastore_id)
        row = connection.execute(
            select(image_sets.c.deleted_at).where(
                image_sets.c.id == image_set_id, image_sets.c.datastore_id == datastore_id
            )
        ).first()
        if row is None:
            return not_found(connection, datastore_id, image_set_id)
    if row.deleted_at is not None:
        return NotFoundError(f"image set {image_set_id} was deleted")
    return NotFoundError(f"image frame {frame_id} does not exist in image set {image_set_id}")
