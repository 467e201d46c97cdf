"""Decoder of raw values to the JSON values of the metadata document.

    text          string; DS and IS as written, other text without padding     several values: list
    binary number integer or number                                            several values: list
    bytes         base64, words little endian
    SQ            list of objects
    empty         null

What has more than one value by the dictionary (VM other than 1) is a list even when there is one value.
"""

from __future__ import annotations

import math
from array import array
from binascii import b2a_base64
from enum import Enum
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from hounsfield.dicom.values.charsets import REPLACEMENT, CharacterSet, character_set
from hounsfield.dicom.values.dictionary import ENTRIES, key_of
from hounsfield.dicom.values.elements import DATA_SET_TRAILING_PADDING, SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.memo import LONGEST, ResultMemo
from hounsfield.dicom.values.scalars import (
    CUSTOM_CHARSET_VRS,
    FIXED_CHARSET_VRS,
    NUMBERS,
    SINGLE_TEXT_VRS,
    strip_text,
)

JsonValue: TypeAlias = "str | int | float | list[JsonValue] | dict[str, JsonValue] | None"

BULK_DATA_THRESHOLD: Final = 1 << 20
"""Bytes above which a value is not part of the document but null; DICOMweb offers it as bulk data.

Holds for binary values and for numbers and text with many values; one long text stays whole.
"""

_NUMBER_CODES = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
WORD_TYPES = {"OW": "H", "OL": "I", "OF": "I", "OD": "Q", "OV": "Q"}
_EXACT_INTEGERS = float(1 << 53)
_TABLES = 4
"""Character sets and byte orders whose values are remembered at a time."""


class _Fault(Enum):
    """What can be wrong with a value; see `ValueDecoder`."""

    UNDECODABLE = "undecodable"
    MALFORMED = "malformed"


_Value: TypeAlias = "tuple[JsonValue, _Fault | None]"


class _Decoded(NamedTuple):
    """An element as it goes into an object, remembered for the next data set.

    Attributes
    ----------
    key : str
        Keyword or hexadecimal digits.
    value : JsonValue
        Shared by many objects, so it is never changed.
    vr : str or None
        VR of an element that is keyed by hexadecimal digits.
    fault : _Fault or None
        What was wrong with it.
    """

    key: str
    value: JsonValue
    vr: str | None
    fault: _Fault | None


@lru_cache(maxsize=_TABLES)
def _decoded_before(charset: CharacterSet, *, little_endian: bool) -> ResultMemo[Element, _Decoded]:  # noqa: ARG001
    """Return the values that were decoded under a character set and byte order before."""
    return ResultMemo()


class ValueDecoder:
    """Decodes the values of one data set and notes what was wrong with them.

    Short values are decoded once and shared by the objects of all data sets: callers do not change them.

    Parameters
    ----------
    little_endian : bool
        Byte order of the data set.

    Attributes
    ----------
    vrs : dict of str to str
        VR of every element that is keyed by hexadecimal digits, at any depth; the document's ``DICOMVRs``. Of a tag that
        stands in the data set and in items with different VRs, it is the data set's.
    undecodable : set of int
        Tags of text that has bytes outside its character set.
    malformed : set of int
        Tags of binary numbers whose length is not a multiple of the number's size; the odd bytes are left out.
    """

    __slots__ = ("_inner_vrs", "_vrs", "little_endian", "malformed", "undecodable")

    def __init__(self, *, little_endian: bool) -> None:
        self.little_endian = little_endian
        self._vrs: dict[str, str] = {}
        self._inner_vrs: dict[str, str] = {}
        self.undecodable: set[int] = set()
        self.malformed: set[int] = set()

    @property
    def vrs(self) -> dict[str, str]:
        """VR by hexadecimal key."""
        return {**self._inner_vrs, **self._vrs}

    def value(self, element: Element, charset: CharacterSet, *, multiple: bool) -> JsonValue:
        """Decode one element.

        Parameters
        ----------
        element : Element
            Of any value representation.
        charset : CharacterSet
            In force where the element stands.
        multiple : bool
            True when the dictionary allows more than one value.

        Returns
        -------
        JsonValue
            The value as in the document.
        """
        raw = element.value
        if isinstance(raw, tuple):
            outer, self._vrs = self._vrs, self._inner_vrs
            items: list[JsonValue] = [self.data_set(item, charset) for item in raw]
            self._vrs = outer
            return items
        value, fault = _value(element.vr, raw, charset, multiple=multiple, little_endian=self.little_endian)
        self._note(element.tag, fault)
        return value

    def data_set(self, elements: tuple[Element, ...], charset: CharacterSet) -> dict[str, JsonValue]:
        """Decode a data set, such as an item of a sequence, into an object in tag order.

        Parameters
        ----------
        elements : tuple of Element
            The data set.
        charset : CharacterSet
            Character set of the surrounding data set, which holds unless this one names its own (PS3.5 section 7.5.3).

        Returns
        -------
        dict
            Values by keyword or hexadecimal tag.
        """
        for element in elements:
            if element.tag == SPECIFIC_CHARACTER_SET and isinstance(element.value, bytes):
                charset = character_set(element.value)
        result: dict[str, JsonValue] = {}
        self.add(result, elements, charset)
        return result

    def add(self, target: dict[str, JsonValue], elements: tuple[Element, ...], charset: CharacterSet) -> None:
        """Decode elements into an object, in tag order.

        Parameters
        ----------
        target : dict
            Object that gets the values.
        elements : tuple of Element
            The elements. Group lengths and data set trailing padding are about the encoding, not the instance, and are
            left out, as PS3.18 section F.2.2 does.
        charset : CharacterSet
            In force where the elements stand, whatever they say themselves.
        """
        remembered = _decoded_before(charset, little_endian=self.little_endian)
        known, vrs = remembered.get, self._vrs
        for element in sort_by_tag(elements):
            _, _, raw = element
            if isinstance(raw, tuple):
                self._add_sequence(target, element, charset)
                continue
            short = len(raw) <= LONGEST
            decoded = known(element) if short else None
            if decoded is None:
                if is_encoding_only(element.tag):
                    continue
                decoded = _decoded(element, raw, charset, little_endian=self.little_endian)
                if short:
                    remembered.keep(element, decoded, len(raw))
            key, value, vr, fault = decoded
            target[key] = value
            if vr is not None:
                vrs[key] = vr
            if fault is not None:
                self._note(element.tag, fault)

    def _add_sequence(self, target: dict[str, JsonValue], element: Element, charset: CharacterSet) -> None:
        if is_encoding_only(element.tag):
            return
        key = key_of(element.tag)
        if element.tag not in ENTRIES:
            self._vrs[key] = element.vr
        target[key] = self.value(element, charset, multiple=True)

    def _note(self, tag: int, fault: _Fault | None) -> None:
        if fault is _Fault.UNDECODABLE:
            self.undecodable.add(tag)
        elif fault is _Fault.MALFORMED:
            self.malformed.add(tag)


def _decoded(element: Element, raw: bytes, charset: CharacterSet, *, little_endian: bool) -> _Decoded:
    """Decode one element that is no sequence."""
    tag, vr = element.tag, element.vr
    entry = ENTRIES.get(tag)
    multiple = entry is not None and entry.multiple
    value, fault = _value(vr, raw, charset, multiple=multiple, little_endian=little_endian)
    return _Decoded(key_of(tag), value, vr if entry is None else None, fault)


def _value(vr: str, raw: bytes, charset: CharacterSet, *, multiple: bool, little_endian: bool) -> _Value:
    """Decode one value and tell what was wrong with it."""
    if len(raw) > BULK_DATA_THRESHOLD and vr not in SINGLE_TEXT_VRS:
        return None, None
    if vr in CUSTOM_CHARSET_VRS:
        text = charset.decode(raw, person_name=vr == "PN")
        return _text(text, vr, multiple=multiple), _Fault.UNDECODABLE if REPLACEMENT in text else None
    if vr in FIXED_CHARSET_VRS:
        return _text(raw.decode("latin-1"), vr, multiple=multiple), None
    if vr in NUMBERS:
        return _numbers(vr, raw, multiple=multiple, little_endian=little_endian)
    if vr == "AT":
        return _tags(raw, multiple=multiple, little_endian=little_endian)
    return _binary(vr, raw, little_endian=little_endian), None


def _numbers(vr: str, raw: bytes, *, multiple: bool, little_endian: bool) -> _Value:
    layout = NUMBERS[vr][0 if little_endian else 1]
    count, odd = divmod(len(raw), layout.size)
    fault = _Fault.MALFORMED if odd else None
    if not count:
        return None, fault
    values = Struct(f"{'<' if little_endian else '>'}{count}{_NUMBER_CODES[vr]}").unpack_from(raw)
    if vr in ("FL", "FD"):
        return _one_or_list([_number(value) for value in values], multiple=multiple), fault
    return _one_or_list(list(values), multiple=multiple), fault


def _tags(raw: bytes, *, multiple: bool, little_endian: bool) -> _Value:
    count, odd = divmod(len(raw), 4)
    fault = _Fault.MALFORMED if odd else None
    if not count:
        return None, fault
    words = Struct(f"{'<' if little_endian else '>'}{2 * count}H").unpack_from(raw)
    texts: list[JsonValue] = [f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=True)]
    return _one_or_list(texts, multiple=multiple), fault


def _binary(vr: str, raw: bytes, *, little_endian: bool) -> JsonValue:
    if not little_endian and vr in WORD_TYPES:
        words = array(WORD_TYPES[vr])
        if not len(raw) % words.itemsize:
            words.frombytes(raw)
            words.byteswap()
            raw = words.tobytes()
    return b2a_base64(raw, newline=False).decode("ascii")


def is_encoding_only(tag: int) -> bool:
    """Return whether an element is about the encoding only: group length outside group 0002, or trailing padding."""
    return tag == DATA_SET_TRAILING_PADDING or (not tag & 0xFFFF and tag != 0x00020000)


def sort_by_tag(elements: tuple[Element, ...]) -> tuple[Element, ...] | list[Element]:
    """Sort elements by tag; most files are sorted already, as PS3.5 section 7.1 asks."""
    tags = [element[0] for element in elements]
    return elements if tags == sorted(tags) else sorted(elements, key=_tag_of)


_tag_of = itemgetter(0)


def _one_or_list(values: list[JsonValue], *, multiple: bool) -> JsonValue:
    return values if multiple or len(values) != 1 else values[0]


def _text(text: str, vr: str, *, multiple: bool) -> JsonValue:
    """Turn the text of an element into a string or a list of strings."""
    if vr in SINGLE_TEXT_VRS:
        return strip_text(text, vr) or None
    if vr in ("DS", "IS"):
        # The blank that pads the value to even length stays: documents of the service have it.
        text = text.rstrip("\0")
        if not text.strip(" "):
            return None
        return text.split("\\") if multiple or "\\" in text else text  # type: ignore[return-value]
    if "\\" in text:
        return [strip_text(part, vr) for part in text.split("\\")]
    text = strip_text(text, vr)
    if not text:
        return None
    return [text] if multiple else text


def _number(value: float) -> JsonValue:
    """Write a binary number the way the document does: no fraction when there is none, words for what JSON lacks."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < _EXACT_INTEGERS and (value or math.copysign(1, value) > 0):
        return int(value)
    return value
