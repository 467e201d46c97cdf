"""Smooth noise: random numbers on a coarse lattice, joined by quadratic B-splines."""

from __future__ import annotations

import numpy as np

from hounsfield.phantom.random_numbers import RandomNumbers
from hounsfield.phantom.volume import COLUMNS, PIXEL_SPACING, ROWS, SLICE_SPACING, SLICES, Field, Slab


class SmoothNoise:
    """A field of smooth noise from -1 to 1.

    Parameters
    ----------
    seed : int
        The same seed gives the same field.
    spacing : float
        How far apart its hills are about, in mm.
    """

    def __init__(self, seed: int, spacing: float) -> None:
        shape = tuple(
            int(count * size / spacing) + 4
            for count, size in ((SLICES, SLICE_SPACING), (ROWS, PIXEL_SPACING), (COLUMNS, PIXEL_SPACING))
        )
        octets = RandomNumbers(seed).octets(shape[0] * shape[1] * shape[2])
        self._lattice = octets.astype(np.float32).reshape(shape) / np.float32(127.5) - np.float32(1)
        self._slice_step = SLICE_SPACING / spacing
        self._pixel_step = PIXEL_SPACING / spacing

    def __call__(self, slab: Slab) -> Field:
        """Return the field at each voxel of a slab; shape (slices, rows, columns)."""
        values = _spread(self._lattice, 0, slab.slices, self._slice_step)
        values = _spread(values, 2, slab.columns, self._pixel_step)
        # Rows last: where there is most to copy, whole rows are copied.
        return _spread(values, 1, slab.rows, self._pixel_step)


def _spread(values: Field, axis: int, part: slice, step: float) -> Field:
    """Return the spline through an axis of a lattice at some voxels."""
    at = np.arange(part.start, part.stop, part.step) * step
    index = at.astype(np.intp)
    t = (at - index).astype(np.float32).reshape([-1 if number == axis else 1 for number in range(3)])
    half = np.float32(0.5)
    rest = np.float32(1) - t
    spread = np.take(values, index, axis) * (half * rest * rest)
    spread += np.take(values, index + 1, axis) * (half + t * rest)
    spread += np.take(values, index + 2, axis) * (half * t * t)
    return spread
