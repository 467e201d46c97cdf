"""Data elements as they stand in the file: tag, value representation and raw bytes (PS3.5 section 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

ITEM = 0xFFFEE000
ITEM_DELIMITER = 0xFFFEE00D
SEQUENCE_DELIMITER = 0xFFFEE0DD
UNDEFINED_LENGTH = 0xFFFFFFFF

FLOAT_PIXEL_DATA = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA = 0x7FE00009
PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = frozenset({FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA, PIXEL_DATA})
"""Elements that hold the pixels of an instance when they stand at the top level (PS3.3 C.7.6.24 and C.7.6.25)."""

SPECIFIC_CHARACTER_SET = 0x00080005
DATA_SET_TRAILING_PADDING = 0xFFFCFFFC


class Element(NamedTuple):
    """One data element.

    Attributes
    ----------
    tag : int
        Group in the upper 16 bits, element number in the lower 16.
    vr : str
        Two-letter value representation, never ambiguous. Implicit VR and UN elements carry the dictionary's.
    value : bytes or tuple of tuple of Element
        Raw value with its padding, in the byte order of the file; for VR SQ the items.
    """

    tag: int
    vr: str
    value: bytes | tuple[tuple[Element, ...], ...]


@dataclass(frozen=True, slots=True)
class PixelData:
    """Where the pixel data element stands in `Part10.source`; its bytes are not in memory.

    Attributes
    ----------
    tag : int
        (7FE0,0010), (7FE0,0008) or (7FE0,0009).
    vr : str
        OB, OW, OF or OD.
    offset : int
        First byte of the value. For undefined length that is the tag of the first item, the basic offset table
        (PS3.5 section A.4).
    length : int or None
        Bytes of the value; None for undefined length.
    end : int
        First byte after the element: after the sequence delimiter for undefined length, or the end of the source when
        the delimiter is missing.
    start : int
        First byte of the element: its tag.
    """

    tag: int
    vr: str
    offset: int
    length: int | None
    end: int
    start: int
