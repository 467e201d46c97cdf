"""Writer of data sets in Explicit VR Little Endian (PS3.5 section 7.1.2), from elements with raw values.

    Element(tag, VR, value) ─▶ tag · VR · length · value · pad      short: 16-bit length, long: 32-bit length
                     SQ     ─▶ items, again data sets, all lengths defined

Values are written byte for byte as they are; only what is about an encoding that is no more is left out, and what stands
behind a zero byte in a UID.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from hounsfield.dicom.values.decode import is_encoding_only
from hounsfield.dicom.values.elements import PIXEL_DATA, UNDEFINED_LENGTH, Element
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS

_short = Struct("<HH2sH").pack
_long = Struct("<HH2s2xL").pack
_item = Struct("<HHL").pack
_item_header = Struct("<HHL").unpack_from

_LONG_VRS: Final = frozenset(str(vr) for vr in EXPLICIT_VR_LENGTH_32)
_BLANK_PADDED: Final = (CUSTOM_CHARSET_VRS | FIXED_CHARSET_VRS) - {"UI"}
_MOST_SHORT: Final = 0xFFFF
_ITEM_TAG: Final = b"\xfe\xff\x00\xe0"
SEQUENCE_END: Final = _item(0xFFFE, 0xE0DD, 0)
"""A sequence delimiter (PS3.5 section 7.5.2)."""


def write_data_set(elements: Iterable[Element]) -> bytes:
    """Write a data set.

    Parameters
    ----------
    elements : Iterable of Element
        With little endian values; of a tag that comes more than once the last is written.

    Returns
    -------
    bytes
        The elements in tag order. Group lengths and data set trailing padding are left out: they were about another
        encoding. A value too long for the 16-bit length of its VR is written as UN (PS3.5 section 6.2.2). Values of odd
        length get the padding of their VR. Encapsulated pixel data within a sequence, such as an icon's, keeps its
        undefined length.
    """
    by_tag = {element[0]: element for element in elements}
    parts: list[bytes] = []
    for tag in sorted(by_tag):
        if not is_encoding_only(tag):
            _write(parts, by_tag[tag])
    return b"".join(parts)


def element_header(tag: int, vr: str, length: int) -> bytes:
    """Write the header of an element whose VR has a 32-bit length; ``UNDEFINED_LENGTH`` where items follow."""
    return _long(tag >> 16, tag & 0xFFFF, vr.encode(), length)


def item_header(length: int) -> bytes:
    """Write the header of an item of a sequence or of encapsulated pixel data."""
    return _item(0xFFFE, 0xE000, length)


def _write(parts: list[bytes], element: Element) -> None:
    tag, vr, value = element
    if isinstance(value, tuple):
        content = b"".join(_item_of(item) for item in value)
        parts += (element_header(tag, "SQ", len(content)), content)
        return
    if tag == PIXEL_DATA and is_encapsulated(value):
        parts += (element_header(tag, "OB", UNDEFINED_LENGTH), value, SEQUENCE_END)
        return
    if vr == "UI" and b"\0" in value.rstrip(b"\0 "):
        value = b"\\".join(uid.strip(b" \0").partition(b"\0")[0] for uid in value.split(b"\\"))
    length = len(value)
    if length % 2:
        value += b" " if vr in _BLANK_PADDED else b"\0"
        length += 1
    if vr in _LONG_VRS:
        parts.append(_long(tag >> 16, tag & 0xFFFF, vr.encode(), length))
    elif length > _MOST_SHORT:
        parts.append(_long(tag >> 16, tag & 0xFFFF, b"UN", length))
    else:
        parts.append(_short(tag >> 16, tag & 0xFFFF, vr.encode(), length))
    parts.append(value)


def _item_of(item: tuple[Element, ...]) -> bytes:
    content = write_data_set(item)
    return item_header(len(content)) + content


def is_encapsulated(value: bytes) -> bool:
    """Return whether a value is nothing but items, as encapsulated pixel data is without its sequence delimiter."""
    if not value.startswith(_ITEM_TAG):
        return False
    position = 0
    while position + 8 <= len(value):
        group, number, length = _item_header(value, position)
        if (group, number) != (0xFFFE, 0xE000):
            return False
        position += 8 + int(length)
    return position == len(value)
