"""Metadata of instances in the DICOM JSON and native DICOM models, and the bulk data that it names.

    data sets of a version ─▶ DICOM JSON of each ─▶ sorted by Instance Number ─▶ kept in memory for the next reader

A version never changes, so what was made of it can be kept as long as there is room.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from operator import itemgetter
from typing import Final
from urllib.parse import quote

from hounsfield.dicom.elements import Element
from hounsfield.dicom.json_model import Path, bulk_values, json_members, json_object, path_digest
from hounsfield.dicom.json_series import JsonSeries
from hounsfield.dicom.native_model import native_model
from hounsfield.dicom.part10 import Part10
from hounsfield.imaging.archive import Archive
from hounsfield.imaging.current_data_set import CurrentDataSet, current_data_set, current_data_sets
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.instance_reading import (
    ReadableImageSet,
    StoredInstance,
    find_image_set,
    find_instance,
    instances_of,
    primary_image_sets,
)
from hounsfield.imaging.pixel_module import PHOTOMETRIC_INTERPRETATION
from hounsfield.imaging.renditions import stored_transfer_syntax
from hounsfield.imaging.series_order import place_of, series_in_order
from hounsfield.pixels.policy import HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS

_TRANSFER_SYNTAX_UID: Final = 0x00020010
_AVAILABLE_TRANSFER_SYNTAX_UID: Final = 0x00083002
_LOSSLESS: Final = frozenset({HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS})
_CHUNK: Final = 1 << 18
_tag_of = itemgetter(0)

_Key = tuple[str, int, str]


class DicomMetadataReader:
    """Makes metadata of series and instances, and keeps that of the last series.

    Parameters
    ----------
    archive : Archive
        Where the instances are.
    capacity : int
        How many bytes of JSON are kept.
    """

    def __init__(self, archive: Archive, capacity: int = 64 * 1024 * 1024) -> None:
        self._archive = archive
        self._capacity = capacity
        self._kept: OrderedDict[_Key, tuple[bytes, ...]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def series(
        self, datastore_id: str, study_uid: str, series_uid: str, base_url: str, image_set_id: str | None = None
    ) -> Iterator[bytes]:
        """Give the metadata of all instances of a series (GetDICOMSeriesMetadata).

        Parameters
        ----------
        datastore_id, study_uid, series_uid : str
            Which series.
        base_url : str
            What URIs of bulk data begin with: the address of the data store, without a slash at its end.
        image_set_id : str or None
            An image set of the series; None for the primary one.

        Returns
        -------
        Iterator of bytes
            A JSON array in UTF-8, in chunks; one object for each instance, by Instance Number.

        Raises
        ------
        NotFoundError
            The data store or the series is not there.
        """
        image_set = find_image_set(self._archive, datastore_id, study_uid, series_uid, image_set_id)
        return _array(iter([self._objects(image_set, base_url)]))

    def study(self, datastore_id: str, study_uid: str, base_url: str) -> Iterator[bytes]:
        """Give the metadata of all instances of the primary series of a study; see `series`."""
        found = series_in_order(primary_image_sets(self._archive, datastore_id, study_uid))
        return _array(self._objects(image_set, base_url) for image_set in found)

    def instance(
        self,
        datastore_id: str,
        study_uid: str,
        series_uid: str,
        sop_uid: str,
        base_url: str,
        image_set_id: str | None = None,
    ) -> bytes:
        """Give the metadata of one instance as a JSON array of one object (GetDICOMInstanceMetadata); see `series`."""
        found = find_instance(self._archive, datastore_id, study_uid, series_uid, sop_uid, image_set_id)
        return b"[" + self._text(found, base_url) + b"]"

    def instance_xml(
        self,
        datastore_id: str,
        study_uid: str,
        series_uid: str,
        sop_uid: str,
        base_url: str,
        image_set_id: str | None = None,
    ) -> bytes:
        """Give the metadata of one instance as a document of the native DICOM model (PS3.19 A.1); see `series`."""
        found = find_instance(self._archive, datastore_id, study_uid, series_uid, sop_uid, image_set_id)
        return native_model(self._text(found, base_url))

    def series_xml(
        self, datastore_id: str, study_uid: str, series_uid: str, base_url: str, image_set_id: str | None = None
    ) -> Iterator[bytes]:
        """Give a document of the native DICOM model for each instance of a series; see `series`."""
        image_set = find_image_set(self._archive, datastore_id, study_uid, series_uid, image_set_id)
        return (native_model(text) for text in self._texts(image_set, base_url))

    def study_xml(self, datastore_id: str, study_uid: str, base_url: str) -> Iterator[bytes]:
        """Give a document of the native DICOM model for each instance of the primary series of a study; see `series`."""
        found = series_in_order(primary_image_sets(self._archive, datastore_id, study_uid))
        return (native_model(text) for image_set in found for text in self._texts(image_set, base_url))

    def _objects(self, image_set: ReadableImageSet, base_url: str) -> tuple[bytes, ...]:
        """Give the objects of an image set, joined by commas, in chunks."""
        key = (image_set.image_set_id, image_set.version, base_url)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._archive.accesses.touch(image_set.image_set_id)
                self._kept.move_to_end(key)
                return kept
        chunks = tuple(_chunked(self._texts(image_set, base_url)))
        self._keep(key, chunks)
        return chunks

    def _text(self, instance: StoredInstance, base_url: str) -> bytes:
        self._archive.accesses.touch(instance.image_set.image_set_id)
        return data_set_json(current_data_set(self._archive, instance), base_url)

    def _texts(self, image_set: ReadableImageSet, base_url: str) -> list[bytes]:
        self._archive.accesses.touch(image_set.image_set_id)
        found = instances_of(self._archive, image_set)
        series = JsonSeries()
        texts = [
            (place_of(data_set.part10, data_set.instance.sop_uid), data_set_json(data_set, base_url, series))
            for data_set in current_data_sets(self._archive, found)
        ]
        return [text for _, text in sorted(texts, key=lambda entry: entry[0])]

    def _keep(self, key: _Key, chunks: tuple[bytes, ...]) -> None:
        size = sum(map(len, chunks))
        with self._lock:
            if size > self._capacity // 2 or key in self._kept:
                return
            self._kept[key] = chunks
            self._size += size
            while self._size > self._capacity:
                _, dropped = self._kept.popitem(last=False)
                self._size -= sum(map(len, dropped))


def data_set_json(data_set: CurrentDataSet, base_url: str, series: JsonSeries | None = None) -> bytes:
    """Write the DICOM JSON object of an instance.

    Parameters
    ----------
    data_set : CurrentDataSet
        The instance.
    base_url : str
        As of `DicomMetadataReader.series`.
    series : JsonSeries or None
        What wrote other instances of the series.

    Returns
    -------
    bytes
        Without pixel data; with Transfer Syntax UID (0002,0010) and Available Transfer Syntax UID (0008,3002), which are
        that of the stored pixel data.
    """
    part10 = _describing_frames(data_set)
    said = _transfer_syntaxes(stored_transfer_syntax(data_set.instance))
    elements = part10.elements
    place = bisect_right(elements, _AVAILABLE_TRANSFER_SYNTAX_UID, key=_tag_of)
    elements = (said[0], *elements[:place], said[1], *elements[place:])
    write = json_object if series is None else series.json_object
    return write(elements, part10.character_set, partial(_bulk_data_uri, data_set.instance, base_url))


@lru_cache(maxsize=64)
def _transfer_syntaxes(uid: str) -> tuple[Element, Element]:
    syntax = uid.encode("ascii", "replace")
    return Element(_TRANSFER_SYNTAX_UID, "UI", syntax), Element(_AVAILABLE_TRANSFER_SYNTAX_UID, "UI", syntax)


def data_set_members(data_set: CurrentDataSet, base_url: str) -> list[tuple[int, bytes]]:
    """Write the members of the DICOM JSON object of an instance, by tag, with nothing added; see `data_set_json`."""
    part10 = _describing_frames(data_set)
    uri = partial(_bulk_data_uri, data_set.instance, base_url)
    return json_members(part10.elements, part10.character_set, uri)


def bulk_data(archive: Archive, instance: StoredInstance, digest: str) -> bytes:
    """Give a value that the metadata of an instance names by URI (GetDICOMBulkdata).

    Parameters
    ----------
    archive : Archive
        The archive.
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
    archive.accesses.touch(instance.image_set.image_set_id)
    for path, value in bulk_values(current_data_set(archive, instance).part10.elements):
        if path_digest(instance.source_key, path) == digest.lower():
            return value
    raise NotFoundError("the instance has no bulk data of this name")


def _bulk_data_uri(instance: StoredInstance, base_url: str, path: Path) -> str:
    """Name a value by whose it is and where: edits change no value as long, and a new import has a new source key."""
    image_set = instance.image_set
    uids = [quote(uid, safe="") for uid in (image_set.study_uid, image_set.series_uid, instance.sop_uid)]
    digest = path_digest(instance.source_key, path)
    query = "" if image_set.is_primary else f"?imageSetId={image_set.image_set_id}"
    return f"{base_url}/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}/bulkdata/{digest}{query}"


def _describing_frames(data_set: CurrentDataSet) -> Part10:
    """Let the colour be that of decoded frames: those stored in a lossless format are never subsampled."""
    part10 = data_set.part10
    tag = PHOTOMETRIC_INTERPRETATION
    if data_set.instance.stored_transfer_syntax not in _LOSSLESS or part10.text(tag) != "YBR_FULL_422":
        return part10
    full = Element(tag, "CS", b"YBR_FULL")
    return replace(part10, elements=tuple(full if element.tag == tag else element for element in part10.elements))


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


def _chunked(texts: list[bytes]) -> Iterator[bytes]:
    """Join texts by commas, in chunks of some size."""
    parts: list[bytes] = []
    size = 0
    for number, text in enumerate(texts):
        parts += (b"," if number else b"", text)
        size += len(text)
        if size >= _CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
