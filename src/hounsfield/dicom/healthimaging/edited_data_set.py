"""Edited data sets: elements with the values of the metadata document that differ from them.

What is not named stays as it is, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hounsfield.dicom.values.decode import JsonValue
from hounsfield.dicom.values.dictionary import tag_of
from hounsfield.dicom.values.elements import SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.encode import ValueEncoder
from hounsfield.dicom.values.text_encoding import (
    UNICODE,
    UTF_8,
    TextEncoding,
    encoding_of,
    recode_elements,
    text_encoding,
)

_PIXEL_REPRESENTATION: Final = 0x00280103
_CHARACTER_SET_KEY: Final = "SpecificCharacterSet"


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is different.

    Attributes
    ----------
    values : Mapping of str to JsonValue
        Values by keyword or hexadecimal tag, as in the metadata document.
    removed : frozenset of str
        Keys of elements that are no more.
    vrs : Mapping of str to str
        VR of elements that are keyed by hexadecimal digits.
    """

    values: Mapping[str, JsonValue] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    vrs: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values or self.removed)


def compute_amendment(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue], vrs: Mapping[str, str]
) -> Amendment:
    """Find what leads from one object of the metadata document to another."""
    values = {key: value for key, value in after.items() if key not in before or before[key] != value}
    return Amendment(values, frozenset(before.keys() - after.keys()), vrs)


def apply_amendment(elements: tuple[Element, ...], amendment: Amendment) -> tuple[Element, ...]:
    """Make the data set that an amendment asks for.

    Parameters
    ----------
    elements : tuple of Element
        A data set, little endian.
    amendment : Amendment
        What is different.

    Returns
    -------
    tuple of Element
        In tag order. Where the character set of the data set cannot hold a new text, or a new Specific Character Set
        not the old texts, all of it is UTF-8 (``ISO_IR 192``).

    Raises
    ------
    DicomError
        A value is not one of its element.
    """
    if not amendment:
        return elements
    changed = {tag_of(key) for key in (*amendment.values, *amendment.removed)}
    kept = tuple(element for element in elements if element.tag not in changed)
    before = {element.tag: element for element in elements if element.tag in changed}
    encoding = encoding_of(elements)
    if SPECIFIC_CHARACTER_SET in changed:
        return _in_new_character_set(kept, before, amendment, encoding)
    try:
        new = _encoded(amendment, before, encoding, signed=_signed(elements))
    except UnicodeEncodeError:
        return _in_unicode(kept, before, amendment, encoding)
    return _sorted(kept, new)


def _in_new_character_set(
    kept: tuple[Element, ...], before: Mapping[int, Element], amendment: Amendment, old: TextEncoding
) -> tuple[Element, ...]:
    """Follow an edit of Specific Character Set itself."""
    terms = amendment.values.get(_CHARACTER_SET_KEY)
    raw = "\\".join(str(term or "") for term in terms) if isinstance(terms, list) else str(terms or "")
    value = raw.encode("latin-1", "replace")
    wanted = text_encoding(value)
    if not wanted.character_set.known:
        return _in_unicode(kept, before, amendment, old)
    try:
        new = _encoded(amendment, before, wanted, signed=_signed(kept))
        others = recode_elements(kept, old.character_set, wanted, value)
    except UnicodeEncodeError:
        return _in_unicode(kept, before, amendment, old)
    if _CHARACTER_SET_KEY in amendment.removed:
        others = tuple(element for element in others if element.tag != SPECIFIC_CHARACTER_SET)
    return _sorted(others, new)


def _in_unicode(
    kept: tuple[Element, ...], before: Mapping[int, Element], amendment: Amendment, old: TextEncoding
) -> tuple[Element, ...]:
    new = _encoded(amendment, before, UNICODE, signed=_signed(kept))
    return _sorted(recode_elements(kept, old.character_set, UNICODE, UTF_8.encode()), new)


def _encoded(
    amendment: Amendment, before: Mapping[int, Element], encoding: TextEncoding, *, signed: bool
) -> list[Element]:
    encoder = ValueEncoder(amendment.vrs, signed=signed)
    return [
        encoder.element(key, value, encoding, before.get(tag_of(key) or 0))
        for key, value in amendment.values.items()
        if key != _CHARACTER_SET_KEY or encoding is not UNICODE
    ]


def _sorted(kept: tuple[Element, ...], new: list[Element]) -> tuple[Element, ...]:
    by_tag = {element.tag: element for element in (*kept, *new)}
    return tuple(by_tag[tag] for tag in sorted(by_tag))


def _signed(elements: tuple[Element, ...]) -> bool:
    return any(
        element.tag == _PIXEL_REPRESENTATION and isinstance(element.value, bytes) and any(element.value[:2])
        for element in elements
    )
