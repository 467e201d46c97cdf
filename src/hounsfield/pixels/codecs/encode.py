"""Lossless encoder of one frame as a raw codestream.

    HTJ2K     reversible 5/3, RPCL, TLM, one tile-part a resolution: a prefix of the bytes is a smaller image
    JPEG 2000 reversible 5/3

Both are lossless for signed and unsigned samples; what a codec cannot hold is refused. The codestream states Bits Stored where
that is true of all samples, because many readers believe it more than the data set (PS3.5 sections 8.2.4 and 8.2.14).
"""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.codecs.codestream import with_depth
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import LosslessFormat

_SMALLEST_SIDE = 64
_MOST_JPEG_2000_BITS = 24
"""Deepest samples that the JPEG 2000 encoder gives back bit for bit."""

_NARROWEST = 8
_RGB_LIKE = frozenset({"RGB", "YBR_RCT", "YBR_ICT"})


def names_colour_transform(format: PixelFormat) -> bool:  # noqa: A002
    """Say whether the frames of a file are encoded with the reversible colour transform of JPEG 2000.

    They are where it helps: three samples of 8 or 16 bits that are red, green and blue. A data set with such codestreams
    has the Photometric Interpretation ``YBR_RCT`` (PS3.5 sections 8.2.4 and 8.2.14); of other colours it could not say so.
    """
    return _transformable(format) and format.photometric_interpretation in _RGB_LIKE


def uses_colour_transform(format: PixelFormat, lossless: LosslessFormat) -> bool:  # noqa: A002
    """Say whether frames are stored, and given alone, with the reversible colour transform of JPEG 2000.

    HTJ2K is for every three samples of 8 or 16 bits, whatever they mean: the transform is undone by every decoder, and the
    one that most viewers use, codec-openjph, scrambles three components without it.
    """
    return names_colour_transform(format) or (lossless is LosslessFormat.HTJ2K and _transformable(format))


def _transformable(format_: PixelFormat) -> bool:
    return format_.samples_per_pixel == 3 and format_.bits_allocated <= 16


def stated_precision(format: PixelFormat, value_range: tuple[int, int]) -> int:  # noqa: A002
    """Return the precision that a codestream of samples states: Bits Stored where that is true of all samples.

    It is that of the whole cell where half of it or less is stored: decoders would give narrower samples.

    Parameters
    ----------
    format : PixelFormat
        The description of the samples.
    value_range : tuple of int
        The smallest and the largest of them, with all bits that they have.
    """
    width, bits = format.dtype.itemsize * 8, format.bits_stored
    if not width // 2 < bits < width or width == _NARROWEST or format.bits_below:
        return width
    floor = -(1 << bits - 1) if format.signed else 0
    low, high = value_range
    return bits if floor <= low and high < floor + (1 << bits) else width


def decomposition_levels(width: int, height: int) -> int:
    """Levels with which the smallest resolution is at most 64 × 64 pixels (PS3.5 section 10.18.1); at least 1.

    Images that are one pixel wide or high have none: OpenJPH 0.32 loses the smallest value of their type with any.
    """
    if min(width, height) == 1:
        return 0
    levels = 1
    while -(-max(width, height) >> levels) > _SMALLEST_SIDE:
        levels += 1
    return levels


def encode_frame(
    samples: NDArray[Any], lossless: LosslessFormat, *, colour_transform: bool, precision: int | None = None
) -> bytes:
    """Encode one frame losslessly.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``; signed or unsigned integers of 8, 16 or 32 bits.
    lossless : LosslessFormat
        HTJ2K takes all of these; JPEG 2000 takes samples of 32 bits only when their values fit 24.
    colour_transform : bool
        Whether the three samples are transformed together; must be False when there are not three.
    precision : int or None
        Bits that the codestream states for a sample; all samples must fit them. None for all bits of the type.

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
        return encode(np.ascontiguousarray(samples), levels, colour_transform, precision)
    except (RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as problem:
        raise PixelError(f"the frame cannot be encoded as {lossless}: {problem}") from problem


def encode_described(
    samples: NDArray[Any],
    format: PixelFormat,  # noqa: A002
    lossless: LosslessFormat,
    *,
    colour_transform: bool,
) -> bytes:
    """Encode one frame losslessly, the codestream stating the precision that is true of it; see `encode_frame`."""
    precision = stated_precision(format, (int(samples.min()), int(samples.max())))
    return encode_frame(samples, lossless, colour_transform=colour_transform, precision=precision)


def _encode_htj2k(samples: NDArray[Any], levels: int, colour_transform: bool, precision: int | None) -> bytes:
    if precision is None or precision == samples.dtype.itemsize * 8:
        return _htj2k_of(samples, levels, colour_transform)
    # The encoder knows only whole cells. It is given what decoders shift up, signed, and the header says what that is of.
    signed = samples.dtype.kind == "i"
    if not signed:
        shift = samples.dtype.type(1 << precision - 1)
        samples = (samples - shift).view(f"i{samples.dtype.itemsize}")
    components = samples.shape[2] if samples.ndim == 3 else 1
    return with_depth(_htj2k_of(samples, levels, colour_transform), components, precision, signed=signed)


def _htj2k_of(samples: NDArray[Any], levels: int, colour_transform: bool) -> bytes:
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


def _encode_jpeg_2000(samples: NDArray[Any], levels: int, colour_transform: bool, precision: int | None) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples,
            0,
            codecformat=imagecodecs.JPEG2K.CODEC.J2K,
            planar=False if samples.ndim == 3 else None,
            bitspersample=precision if precision and precision <= _MOST_JPEG_2000_BITS else _jpeg_2000_bits(samples),
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
