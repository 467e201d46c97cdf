"""Fast reader of plain elements: of a known representation, with a defined length, no sequences.

    window ─▶ plain · plain · plain ─▶ anything else: back to the reader, which knows all the cases

The slices of a series share nearly all of their elements, byte for byte. Short ones are therefore remembered from file
to file: the bytes of an element, header and value, lead to the `Element` that was made of them before.

What is left to the caller: SQ and UN, groups below 0008 and from 7FE0 on, undefined length, VRs that are missing,
unknown or ambiguous, elements that reach beyond the end of the data, and all of big endian data sets.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final, TypeAlias

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

from hounsfield.dicom.io.private_creators import PrivateCreators
from hounsfield.dicom.io.run_cache import MOST_ELEMENTS, ElementRuns
from hounsfield.dicom.values.dictionary import ENTRIES, known_vr
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.memo import LONGEST, ResultMemo

VRS: Final = {str(vr).encode(): (str(vr), vr in EXPLICIT_VR_LENGTH_32) for vr in STANDARD_VR}
"""By the two bytes of a VR: its name, and whether its length has 32 bits (PS3.5 section 7.1.2)."""

_FIRST_GROUP: Final = 0x0008
_PIXEL_GROUP: Final = 0x7FE0
_PRIVATE: Final = 0x10000

_SHORT: Final = frozenset(code for code, (_, long) in VRS.items() if not long)
_LONG: Final = frozenset(code for code, (_, long) in VRS.items() if long) - {b"SQ", b"UN"}
_PLAIN: Final = frozenset(VRS[code][0] for code in _SHORT | _LONG)
_STANDARD: Final = {tag: entry.vr for tag, entry in ENTRIES.items() if entry.vr in _PLAIN}

_SIZES: Final = {
    code + length.to_bytes(2, "little"): 8 + length for code in sorted(_SHORT) for length in range(LONGEST - 7)
}
"""Bytes of a short element, by its VR and the length of its value as they stand in its header."""

_tag_of = Struct("<HH").unpack_from
_implicit_header = Struct("<HHL").unpack_from
_length = Struct("<L").unpack_from

_known_explicit: Final = ResultMemo[bytes, Element]()
_known_implicit: Final = ResultMemo[bytes, Element]()
_runs: Final = ElementRuns()


def read_explicit(elements: list[Element], data: bytes, position: int, end: int) -> int:
    """Read plain elements that carry their VR.

    Parameters
    ----------
    elements : list of Element
        Gets the elements.
    data : bytes
        Holds the data set, little endian.
    position : int
        Start of the first element.
    end : int
        End of the data set or item, or of what is there of it.

    Returns
    -------
    int
        Position of the first element that is not plain, or behind the last one.
    """
    known, append, size_of = _known_explicit.get, elements.append, _SIZES.get
    last = end - 8
    begun: _Begun = None
    while position <= last:
        size = size_of(data[position + 4 : position + 8])
        if size is None:
            size = _size_of_longer(data, position, end)
        after = position + size
        if not size or after > end:
            break
        content = data[position:after] if size <= LONGEST else b""
        element = known(content)
        if element is None:
            begun = _ended(begun, elements, data, position)
            element = _element(data, position, after)
            if element is None:
                break
            _known_explicit.keep(content, element, size)
        elif begun is None or len(elements) - begun[2] == MOST_ELEMENTS:
            _ended(begun, elements, data, position)
            run = _runs.at(content, data, position, end)
            if run is not None:
                elements += run[1]
                position += len(run[0])
                begun = None
                continue
            begun = content, position, len(elements)
        append(element)
        position = after
    _ended(begun, elements, data, position)
    return position


_Begun: TypeAlias = "tuple[bytes, int, int] | None"
"""A run that is being read: its first element, where it begins in the data and where in the elements."""


def _ended(begun: _Begun, elements: list[Element], data: bytes, end: int) -> _Begun:
    """Remember the run that ends where an element is not known, or at its greatest length; none is begun then."""
    if begun is not None:
        first, start, index = begun
        _runs.keep(first, (data[start:end], tuple(elements[index:])))
    return None


def _size_of_longer(data: bytes, position: int, end: int) -> int:
    """Return the size of a plain element that the table has not; 0 when it is not plain."""
    code = data[position + 4 : position + 6]
    if code in _SHORT:
        return 8 + (data[position + 6] | data[position + 7] << 8)
    if code in _LONG and position + 12 <= end:
        return 12 + int(_length(data, position + 8)[0])
    return 0


def _element(data: bytes, position: int, after: int) -> Element | None:
    """Make the element between two positions; None when it is of a group that is not for plain elements."""
    group, number = _tag_of(data, position)
    if not _FIRST_GROUP <= group < _PIXEL_GROUP:
        return None
    vr, long = VRS[data[position + 4 : position + 6]]
    return Element(group << 16 | number, vr, data[position + (12 if long else 8) : after])


def read_implicit(elements: list[Element], creators: PrivateCreators, data: bytes, position: int, end: int) -> int:
    """Read plain elements whose VR the dictionaries know.

    Parameters
    ----------
    elements : list of Element
        Gets the elements.
    creators : PrivateCreators
        Those among the elements.
    data : bytes
        Holds the data set, little endian.
    position : int
        Start of the first element.
    end : int
        End of the data set or item, or of what is there of it.

    Returns
    -------
    int
        Position of the first element that is not plain, or behind the last one.
    """
    known, append = _known_implicit.get, elements.append
    last = end - 8
    creator: str | None = None
    block = 0
    while position <= last:
        group, number, length = _implicit_header(data, position)
        tag = group << 16 | number
        if tag & _PRIVATE:
            if tag >> 8 != block:
                block, creator = tag >> 8, creators.of(tag)
            vr = _private_vr(tag, creator)
        else:
            vr = _STANDARD.get(tag)
        after = position + 8 + length
        if vr is None or after > end or not _FIRST_GROUP <= group < _PIXEL_GROUP:
            break
        content = data[position:after] if after - position <= LONGEST else b""
        element = known(content)
        if element is None or element.vr != vr:
            element = Element(tag, vr, data[position + 8 : after])
            _known_implicit.keep(content, element, after - position)
        append(element)
        position = after
    return position


@lru_cache(maxsize=8192)
def _private_vr(tag: int, creator: str | None) -> str | None:
    """Look up the VR of a private element; UN where its creator is not known, None where the element is not plain."""
    vr = known_vr(tag, creator)
    return "UN" if vr is None else vr if vr in _PLAIN else None
