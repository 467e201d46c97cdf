"""Shapes: ellipsoids, tubes, and what is made of two shapes.

All lengths are in mm, all places are x, y and s as `hounsfield.phantom.volume.Slab` has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np

from hounsfield.phantom.volume import Field, Point, Shape, Slab

Matrix: TypeAlias = tuple[Point, Point, Point]
Course: TypeAlias = Sequence[tuple[Point, float]]
"""Where a tube goes: places, and its radius at each, in mm."""
Curve: TypeAlias = Sequence[tuple[float, float]]
"""Pairs of a place and a value; places rise."""

_UPRIGHT: Final[Matrix] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def axes_along(direction: Point, aside: Point = (0.0, 0.0, 1.0)) -> Matrix:
    """Return three unit vectors at right angles: the first along a direction, the last as near to another as can be."""
    first = unit(direction)
    second = unit(cross(aside, first))
    return first, second, cross(first, second)


def unit(vector: Point) -> Point:
    """Return the vector of length 1 in the same direction."""
    x, y, s = vector
    length = math.sqrt(x * x + y * y + s * s)
    return x / length, y / length, s / length


def cross(a: Point, b: Point) -> Point:
    """Return the vector at right angles to two."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid.

    Attributes
    ----------
    centre : Point
        Its middle, in mm.
    radii : Point
        Its half-axes, in mm.
    axes : Matrix
        Unit vectors along them.
    """

    centre: Point
    radii: Point
    axes: Matrix = _UPRIGHT

    def _reach(self, axis: int) -> float:
        return math.sqrt(math.fsum((r * v[axis]) * (r * v[axis]) for r, v in zip(self.radii, self.axes, strict=True)))

    @property
    def low(self) -> Point:
        """See `Shape`."""
        c = self.centre
        return c[0] - self._reach(0), c[1] - self._reach(1), c[2] - self._reach(2)

    @property
    def high(self) -> Point:
        """See `Shape`."""
        c = self.centre
        return c[0] + self._reach(0), c[1] + self._reach(1), c[2] + self._reach(2)

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        x, y, s = (at - np.float32(c) for at, c in zip((slab.x, slab.y, slab.s), self.centre, strict=True))
        total: Field = np.zeros((1, 1, 1), np.float32)
        for radius, (vx, vy, vs) in zip(self.radii, self.axes, strict=True):
            along = x * np.float32(vx / radius) + (y * np.float32(vy / radius) + s * np.float32(vs / radius))
            along *= along
            total = total + along
        root = np.sqrt(total)
        root -= np.float32(1)
        root *= np.float32(min(self.radii))
        return root


@dataclass(frozen=True, slots=True)
class Capsule:
    """A piece of a tube, with round ends.

    Attributes
    ----------
    start, end : Point
        The middle of either end, in mm.
    start_radius, end_radius : float
        In mm.
    height : float
        How many times higher than wide it is, along s.
    """

    start: Point
    end: Point
    start_radius: float
    end_radius: float
    height: float = 1.0

    @property
    def low(self) -> Point:
        """See `Shape`."""
        r = max(self.start_radius, self.end_radius)
        a, b = self.start, self.end
        return min(a[0], b[0]) - r, min(a[1], b[1]) - r, min(a[2], b[2]) - r * self.height

    @property
    def high(self) -> Point:
        """See `Shape`."""
        r = max(self.start_radius, self.end_radius)
        a, b = self.start, self.end
        return max(a[0], b[0]) + r, max(a[1], b[1]) + r, max(a[2], b[2]) + r * self.height

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        dx, dy, ds = (b - a for a, b in zip(self.start, self.end, strict=True))
        ds /= self.height
        x, y, s = (at - np.float32(a) for at, a in zip((slab.x, slab.y, slab.s), self.start, strict=True))
        s = s / np.float32(self.height)
        square = dx * dx + dy * dy + ds * ds or 1.0
        along = x * np.float32(dx / square) + (y * np.float32(dy / square) + s * np.float32(ds / square))
        np.clip(along, 0, 1, out=along)
        total = x - along * np.float32(dx)
        total *= total
        for at, step in ((y, dy), (s, ds)):
            part = at - along * np.float32(step)
            part *= part
            total += part
        np.sqrt(total, out=total)
        along *= np.float32(self.start_radius - self.end_radius)
        total += along
        total -= np.float32(self.start_radius)
        return total


def tube(course: Course, height: float = 1.0) -> list[Capsule]:
    """Return the pieces of a tube that goes straight from each place to the next."""
    return [Capsule(a, b, ra, rb, height) for (a, ra), (b, rb) in pairwise(course)]


def smooth_tube(course: Course, steps: int = 4) -> list[Capsule]:
    """Return the pieces of a tube on a smooth curve (Catmull-Rom) through places, so many for each stretch."""
    rows = [(*point, radius) for point, radius in course]
    rows = [rows[0], *rows, rows[-1]]
    curve: list[tuple[Point, float]] = []
    for four in zip(rows, rows[1:], rows[2:], rows[3:], strict=False):
        for step in range(steps):
            x, y, s, radius = (_catmull_rom(*values, step / steps) for values in zip(*four, strict=True))
            curve.append(((x, y, s), radius))
    return tube([*curve, course[-1]])


def widened(pieces: Iterable[Capsule], size: float) -> list[Capsule]:
    """Return the pieces of a tube with their radii larger by some mm, or smaller."""
    return [
        replace(piece, start_radius=piece.start_radius + size, end_radius=piece.end_radius + size) for piece in pieces
    ]


def _catmull_rom(before: float, a: float, b: float, after: float, t: float) -> float:
    return a + 0.5 * t * (b - before + t * (2 * before - 5 * a + 4 * b - after + t * (3 * (a - b) + after - before)))


def between(points: Curve, at: float) -> float:
    """Return the value at a place of a smooth curve through (place, value) pairs, whose places rise."""
    if at <= points[0][0]:
        return points[0][1]
    for number in range(len(points) - 1):
        (start, a), (end, b) = points[number], points[number + 1]
        if at <= end:
            before, after = points[max(number - 1, 0)][1], points[min(number + 2, len(points) - 1)][1]
            return _catmull_rom(before, a, b, after, (at - start) / (end - start))
    return points[-1][1]


@dataclass(frozen=True, slots=True)
class Both:
    """What is inside two shapes; it reaches as far as the first."""

    one: Shape
    other: Shape

    @property
    def low(self) -> Point:
        """See `Shape`."""
        return self.one.low

    @property
    def high(self) -> Point:
        """See `Shape`."""
        return self.one.high

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        return np.maximum(self.one.distance(slab), self.other.distance(slab))


@dataclass(frozen=True, slots=True)
class Without:
    """What is inside a shape, and not inside another."""

    one: Shape
    other: Shape

    @property
    def low(self) -> Point:
        """See `Shape`."""
        return self.one.low

    @property
    def high(self) -> Point:
        """See `Shape`."""
        return self.one.high

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        return np.maximum(self.one.distance(slab), -self.other.distance(slab))


@dataclass(frozen=True, slots=True)
class Merged:
    """What is inside either of two shapes, with the crease between them filled up.

    Attributes
    ----------
    one, other : Shape
        The shapes.
    width : float
        How far from the crease it is filled, in mm.
    """

    one: Shape
    other: Shape
    width: float

    @property
    def low(self) -> Point:
        """See `Shape`."""
        (x, y, s), (ox, oy, os) = self.one.low, self.other.low
        return min(x, ox), min(y, oy), min(s, os)

    @property
    def high(self) -> Point:
        """See `Shape`."""
        (x, y, s), (ox, oy, os) = self.one.high, self.other.high
        return max(x, ox), max(y, oy), max(s, os)

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        return smooth_minimum(self.one.distance(slab), self.other.distance(slab), self.width)


def smooth_minimum(one: Field, other: Field, width: float) -> Field:
    """Return the lesser of two fields, and somewhat less where they differ by less than a width."""
    near: Field = np.float32(width) - np.abs(one - other)
    np.maximum(near, 0, out=near)
    near *= near
    near *= np.float32(0.25 / width)
    near *= np.float32(-1)
    near += np.minimum(one, other)
    return near


@dataclass(frozen=True, slots=True)
class Grown:
    """A shape whose surface is moved out by some mm, or in where it is negative."""

    shape: Shape
    size: float

    @property
    def low(self) -> Point:
        """See `Shape`."""
        x, y, s = self.shape.low
        return x - self.size, y - self.size, s - self.size

    @property
    def high(self) -> Point:
        """See `Shape`."""
        x, y, s = self.shape.high
        return x + self.size, y + self.size, s + self.size

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        return self.shape.distance(slab) - np.float32(self.size)


@dataclass(frozen=True, slots=True)
class Rough:
    """A shape whose surface goes in and out.

    Attributes
    ----------
    shape : Shape
        The shape.
    field : callable
        From -1, farthest out, to 1.
    size : float
        How far it goes, in mm.
    """

    shape: Shape
    field: Callable[[Slab], Field]
    size: float

    @property
    def low(self) -> Point:
        """See `Shape`."""
        return Grown(self.shape, self.size).low

    @property
    def high(self) -> Point:
        """See `Shape`."""
        return Grown(self.shape, self.size).high

    def distance(self, slab: Slab) -> Field:
        """See `Shape`."""
        return self.shape.distance(slab) + self.field(slab) * np.float32(self.size)
