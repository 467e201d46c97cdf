"""Checks of values of a metadata update against their elements. Pure.

Two kinds of misfit are told apart: a value of the wrong JSON type cannot be stored at all, a value that only breaks a rule of
the standard (PS3.5 section 6.2: format, length, multiplicity) is stored when the caller forces it.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.dictionary import ENTRIES, TAGS
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.errors import DicomError
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS, SINGLE_TEXT_VRS, strip_text
from hounsfield.dicom.values.vr_checks import check_maximums, check_values


class EditValueError(ValueError):
    """An update cannot have this key or value, whether forced or not; the message names no value."""


_UTF_8 = CharacterSet(("utf-8",))
_DEEPEST: Final = 64
_TEXT_VRS = CUSTOM_CHARSET_VRS | FIXED_CHARSET_VRS
BINARY_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""Value representations whose values are base64 in a metadata document."""
_INTEGERS: Final[Mapping[str, tuple[int, int]]] = {
    "US": (0, 2**16 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "UL": (0, 2**32 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "UV": (0, 2**64 - 1),
    "SV": (-(2**63), 2**63 - 1),
    "US or SS": (-(2**15), 2**16 - 1),
    "US or SS or OW": (-(2**15), 2**16 - 1),
    "US or OW": (0, 2**16 - 1),
}
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
VRS: Final = _TEXT_VRS | BINARY_VRS | frozenset({"AT", "FD", "FL", "SL", "SQ", "SS", "SV", "UL", "US", "UV"})
"""Value representations that an element can be given."""

_FORMATS: Final[Mapping[str, re.Pattern[str]]] = {
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9 _]*"),
    "DA": re.compile(r"\d{8}"),
    "DS": re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *"),
    "DT": re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?"),
    "IS": re.compile(r" *[+-]?\d+ *"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"),
}
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_CONTROLS: Final = re.compile(r"[\0-\x1f\x7f-\x9f]")
_CONTROLS_OF_TEXTS: Final = re.compile(r"[\0-\x08\x0b\x0e-\x1f\x7f-\x9f]")
"""Control characters that a text of several lines cannot have: all but TAB, LF, FF and CR (PS3.5 Table 6.1-1)."""
_MULTILINE_VRS: Final = frozenset({"LT", "ST", "UT"})


@dataclass(frozen=True, slots=True)
class ElementKey:
    """An element as an update names it.

    Attributes
    ----------
    key : str
        Keyword, or eight upper-case hexadecimal digits where there is no keyword.
    tag : int
        Its tag.
    vr : str or None
        By the dictionary; None for private and unknown elements.
    multiple : bool
        Whether the dictionary allows more than one value.
    """

    key: str
    tag: int
    vr: str | None
    multiple: bool


@dataclass(frozen=True, slots=True)
class CheckedValue:
    """A value in the form of the metadata document, and what only a forced update may disregard."""

    value: JsonValue
    objections: tuple[str, ...] = ()


def element_key(key: str) -> ElementKey:
    """Find the element behind a key of an update; raises `EditValueError` when there is none."""
    tag = TAGS.get(key)
    if tag is not None:
        return ElementKey(key, tag, ENTRIES[tag].vr, ENTRIES[tag].multiple)
    if _TAG.fullmatch(key) is None:
        raise EditValueError(f"{named(key)} is neither a keyword of the DICOM dictionary nor eight hexadecimal digits")
    tag = int(key, 16)
    if tag in ENTRIES:
        raise EditValueError(f"{key} must be named by its keyword {ENTRIES[tag].keyword}")
    return ElementKey(f"{tag:08X}", tag, None, multiple=False)


def check_value(element: ElementKey, vr: str, value: object, vrs: Mapping[str, str], depth: int = 0) -> CheckedValue:
    """Bring a value of an update into the form of the document.

    Parameters
    ----------
    element : ElementKey
        The element.
    vr : str
        Its value representation; may be one of the dictionary's ambiguous ones.
    value : object
        As parsed from JSON.
    vrs : Mapping[str, str]
        Value representations of elements without a keyword, for those inside of sequences.
    depth : int
        How many sequences are around it.

    Raises
    ------
    EditValueError
        The JSON type does not fit, or the value is beyond the limits of the service.
    """
    if value is None:
        return CheckedValue(None)
    if vr == "SQ":
        return _sequence(element, value, vrs, depth)
    given = value if isinstance(value, list) else [value]
    texts = [_single(element, vr, entry) for entry in given]
    objections = []
    if isinstance(value, list) and len(value) != 1 and not element.multiple and element.vr is not None:
        objections.append(f"{element.key} takes one value")
    if element.multiple:
        objections.append(f"{element.key} is multi-valued")
    if vr in _TEXT_VRS:
        objections += _text_objections(element, vr, [str(text) for text in texts])
    listed = element.multiple or (isinstance(value, list) and len(value) != 1)
    stored = list[JsonValue](texts) if listed else texts[0]
    return CheckedValue(_empty_as_null(stored, vr), tuple(objections))


def _sequence(element: ElementKey, value: object, vrs: Mapping[str, str], depth: int) -> CheckedValue:
    if depth >= _DEEPEST:
        raise EditValueError(f"{element.key} is nested deeper than {_DEEPEST} sequences")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise EditValueError(f"{element.key} is a sequence, its value must be a list of objects")
    items: list[JsonValue] = []
    for item in value:
        checked: list[tuple[int, str, JsonValue]] = []
        for name, entry in item.items():
            inner = element_key(name)
            vr = inner.vr or vrs.get(inner.key)
            if vr is None:
                raise EditValueError(f"DICOMVRs must give the value representation of {inner.key}")
            checked.append((inner.tag, inner.key, check_value(inner, vr, entry, vrs, depth + 1).value))
        items.append({key: entry for _, key, entry in sorted(checked, key=lambda entry: entry[0])})
    return CheckedValue(items, (f"{element.key} is a sequence",))


def _single(element: ElementKey, vr: str, value: object) -> JsonValue:
    """Check the JSON type of one value."""
    if vr in _TEXT_VRS:
        return _text(element, vr, value)
    if vr == "AT":
        if isinstance(value, str) and _TAG.fullmatch(value):
            return value.upper()
        raise _misfit(element, vr, "eight hexadecimal digits")
    if vr in {"FL", "FD"} or (vr in _INTEGERS and not (vr.endswith("OW") and isinstance(value, str))):
        return _number(element, vr, value)
    return _base64(element, vr, value)


def _text(element: ElementKey, vr: str, value: object) -> str:
    decimal = vr in {"DS", "IS"}
    if decimal and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value if decimal else strip_text(value, vr)
    raise _misfit(element, vr, "a string")


def _number(element: ElementKey, vr: str, value: object) -> JsonValue:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if vr in _INTEGERS:
        least, most = _INTEGERS[vr]
        if number and isinstance(value, int) and least <= value <= most:
            return value
        raise _misfit(element, vr, f"an integer from {least} to {most}")
    if number or (isinstance(value, str) and value in _NOT_FINITE):
        return value  # type: ignore[return-value]
    raise _misfit(element, vr, "a number")


def _base64(element: ElementKey, vr: str, value: object) -> str:
    if isinstance(value, str):
        try:
            b64decode(value, validate=True)
        except Base64Error:
            pass
        else:
            return value
    raise _misfit(element, vr, "base64 text")


def _text_objections(element: ElementKey, vr: str, texts: Sequence[str]) -> list[str]:
    """Check format and length; raises `EditValueError` beyond the limits of the service."""
    raw = Element(element.tag, vr, "\\".join(texts).encode())
    try:
        check_maximums([raw], _UTF_8, little_endian=True)
    except DicomError as error:
        raise EditValueError(str(error)) from error
    objections = [warning.message.rstrip(".") for warning in check_values([raw], _UTF_8)]
    pattern = _FORMATS.get(vr)
    if pattern is not None and not all(pattern.fullmatch(text) for text in texts if text):
        objections.append(f"{element.key} is not of the form that {vr} has")
    controls = _CONTROLS_OF_TEXTS if vr in _MULTILINE_VRS else _CONTROLS
    if any(controls.search(text) for text in texts):
        objections.append(f"{element.key} has a control character, which {vr} does not allow")
    if vr not in SINGLE_TEXT_VRS and any("\\" in text for text in texts):
        objections.append(f"{element.key} has a backslash, which separates values")
    return objections


def _empty_as_null(value: JsonValue, vr: str) -> JsonValue:
    return None if value in ("", [], [""]) and vr not in BINARY_VRS else value


def _misfit(element: ElementKey, vr: str, wanted: str) -> EditValueError:
    return EditValueError(f"{element.key} has the value representation {vr}, its value must be {wanted}")


def named(key: str) -> str:
    """Return a key for a message, but not a whole text that somebody put in the place of a key."""
    return key if re.fullmatch(r"\w{1,64}", key, re.ASCII) else "A key"
