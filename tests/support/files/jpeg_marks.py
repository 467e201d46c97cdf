"""JPEG codestreams that say their colour in the way a test wants."""

from __future__ import annotations

from struct import pack, unpack_from
from typing import Final

JFIF: Final = b"\xff\xe0" + pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
"""A JFIF segment: the colour is YCbCr."""
_COLOUR_SEGMENTS: Final = (0xE0, 0xEE)
_START_OF_SCAN: Final = 0xDA


def adobe(transform: int) -> bytes:
    """Return an Adobe segment with a transform: 0 for RGB, 1 for YCbCr."""
    return b"\xff\xee" + pack(">H", 14) + b"Adobe\0\x64\0\0\0\0" + bytes([transform])


def marked(codestream: bytes, segments: bytes = b"", ids: tuple[int, ...] = (1, 2, 3)) -> bytes:
    """Give a JPEG codestream other segments that say its colour, and other component ids."""
    position, kept = 2, [codestream[:2], segments]
    while True:
        marker = codestream[position + 1]
        (length,) = unpack_from(">H", codestream, position + 2)
        segment = bytearray(codestream[position : position + 2 + length])
        if 0xC0 <= marker <= 0xC3:
            segment[10::3] = bytes(ids)
        if marker == _START_OF_SCAN:
            segment[5 : 5 + 2 * len(ids) : 2] = bytes(ids)
            return b"".join((*kept, bytes(segment), codestream[position + 2 + length :]))
        if marker not in _COLOUR_SEGMENTS:
            kept.append(bytes(segment))
        position += 2 + length
