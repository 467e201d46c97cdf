"""Byte order: big endian values turned into little endian ones (PS3.5 section 7.3)."""

from __future__ import annotations

from array import array
from typing import Final

from hounsfield.dicom.values.elements import Element

_WORDS: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), "H"),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), "I"),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), "Q"),
}
"""Type code of the words that a value representation is made of; bytes and text have none."""


def to_little_endian(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """Turn the values of a big endian data set and its items round.

    Parameters
    ----------
    elements : tuple of Element
        A data set.

    Returns
    -------
    tuple of Element
        The same elements; what is left of a value behind its last whole word stays as it is.
    """
    return tuple(Element(tag, vr, _turned(vr, value)) for tag, vr, value in elements)


def swap_bytes(vr: str, value: bytes) -> bytes:
    """Turn the words of one value round; what a value representation has no words for comes back as it is."""
    code = _WORDS.get(vr)
    if code is None:
        return value
    words = array(code)
    whole = len(value) - len(value) % words.itemsize
    words.frombytes(value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]


def _turned(vr: str, value: bytes | tuple[tuple[Element, ...], ...]) -> bytes | tuple[tuple[Element, ...], ...]:
    if isinstance(value, tuple):
        return tuple(to_little_endian(item) for item in value)
    return swap_bytes(vr, value)
