"""Raw values to the JSON values of the metadata document.

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
from struct import Struct
from typing import Final, TypeAlias

from hounsfield.dicom.charsets import REPLACEMENT, CharacterSet, character_set
from hounsfield.dicom.dictionary import ENTRIES
from hounsfield.dicom.elements import DATA_SET_TRAILING_PADDING, SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.scalars import (
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
_WORD_TYPES = {"OW": "H", "OL": "I", "OF": "I", "OD": "Q", "OV": "Q"}
_EXACT_INTEGERS = float(1 << 53)


class ValueDecoder:
    """Decodes the values of one data set and notes what was wrong with them.

    Parameters
    ----------
    little_endian : bool
        Byte order of the data set.

    Attributes
    ----------
    vrs : dict of str to str
        VR of every element that is keyed by hexadecimal digits, at any depth; the document's ``DICOMVRs``.
    undecodable : set of int
        Tags of text that has bytes outside its character set.
    malformed : set of int
        Tags of binary numbers whose length is not a multiple of the number's size; the odd bytes are left out.
    """

    __slots__ = ("little_endian", "malformed", "undecodable", "vrs")

    def __init__(self, *, little_endian: bool) -> None:
        self.little_endian = little_endian
        self.vrs: dict[str, str] = {}
        self.undecodable: set[int] = set()
        self.malformed: set[int] = set()

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
        raw, vr = element.value, element.vr
        if isinstance(raw, tuple):
            return [self.data_set(item, charset) for item in raw]
        if len(raw) > BULK_DATA_THRESHOLD and vr not in SINGLE_TEXT_VRS:
            return None
        if vr in CUSTOM_CHARSET_VRS or vr in FIXED_CHARSET_VRS:
            return _text(self._decoded(element.tag, vr, raw, charset), vr, multiple=multiple)
        if vr in NUMBERS:
            return self._numbers(element.tag, vr, raw, multiple=multiple)
        if vr == "AT":
            return self._tags(element.tag, raw, multiple=multiple)
        return self._binary(vr, raw)

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
        for element in in_tag_order(elements):
            self.add(result, element, charset)
        return result

    def add(self, target: dict[str, JsonValue], element: Element, charset: CharacterSet) -> None:
        """Decode one element into an object under its key.

        Parameters
        ----------
        target : dict
            Object that gets the value.
        element : Element
            The element. Group lengths and data set trailing padding are about the encoding, not the instance, and are
            left out, as PS3.18 section F.2.2 does.
        charset : CharacterSet
            In force where the element stands.
        """
        tag = element.tag
        if is_encoding_only(tag):
            return
        entry = ENTRIES.get(tag)
        if entry is not None:
            target[entry.keyword] = self.value(element, charset, multiple=entry.multiple)
        else:
            key = f"{tag:08X}"
            self.vrs[key] = element.vr
            target[key] = self.value(element, charset, multiple=False)

    def _decoded(self, tag: int, vr: str, raw: bytes, charset: CharacterSet) -> str:
        if vr in FIXED_CHARSET_VRS:
            return raw.decode("latin-1")
        text = charset.decode(raw, person_name=vr == "PN")
        if REPLACEMENT in text:
            self.undecodable.add(tag)
        return text

    def _numbers(self, tag: int, vr: str, raw: bytes, *, multiple: bool) -> JsonValue:
        layout = NUMBERS[vr][0 if self.little_endian else 1]
        if len(raw) == layout.size:
            values = layout.unpack(raw)
        else:
            count, odd = divmod(len(raw), layout.size)
            if odd:
                self.malformed.add(tag)
            if not count:
                return None
            order = "<" if self.little_endian else ">"
            values = Struct(f"{order}{count}{_NUMBER_CODES[vr]}").unpack_from(raw)
        if vr in ("FL", "FD"):
            return _one_or_list([_number(value) for value in values], multiple=multiple)
        return _one_or_list(list(values), multiple=multiple)

    def _tags(self, tag: int, raw: bytes, *, multiple: bool) -> JsonValue:
        count, odd = divmod(len(raw), 4)
        if odd:
            self.malformed.add(tag)
        if not count:
            return None
        words = Struct(f"{'<' if self.little_endian else '>'}{2 * count}H").unpack_from(raw)
        texts: list[JsonValue] = [
            f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=True)
        ]
        return _one_or_list(texts, multiple=multiple)

    def _binary(self, vr: str, raw: bytes) -> JsonValue:
        if not self.little_endian and vr in _WORD_TYPES:
            words = array(_WORD_TYPES[vr])
            if not len(raw) % words.itemsize:
                words.frombytes(raw)
                words.byteswap()
                raw = words.tobytes()
        return b2a_base64(raw, newline=False).decode("ascii")


def is_encoding_only(tag: int) -> bool:
    """Tell whether an element is about the encoding only: group length outside group 0002, or trailing padding."""
    return tag == DATA_SET_TRAILING_PADDING or (not tag & 0xFFFF and tag != 0x00020000)


def in_tag_order(elements: tuple[Element, ...]) -> tuple[Element, ...] | list[Element]:
    """Sort elements by tag; most files are sorted already, as PS3.5 section 7.1 asks."""
    last = -1
    for element in elements:
        if element.tag < last:
            return sorted(elements, key=_tag_of)
        last = element.tag
    return elements


def _tag_of(element: Element) -> int:
    return element.tag


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
