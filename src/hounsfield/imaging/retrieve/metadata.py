"""Metadata of instances in the DICOM JSON and native DICOM models.

    data sets of a version ─▶ DICOM JSON of each ─▶ sorted by Instance Number ─▶ compressed when the client wants it so
                                                                          └────────────┴─▶ kept in memory for the next reader

A version never changes, so what was made of it can be kept as long as there is room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final

from hounsfield.dicom.json.xml import write_native_model
from hounsfield.imaging.content_coding import ContentCoding, compress
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.data_set import read_current_data_set, read_stored_data_sets
from hounsfield.imaging.retrieve.data_set_json import SeriesWriter, data_set_json
from hounsfield.imaging.retrieve.instance_order import sort_series
from hounsfield.imaging.retrieve.instances import (
    ReadableImageSet,
    StoredInstance,
    find_image_set,
    find_instance,
    find_primary_image_sets,
    list_instances,
)
from hounsfield.storage.lru_cache import SharedCache

_CHUNK: Final = 1 << 19

_Key = tuple[str, int, str, ContentCoding]


class DicomMetadataReader:
    """Makes metadata of series and instances, and keeps that of the last series.

    Parameters
    ----------
    image_store : ImageStore
        Where the instances are.
    capacity : int
        How many bytes are kept, of JSON and of what it was compressed to.
    """

    def __init__(self, image_store: ImageStore, capacity: int = 64 * 1024 * 1024) -> None:
        self._image_store = image_store
        self._kept: SharedCache[_Key, tuple[bytes, ...]] = SharedCache(capacity, lambda chunks: sum(map(len, chunks)))

    def series(
        self,
        access: ImageSetAccess,
        datastore_id: str,
        study_uid: str,
        series_uid: str,
        base_url: str,
        image_set_id: str | None = None,
    ) -> Sequence[bytes]:
        """Return the metadata of all instances of a series (GetDICOMSeriesMetadata).

        Parameters
        ----------
        access : ImageSetAccess
            What the caller may read.
        datastore_id, study_uid, series_uid : str
            Which series.
        base_url : str
            What URIs of bulk data begin with: the address of the data store, without a slash at its end.
        image_set_id : str or None
            An image set of the series; None for the primary one.

        Returns
        -------
        Sequence of bytes
            A JSON array in UTF-8, in chunks; one object for each instance, by Instance Number.

        Raises
        ------
        NotFoundError
            The data store or the series is not there.
        AccessDeniedError
            The caller may not read it, as ``access`` raises it.
        """
        image_set = find_image_set(self._image_store, access, datastore_id, study_uid, series_uid, image_set_id)
        return self.of_image_set(image_set, base_url)

    def of_image_set(
        self, image_set: ReadableImageSet, base_url: str, coding: ContentCoding = ContentCoding.IDENTITY
    ) -> Sequence[bytes]:
        """Return the metadata of all instances of an image set, in a content coding; see `series`."""
        if coding is ContentCoding.IDENTITY:
            return (b"[", *self._objects(image_set, base_url), b"]")
        key = (image_set.image_set_id, image_set.version, base_url, coding)
        kept = self._look_up(key)
        if kept is None:
            plain = self._look_up((*key[:3], ContentCoding.IDENTITY)) or self._made(image_set, base_url)
            kept = tuple(compress((b"[", *plain, b"]"), coding))
            self._kept.put(key, kept)
        return kept

    def study(self, access: ImageSetAccess, datastore_id: str, study_uid: str, base_url: str) -> Iterator[bytes]:
        """Return the metadata of all instances of the primary series of a study; see `series`."""
        found = sort_series(find_primary_image_sets(self._image_store, access, datastore_id, study_uid))
        return self.of_image_sets(found, base_url)

    def of_image_sets(self, image_sets: Sequence[ReadableImageSet], base_url: str) -> Iterator[bytes]:
        """Return the metadata of all instances of image sets, one after another; see `series`."""
        return _array(self._objects(image_set, base_url) for image_set in image_sets)

    def instance(
        self,
        access: ImageSetAccess,
        datastore_id: str,
        study_uid: str,
        series_uid: str,
        sop_uid: str,
        base_url: str,
        image_set_id: str | None = None,
    ) -> bytes:
        """Return the metadata of one instance as a JSON array of one object (GetDICOMInstanceMetadata); see `series`."""
        found = find_instance(self._image_store, access, datastore_id, study_uid, series_uid, sop_uid, image_set_id)
        return self.of_instance(found, base_url)

    def of_instance(self, instance: StoredInstance, base_url: str) -> bytes:
        """Return the metadata of one instance as a JSON array of one object; see `series`."""
        return b"[" + self._text(instance, base_url) + b"]"

    def instance_xml(
        self,
        access: ImageSetAccess,
        datastore_id: str,
        study_uid: str,
        series_uid: str,
        sop_uid: str,
        base_url: str,
        image_set_id: str | None = None,
    ) -> bytes:
        """Return the metadata of one instance as a document of the native DICOM model (PS3.19 A.1); see `series`."""
        found = find_instance(self._image_store, access, datastore_id, study_uid, series_uid, sop_uid, image_set_id)
        return write_native_model(self._text(found, base_url))

    def series_xml(
        self,
        access: ImageSetAccess,
        datastore_id: str,
        study_uid: str,
        series_uid: str,
        base_url: str,
        image_set_id: str | None = None,
    ) -> Iterator[bytes]:
        """Return a document of the native DICOM model for each instance of a series; see `series`."""
        image_set = find_image_set(self._image_store, access, datastore_id, study_uid, series_uid, image_set_id)
        return (write_native_model(b"".join(parts)) for parts in self._written(image_set, base_url))

    def study_xml(self, access: ImageSetAccess, datastore_id: str, study_uid: str, base_url: str) -> Iterator[bytes]:
        """Return a document of the native DICOM model for each instance of the primary series of a study; see `series`."""
        found = sort_series(find_primary_image_sets(self._image_store, access, datastore_id, study_uid))
        return (
            write_native_model(b"".join(parts)) for image_set in found for parts in self._written(image_set, base_url)
        )

    def _objects(self, image_set: ReadableImageSet, base_url: str) -> tuple[bytes, ...]:
        """Return the objects of an image set, joined by commas, in chunks."""
        key = (image_set.image_set_id, image_set.version, base_url, ContentCoding.IDENTITY)
        kept = self._look_up(key)
        if kept is None:
            kept = self._made(image_set, base_url)
            self._kept.put(key, kept)
        return kept

    def _made(self, image_set: ReadableImageSet, base_url: str) -> tuple[bytes, ...]:
        return tuple(_chunked(self._written(image_set, base_url)))

    def _look_up(self, key: _Key) -> tuple[bytes, ...] | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._image_store.accesses.touch(key[0])
        return kept

    def _text(self, instance: StoredInstance, base_url: str) -> bytes:
        self._image_store.accesses.touch(instance.image_set.image_set_id)
        return data_set_json(read_current_data_set(self._image_store, instance), base_url)

    def _written(self, image_set: ReadableImageSet, base_url: str) -> list[Sequence[bytes]]:
        """Write the objects of an image set, each in parts."""
        self._image_store.accesses.touch(image_set.image_set_id)
        writer = SeriesWriter(base_url)
        found = read_stored_data_sets(self._image_store, list_instances(self._image_store, image_set))
        written = sorted(map(writer.write, found), key=itemgetter(0))
        return [parts for _, parts in written]


def _array(groups: Iterator[tuple[bytes, ...]]) -> Iterator[bytes]:
    yield b"["
    separator = b""
    for chunks in groups:
        if chunks:
            if separator:
                yield separator
            yield from chunks
            separator = b","
    yield b"]"


def _chunked(objects: Sequence[Sequence[bytes]]) -> Iterator[bytes]:
    """Join objects by commas, in chunks of some size."""
    some: list[bytes] = []
    size = 0
    for number, parts in enumerate(objects):
        if number:
            some.append(b",")
        some += parts
        size += sum(map(len, parts))
        if size >= _CHUNK:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)
