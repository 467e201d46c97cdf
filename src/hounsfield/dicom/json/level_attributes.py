"""Members of the DICOM JSON model for values of the patient, study and series levels of the metadata document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from hounsfield.dicom.healthimaging.edited_data_set import Amendment, apply_amendment
from hounsfield.dicom.json.writer import Path, element_text, json_members
from hounsfield.dicom.values.charsets import character_set
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.elements import SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.errors import DicomError

_UTF_8: Final = b"ISO_IR 192"
_AS_TEXT: Final = frozenset({"CS", "DA", "LO", "SH", "TM", "UI", "UR"})
_PLAIN: Final = re.compile(r"[!#-<>-\[\]-}](?:[ !#-<>-\[\]-}]*[!#-<>-\[\]-}])?")
"""One value in one component group that stands in JSON as it is: ASCII without quotes and ``\\ = ~``, no space at its ends."""
_EMPTY_UNICODE: Final = (Element(SPECIFIC_CHARACTER_SET, "CS", _UTF_8),)
_UNICODE: Final = character_set(_UTF_8)


def document_members(values: Mapping[str, JsonValue]) -> list[tuple[int, bytes]]:
    """Write values of the metadata document as DICOM JSON.

    Parameters
    ----------
    values : Mapping of str to JsonValue
        By keyword. A value that is not one of its element, which only a damaged file can have brought, is left out.

    Returns
    -------
    list of (int, bytes)
        Tag and member, as `hounsfield.dicom.json.writer.json_members` gives them.
    """
    try:
        elements = apply_amendment(_EMPTY_UNICODE, Amendment(values))
    except DicomError:
        elements = tuple(element for key in values for element in _single(key, values[key]))
    return [(tag, text) for tag, text in json_members(elements, _UNICODE, _no_uri) if tag != SPECIFIC_CHARACTER_SET]


def text_member(tag: int, vr: str, text: str) -> bytes:
    """Write text as a member of DICOM JSON.

    Parameters
    ----------
    tag : int
        The tag.
    vr : str
        Its value representation.
    text : str
        The value; several of them separated by backslashes, empty for an element without value.
    """
    # What is written as it stands need not go through the reading of elements; nearly everything is.
    if vr in _AS_TEXT and _PLAIN.fullmatch(text):
        return b'"%08X":{"vr":"%b","Value":["%b"]}' % (tag, vr.encode(), text.encode())
    if vr == "PN" and _PLAIN.fullmatch(text):
        return b'"%08X":{"vr":"PN","Value":[{"Alphabetic":"%b"}]}' % (tag, text.encode())
    return _text(tag, vr, text)


@lru_cache(maxsize=16384)
def _text(tag: int, vr: str, text: str) -> bytes:
    return element_text(Element(tag, vr, text.encode()), _UNICODE, _no_uri)


def _single(key: str, value: JsonValue) -> tuple[Element, ...]:
    try:
        return tuple(
            element
            for element in apply_amendment(_EMPTY_UNICODE, Amendment({key: value}))
            if element.tag != SPECIFIC_CHARACTER_SET
        )
    except DicomError:
        return ()


def _no_uri(path: Path) -> str:
    """Name no value: those of the metadata document are never that large."""
    raise ValueError(f"a value of the metadata document at {path} is too large to be one")
