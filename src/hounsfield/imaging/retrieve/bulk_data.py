"""Bulk data of instances: values that metadata names by URI, and pixel data frame by frame (PS3.18 section 10.4.3.3).

data set ─▶ values of more than 1 MiB ─▶ URI, value
frames   ─▶ in a transfer syntax      ─▶ number, frame
"""

from __future__ import annotations

from collections.abc import Iterator

from hounsfield.dicom.json.writer import bulk_values, path_digest
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.pixel_description import NUMBER_OF_FRAMES
from hounsfield.imaging.retrieve.data_set import read_current_data_set
from hounsfield.imaging.retrieve.data_set_json import bulk_data_uri
from hounsfield.imaging.retrieve.instance_frames import InstanceFrames, make_instance_frames
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.staged_instance import PixelKind


def read_bulk_data(image_store: ImageStore, instance: StoredInstance, digest: str) -> bytes:
    """Return a value that the metadata of an instance names by URI (GetDICOMBulkdata).

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    instance : StoredInstance
        The instance.
    digest : str
        Last part of the URI.

    Returns
    -------
    bytes
        The value, little endian.

    Raises
    ------
    NotFoundError
        The instance has no such value.
    """
    image_store.accesses.touch(instance.image_set.image_set_id)
    for path, value in bulk_values(read_current_data_set(image_store, instance).part10.elements):
        if path_digest(instance.source_key, path) == digest.lower():
            return value
    raise NotFoundError("the instance has no bulk data of this name")


def read_named_values(image_store: ImageStore, instance: StoredInstance, base_url: str) -> Iterator[tuple[str, bytes]]:
    """Yield all values of an instance that its metadata names by URI, with their URIs; parameters as for `read_bulk_data`."""
    image_store.accesses.touch(instance.image_set.image_set_id)
    for path, value in bulk_values(read_current_data_set(image_store, instance).part10.elements):
        yield bulk_data_uri(instance, base_url, path), value


def read_every_frame(
    image_store: ImageStore, instance: StoredInstance, transfer_syntax: str | None = None
) -> InstanceFrames | None:
    """Return the pixel data of an instance, frame by frame.

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    instance : StoredInstance
        The instance.
    transfer_syntax : str or None
        As for `hounsfield.imaging.retrieve.instance_frames.make_instance_frames`.

    Returns
    -------
    InstanceFrames or None
        None where there are no frames, or none could be found when the instance was imported.

    Raises
    ------
    NotAcceptableError
        The frames cannot be given so.
    """
    if instance.pixel_kind in {PixelKind.NONE, PixelKind.WITHHELD}:
        return None
    count = instance.frame_count
    if instance.pixel_kind is PixelKind.WHOLE:
        count = read_current_data_set(image_store, instance).original.integer(NUMBER_OF_FRAMES) or 1
    try:
        return make_instance_frames(image_store, instance, range(1, count + 1), transfer_syntax)
    except NotFoundError:
        # Video, and what could not be told apart, is one object however many frames it says to have.
        return make_instance_frames(image_store, instance, [1], transfer_syntax)
