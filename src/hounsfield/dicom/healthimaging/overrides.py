"""Overrides of elements of a file, in what is indexed and in what is stored of it.

Part10 + elements in UTF-8 ─▶ may they be replaced? ─▶ one character set for all ─▶ Part10, its header written anew
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from hounsfield.dicom.io.deflate import deflate
from hounsfield.dicom.io.element_writer import ElementWriter, check_room
from hounsfield.dicom.io.part10 import DEFLATED, Part10
from hounsfield.dicom.values.charsets import REPLACEMENT, CharacterSet, character_set
from hounsfield.dicom.values.decode import is_encoding_only, sort_by_tag
from hounsfield.dicom.values.dictionary import TAGS, is_private, is_private_creator, key_of
from hounsfield.dicom.values.elements import SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.errors import DicomError, tag_text
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS, first_integer

_IDENTIFYING: Final = frozenset(
    TAGS[keyword] for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
)
_DESCRIBING_PIXELS: Final = frozenset(
    TAGS[keyword]
    for keyword in (
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
    )
)
"""What pixel data cannot be read without or is read wrongly by (PS3.3 section C.7.6.3)."""

_META_GROUP: Final = 0x0002
_PIXEL_GROUP: Final = 0x7FE0
_UNICODE: Final = b"ISO_IR 192"


def check_overridable(part10: Part10, elements: Sequence[Element]) -> None:
    """Make sure that elements may take the place of those of a file.

    Parameters
    ----------
    part10 : Part10
        The file.
    elements : Sequence of Element
        In the byte order of the file, text in UTF-8.

    Raises
    ------
    DicomError
        One identifies the instance, describes or holds its pixel data, or belongs to the file meta information, and has
        another value than in the file; or a private element has no creator, or would be in another's block; or a value is
        longer than its value representation can say.
    """
    given = {element.tag: element for element in elements}
    for tag, element in given.items():
        reason = _protected(tag)
        if reason is not None and not _same(part10.element(tag), element, part10):
            raise DicomError(f"{key_of(tag)} {tag_text(tag)} cannot be overridden: it {reason}")
        if part10.explicit_vr:
            check_room(element)
        if is_private(tag):
            _check_block(part10, given, element)


def _protected(tag: int) -> str | None:
    """Return why an element cannot be overridden, or None."""
    if tag in _IDENTIFYING:
        return "identifies the instance"
    if tag in _DESCRIBING_PIXELS:
        return "describes the pixel data"
    if tag >> 16 == _PIXEL_GROUP:
        return "belongs to the pixel data"
    if tag >> 16 == _META_GROUP:
        return "belongs to the file meta information"
    return None


def _same(own: Element | None, given: Element, part10: Part10) -> bool:
    """Return whether an element says what the file says."""
    if own is None or not isinstance(own.value, bytes) or not isinstance(given.value, bytes):
        return False
    if given.vr == "IS":
        # File meta information has no IS, so the byte order is that of the data set.
        number = first_integer(given, little_endian=part10.little_endian)
        return number is not None and number == first_integer(own, little_endian=part10.little_endian)
    if given.vr in CUSTOM_CHARSET_VRS | FIXED_CHARSET_VRS:
        return own.value.strip(b" \0") == given.value.strip(b" \0")
    return own.value == given.value


def _check_block(part10: Part10, given: dict[int, Element], element: Element) -> None:
    """Check that a private element is in a block of its creator (PS3.5 section 7.8.1)."""
    tag = element.tag
    if is_private_creator(tag):
        own = part10.element(tag)
        if own is not None and not _same(own, element, part10):
            raise DicomError(f"{tag_text(tag)} cannot be overridden: the file reserves the block for another creator")
        return
    creator = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
    if creator not in given and part10.element(creator) is None:
        raise DicomError(f"Private element {tag_text(tag)} needs its private creator {tag_text(creator)}")


def override_elements(part10: Part10, elements: Sequence[Element]) -> Part10:
    """Return a file with other elements.

    Parameters
    ----------
    part10 : Part10
        The file.
    elements : Sequence of Element
        Each replaces the one with its tag or is added; in the byte order of the file, text in UTF-8, checked by
        `check_overridable`.

    Returns
    -------
    Part10
        With the same pixel data and the encoding of the file. When the new text is not ASCII, all text becomes UTF-8.

    Raises
    ------
    DicomError
        The text of the file would have to become UTF-8 and cannot be decoded.
    """
    if not elements:
        return part10
    new = {element.tag: element for element in elements if element.tag >> 16 != _META_GROUP}
    kept = tuple(e for e in part10.elements if e.tag not in new and not is_encoding_only(e.tag))
    if not part10.character_set.unicode and not _is_ascii(new.values()):
        kept = _in_unicode(kept, part10.character_set)
        new[SPECIFIC_CHARACTER_SET] = Element(SPECIFIC_CHARACTER_SET, "CS", _UNICODE)
    return _rewritten(part10, tuple(sort_by_tag((*kept, *new.values()))))


def _is_ascii(elements: Iterable[Element]) -> bool:
    """Return whether all text is in the repertoire that every character set has."""
    for element in elements:
        if isinstance(element.value, tuple):
            if not all(_is_ascii(item) for item in element.value):
                return False
        elif element.vr in CUSTOM_CHARSET_VRS and not element.value.isascii():
            return False
    return True


def _in_unicode(elements: tuple[Element, ...], charset: CharacterSet) -> tuple[Element, ...]:
    """Encode all text in UTF-8, and leave out Specific Character Set."""
    for element in elements:
        if element.tag == SPECIFIC_CHARACTER_SET and isinstance(element.value, bytes):
            charset = character_set(element.value)
    return tuple(_unicode_element(element, charset) for element in elements if element.tag != SPECIFIC_CHARACTER_SET)


def _unicode_element(element: Element, charset: CharacterSet) -> Element:
    tag, vr, value = element
    if isinstance(value, tuple):
        return Element(tag, vr, tuple(_in_unicode(item, charset) for item in value))
    if vr not in CUSTOM_CHARSET_VRS or (value.isascii() and b"\x1b" not in value):
        return element
    text = charset.decode(value, person_name=vr == "PN")
    if REPLACEMENT in text or not charset.known:
        raise DicomError(
            f"The metadata needs UTF-8, but the text of {key_of(tag)} {tag_text(tag)} in the file cannot be decoded"
        )
    raw = text.rstrip(" \0").encode()
    return Element(tag, vr, raw + b" " * (len(raw) & 1))


def _rewritten(part10: Part10, elements: tuple[Element, ...]) -> Part10:
    """Write the header anew, in the encoding of the file."""
    writer = ElementWriter(little_endian=part10.little_endian, explicit_vr=part10.explicit_vr)
    split = part10.pixel_data.tag if part10.pixel_data is not None else 0xFFFFFFFF
    before = writer.write(element for element in elements if element.tag < split)
    after = writer.write(element for element in elements if element.tag > split)
    head, body = part10.header[: part10.data_set_start], before + part10.emptied + after
    if part10.transfer_syntax in DEFLATED:
        return replace(part10, elements=elements, header=head + deflate(body), cut=len(before))
    return replace(part10, elements=elements, header=head + body, cut=len(head) + len(before))
