"""Encoder of JSON values of the metadata document to elements, the inverse of `hounsfield.dicom.values.decode`.

The VR is that of the dictionary, or of ``DICOMVRs`` where there is no keyword.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping
from struct import Struct, error
from typing import Final

from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.dictionary import ENTRIES, tag_of
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.errors import DicomError, tag_text
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS, NUMBERS
from hounsfield.dicom.values.text_encoding import UNICODE, UTF_8, TextEncoding, text_encoding

_words = Struct("<HH").pack
_LARGEST_SS: Final = 0x7FFF
_CHARACTER_SET_KEY: Final = "SpecificCharacterSet"
_NOT_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})


class ValueEncoder:
    """Encodes values for one data set.

    Parameters
    ----------
    vrs : Mapping of str to str
        VR of elements that are keyed by hexadecimal digits (``DICOMVRs``).
    signed : bool
        Whether the data set has signed pixels, on which US or SS depends.
    """

    def __init__(self, vrs: Mapping[str, str], *, signed: bool) -> None:
        self._vrs = vrs
        self._signed = signed

    def element(self, key: str, value: JsonValue, encoding: TextEncoding, before: Element | None = None) -> Element:
        """Make an element.

        Parameters
        ----------
        key : str
            Keyword or eight hexadecimal digits.
        value : JsonValue
            As in the document.
        encoding : TextEncoding
            Of the data set that the element stands in.
        before : Element or None
            What it replaces, whose VR tells where neither dictionary nor ``DICOMVRs`` do.

        Raises
        ------
        DicomError
            The key names no element, or the value is not one of its VR.
        UnicodeEncodeError
            The character set has not all the characters of a text.
        """
        tag = tag_of(key)
        if tag is None:
            raise DicomError(f"{key[:64]!r} names no element")
        vr = self._vr(tag, key, value, before)
        if vr == "SQ":
            return Element(tag, vr, self._items(value, encoding))
        try:
            return Element(tag, vr, _raw(vr, value, encoding))
        except UnicodeEncodeError:
            raise
        except (error, TypeError, ValueError) as problem:
            raise DicomError(f"The value of {tag_text(tag)} is not one of {vr}") from problem

    def _items(self, value: JsonValue, encoding: TextEncoding) -> tuple[tuple[Element, ...], ...]:
        items = []
        for item in value if isinstance(value, list) else ():
            if not isinstance(item, dict):
                raise DicomError("An item of a sequence is an object")
            items.append(self._item(item, encoding))
        return tuple(items)

    def _item(self, item: Mapping[str, JsonValue], encoding: TextEncoding) -> tuple[Element, ...]:
        own = item.get(_CHARACTER_SET_KEY)
        if own is None:
            return self._in_order(item, encoding)
        try:
            return self._in_order(item, text_encoding(_text(own).encode("latin-1", "replace")))
        except UnicodeEncodeError:
            return self._in_order({**item, _CHARACTER_SET_KEY: [UTF_8]}, UNICODE)

    def _in_order(self, item: Mapping[str, JsonValue], encoding: TextEncoding) -> tuple[Element, ...]:
        elements = [self.element(key, value, encoding) for key, value in item.items()]
        return tuple(sorted(elements, key=lambda element: element.tag))

    def _vr(self, tag: int, key: str, value: JsonValue, before: Element | None) -> str:
        entry = ENTRIES.get(tag)
        known = self._vrs.get(key) if entry is None else entry.vr
        if known is not None and " " not in known:
            return known if entry is not None else _fitting(known, value)
        if known is None or isinstance(value, str) or value in (None, []):
            return before.vr if before is not None else "UN" if known is None else _of_bytes(known)
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, int) and number < 0 for number in numbers):
            return "SS"
        too_large = any(isinstance(number, int) and number > _LARGEST_SS for number in numbers)
        return "SS" if self._signed and not too_large and "SS" in known else "US"


def _fitting(vr: str, value: JsonValue) -> str:
    """Return the VR of a private element; one tag may have different ones in different items, but the document tells one."""
    one = value[0] if isinstance(value, list) and value else value
    if isinstance(one, dict):
        return "SQ"
    if isinstance(one, str) and (vr == "SQ" or (vr in NUMBERS and one not in _NOT_FINITE)):
        return "LO"
    if isinstance(one, int | float) and vr not in NUMBERS:
        return "SL" if isinstance(one, int) and -(2**31) <= one < 2**31 else "FD"
    return vr


def _of_bytes(ambiguous: str) -> str:
    return "OW" if "OW" in ambiguous else "US"


def _raw(vr: str, value: JsonValue, encoding: TextEncoding) -> bytes:
    if value is None:
        return b""
    if vr in CUSTOM_CHARSET_VRS or vr in FIXED_CHARSET_VRS:
        return encoding.encode(_text(value), vr)
    values = value if isinstance(value, list) else [value]
    if vr in NUMBERS:
        return b"".join(_packed(vr, number) for number in values)
    if vr == "AT":
        return b"".join(_words(*divmod(int(str(tag), 16), 0x10000)) for tag in values)
    return b"".join(b64decode(str(part), validate=True) for part in values)


def _packed(vr: str, value: JsonValue) -> bytes:
    """Pack a number of the document; those that JSON has no literal for stand there as words."""
    pack = NUMBERS[vr][0].pack
    if vr in ("FL", "FD"):
        number = float(value)  # type: ignore[arg-type]
        try:
            return pack(number)
        except OverflowError:
            return pack(math.copysign(math.inf, number))
    if not isinstance(value, int):
        raise TypeError
    # One list may hold values of US and of SS where the dictionary allows both: the bits are the same.
    return (value & 0xFFFF).to_bytes(2, "little") if vr in ("US", "SS") else pack(value)


def _text(value: JsonValue) -> str:
    if isinstance(value, list):
        return "\\".join("" if part is None else str(part) for part in value)
    return str(value)
