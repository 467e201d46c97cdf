"""The wall of the trunk, the cavity within it, and the diaphragm that parts chest and abdomen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from hounsfield.phantom.shapes import Curve, between, smooth_minimum
from hounsfield.phantom.smooth_noise import SmoothNoise
from hounsfield.phantom.volume import HEIGHT, SLICE_SPACING, SLICES, Field, Point, Slab, Volume, slabs_between

_SKIN, _FAT, _MUSCLE, _VISCERAL_FAT = 15.0, -104.0, 56.0, -100.0
_DOME_BLEND: Final = 24.0


def sampled(curve: Curve) -> Field:
    """Return a smooth curve over s at each slice; float32, shape (slices,)."""
    return np.array([between(curve, number * SLICE_SPACING) for number in range(SLICES)], np.float32)


def of_slices(values: Field, slab: Slab) -> Field:
    """Return the values of the slices of a slab; shape (slices, 1, 1)."""
    return values[slab.slices].reshape(-1, 1, 1)


def at_height(values: Field, s: float) -> float:
    """Return the value of the slice above a height, or of the nearest slice there is."""
    return float(values[min(max(int(s / SLICE_SPACING), 0), SLICES - 1)])


class Outline:
    """What a stack of rounded rectangles encloses.

    Parameters
    ----------
    width, depth, middle : Curve
        Half its width, half its depth, and where its middle is in y, each over s.
    corners : float
        0 for ellipses, 1 for rectangles.
    """

    def __init__(self, width: Curve, depth: Curve, middle: Curve, corners: float) -> None:
        self.width, self.depth, self.middle = sampled(width), sampled(depth), sampled(middle)
        self._corners = np.float32(corners)
        reach = float(self.width.max())
        self._low = (-reach, float((self.middle - self.depth).min()), 0.0)
        self._high = (reach, float((self.middle + self.depth).max()), HEIGHT)

    @property
    def low(self) -> Point:
        """See `Shape`."""
        return self._low

    @property
    def high(self) -> Point:
        """See `Shape`."""
        return self._high

    def distance(self, slab: Slab) -> Field:
        """Return the distance along the line to the middle, see `Shape`."""
        y = slab.y - of_slices(self.middle, slab)
        u = slab.x / of_slices(self.width, slab)
        v = y / of_slices(self.depth, slab)
        u *= u
        v *= v
        # Fernández Guasti's squircle: u² + v² - c·u²·v² = 1.
        part = u + v * (np.float32(1) - self._corners * u)
        np.maximum(part, np.float32(1e-3), out=part)
        np.sqrt(part, out=part)
        away = np.sqrt(slab.x * slab.x + y * y)
        np.divide(away, part, out=part)
        np.subtract(away, part, out=part)
        return part


BODY: Final = Outline(
    width=((0, 166), (40, 165), (90, 160), (150, 156), (210, 150), (255, 145), (300, 147)),
    depth=((0, 84), (40, 96), (90, 107), (150, 110), (210, 106), (255, 102), (300, 101)),
    middle=((0, 8), (40, 3), (100, 0), (200, -2), (300, -3)),
    corners=0.3,
)
"""The skin."""
CAVITY: Final = Outline(
    width=((0, 58), (15, 82), (40, 103), (80, 118), (120, 125), (170, 128), (220, 124), (260, 117), (300, 115)),
    depth=((0, 42), (15, 52), (40, 65), (80, 77), (120, 83), (170, 86), (220, 83), (260, 76), (300, 73)),
    middle=((0, 8), (40, 1), (100, -2), (170, -5), (240, -9), (300, -11)),
    corners=0.25,
)
"""The room for organs, in chest and abdomen."""
_SPINE: Final[Curve] = ((0, 30), (60, 41), (120, 43), (180, 37), (240, 27), (300, 21))
SPINE_Y: Final = sampled(_SPINE)
"""Where the middle of the vertebral bodies is in y; float32, shape (slices,)."""


def spine_y(s: float) -> float:
    """Return where the middle of the vertebral bodies is in y, at a height."""
    return between(_SPINE, s)


@dataclass(frozen=True, slots=True)
class _Dome:
    """One dome of the diaphragm: its top, and how far it reaches in x and y."""

    top: Point
    width: float
    depth: float

    def height(self, x: Field, y: Field) -> Field:
        u = (x - np.float32(self.top[0])) / np.float32(self.width)
        v = (y - np.float32(self.top[1])) / np.float32(self.depth)
        square: Field = u * u + v * v
        square *= np.float32(26) + square * np.float32(34)
        return square + np.float32(self.top[2])


_DOMES: Final = (
    _Dome((-64.0, -10.0, 156.0), 74.0, 84.0),
    _Dome((70.0, -4.0, 168.0), 68.0, 84.0),
    _Dome((6.0, -34.0, 173.0), 75.0, 80.0),
)


@dataclass(frozen=True, slots=True)
class BelowDiaphragm:
    """Everything that is more than some mm below the diaphragm."""

    gap: float = 0.0

    @property
    def low(self) -> Point:
        """See `Shape`."""
        return CAVITY.low[0], CAVITY.low[1], 150.0

    @property
    def high(self) -> Point:
        """See `Shape`."""
        return CAVITY.high

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        return (diaphragm(slab) + np.float32(self.gap) - slab.s) * np.float32(0.75)


def diaphragm(slab: Slab) -> Field:
    """Return s of the diaphragm at each pixel; shape (1, rows, columns)."""
    return _diaphragm()[:, slab.rows, slab.columns]


@cache
def _diaphragm() -> Field:
    slab = next(slabs_between((-200.0, -200.0, 0.0), (200.0, 200.0, 0.0), 0.0))
    height, *others = (dome.height(slab.x, slab.y) for dome in _DOMES)
    for other in others:
        height = smooth_minimum(height, other, _DOME_BLEND)
    return height


def paint_trunk(volume: Volume) -> None:
    """Paint skin, fat, muscle, and the fat that fills the cavity."""
    coarse, fine, strands = SmoothNoise(11, 45.0), SmoothNoise(12, 9.0), SmoothNoise(13, 17.0)
    base = sampled(((0, 8), (60, 6), (120, 8), (200, 9), (300, 12)))
    side = sampled(((0, 2), (100, 4), (200, 5), (300, 7)))

    def tissue(slab: Slab) -> Field:
        depth = -BODY.distance(slab)
        bumps = fine(slab)
        u = slab.x / of_slices(BODY.width, slab)
        fat = of_slices(base, slab) + of_slices(side, slab) * (u * u) + coarse(slab) * np.float32(3)
        values: Field = np.clip(depth - np.float32(1.8), 0, 1)
        values *= np.float32(_FAT - _SKIN)
        values += np.float32(_SKIN)
        values += bumps * np.float32(7)
        deep = np.clip(depth - fat, 0, 1)
        # Where the field is near zero it makes sheets, as the fat between muscles does.
        sheets = np.abs(strands(slab))
        np.subtract(np.float32(1), sheets * np.float32(9), out=sheets)
        np.clip(sheets, 0, 1, out=sheets)
        sheets *= np.float32(0.6 * (_FAT - _MUSCLE))
        sheets += np.float32(_MUSCLE - _FAT)
        values += deep * sheets
        inside = np.clip(np.float32(0.5) - CAVITY.distance(slab), 0, 1)
        values += inside * (np.float32(_VISCERAL_FAT) + bumps * np.float32(9) - values)
        return values

    volume.paint(BODY, tissue, edge=1.4)
