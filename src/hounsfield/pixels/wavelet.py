"""Smaller resolutions of an image as the reversible 5/3 transform of JPEG 2000 makes them (ISO/IEC 15444-1 Annex F, G).

    samples ─▶ (colour transform) ─▶ columns, then rows: low band ─▶ again … ─▶ (inverse colour transform) ─▶ limited

Written apart from any codec, so that what a codec decodes can be checked against it. The DC level shift of unsigned
samples is left out: every step commutes with adding a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_RANGE_16 = 8191
_RANGE_32 = (1 << 29) - 1
"""Largest differences between samples with which no step of one level overflows 16 or 32 bits."""


class _Band(NamedTuple):
    """A band as small integers and what is to be added to them."""

    values: NDArray[Any]
    offset: int


@dataclass(frozen=True, slots=True)
class Reduction:
    """An image at a smaller resolution; the low band may go beyond the range of samples at sharp edges.

    Attributes
    ----------
    limited : numpy.ndarray
        Samples, those beyond the range of their type set to its ends: what decoders show.
    wrapped : numpy.ndarray
        Samples modulo the range of their type; the same array where none goes beyond.
    """

    limited: NDArray[Any]
    wrapped: NDArray[Any]


def reduced(samples: NDArray[Any], levels: int, *, colour_transform: bool) -> list[Reduction]:
    """Reduce an image by halves.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``, integers of 8, 16 or 32 bits.
    levels : int
        How often to halve, rounding sizes up.
    colour_transform : bool
        Whether the reversible colour transform is around the reduction, as in a codestream that uses it; for 3 samples.

    Returns
    -------
    list of Reduction
        `levels` images of the type of `samples`, the largest first.
    """
    planes = _colour_differences(samples) if colour_transform else [samples]
    bands = [_Band(plane, 0) for plane in planes]
    images = []
    for _ in range(levels):
        bands = [_halved(band) for band in bands]
        band = _from_colour_differences(bands) if colour_transform else bands[0]
        images.append(_reduction(band, samples.dtype))
    return images


def _halved(band: _Band) -> _Band:
    low, high = int(band.values.min()), int(band.values.max())
    width = 16 if high - low <= _RANGE_16 else 32 if high - low <= _RANGE_32 else 64
    # What is left after the subtraction fits the type, so it does not matter that what goes into it may wrap around.
    values = band.values.astype(f"i{width // 8}") - np.array(low).astype(f"i{width // 8}")
    lines = _low(values)
    return _Band(_low(lines.swapaxes(0, 1)).swapaxes(0, 1), band.offset + low)


def _low(lines: NDArray[np.signedinteger[Any]]) -> NDArray[np.signedinteger[Any]]:
    """Low band along the first axis: two lifting steps with mirrored ends."""
    if len(lines) == 1:
        return lines
    even, odd = lines[0::2], lines[1::2]
    pairs = len(odd)
    following = even[1 : pairs + 1]
    high = even[:pairs].copy()
    high[: len(following)] += following
    high[len(following) :] += even[len(following) : pairs]
    high >>= 1
    np.subtract(odd, high, out=high)
    update = np.empty(even.shape, lines.dtype)
    update[1:pairs] = high[1:]
    update[0] = high[0]
    update[pairs:] = high[-1:]
    update[1 : pairs + 1] += high[: len(even) - 1]
    update[0] += high[0]
    update += 2
    update >>= 2
    update += even
    return update


def _colour_differences(samples: NDArray[Any]) -> list[NDArray[Any]]:
    """Reversible colour transform (section G.2): luminance and two differences."""
    red, green, blue = (samples[..., number].astype(np.int32) for number in range(3))
    return [(red + 2 * green + blue) >> 2, blue - green, red - green]


def _from_colour_differences(bands: list[_Band]) -> _Band:
    luminance, blue, red = (band.values.astype(np.int32) + band.offset for band in bands)
    green = luminance - ((blue + red) >> 2)
    return _Band(np.stack([red + green, green, blue + green], axis=-1), 0)


def _reduction(band: _Band, dtype: np.dtype[Any]) -> Reduction:
    unsigned = np.dtype(f"u{dtype.itemsize}")
    wrapped = band.values.astype(unsigned)
    wrapped += unsigned.type(band.offset % (1 << 8 * dtype.itemsize))
    samples = wrapped.view(dtype)
    limits = np.iinfo(dtype)
    if limits.min <= int(band.values.min()) + band.offset and int(band.values.max()) + band.offset <= limits.max:
        return Reduction(samples, samples)
    limited = np.clip(band.values.astype(np.int64) + band.offset, limits.min, limits.max).astype(dtype)
    return Reduction(limited, samples)
