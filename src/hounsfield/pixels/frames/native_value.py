"""Native values of decoded frames (PS3.5 section 8.1, Annex D), little endian.

    samples ─▶ planes apart where PlanarConfiguration asks for it ─▶ bytes of a frame ─▶ frames without gaps, bits too

The inverse of `hounsfield.pixels.frames.native`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.format import PixelFormat


def native_bits(format: PixelFormat) -> int:  # noqa: A002 - the word of the field
    """Return the size in bits of one frame as it is written: whole samples but for those of one bit, no subsampling."""
    width = 1 if format.bits_allocated == 1 else format.dtype.itemsize * 8
    return format.rows * format.columns * format.samples_per_pixel * width


def native_frame(samples: NDArray[Any], format: PixelFormat) -> bytes:  # noqa: A002
    """Write one frame, beginning at a byte.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``, as `hounsfield.pixels.codecs.decode` gives them.
    format : PixelFormat
        The description of the pixel data; with PlanarConfiguration 1 the planes follow each other.
    """
    if format.planar_configuration == 1 and samples.ndim == 3:
        samples = np.moveaxis(samples, -1, 0)
    if format.bits_allocated == 1:
        return np.packbits(samples.reshape(-1), bitorder="little").tobytes()
    return np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes()


def join_frames(frames: Iterable[bytes], frame_bits: int) -> Iterator[bytes]:
    """Let frames follow each other bit by bit (PS3.5 section 8.1.1: frames of one bit a sample begin within a byte).

    Parameters
    ----------
    frames : Iterable of bytes
        Frames that each begin at a byte, unused bits at their end zero.
    frame_bits : int
        Size of a frame in bits.

    Yields
    ------
    bytes
        The value in pieces, without the padding to even length.
    """
    if frame_bits % 8 == 0:
        yield from frames
        return
    pending, held = 0, 0
    for frame in frames:
        bits = np.zeros(held + frame_bits, np.uint8)
        if held:
            bits[:held] = np.unpackbits(np.array([pending], np.uint8), count=held, bitorder="little")
        bits[held:] = np.unpackbits(np.frombuffer(frame, np.uint8), count=frame_bits, bitorder="little")
        whole, held = len(bits) - len(bits) % 8, len(bits) % 8
        pending = int(np.packbits(bits[whole:], bitorder="little")[0]) if held else 0
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
    if held:
        yield bytes((pending,))
