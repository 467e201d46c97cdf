"""Colour frames as red, green and blue of 8 bits, whatever their Photometric Interpretation (PS3.3 section C.7.6.3.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space

from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.rendering.lookup_table import LookupTable

_FULL: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})
_PARTIAL: Final = frozenset({"YBR_PARTIAL_422", "YBR_PARTIAL_420"})
_RED_GREEN_BLUE: Final = frozenset({"RGB", "YBR_RCT", "YBR_ICT", "XYB"})
COLOURS: Final = _FULL | _PARTIAL | _RED_GREEN_BLUE
"""Photometric interpretations of three samples that can be shown."""

_FROM_PARTIAL: Final = np.array(
    [[1.1644, 0.0, 1.5960], [1.1644, -0.3918, -0.8130], [1.1644, 2.0172, 0.0]], np.float32
).T


@dataclass(frozen=True, slots=True)
class Palette:
    """The Palette Color Lookup Tables of an image."""

    red: LookupTable
    green: LookupTable
    blue: LookupTable


def convert_to_rgb(samples: NDArray[Any], interpretation: str, bits_stored: int) -> NDArray[np.uint8]:
    """Return a colour frame as RGB.

    Parameters
    ----------
    samples : numpy.ndarray
        Shape ``(rows, columns, 3)``, integers.
    interpretation : str
        What the samples mean, now that they are decoded.
    bits_stored : int
        Bits of a sample.

    Raises
    ------
    PixelError
        The interpretation is not one of `COLOURS`.
    """
    if interpretation not in COLOURS:
        raise PixelError(f"frames with Photometric Interpretation {interpretation[:16]} cannot be shown")
    octets: NDArray[np.uint8] = _octets(samples, bits_stored)
    if interpretation in _FULL:
        return np.asarray(convert_color_space(octets, "YBR_FULL", "RGB"), np.uint8)
    if interpretation in _PARTIAL:
        centred = octets.astype(np.float32) - np.array([16, 128, 128], np.float32)
        return np.asarray(np.clip(centred @ _FROM_PARTIAL + 0.5, 0, 255), np.uint8)
    return octets


def _octets(samples: NDArray[Any], bits: int) -> NDArray[Any]:
    if samples.dtype == np.uint8 and bits == 8:
        return np.asarray(samples)
    if samples.dtype.kind == "i":
        samples = np.maximum(samples, 0)
    scaled = samples >> (bits - 8) if bits > 8 else samples.astype(np.uint16) * 255 // ((1 << bits) - 1)
    return np.asarray(np.minimum(scaled, 255), np.uint8)


def apply_palette(samples: NDArray[Any], palette: Palette) -> NDArray[np.uint8]:
    """Return the colours of a frame of palette indices, shape ``(rows, columns)``, as RGB."""
    if samples.dtype.itemsize > 2:
        return _colours(samples, palette)
    native = np.ascontiguousarray(samples.astype(samples.dtype.newbyteorder("="), copy=False))
    return np.asarray(_colour_table(palette, native.dtype.str)[native.view(f"u{native.dtype.itemsize}")])


@lru_cache(maxsize=64)
def _colour_table(palette: Palette, dtype: str) -> NDArray[np.uint8]:
    width = np.dtype(dtype).itemsize
    return _colours(np.arange(1 << 8 * width, dtype=np.uint32).astype(f"u{width}").view(dtype), palette)


def _colours(samples: NDArray[Any], palette: Palette) -> NDArray[np.uint8]:
    tables = (palette.red, palette.green, palette.blue)
    # Entries of 16 bits carry the intensity in their upper byte (PS3.3 section C.7.6.3.1.6).
    return np.stack([(table(samples) >> max(table.bits - 8, 0)).astype(np.uint8) for table in tables], axis=-1)
