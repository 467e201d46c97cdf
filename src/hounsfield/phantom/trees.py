"""Trees of vessels and airways, grown into the space that they supply.

A branch goes some of the way towards the middle of its targets and parts them where they are spread widest; each half gets a
branch of its own. So do models of the bronchial tree (H. Kitaoka, M. H. Tawhai).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hounsfield.phantom.random_numbers import RandomNumbers
from hounsfield.phantom.shapes import Capsule
from hounsfield.phantom.volume import PIXEL_SPACING, Point, Shape, slabs_between

_STRIDE = 0.42
_COARSE = 8


@dataclass(frozen=True, slots=True)
class Branching:
    """How a tree grows.

    Attributes
    ----------
    trunk : float
        Radius of its first branch, in mm.
    twig : float
        Least radius of a branch, in mm.
    """

    trunk: float
    twig: float


def points_within(shape: Shape, random: RandomNumbers, count: int) -> list[Point]:
    """Return that many random points inside a shape; some may be the same."""
    places: list[Point] = []
    for slab in slabs_between(shape.low, shape.high, 0.0, _COARSE):
        for number, row, column in np.argwhere(shape.distance(slab) < 0).tolist():
            places.append((float(slab.x[0, 0, column]), float(slab.y[0, row, 0]), float(slab.s[number, 0, 0])))
    size = _COARSE * PIXEL_SPACING
    return [
        (
            places[int(which * len(places))][0] + size * (x - 0.5),
            places[int(which * len(places))][1] + size * (y - 0.5),
            places[int(which * len(places))][2] + size * (s - 0.5),
        )
        for which, x, y, s in zip(*[iter(random.units(4 * count))] * 4, strict=True)
    ]


def grown(root: Point, targets: Sequence[Point], branching: Branching) -> list[Capsule]:
    """Return the branches of a tree from a root to some targets, the thickest first."""
    branches: list[Capsule] = []
    total = len(targets)
    waiting = [(root, list(targets))]
    while waiting:
        start, group = waiting.pop(0)
        radius = _radius(branching, len(group) / total)
        middle = _middle(group)
        stride = 1.0 if len(group) == 1 else _STRIDE
        end = _towards(start, middle, stride)
        halves = [] if len(group) == 1 else _parted(group)
        after = _radius(branching, max(len(half) for half in halves) / total) if halves else branching.twig
        branches.append(Capsule(start, end, radius, max(after, branching.twig)))
        waiting += [(end, half) for half in halves]
    return branches


def _radius(branching: Branching, share: float) -> float:
    """Return the radius of what supplies a share of all targets: about its cube root, as in vessels."""
    root = math.sqrt(share)
    return max(branching.twig, branching.trunk * math.sqrt(root * math.sqrt(root)))


def _middle(group: Sequence[Point]) -> Point:
    # `sum` rounds otherwise from Python 3.12 on.
    x, y, s = (math.fsum(values) / len(group) for values in zip(*group, strict=True))
    return x, y, s


def _towards(start: Point, end: Point, part: float) -> Point:
    return (
        start[0] + part * (end[0] - start[0]),
        start[1] + part * (end[1] - start[1]),
        start[2] + part * (end[2] - start[2]),
    )


def _parted(group: Sequence[Point]) -> list[list[Point]]:
    spreads = [max(p[axis] for p in group) - min(p[axis] for p in group) for axis in range(3)]
    widest = spreads.index(max(spreads))
    ordered = sorted(group, key=lambda p: p[widest])
    half = len(ordered) // 2
    return [ordered[:half], ordered[half:]]
