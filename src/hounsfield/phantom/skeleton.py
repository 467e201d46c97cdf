"""Bones: vertebrae, ribs, breastbone, shoulder blades and collarbones, with the muscles along the spine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from hounsfield.phantom.shapes import Capsule, Course, Ellipsoid, Grown, Without, axes_along, smooth_tube, widened
from hounsfield.phantom.smooth_noise import SmoothNoise
from hounsfield.phantom.trunk import CAVITY, SPINE_Y, at_height, of_slices, spine_y
from hounsfield.phantom.volume import HEIGHT, Field, Point, Slab, Volume

SIDES: Final = (-1.0, 1.0)
"""The sign of x on the patient's right and left."""
_CORTEX, _MARROW, _DISC, _CARTILAGE = 680.0, 165.0, 85.0, 115.0
_CANAL_FAT, _CANAL_FLUID, _CORD = -40.0, 12.0, 42.0
_CANAL_BEHIND: Final = 22.5
_THORACIC: Final = 12
_RIB_STEPS: Final = 26
_RIB_OUTSIDE: Final = 6.5


@dataclass(frozen=True, slots=True)
class Vertebra:
    """A vertebral body, or the disc between two.

    Attributes
    ----------
    top, bottom : float
        Where it begins and ends in s.
    width, depth : float
        Half its width and depth.
    lumbar : bool
        Whether it has no ribs.
    """

    top: float
    bottom: float
    width: float
    depth: float
    lumbar: bool

    @property
    def middle(self) -> Point:
        """Its middle."""
        s = (self.top + self.bottom) / 2
        return 0.0, spine_y(s), s

    @property
    def low(self) -> Point:
        """See `Shape`."""
        return -self.width - 1, self.middle[1] - self.depth - 3, self.top - 1

    @property
    def high(self) -> Point:
        """See `Shape`."""
        return self.width + 1, self.middle[1] + self.depth + 3, self.bottom + 1

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        half = (self.bottom - self.top) / 2
        up = (slab.s - np.float32(self.middle[2])) / np.float32(half)
        waist = np.float32(0.87) + np.float32(0.13) * up * up
        u = slab.x / (waist * np.float32(self.width))
        v = (slab.y - of_slices(SPINE_Y, slab)) / (waist * np.float32(self.depth))
        # Its back is hollow where the canal runs.
        hollow = np.maximum(np.float32(1) - np.abs(u), 0) * np.maximum(v, 0)
        part: Field = np.sqrt(u * u + v * v + hollow * np.float32(0.35))
        part -= np.float32(1)
        part *= np.float32(self.depth)
        np.maximum(part, (np.abs(up) - np.float32(1)) * np.float32(half), out=part)
        return part


@dataclass(frozen=True, slots=True)
class AlongSpine:
    """An elliptic column that follows the spine.

    Attributes
    ----------
    behind, aside : float
        How far behind and to the left of the middle of the vertebral bodies it is.
    width, depth : float
        Half its width and depth.
    """

    behind: float
    width: float
    depth: float
    aside: float = 0.0

    @property
    def low(self) -> Point:
        """See `Shape`."""
        return self.aside - self.width, float(SPINE_Y.min()) + self.behind - self.depth, 0.0

    @property
    def high(self) -> Point:
        """See `Shape`."""
        return self.aside + self.width, float(SPINE_Y.max()) + self.behind + self.depth, HEIGHT

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        u = (slab.x - np.float32(self.aside)) / np.float32(self.width)
        v = (slab.y - of_slices(SPINE_Y, slab) - np.float32(self.behind)) / np.float32(self.depth)
        part: Field = np.sqrt(u * u + v * v)
        part -= np.float32(1)
        part *= np.float32(min(self.width, self.depth))
        return part


def _vertebrae() -> list[Vertebra]:
    bones, top = [], -18.0
    for number in range(15):
        lumbar = number >= _THORACIC
        more = 2.0 if lumbar else 0.0
        height = 15.0 + number * 0.55 + more
        bones.append(Vertebra(top, top + height, 14.5 + number * 0.62, 13.0 + number * 0.38, lumbar))
        top += height + 3.2 + number * 0.22 + more
    return bones


_VERTEBRAE: Final = _vertebrae()
"""From the first thoracic vertebra down."""


def paint_skeleton(volume: Volume) -> None:
    """Paint the muscles along the spine, all bones, the discs, and the spinal cord."""
    _paint_back_muscles(volume)
    for side in SIDES:
        _paint_shoulder(volume, side)
        for number in range(_THORACIC):
            _paint_rib(volume, number, side)
    breastbone = list(_breastbone())
    volume.paint_all(breastbone, 560)
    volume.paint_all(widened(breastbone, -1.8), _MARROW)
    for upper, lower in pairwise(_VERTEBRAE):
        disc = Vertebra(upper.bottom - 1, lower.top + 1, upper.width + 0.5, upper.depth + 0.5, upper.lumbar)
        volume.paint(disc, _DISC)
    grain = SmoothNoise(21, 3.0)
    for bone in _VERTEBRAE:
        _paint_vertebra(volume, bone, grain)
    volume.paint(AlongSpine(_CANAL_BEHIND, 9.6, 7.8), _CANAL_FAT)
    volume.paint(AlongSpine(_CANAL_BEHIND, 8.2, 6.9), _CANAL_FLUID)
    volume.paint(AlongSpine(_CANAL_BEHIND, 4.6, 3.6), _CORD)


def _paint_back_muscles(volume: Volume) -> None:
    streaks = SmoothNoise(22, 6.0)
    for side in SIDES:
        muscle = AlongSpine(42.0, 25.0, 16.5, side * 29.0)
        volume.paint(Grown(muscle, 1.4), -90)
        volume.paint(muscle, lambda slab: streaks(slab) * np.float32(22) + np.float32(50))


def _paint_vertebra(volume: Volume, bone: Vertebra, grain: SmoothNoise) -> None:
    _, y, s = bone.middle
    half = (bone.bottom - bone.top) / 2
    canal = y + bone.depth + 8.0
    volume.paint(bone, _CORTEX)
    for side in SIDES:
        root = (side * 10.5, y + bone.depth - 2, s - half * 0.3)
        joint = (side * 13.0, canal + 2.5, s - half * 0.2)
        volume.paint(Capsule(root, joint, 4.4, 4.2, 1.35), 430)
        if bone.lumbar:
            volume.paint(Capsule(joint, (side * 44.0, canal + 2.0, s - half * 0.4), 4.6, 3.0, 1.3), 480)
        else:
            volume.paint(Capsule(joint, (side * 33.0, canal + 11.0, s - half * 0.4), 4.6, 3.8, 1.3), 480)
        volume.paint(Capsule(joint, (side * 1.5, canal + 12.5, s + half * 0.5), 4.0, 3.6, 1.9), 480)
        for end in SIDES:
            volume.paint(Ellipsoid((side * 13.5, canal + 5.5, s + end * half * 0.95), (4.6, 5.2, 5.5)), 640)
    start = (0.0, canal + 12.5, s + half * 0.4)
    if bone.lumbar:
        volume.paint(Capsule(start, (0.0, canal + 33.0, s + half * 0.5), 3.2, 3.0, 2.6), 520)
    else:
        volume.paint(Capsule(start, (0.0, canal + 25.0, s + half * 1.7), 3.2, 3.0, 1.6), 520)
    volume.paint(Grown(bone, -1.2), lambda slab: grain(slab) * np.float32(55) + np.float32(_MARROW))
    # The vein that leaves the body at its back.
    volume.paint(Ellipsoid((0.0, y + bone.depth * 0.75, s), (3.5, 5.0, 2.0)), 120)


def _paint_rib(volume: Volume, number: int, side: float) -> None:
    points, bony = _rib(number, side)
    bone = [Capsule(a, b, 3.5, 3.5, 1.75) for a, b in pairwise(points[: bony + 1])]
    cartilage = [Capsule(a, b, 3.6, 3.6, 1.6) for a, b in pairwise(points[bony - 1 :])]
    volume.paint_all(cartilage, _CARTILAGE)
    volume.paint_all(bone, _CORTEX)
    volume.paint_all(widened(bone, -1.6), _MARROW)


def _rib(number: int, side: float) -> tuple[list[Point], int]:
    """Return places along a rib and the cartilage in front of it, and how many of them are bone."""
    bone = _VERTEBRAE[number]
    floating = number >= _THORACIC - 2
    points: list[Point] = [
        (side * (bone.width - 1), bone.middle[1] + bone.depth * 0.7, bone.top + 1),
        (side * 28.0, bone.middle[1] + bone.depth + 14.0, bone.top + 2),
    ]
    length = (0.62, 0.45)[number - _THORACIC + 2] if floating else 0.9
    row = min(number, 8)
    for step in range(1, _RIB_STEPS + 1):
        part = 0.13 + (length - 0.13) * step / _RIB_STEPS
        t = (part - 0.13) / 0.77
        s = bone.top + 2 + (26.0 + 9.0 * row) * t * (1.35 - 0.35 * t)
        if not floating and t > 0.74:
            # The cartilage rises to the breastbone.
            rise = (t - 0.74) / 0.26
            s -= (10.0 + 6.0 * row) * rise * rise
        sine, cosine = _half_turn(part)
        # The outline of the cavity is a little farther out at its corners.
        corner = 1 + 0.16 * sine * sine * cosine * cosine
        width, depth = at_height(CAVITY.width, s) + _RIB_OUTSIDE, at_height(CAVITY.depth, s) + _RIB_OUTSIDE
        points.append((side * width * sine * corner, at_height(CAVITY.middle, s) + depth * cosine * corner, s))
    return points, 2 + (_RIB_STEPS if floating else int(_RIB_STEPS * 0.74))


def _half_turn(part: float) -> tuple[float, float]:
    """Return sine and cosine of about that part of half a turn, without trigonometry; exactly on the circle."""
    if part > 0.5:
        sine, cosine = _half_turn(1 - part)
        return sine, -cosine
    t = part * (0.8 + 0.4 * part) / 0.5
    return 2 * t / (1 + t * t), (1 - t * t) / (1 + t * t)


def _breastbone() -> Iterator[Capsule]:
    def front(s: float) -> float:
        return at_height(CAVITY.middle, s) - at_height(CAVITY.depth, s) - 6.0

    steps = 6
    for top, bottom, width, end in ((16.0, 50.0, 26.0, 15.0), (53.0, 138.0, 14.0, 17.0), (141.0, 160.0, 6.0, 3.0)):
        for step in range(steps):
            s, after = (top + (bottom - top) * number / steps for number in (step, step + 1))
            reach = width + (end - width) * (step + 0.5) / steps
            for number in range(-5, 6):
                x = number * reach / 5.6
                bend = abs(x) * 0.06
                yield Capsule((x, front(s) + bend, s), (x, front(after) + bend, after), 5.4, 5.4)


def _paint_shoulder(volume: Volume, side: float) -> None:
    axes = axes_along((side * 0.83, -0.56, 0.0))
    blade = Ellipsoid((side * 106.0, 61.0, 50.0), (40.0, 4.2, 60.0), axes)
    hollow = Ellipsoid((side * 99.0, 45.0, 50.0), (40.0, 15.0, 70.0), axes)
    volume.paint(Without(blade, hollow), 620)
    ridge: Course = [
        ((side * 76.0, 78.0, 42.0), 3.0),
        ((side * 106.0, 72.0, 22.0), 4.0),
        ((side * 134.0, 52.0, -4.0), 6.0),
    ]
    border: Course = [
        ((side * 114.0, 56.0, 104.0), 3.0),
        ((side * 134.0, 40.0, 60.0), 4.2),
        ((side * 138.0, 28.0, 18.0), 6.0),
        ((side * 139.0, 20.0, 0.0), 11.0),
    ]
    collarbone: Course = [
        ((side * 20.0, -62.0, 10.0), 8.0),
        ((side * 50.0, -60.0, 2.0), 5.5),
        ((side * 80.0, -42.0, -6.0), 5.0),
    ]
    for course in (ridge, border, collarbone):
        pieces = smooth_tube(course)
        volume.paint_all(pieces, _CORTEX)
        volume.paint_all(widened(pieces, -2.0), _MARROW)
