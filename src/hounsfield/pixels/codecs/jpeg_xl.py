"""JPEG XL codestreams, bare or in boxes: size, and recompressed JPEG codestreams (ISO/IEC 18181-1, -2).

boxes:  signature · ftyp · [jbrd: what a JPEG codestream needs to come back bit for bit] · jxlc or jxlp: codestream
bare:   FF 0A · SizeHeader · …
"""

from __future__ import annotations

from struct import unpack_from
from typing import Final

import imagecodecs

from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat

_SIGNATURE: Final = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_BARE: Final = b"\xff\x0a"
_MOST_BOXES: Final = 64
_HEADER_BYTES: Final = 16
"""A SizeHeader takes at most 10 bytes."""
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIZE_BITS: Final = (9, 13, 18, 30)


def recompressed_jpeg(encoded: bytes, format_: PixelFormat) -> bytes:
    """Return the JPEG codestream that was recompressed to JPEG XL (JPEG XL JPEG Recompression, PS3.5 section 8.2.17).

    Parameters
    ----------
    encoded : bytes
        The frame.
    format_ : PixelFormat
        Its description; a codestream of another size is refused before any memory is taken for it.

    Raises
    ------
    PixelError
        It is not JPEG XL, has another size, or no JPEG codestream comes back from it.
    """
    parts = _boxes(encoded)
    if b"jbrd" not in parts:
        raise PixelError("the JPEG XL frame holds no recompressed JPEG codestream: it has no jbrd box")
    check_size(_size(parts.get(b"codestream", b"")), format_)
    return bytes(imagecodecs.jpegxl_decode_jpeg(encoded, numthreads=1))


def read_jpeg_xl(encoded: bytes) -> tuple[int, int]:
    """Read width and height of a JPEG XL codestream; raises `PixelError` where there is none."""
    return _size(_boxes(encoded).get(b"codestream", b""))


def check_size(size: tuple[int, int], format_: PixelFormat) -> None:
    """Raise `PixelError` where width and height are not those of the description."""
    if size != (format_.columns, format_.rows):
        raise PixelError(
            f"the codestream has {size[1]} rows and {size[0]} columns, "
            f"Rows and Columns are {format_.rows} and {format_.columns}"
        )


def _boxes(encoded: bytes) -> dict[bytes, bytes]:
    """Return which boxes there are, and the first bytes of the codestream."""
    if encoded.startswith(_BARE):
        return {b"codestream": encoded[:_HEADER_BYTES]}
    if not encoded.startswith(_SIGNATURE):
        raise PixelError("the JPEG XL codestream does not begin with its signature")
    found: dict[bytes, bytes] = {}
    position = len(_SIGNATURE)
    for _ in range(_MOST_BOXES):
        if position + 8 > len(encoded):
            break
        length, kind = unpack_from(">L4s", encoded, position)
        head = 8
        if length == 1 and position + 16 <= len(encoded):
            head, length = 16, unpack_from(">Q", encoded, position + 8)[0]
        end = len(encoded) if length == 0 else position + length
        if end < position + head or end > len(encoded) + 1:
            raise PixelError("the JPEG XL frame is cut off within a box")
        start = position + head + (4 if kind == b"jxlp" else 0)
        if kind in (b"jxlc", b"jxlp"):
            found.setdefault(b"codestream", encoded[start : start + _HEADER_BYTES])
        found.setdefault(kind, b"")
        position = end
    return found


def _size(codestream: bytes) -> tuple[int, int]:
    """Read the SizeHeader (ISO/IEC 18181-1 section D.2): bits from the lowest of each byte on."""
    if not codestream.startswith(_BARE):
        raise PixelError("the JPEG XL frame has no codestream")
    bits = _Bits(int.from_bytes(codestream[2:].ljust(_HEADER_BYTES, b"\0"), "little"))
    small = bits.take(1)
    height = _side(bits, small=small)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        return height * over // under, height
    return _side(bits, small=small), height


class _Bits:
    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken


def _side(bits: _Bits, *, small: int) -> int:
    return (bits.take(5) + 1) * 8 if small else bits.take(_SIZE_BITS[bits.take(2)]) + 1
