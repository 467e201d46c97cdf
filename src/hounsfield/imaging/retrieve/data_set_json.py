"""The DICOM JSON of instances: what their data sets have, and the transfer syntaxes that they can be had in.

    data set ─▶ colour as decoded frames have it ─▶ Transfer Syntax UID, Available Transfer Syntax UID ─▶ JSON object

Instances of a series are written one after another, because most of what one has the next one has too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from operator import itemgetter
from typing import Final, TypeAlias
from urllib.parse import quote

from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.json.series_writer import JsonSeries
from hounsfield.dicom.json.template_writer import JsonTemplate
from hounsfield.dicom.json.writer import BULK_DATA_URI, Path, element_text, json_members, json_object, path_digest
from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.errors import DicomError
from hounsfield.dicom.values.scalars import first_integer
from hounsfield.imaging.pixel_description import BITS_ALLOCATED, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION
from hounsfield.imaging.retrieve.data_set import CurrentDataSet, StoredDataSet
from hounsfield.imaging.retrieve.instance_order import INSTANCE_NUMBER, SortKey, make_sort_key
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.retrieve.level_changes import LEVEL_TAGS
from hounsfield.imaging.retrieve.transfer_syntax_choice import (
    list_transfer_syntaxes_stored_first,
    transfer_syntax_as_stored,
)
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.transfer_syntaxes import HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS

_TRANSFER_SYNTAX_UID: Final = 0x00020010
_AVAILABLE_TRANSFER_SYNTAX_UID: Final = 0x00083002
_LOSSLESS: Final = frozenset({HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS})
_DECODED_COLOUR: Final = {"YBR_FULL_422": b"YBR_FULL", "YBR_RCT": b"RGB", "YBR_ICT": b"RGB", "XYB": b"RGB"}
_MOST_TEMPLATES: Final = 4
"""Templates that are made for one series; to make one costs as much as to write several instances without."""
_tag_of = itemgetter(0)

_Alike: TypeAlias = "tuple[PixelKind, str | None, bool, bool, int]"


@dataclass(slots=True)
class SeriesWriter:
    """Writes the instances of a series one after another; not for several threads at a time.

    Attributes
    ----------
    base_url : str
        What URIs of bulk data begin with.
    """

    base_url: str
    _series: JsonSeries = field(default_factory=JsonSeries)
    _templates: list[tuple[_Alike, JsonTemplate]] = field(default_factory=list)
    _tried: int = 0

    def write(self, kept: StoredDataSet) -> tuple[SortKey, Sequence[bytes]]:
        """Return the place of an instance among others, and its DICOM JSON object in parts; see `data_set_json`."""
        found = None if kept.fragment is not None else self._by_template(kept)
        if found is not None:
            return found
        current = kept.current()
        if kept.fragment is None and self._tried < _MOST_TEMPLATES:
            self._make_template(kept, current)
        text = data_set_json(current, self.base_url, self._series)
        return make_sort_key(current.part10.integer(INSTANCE_NUMBER), kept.instance.sop_uid), (text,)

    def _by_template(self, kept: StoredDataSet) -> tuple[SortKey, Sequence[bytes]] | None:
        alike = _alike(kept)
        for known, template in self._templates:
            written = template.write(kept.data) if known == alike else None
            if written is not None:
                number = None if written.noted is None else first_integer(written.noted, little_endian=True)
                return make_sort_key(number, kept.instance.sop_uid), written.parts
        return None

    def _make_template(self, kept: StoredDataSet, current: CurrentDataSet) -> None:
        """Make a template for the instances behind one that no template fits, where it is one for that."""
        self._tried += 1
        original, now = current.original, current.part10
        decisive = {PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, BITS_ALLOCATED}
        if kept.levels.concern(kept.instance):
            # What updates make of the levels depends on what an instance came with, also where that is nothing.
            decisive |= LEVEL_TAGS
        if now.character_set != original.character_set:
            return
        texts = partial(_text_for_all, original.character_set)
        with suppress(DicomError):
            template = JsonTemplate(original, _written(current), texts, INSTANCE_NUMBER, decisive)
            self._templates.append((_alike(kept), template))


def _alike(kept: StoredDataSet) -> _Alike:
    """Return what instances must have in common, beside their elements, to be written alike."""
    instance = kept.instance
    edited = kept.levels.concern(instance)
    since = instance.since if edited else 0
    return instance.pixel_kind, instance.stored_transfer_syntax, edited, instance.is_copy, since


def data_set_json(data_set: CurrentDataSet, base_url: str, series: JsonSeries | None = None) -> bytes:
    """Write the DICOM JSON object of an instance.

    Parameters
    ----------
    data_set : CurrentDataSet
        The instance.
    base_url : str
        What URIs of bulk data begin with: the address of the data store, without a slash at its end.
    series : JsonSeries or None
        What wrote other instances of the series.

    Returns
    -------
    bytes
        Without pixel data; with Transfer Syntax UID (0002,0010), which is that of the stored pixel data, and Available
        Transfer Syntax UID (0008,3002), which are all that the instance can be had in.
    """
    write = json_object if series is None else series.json_object
    uri = partial(bulk_data_uri, data_set.instance, base_url)
    return write(_written(data_set), data_set.part10.character_set, uri)


def data_set_members(data_set: CurrentDataSet, base_url: str) -> list[tuple[int, bytes]]:
    """Write the members of the DICOM JSON object of an instance, by tag, with nothing added; see `data_set_json`."""
    part10 = _describing_frames(data_set)
    uri = partial(bulk_data_uri, data_set.instance, base_url)
    return json_members(part10.elements, part10.character_set, uri)


def bulk_data_uri(instance: StoredInstance, base_url: str, path: Path) -> str:
    """Name a value by whose it is and where: edits change no value as long, and a new import has a new source key."""
    return digest_uri(instance, base_url, path_digest(instance.source_key, path))


def digest_uri(instance: StoredInstance, base_url: str, digest: str) -> str:
    """Return the URI of the value of an instance that has a digest; see `bulk_data_uri`."""
    image_set = instance.image_set
    uids = [quote(uid, safe="") for uid in (image_set.study_uid, image_set.series_uid, instance.sop_uid)]
    query = "" if image_set.is_primary else f"?imageSetId={image_set.image_set_id}"
    return f"{base_url}/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}/bulkdata/{digest}{query}"


def _written(data_set: CurrentDataSet) -> tuple[Element, ...]:
    instance, bits = data_set.instance, data_set.original.integer(BITS_ALLOCATED)
    said = _transfer_syntaxes(instance.pixel_kind, instance.stored_transfer_syntax, bits)
    elements = _describing_frames(data_set).elements
    place = bisect_right(elements, _AVAILABLE_TRANSFER_SYNTAX_UID, key=_tag_of)
    return (said[0], *elements[:place], said[1], *elements[place:])


@lru_cache(maxsize=64)
def _transfer_syntaxes(kind: PixelKind, stored: str | None, bits_allocated: int | None) -> tuple[Element, Element]:
    available = [
        uid.encode("ascii", "replace") for uid in list_transfer_syntaxes_stored_first(kind, stored, bits_allocated)
    ]
    return (
        Element(_TRANSFER_SYNTAX_UID, "UI", transfer_syntax_as_stored(stored).encode("ascii", "replace")),
        Element(_AVAILABLE_TRANSFER_SYNTAX_UID, "UI", b"\\".join(available)),
    )


def _text_for_all(charset: CharacterSet, element: Element) -> bytes | None:
    """Write an element unless it has a value that is given by URI, which names the instance."""
    text = element_text(element, charset, lambda _: "")
    return None if BULK_DATA_URI in text else text


def _describing_frames(data_set: CurrentDataSet) -> Part10:
    """Let the colour be that of samples as decoders give them.

    They are never in planes; of frames stored in a lossless format they are not subsampled, and any transform is undone.
    """
    part10 = data_set.part10
    if not data_set.instance.pixel_kind.in_frames:
        return part10
    changed = {}
    colour = _DECODED_COLOUR.get(part10.text(PHOTOMETRIC_INTERPRETATION) or "")
    if data_set.instance.stored_transfer_syntax in _LOSSLESS and colour is not None:
        changed[PHOTOMETRIC_INTERPRETATION] = Element(PHOTOMETRIC_INTERPRETATION, "CS", colour)
    if part10.integer(PLANAR_CONFIGURATION):
        changed[PLANAR_CONFIGURATION] = Element(PLANAR_CONFIGURATION, "US", bytes(2))
    if not changed:
        return part10
    return replace(part10, elements=tuple(changed.get(element.tag, element) for element in part10.elements))
