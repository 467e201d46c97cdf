"""The volume that shapes are painted into, slab by slab.

shape.distance(slab) ─▶ how much of each voxel is inside ─▶ its Hounsfield units move that far towards the shape's

All arithmetic is one operation of numpy after the other that IEEE 754 defines to the last bit: sums, products, quotients and
square roots. Sines, powers and matrix products may differ between machines, and are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

ROWS: Final = 512
COLUMNS: Final = 512
SLICES: Final = 200
PIXEL_SPACING: Final = 0.7
"""Distance of the centres of neighbouring pixels, in mm, along rows and along columns."""
SLICE_SPACING: Final = 1.5
"""Distance of neighbouring slices, in mm."""

HEIGHT: Final = (SLICES - 1) * SLICE_SPACING
"""s of the last slice, in mm."""

Field: TypeAlias = NDArray[np.float32]
Point: TypeAlias = tuple[float, float, float]

_SLAB_VOXELS: Final = 1 << 18
_CENTRE: Final = (COLUMNS - 1) / 2


@dataclass(frozen=True, slots=True)
class Slab:
    """A box of voxels, small enough for the cache of a processor.

    Attributes
    ----------
    slices, rows, columns : slice
        The voxels.
    x, y, s : ndarray
        Millimetres from the middle to the patient's left, from the middle to the back, and from the top down;
        float32, shapes (1, 1, columns), (1, rows, 1) and (slices, 1, 1).
    """

    slices: slice
    rows: slice
    columns: slice
    x: Field
    y: Field
    s: Field


class Shape(Protocol):
    """Something with a surface."""

    @property
    def low(self) -> Point:
        """Least x, y and s that it reaches, in mm."""

    @property
    def high(self) -> Point:
        """Greatest x, y and s that it reaches, in mm."""

    def distance(self, slab: Slab) -> Field:
        """Return about how far each voxel is from the surface, in mm, negative inside; shape (slices, rows, columns)."""


Paint: TypeAlias = "float | Callable[[Slab], Field]"
"""Hounsfield units: the same everywhere, or for each voxel of a slab."""


class Volume:
    """Hounsfield units of all voxels; ``values`` is int16 of shape (slices, rows, columns), the first slice at the top."""

    def __init__(self, background: int) -> None:
        self.values = np.full((SLICES, ROWS, COLUMNS), background, np.int16)

    def paint(self, shape: Shape, paint: Paint, *, edge: float = 1.2, strength: float = 1.0) -> None:
        """Paint a shape over what is there.

        Parameters
        ----------
        shape : Shape
            What is painted.
        paint : float or callable
            Its Hounsfield units.
        edge : float
            How many mm wide its surface is.
        strength : float
            How much of it covers what is there: 1 for all.
        """
        for slab in slabs_between(shape.low, shape.high, edge / 2):
            cover = shape.distance(slab) * np.float32(-strength / edge)
            cover += np.float32(strength / 2)
            np.clip(cover, 0, np.float32(strength), out=cover)
            target = self.values[slab.slices, slab.rows, slab.columns]
            before = target.astype(np.float32)
            change = (paint(slab) if callable(paint) else np.float32(paint)) - before
            change *= cover
            before += change
            np.rint(before, out=before)
            target[...] = before

    def paint_all(self, shapes: Iterable[Shape], paint: Paint, *, edge: float = 1.2) -> None:
        """Paint some shapes alike, see `paint`."""
        for shape in shapes:
            self.paint(shape, paint, edge=edge)


def slabs_between(low: Point, high: Point, margin: float, stride: int = 1) -> Iterator[Slab]:
    """Cut the box between two corners into slabs; what lies outside the volume is left out.

    Parameters
    ----------
    low, high : Point
        The corners.
    margin : float
        How many mm more on each side.
    stride : int
        1 for all voxels; else every so many rows, columns and half as many slices.
    """
    columns = _span(low[0], high[0], margin, PIXEL_SPACING, _CENTRE, COLUMNS)
    rows = _span(low[1], high[1], margin, PIXEL_SPACING, _CENTRE, ROWS)
    slices = _span(low[2], high[2], margin, SLICE_SPACING, 0.0, SLICES)
    rows, columns, slices = rows[::stride], columns[::stride], slices[:: max(1, stride // 2)]
    area = len(rows) * len(columns)
    if not area:
        return
    depth = max(1, _SLAB_VOXELS // area)
    x = _places(columns, PIXEL_SPACING, _CENTRE).reshape(1, 1, -1)
    y = _places(rows, PIXEL_SPACING, _CENTRE).reshape(1, -1, 1)
    for start in range(0, len(slices), depth):
        part = slices[start : start + depth]
        s = _places(part, SLICE_SPACING, 0.0).reshape(-1, 1, 1)
        yield Slab(_of(part), _of(rows), _of(columns), x, y, s)


def _span(low: float, high: float, margin: float, spacing: float, centre: float, count: int) -> range:
    first = int((low - margin) / spacing + centre + count) - count
    last = int((high + margin) / spacing + centre + count) - count + 2
    return range(min(max(first, 0), count), max(min(last, count), 0))


def _of(part: range) -> slice:
    return slice(part.start, part.stop, part.step)


def _places(part: range, spacing: float, centre: float) -> Field:
    return ((np.arange(part.start, part.stop, part.step) - centre) * spacing).astype(np.float32)
