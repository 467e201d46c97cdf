"""RLE Lossless: byte planes, each packed on its own (PS3.5 Annex G).

    header (64 bytes)  segment 0       segment 1      segment 2 …
    count, offsets     R, high bytes   R, low bytes   G, high bytes …

Bytes of a sample lie from the highest to the lowest, planes of samples one after the other.
"""

from __future__ import annotations

from struct import unpack_from
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.packed_bits import unpack_bits

_HEADER_BYTES = 64
_MAX_SEGMENTS = 15
_SLACK = 1024
"""Bytes that a segment may decode to beyond its plane: some writers pad."""


def decode_run_length(encoded: bytes, format_: PixelFormat, *, strict: bool = False) -> NDArray[Any]:
    """Decode one RLE frame.

    Parameters
    ----------
    encoded : bytes
        The frame, beginning with its RLE header.
    format_ : PixelFormat
        Its description.
    strict : bool
        Whether a plane whose segment lacks its last byte is refused; else that byte is taken for 0.

    Returns
    -------
    numpy.ndarray
        Samples of the allocated width, interleaved by pixel.

    Raises
    ------
    PixelError
        The segments are not those of such a frame.
    """
    dtype = format_.dtype
    width, samples = dtype.itemsize, format_.samples_per_pixel
    pixels = format_.rows * format_.columns
    if format_.bits_allocated == 1 and samples == 1:
        packed = (pixels + 7) // 8
        ((start, end),) = _segment_bounds(encoded, 1)
        _check_reach([(start, end)], packed)
        bits = _plane(encoded[start:end], bytearray(packed + _SLACK), packed, 0, strict=strict)
        return unpack_bits(bits.tobytes(), pixels).reshape(format_.shape)
    if format_.bits_allocated % 8:
        raise PixelError(
            f"BitsAllocated is {format_.bits_allocated}, RLE frames can be decoded when it is 1, 8, 16 or 32"
        )
    bounds = _segment_bounds(encoded, samples * width)
    _check_reach(bounds, pixels)
    # Planes of bytes, from the highest, to little endian samples: the byte axis is filled from its end.
    interleaved = np.empty((pixels, samples, width), np.uint8)
    scratch = bytearray(pixels + _SLACK)
    for number, (start, end) in enumerate(bounds):
        sample, place = divmod(number, width)
        interleaved[:, sample, width - 1 - place] = _plane(encoded[start:end], scratch, pixels, number, strict=strict)
    return interleaved.reshape(-1).view(dtype).reshape(format_.shape)


def _segment_bounds(encoded: bytes, expected: int) -> list[tuple[int, int]]:
    if len(encoded) < _HEADER_BYTES:
        raise PixelError(f"the RLE frame has {len(encoded)} bytes, its header alone needs {_HEADER_BYTES}")
    count, *offsets = unpack_from("<16L", encoded)
    if count != expected or count > _MAX_SEGMENTS:
        raise PixelError(f"the RLE frame has {count} segments, SamplesPerPixel and BitsAllocated ask for {expected}")
    starts = offsets[:count]
    bounds = list(zip(starts, [*starts[1:], len(encoded)], strict=True))
    if starts[0] < _HEADER_BYTES or any(start >= end for start, end in bounds):
        raise PixelError("the RLE frame has segment offsets that do not grow, or that lie outside of it")
    return bounds


def _check_reach(bounds: list[tuple[int, int]], size: int) -> None:
    """Refuse segments too short for their plane before memory is taken: two bytes give 128 at most."""
    if any((end - start) * 64 < size for start, end in bounds):
        raise PixelError(f"the RLE frame has a segment that is too short to decode to {size} bytes")


def _plane(segment: bytes, scratch: bytearray, pixels: int, number: int, *, strict: bool) -> NDArray[np.uint8]:
    try:
        decoded = imagecodecs.packbits_decode(segment, out=scratch)
    except (RuntimeError, ValueError) as problem:
        raise PixelError(f"RLE segment {number} is damaged, or longer than {pixels} bytes when decoded") from problem
    found = len(decoded)
    if 0 < found == pixels - 1 and not strict:
        # Some writers lose the last byte where they pad the segment to even length.
        scratch[found] = 0
        return np.frombuffer(scratch, np.uint8, pixels)
    if found < pixels:
        raise PixelError(f"RLE segment {number} decodes to {found} bytes, there must be {pixels}")
    return np.frombuffer(decoded, np.uint8, pixels)
