"""Lossless encoding of one frame as a raw codestream.

    HTJ2K     reversible 5/3, RPCL, TLM, one tile-part a resolution: a prefix of the bytes is a smaller image
    JPEG 2000 reversible 5/3

Both are lossless for signed and unsigned samples; what a codec cannot hold is refused.
"""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.policy import LosslessFormat

_SMALLEST_SIDE = 64
_MOST_JPEG_2000_BITS = 24
"""Deepest samples that the JPEG 2000 encoder gives back bit for bit."""

_RGB_LIKE = frozenset({"RGB", "YBR_RCT", "YBR_ICT"})


def uses_colour_transform(format: PixelFormat) -> bool:  # noqa: A002
    """Say whether a frame is encoded with the reversible colour transform of JPEG 2000.

    It is where it helps: three samples of 8 or 16 bits that are red, green and blue. A data set with such codestreams
    has the Photometric Interpretation ``YBR_RCT`` (PS3.5 sections 8.2.4 and 8.2.14).
    """
    return (
        format.samples_per_pixel == 3 and format.bits_allocated <= 16 and format.photometric_interpretation in _RGB_LIKE
    )


def decomposition_levels(width: int, height: int) -> int:
    """Levels with which the smallest resolution is at most 64 × 64 pixels (PS3.5 section 10.18.1); at least 1."""
    levels = 1
    while -(-max(width, height) >> levels) > _SMALLEST_SIDE:
        levels += 1
    return levels


def encode_frame(samples: NDArray[Any], lossless: LosslessFormat, *, colour_transform: bool) -> bytes:
    """Encode one frame losslessly.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``; signed or unsigned integers of 8, 16 or 32 bits.
    lossless : LosslessFormat
        HTJ2K takes all of these; JPEG 2000 takes samples of 32 bits only when their values fit 24.
    colour_transform : bool
        Whether the three samples are transformed together; must be False when there are not three.

    Returns
    -------
    bytes
        A codestream without boxes.

    Raises
    ------
    PixelError
        The frame cannot be encoded so.
    """
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize not in (1, 2, 4):
        raise PixelError(
            f"samples of type {samples.dtype} cannot be encoded, they must be integers of 8, 16 or 32 bits"
        )
    levels = decomposition_levels(samples.shape[1], samples.shape[0])
    encode = _encode_htj2k if lossless is LosslessFormat.HTJ2K else _encode_jpeg_2000
    try:
        return encode(np.ascontiguousarray(samples), levels, colour_transform)
    except (RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as problem:
        raise PixelError(f"the frame cannot be encoded as {lossless}: {problem}") from problem


def _encode_htj2k(samples: NDArray[Any], levels: int, colour_transform: bool) -> bytes:
    return bytes(
        imagecodecs.htj2k_encode(
            samples,
            reversible=True,
            rgb=colour_transform,
            planar=False if samples.ndim == 3 else None,
            resolutions=levels,
            tlm=True,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
        )
    )


def _encode_jpeg_2000(samples: NDArray[Any], levels: int, colour_transform: bool) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples,
            0,
            codecformat=imagecodecs.JPEG2K.CODEC.J2K,
            planar=False if samples.ndim == 3 else None,
            bitspersample=_jpeg_2000_bits(samples),
            resolutions=levels + 1,
            reversible=True,
            mct=colour_transform,
        )
    )


def _jpeg_2000_bits(samples: NDArray[Any]) -> int:
    """Precision of the codestream: the whole sample up to 16 bits, what the values need beyond."""
    if samples.dtype.itemsize < 4:
        return samples.dtype.itemsize * 8
    low, high = int(samples.min()), int(samples.max())
    bits = max(high.bit_length(), (~low if low < 0 else low).bit_length()) + (samples.dtype.kind == "i")
    if bits > _MOST_JPEG_2000_BITS:
        raise PixelError(f"the samples need {bits} bits, JPEG 2000 encodes up to {_MOST_JPEG_2000_BITS} losslessly")
    return max(bits, 17)
