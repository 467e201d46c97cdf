"""Image Frame Resolution Checksums: a CRC-32 of each resolution of a frame, from the original samples.

    samples ─▶ halved while the half has 128 × 128 pixels or more ─▶ CRC-32 of each, the smallest first

The polynomial is that of zlib, over little endian samples interleaved by pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.codecs.wavelet import Reduction, describe_unreduced, reduce_resolutions

_SMALLEST_AREA = 128 * 128


@dataclass(frozen=True, slots=True)
class LevelChecksum:
    """Checksum of a frame at one resolution.

    Attributes
    ----------
    width, height : int
        Size in pixels.
    crc32 : int
        CRC-32, unsigned.
    """

    width: int
    height: int
    crc32: int


def level_sizes(width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Sizes ``(width, height)`` of the resolutions that get a checksum, the smallest first.

    Halved, rounding up, while the next has an area of 128 × 128 pixels or more: 512 × 375 gives 256 × 188 and 512 × 375.
    Images that are one pixel wide or high are not halved (`hounsfield.pixels.codecs.encode.decomposition_levels`).
    """
    sizes = [(width, height)]
    if min(width, height) == 1:
        return tuple(sizes)
    while True:
        width, height = (width + 1) // 2, (height + 1) // 2
        if width * height < _SMALLEST_AREA or (width, height) == sizes[0]:
            return tuple(sizes)
        sizes.insert(0, (width, height))


def resolutions(
    samples: NDArray[Any],
    *,
    colour_transform: bool,
    value_range: tuple[int, int] | None = None,
    precision: int | None = None,
) -> list[Reduction]:
    """Return the frame at each resolution that gets a checksum.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``.
    colour_transform : bool
        Whether frames are stored with the reversible colour transform.
    value_range : tuple[int, int] | None
        Smallest and largest sample when they are known.
    precision : int | None
        Bits that their codestream states, to which decoders limit smaller resolutions; None for those of their type.

    Returns
    -------
    list of Reduction
        The smallest first, `samples` itself last.
    """
    levels = len(level_sizes(samples.shape[1], samples.shape[0])) - 1
    known = value_range or (int(samples.min()), int(samples.max()))
    smaller = reduce_resolutions(
        samples, levels, colour_transform=colour_transform, value_range=known, precision=precision
    )
    return [*reversed(smaller), describe_unreduced(samples, known)]


def crc32(data: NDArray[Any] | bytes) -> int:
    """CRC-32 of bytes, or of samples in little endian order."""
    if isinstance(data, bytes):
        return int(imagecodecs.deflate_crc32(data)) if data else 0
    little_endian: Any = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    return int(imagecodecs.deflate_crc32(little_endian))


def checksums(levels: list[Reduction]) -> tuple[LevelChecksum, ...]:
    """Checksums of a frame given at each resolution, over samples as decoders show them."""
    return tuple(
        LevelChecksum(level.limited.shape[1], level.limited.shape[0], crc32(level.limited)) for level in levels
    )
