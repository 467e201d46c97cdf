"""Lower resolutions of an image by the reversible 5/3 transform of JPEG 2000 (ISO/IEC 15444-1 Annex F, G).

    samples ─▶ (colour transform) ─▶ columns, then rows: low band ─▶ again … ─▶ (inverse colour transform) ─▶ limited

Written apart from any codec, so that what a codec decodes can be checked against it. The DC level shift of unsigned
samples is left out: every step commutes with adding a constant.

Each component is a plane of its own. Its even and odd lines are laid apart first, so that every step of the filter runs
over memory without gaps, in the narrowest integers in which no step overflows.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_16_BITS = np.dtype(np.int16)
_32_BITS = np.dtype(np.int32)
_64_BITS = np.dtype(np.int64)
_LARGEST = {_16_BITS: (1 << 15) - 1, _32_BITS: (1 << 31) - 1}


class _Band(NamedTuple):
    """A band as small integers, what is to be added to them, and what they are not below and not above."""

    values: NDArray[Any]
    offset: int
    low: int
    high: int

    def measured(self) -> _Band:
        """The same band with its true smallest and largest value for bounds."""
        return self._replace(low=int(self.values.min()), high=int(self.values.max()))


@dataclass(frozen=True, slots=True)
class Reduction:
    """An image at one resolution; the low band may go beyond the range of samples at sharp edges.

    Attributes
    ----------
    limited : numpy.ndarray
        Samples, those beyond the range of their precision set to its ends: what decoders show.
    wrapped : numpy.ndarray
        Samples modulo the range of their type; the same array where none goes beyond.
    absent : int | None
        A value of the type that no sample of `wrapped` has; None where none is known.
    """

    limited: NDArray[Any]
    wrapped: NDArray[Any]
    absent: int | None


def describe_unreduced(samples: NDArray[Any], value_range: tuple[int, int]) -> Reduction:
    """Return an image with all its samples, whose smallest and largest are known, as a resolution of itself."""
    return Reduction(samples, samples, _absent(*value_range, samples.dtype))


def reduce_resolutions(
    samples: NDArray[Any],
    levels: int,
    *,
    colour_transform: bool,
    value_range: tuple[int, int] | None = None,
    precision: int | None = None,
) -> list[Reduction]:
    """Reduce an image by halves.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``, integers of 8, 16 or 32 bits.
    levels : int
        How often to halve, rounding sizes up.
    colour_transform : bool
        Whether the reversible colour transform is around the reduction, as in a codestream that uses it; for 3 samples.
    value_range : tuple[int, int] | None
        Smallest and largest sample when they are known; wrong ones give wrong images.
    precision : int | None
        Bits of a sample, where they are fewer than those of its type.

    Returns
    -------
    list of Reduction
        `levels` images of the type of `samples`, the largest first.
    """
    low, high = value_range or (int(samples.min()), int(samples.max()))
    planes = [samples] if samples.ndim == 2 else [samples[..., number] for number in range(samples.shape[2])]
    bands = [_Band(plane, 0, low, high) for plane in planes]
    if colour_transform:
        bands = _colour_differences(bands)
    images = []
    for _ in range(levels):
        bands = [_halved(band) for band in bands]
        components = _from_colour_differences(bands) if colour_transform else bands
        images.append(_reduction(components, samples, precision))
    return images


def _halved(band: _Band) -> _Band:
    rows, columns = band.values.shape
    dtype, offset = _arithmetic(band.low, band.high)
    even, odd = _row_pairs(band.values, dtype, offset)
    lines = _low(even, odd, rows, even.shape[1])
    values = _low(*_column_pairs(lines), columns, 1)
    half = _Band(values, band.offset + offset, *_grown(*_grown(band.low - offset, band.high - offset)))
    return half if _fits(half.low, half.high, _16_BITS) else half.measured()


def _arithmetic(low: int, high: int) -> tuple[np.dtype[Any], int]:
    """Narrowest integers in which values can be halved, and what to subtract from the values before."""
    for dtype in (_16_BITS, _32_BITS):
        if _fits(low, high, dtype):
            return dtype, 0
        if _fits(0, high - low, dtype):
            return dtype, low
    return _64_BITS, 0


def _fits(low: int, high: int, dtype: np.dtype[Any]) -> bool:
    """Say whether no step of halving overflows; the largest are sums of two samples, or of two differences and 2."""
    low, high = _grown(low, high)
    return 2 * max(-low, high, high - low + 1) <= _LARGEST[dtype]


def _grown(low: int, high: int) -> tuple[int, int]:
    """Bounds of the low band along one direction: the filter (-1 2 6 2 -1) / 8, and what its two steps round at most."""
    growth = (high - low) // 4 + 1
    return low - growth, high + growth


def _row_pairs(
    values: NDArray[Any], dtype: np.dtype[Any], offset: int
) -> tuple[NDArray[np.signedinteger[Any]], NDArray[np.signedinteger[Any]]]:
    """Even and odd rows less an offset, with a row and a column of zeros where the sizes are odd.

    What is left after the subtraction fits the type, so it does not matter that what goes into it may wrap around.
    """
    rows, columns = values.shape
    shape = (rows + 1) // 2, columns + columns % 2
    even, odd = np.empty(shape, dtype), np.empty(shape, dtype)
    even[:, :columns] = values[0::2]
    odd[: rows // 2, :columns] = values[1::2]
    if offset:
        even -= np.array(offset).astype(dtype)
        odd -= np.array(offset).astype(dtype)
    odd[rows // 2 :] = 0
    even[:, columns:] = 0
    odd[:, columns:] = 0
    return even, odd


def _column_pairs(
    lines: NDArray[np.signedinteger[Any]],
) -> tuple[NDArray[np.signedinteger[Any]], NDArray[np.signedinteger[Any]]]:
    """Even and odd columns; `lines` is used up.

    Two neighbours are taken for the halves of one wide integer, which is much faster than to take every other one.
    """
    dtype = lines.dtype
    if dtype == _64_BITS:
        return np.ascontiguousarray(lines[:, 0::2]), np.ascontiguousarray(lines[:, 1::2])
    unsigned = np.dtype(f"u{dtype.itemsize}")
    pairs = lines.view(f"u{2 * dtype.itemsize}")
    lower = pairs.astype(unsigned).view(dtype)
    pairs >>= 8 * dtype.itemsize
    upper = pairs.astype(unsigned).view(dtype)
    return (lower, upper) if sys.byteorder == "little" else (upper, lower)


def _low(
    even: NDArray[np.signedinteger[Any]], odd: NDArray[np.signedinteger[Any]], size: int, distance: int
) -> NDArray[np.signedinteger[Any]]:
    """Low band of lines given as even and odd ones: two lifting steps with mirrored ends; `odd` becomes the high band.

    Parameters
    ----------
    even, odd : numpy.ndarray
        Contiguous, of one shape; the last odd line is not looked at when there is none.
    size : int
        Lines, even and odd.
    distance : int
        From a line to the next in samples: 1 when lines are columns.
    """
    if size == 1:
        return even
    low = np.empty_like(even)
    even_line, odd_line, low_line = (band if distance > 1 else band.T for band in (even, odd, low))
    flat_even, flat_odd, flat_low = even.reshape(-1), odd.reshape(-1), low.reshape(-1)
    # Over all lines at once; what this makes of the ends is set right after it.
    np.add(flat_even[:-distance], flat_even[distance:], out=flat_low[:-distance])
    flat_low >>= 1
    low_line[-1] = even_line[-1]
    flat_odd -= flat_low
    if size % 2:
        odd_line[-1] = odd_line[-2]
    np.add(flat_odd[:-distance], flat_odd[distance:], out=flat_low[distance:])
    np.add(odd_line[0], odd_line[0], out=low_line[0])
    flat_low += 2
    flat_low >>= 2
    flat_low += flat_even
    return low


def _colour_differences(bands: list[_Band]) -> list[_Band]:
    """Reversible colour transform (section G.2): luminance and two differences."""
    _, _, low, high = bands[0]
    dtype: np.dtype[Any] = _16_BITS if 4 * max(-low, high) <= _LARGEST[_16_BITS] else _32_BITS
    red, green, blue = (band.values.astype(dtype) for band in bands)
    luminance = _Band((red + 2 * green + blue) >> 2, 0, low, high)
    return [luminance, *(_Band(values - green, 0, low - high, high - low) for values in (blue, red))]


def _from_colour_differences(bands: list[_Band]) -> list[_Band]:
    luminance, blue, red = (band.values.astype(np.int32) + band.offset for band in bands)
    green = luminance - ((blue + red) >> 2)
    return [_Band(values, 0, 0, 0).measured() for values in (red + green, green, blue + green)]


def _reduction(bands: list[_Band], samples: NDArray[Any], precision: int | None) -> Reduction:
    dtype = samples.dtype
    limits = _limits(dtype, precision)
    wrapped = _joined([_modulo(band, dtype) for band in bands], samples.ndim)
    bands = [band if _within(band, limits) else band.measured() for band in bands]
    low, high = min(band.low + band.offset for band in bands), max(band.high + band.offset for band in bands)
    smallest, largest = _limits(dtype)
    absent = _absent(low, high, dtype) if smallest <= low and high <= largest else None
    if all(_within(band, limits) for band in bands):
        return Reduction(wrapped, wrapped, absent)
    limited = [_modulo(_clipped(band, limits), dtype) for band in bands]
    return Reduction(_joined(limited, samples.ndim), wrapped, absent)


def _clipped(band: _Band, limits: tuple[int, int]) -> _Band:
    """The same band with values beyond the limits set to them."""
    own = np.iinfo(band.values.dtype)
    low, high = (min(max(limit - band.offset, own.min), own.max) for limit in limits)
    return band._replace(values=np.clip(band.values, low, high))


def _within(band: _Band, limits: tuple[int, int]) -> bool:
    return limits[0] <= band.low + band.offset and band.high + band.offset <= limits[1]


def _modulo(band: _Band, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values with their offset, modulo the range of a type."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    same_width = band.values.dtype.itemsize == dtype.itemsize
    values = band.values.view(unsigned) if same_width else band.values.astype(unsigned)
    if band.offset:
        values = values + unsigned.type(band.offset % (1 << 8 * dtype.itemsize))
    return values.view(dtype)


def _joined(planes: list[NDArray[Any]], dimensions: int) -> NDArray[Any]:
    if dimensions == 2:
        return planes[0]
    image = np.empty((*planes[0].shape, len(planes)), planes[0].dtype)
    for number, plane in enumerate(planes):
        image[..., number] = plane
    return image


def _absent(low: int, high: int, dtype: np.dtype[Any]) -> int | None:
    """An end of the range of a type, when values do not reach it."""
    smallest, largest = _limits(dtype)
    if low > smallest:
        return smallest
    return largest if high < largest else None


def _limits(dtype: np.dtype[Any], precision: int | None = None) -> tuple[int, int]:
    """Range of a type of integers, or of fewer bits of it."""
    span = 1 << (precision or 8 * dtype.itemsize)
    return (-span // 2, span // 2 - 1) if dtype.kind == "i" else (0, span - 1)
