"""Greyscale pipeline (PS3.3 sections C.11.1, C.11.2 and C.11.6; PS3.4 section N.2): stored values to grey levels.

    stored values ─▶ modality LUT, or slope and intercept ─▶ VOI LUT, or window ─▶ inverted or not ─▶ 0 … 255

Samples of up to 16 bits go through one table, made once for a pipeline with a window of its own, else for the values of the
frame; others are computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.rendering.lookup_table import LookupTable
from hounsfield.pixels.rendering.voi_window import Window, whole_range

_STRETCH: Final = 1 << 15
"""Samples that are looked up at a time: their indices stay in the cache of a processor."""

Voi: TypeAlias = "Window | LookupTable"


@dataclass(frozen=True, slots=True)
class GreyscalePresentation:
    """How stored values of one sample per pixel are shown.

    Attributes
    ----------
    slope, intercept : float
        Rescale Slope and Rescale Intercept.
    modality : LookupTable or None
        Modality LUT, which takes their place.
    voi : Window, LookupTable or None
        What is of interest; None for all values of the frame.
    inverted : bool
        Whether small values are bright.
    padding : tuple of float or None
        Smallest and largest stored value that stands for no image, and is black; None for none.
    full_range : tuple of int or None
        Smallest and largest stored value that there can be, where they are black and white without a window; None to
        take those of the frame.
    """

    slope: float = 1.0
    intercept: float = 0.0
    modality: LookupTable | None = None
    voi: Voi | None = None
    inverted: bool = False
    padding: tuple[float, float] | None = None
    full_range: tuple[int, int] | None = None


def render_greyscale(samples: NDArray[Any], presentation: GreyscalePresentation) -> NDArray[np.uint8]:
    """Return the grey levels of stored values.

    Parameters
    ----------
    samples : numpy.ndarray
        Stored values, integers or floating point, of any shape.
    presentation : GreyscalePresentation
        How to show them.

    Returns
    -------
    numpy.ndarray
        Of the same shape, 0 to 255. Values that are not numbers are black.
    """
    narrow = samples.dtype.kind in "iu" and samples.dtype.itemsize <= 2
    if narrow:
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if presentation.voi is not None:
        return (
            _look_up(_table(presentation, samples.dtype.str), samples)
            if narrow
            else _grey_levels(samples, presentation)
        )
    values = _value_range(samples)
    window = None if values is None else _range_window(samples, values, presentation)
    if values is None or window is None:
        return _without_light(
            np.full(samples.shape, 255 if presentation.inverted else 0, np.uint8), samples, presentation
        )
    presentation = replace(presentation, voi=window)
    if not narrow:
        return _grey_levels(samples, presentation)
    # A window over the values of a frame is hardly ever that of another one: only the levels of these values are made.
    return _look_up(_table_between(int(values[0]), int(values[1]), samples.dtype, presentation), samples)


def _look_up(table: NDArray[np.uint8], samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the entries of a table for samples by their bits, a stretch at a time: numpy makes wide indices of them."""
    levels = np.empty(samples.shape, np.uint8)
    places, flat = samples.view(f"u{samples.dtype.itemsize}").reshape(-1), levels.reshape(-1)
    for start in range(0, len(places), _STRETCH):
        # Every index is in the table: to clip is the fastest way to do nothing.
        table.take(places[start : start + _STRETCH], mode="clip", out=flat[start : start + _STRETCH])
    return levels


@lru_cache(maxsize=256)
def _table(presentation: GreyscalePresentation, dtype: str) -> NDArray[np.uint8]:
    """Return the grey level of each stored value, in the order of its bits."""
    width = np.dtype(dtype).itemsize
    values = np.arange(1 << 8 * width, dtype=np.uint32).astype(f"u{width}").view(dtype)
    return _grey_levels(values, presentation)


def _table_between(low: int, high: int, dtype: np.dtype[Any], presentation: GreyscalePresentation) -> NDArray[np.uint8]:
    """Return a table as `_table` does, of which only the entries of the values from one to another mean anything."""
    values = np.arange(low, high + 1, dtype=np.int32)
    table = np.empty(1 << 8 * dtype.itemsize, np.uint8)
    # By their bits negative values are at the end of the table, from which negative indices count.
    table[values] = _grey_levels(values, presentation)
    return table


def _grey_levels(samples: NDArray[Any], presentation: GreyscalePresentation) -> NDArray[np.uint8]:
    values = modality_values(samples, presentation)
    if isinstance(presentation.voi, LookupTable):
        bright = presentation.voi(values) / presentation.voi.largest
    elif presentation.voi is not None:
        bright = presentation.voi(values)
    else:
        raise TypeError("grey levels need a window")
    if samples.dtype.kind == "f":
        bright = np.nan_to_num(bright, nan=0.0)
    if presentation.inverted:
        bright = 1 - bright
    return _without_light((bright * 255 + 0.5).astype(np.uint8), samples, presentation)


def _without_light(
    levels: NDArray[np.uint8], samples: NDArray[Any], presentation: GreyscalePresentation
) -> NDArray[np.uint8]:
    """Make padding black: it is background, also where small values are bright (PS3.3 section C.7.5.1.1.2)."""
    if presentation.padding is not None:
        low, high = presentation.padding
        levels[(samples >= low) & (samples <= high)] = 0
    return levels


def modality_values(samples: NDArray[Any], presentation: GreyscalePresentation) -> NDArray[Any]:
    """Return values after the modality transformation, floating point."""
    if presentation.modality is not None:
        return presentation.modality(samples).astype(np.float64)
    values = samples.astype(np.float64)
    if presentation.slope != 1 or presentation.intercept:
        values = values * presentation.slope + presentation.intercept
    return values


def _range_window(samples: NDArray[Any], values: tuple[Any, Any], presentation: GreyscalePresentation) -> Window | None:
    """Return a window over all values that are not padding; None when there is only one."""
    low, high = presentation.full_range or _without_padding(samples, values, presentation.padding)
    if presentation.modality is not None and samples.dtype.kind in "iu":
        first, last = presentation.modality.first, presentation.modality.first + len(presentation.modality.entries) - 1
        begin, end = (min(max(int(value), first), last) for value in (low, high))
        stretch = presentation.modality.entries[begin - first : end - first + 1]
        return whole_range(float(stretch.min()), float(stretch.max()))
    if presentation.modality is not None:
        ends = modality_values(np.array([low, high]), presentation).tolist()
    else:
        ends = [float(value) * presentation.slope + presentation.intercept for value in (low, high)]
    return whole_range(min(ends), max(ends))


def _value_range(samples: NDArray[Any]) -> tuple[Any, Any] | None:
    """Find the smallest and the largest value; None when there is none."""
    if samples.dtype.kind == "f":
        samples = samples[np.isfinite(samples)]
    return (samples.min(), samples.max()) if samples.size else None


def _without_padding(
    samples: NDArray[Any], values: tuple[Any, Any], padding: tuple[float, float] | None
) -> tuple[Any, Any]:
    """Find the smallest and the largest value that is not padding; those of all values where there is nothing else."""
    low, high = values
    if padding is None or not (padding[0] <= low <= padding[1] or padding[0] <= high <= padding[1]):
        return values
    image = samples[(samples < padding[0]) | (samples > padding[1])]
    found = _value_range(image)
    return values if found is None else found
