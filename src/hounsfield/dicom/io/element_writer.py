"""Writer of elements in the encoding of a file (PS3.5 chapter 7), the inverse of `hounsfield.dicom.io.dataset_reader`.

Sequences and items get defined lengths; encapsulated pixel data within a sequence, such as an icon's, stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from hounsfield.dicom.io.fast_reader import VRS
from hounsfield.dicom.values.elements import ITEM, PIXEL_DATA, SEQUENCE_DELIMITER, UNDEFINED_LENGTH, Element
from hounsfield.dicom.values.errors import DicomError, tag_text

_LONG: Final = frozenset(vr for vr, long in VRS.values() if long)
_MOST_SHORT: Final = 0xFFFF
_MOST_LONG: Final = 0xFFFFFFFE


def check_room(element: Element) -> None:
    """Make sure that the value of an element fits its value representation in explicit VR (PS3.5 section 7.1.2).

    Raises
    ------
    DicomError
        The length has 16 bits and the value more than 65,535 bytes.
    """
    if isinstance(element.value, bytes) and element.vr not in _LONG:
        _length(element.tag, len(element.value), _MOST_SHORT)


class ElementWriter:
    """Writes elements in one encoding.

    A value too long for the 16-bit length of its VR is written as UN (PS3.5 section 6.2.2), as it can only have come.


    Parameters
    ----------
    little_endian : bool
        Byte order of tags and lengths; values are in that order already.
    explicit_vr : bool
        Whether elements carry their value representation.
    """

    def __init__(self, *, little_endian: bool, explicit_vr: bool) -> None:
        order = "<" if little_endian else ">"
        self._explicit_vr = explicit_vr
        plain = Struct(f"{order}HHL")
        self._plain, self._read_plain = plain.pack, plain.unpack_from
        self._short = Struct(f"{order}HH2sH").pack
        self._long = Struct(f"{order}HH2sHL").pack

    def write(self, elements: Iterable[Element]) -> bytes:
        """Write elements one after the other.

        Parameters
        ----------
        elements : Iterable of Element
            In tag order.

        Returns
        -------
        bytes
            Their bytes.

        Raises
        ------
        DicomError
            A value is longer than its encoding can say.
        """
        parts: list[bytes] = []
        for tag, vr, value in elements:
            if tag == PIXEL_DATA and isinstance(value, bytes) and self._is_encapsulated(value):
                end = self._plain(SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0)
                parts += (self._long(tag >> 16, tag & 0xFFFF, vr.encode(), 0, UNDEFINED_LENGTH), value, end)
                continue
            content = value if isinstance(value, bytes) else self._items(value)
            parts += (self._header(tag, vr, len(content)), content)
        return b"".join(parts)

    def _is_encapsulated(self, value: bytes) -> bool:
        """Return whether pixel data is nothing but items (PS3.5 section A.4), which implicit VR does not have."""
        position = 0
        while self._explicit_vr and position + 8 <= len(value):
            group, number, length = self._read_plain(value, position)
            if group << 16 | number != ITEM:
                return False
            position += 8 + int(length)
        return position == len(value) > 0

    def _items(self, items: tuple[tuple[Element, ...], ...]) -> bytes:
        parts: list[bytes] = []
        for item in items:
            content = self.write(item)
            parts += (self._plain(ITEM >> 16, ITEM & 0xFFFF, _length(ITEM, len(content), _MOST_LONG)), content)
        return b"".join(parts)

    def _header(self, tag: int, vr: str, length: int) -> bytes:
        group, number = tag >> 16, tag & 0xFFFF
        if not self._explicit_vr:
            return self._plain(group, number, _length(tag, length, _MOST_LONG))
        if vr in _LONG or length > _MOST_SHORT:
            code = vr if vr in _LONG else "UN"
            return self._long(group, number, code.encode(), 0, _length(tag, length, _MOST_LONG))
        return self._short(group, number, vr.encode(), length)


def _length(tag: int, length: int, most: int) -> int:
    if length > most:
        raise DicomError(f"Element {tag_text(tag)} has {length} bytes, its encoding has room for {most}")
    return length
