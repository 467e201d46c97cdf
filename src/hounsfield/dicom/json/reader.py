"""Reader of DICOM JSON (PS3.18 Annex F) to elements.

    {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "ROE^JANE"}]}}  ─▶  Element(0x00100010, "PN", b"ROE^JANE")

Text becomes UTF-8, as JSON is; numbers and words get the byte order that is asked for. What the annex does not allow is
refused with a message that names the element and the rule, never the value.
"""

from __future__ import annotations

import re
import struct
from array import array
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from typing import Final

from hounsfield.dicom.io.fast_reader import VRS
from hounsfield.dicom.io.limits import ReadLimits
from hounsfield.dicom.values.decode import WORD_TYPES, is_encoding_only
from hounsfield.dicom.values.dictionary import ENTRIES, is_private, known_vr
from hounsfield.dicom.values.elements import SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.errors import DicomError, tag_text
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS, NUMBERS, SINGLE_TEXT_VRS

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_MEMBERS: Final = frozenset({"vr", "Value", "InlineBinary", "BulkDataURI"})
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_KNOWN_VRS: Final = frozenset(vr for vr, _ in VRS.values())
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
"""Control characters that text cannot have (PS3.5 section 6.1.3); an escape would begin another character set."""

_NOT_FINITE: Final = {"NaN": "nan", "inf": "inf", "-inf": "-inf", "Infinity": "inf", "-Infinity": "-inf"}
_DEEPEST: Final = ReadLimits().depth


def elements_of_json(data_set: Mapping[str, object], *, little_endian: bool) -> tuple[Element, ...]:
    """Read a data set.

    Parameters
    ----------
    data_set : Mapping
        DICOM JSON model object as parsed: attribute objects by tag.
    little_endian : bool
        Byte order of the values to be made.

    Returns
    -------
    tuple of Element
        In tag order, text in UTF-8, values of even length. Specific Character Set (0008,0005) and group lengths are about
        an encoding that JSON does not have, and are left out.

    Raises
    ------
    DicomError
        The object is not a data set of Annex F, or refers to bulk data.
    """
    return _JsonReader(little_endian=little_endian).data_set(data_set, 0)


def tag_of_json(key: str) -> int:
    """Read the name of an attribute, eight hexadecimal digits (PS3.18 section F.2.2); raises `DicomError`."""
    if _TAG.fullmatch(key) is None:
        raise DicomError("An attribute is not named by eight hexadecimal digits")
    return int(key, 16)


class _JsonReader:
    """Reads the values of one data set."""

    def __init__(self, *, little_endian: bool) -> None:
        self._little_endian = little_endian

    def data_set(self, data_set: object, depth: int) -> tuple[Element, ...]:
        if not isinstance(data_set, dict):
            raise DicomError("A data set must be a JSON object")
        elements = {}
        for key, attribute in data_set.items():
            tag = tag_of_json(key)
            if is_encoding_only(tag) or tag == SPECIFIC_CHARACTER_SET:
                continue
            if tag >> 16 in (0x0000, 0xFFFE, 0xFFFF):
                raise DicomError(f"{tag_text(tag)} is no element of a data set")
            elements[tag] = self._element(tag, attribute, depth)
        return tuple(elements[tag] for tag in sorted(elements))

    def _element(self, tag: int, attribute: object, depth: int) -> Element:
        if not isinstance(attribute, dict) or not attribute.keys() <= _MEMBERS:
            raise _wrong(tag, "must be an object with the members vr, and Value or InlineBinary")
        vr = _checked_vr(tag, attribute.get("vr"))
        if "BulkDataURI" in attribute:
            raise _wrong(tag, "has a BulkDataURI, bulk data is not fetched; give the value as InlineBinary")
        if "InlineBinary" in attribute:
            if "Value" in attribute:
                raise _wrong(tag, "must not have both Value and InlineBinary")
            return Element(tag, vr, self._binary(tag, vr, attribute["InlineBinary"]))
        values = attribute.get("Value", [])
        if not isinstance(values, list):
            raise _wrong(tag, "must have a list as its Value")
        if vr == "SQ":
            return Element(tag, vr, self._items(tag, values, depth + 1))
        return Element(tag, vr, self._values(tag, vr, values))

    def _items(self, tag: int, values: list[object], depth: int) -> tuple[tuple[Element, ...], ...]:
        if depth > _DEEPEST:
            raise _wrong(tag, f"is nested deeper than {_DEEPEST} sequences")
        return tuple(self.data_set({} if value is None else value, depth) for value in values)

    def _values(self, tag: int, vr: str, values: list[object]) -> bytes:
        if vr in NUMBERS:
            return b"".join(self._number(tag, vr, value) for value in values)
        if vr == "AT":
            return b"".join(self._tag(tag, value) for value in values)
        if vr not in CUSTOM_CHARSET_VRS and vr not in FIXED_CHARSET_VRS:
            if values:
                raise _wrong(tag, f"has the value representation {vr}, its value must be InlineBinary")
            return b""
        if vr in SINGLE_TEXT_VRS and len(values) > 1:
            raise _wrong(tag, f"has the value representation {vr}, which has one value")
        write = _TEXTS.get(vr, _string)
        raw = "\\".join(_checked_text(tag, vr, write(tag, value)) for value in values).encode()
        return raw + (b"\0" if vr == "UI" else b" ") * (len(raw) & 1)

    def _number(self, tag: int, vr: str, value: object) -> bytes:
        layout = NUMBERS[vr][0 if self._little_endian else 1]
        try:
            if vr in ("FL", "FD"):
                return layout.pack(_real(value))
            return layout.pack(_integer(value, text=vr in ("SV", "UV")))
        except (struct.error, OverflowError, ValueError, TypeError) as error:
            raise _wrong(tag, f"has a value that is no number {vr} can hold") from error

    def _tag(self, tag: int, value: object) -> bytes:
        if not isinstance(value, str) or _TAG.fullmatch(value) is None:
            raise _wrong(tag, "has a value that is no tag of eight hexadecimal digits")
        layout = NUMBERS["US"][0 if self._little_endian else 1]
        return layout.pack(int(value[:4], 16)) + layout.pack(int(value[4:], 16))

    def _binary(self, tag: int, vr: str, value: object) -> bytes:
        if vr in CUSTOM_CHARSET_VRS | FIXED_CHARSET_VRS | {"SQ"}:
            raise _wrong(tag, f"has the value representation {vr}, its value must not be InlineBinary")
        try:
            raw = b64decode(value if isinstance(value, str) else b"*", validate=True)
        except (Base64Error, ValueError) as error:
            raise _wrong(tag, "has an InlineBinary that is not base64") from error
        raw += b"\0" * (len(raw) & 1)
        words = array(WORD_TYPES.get(vr) or _NUMBER_WORDS.get(vr, "B"))
        if not self._little_endian and words.itemsize > 1 and not len(raw) % words.itemsize:
            # InlineBinary is little endian (PS3.18 section F.2.7).
            words.frombytes(raw)
            words.byteswap()
            raw = words.tobytes()
        return raw


_NUMBER_WORDS: Final = {
    "AT": "H",
    **{vr: {2: "H", 4: "I", 8: "Q"}[little.size] for vr, (little, _) in NUMBERS.items()},
}


def _checked_vr(tag: int, vr: object) -> str:
    """Check the value representation against those known, and for standard elements against the dictionary."""
    if not isinstance(vr, str) or vr not in _KNOWN_VRS:
        raise _wrong(tag, "must have a vr of PS3.5 section 6.2")
    allowed = None if is_private(tag) else known_vr(tag, None)
    if allowed is not None and vr not in allowed.split(" or "):
        raise _wrong(tag, f"has the vr {vr}, the dictionary says {allowed}")
    return vr


def _string(tag: int, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(tag, "has a value that is not a string")
    return value


def _decimal(tag: int, value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _string(tag, value)


def _integer_text(tag: int, value: object) -> str:
    if isinstance(value, float) and not value.is_integer():
        raise _wrong(tag, "has a value that is not an integer")
    return str(int(value)) if isinstance(value, float) else _decimal(tag, value)


def _person_name(tag: int, value: object) -> str:
    """Join the component groups of a name (PS3.18 section F.2.2)."""
    if value is None:
        return ""
    if not isinstance(value, dict) or not value.keys() <= set(_GROUPS):
        raise _wrong(tag, f"has a name that is not an object with the members {', '.join(_GROUPS)}")
    groups = [_string(tag, value.get(group)) for group in _GROUPS]
    if any("=" in group for group in groups):
        raise _wrong(tag, "has '=' in a component group of a name, which separates component groups")
    return "=".join(groups).rstrip("=")


_TEXTS: Final[dict[str, Callable[[int, object], str]]] = {
    "DS": _decimal,
    "IS": _integer_text,
    "PN": _person_name,
}


def _checked_text(tag: int, vr: str, text: str) -> str:
    if _CONTROL.search(text):
        raise _wrong(tag, "has a control character in its text")
    if vr in FIXED_CHARSET_VRS and not text.isascii():
        raise _wrong(tag, f"has a character outside the default repertoire, which {vr} is limited to")
    if vr not in SINGLE_TEXT_VRS and "\\" in text:
        raise _wrong(tag, "has a backslash in a value, which separates values; give several values as a list")
    return text


def _integer(value: object, *, text: bool) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    if isinstance(value, int | float) or (text and isinstance(value, str)):
        return int(value)
    raise TypeError


def _real(value: object) -> float:
    if isinstance(value, str):
        return float(_NOT_FINITE[value]) if value in _NOT_FINITE else _no_number()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise TypeError


def _no_number() -> float:
    raise ValueError


def _wrong(tag: int, rule: str) -> DicomError:
    entry = ENTRIES.get(tag)
    return DicomError(f"{entry.keyword if entry is not None else 'Element'} {tag_text(tag)} {rule}")
