"""The chest: lungs with airways and vessels, the heart, and the great vessels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from hounsfield.phantom.random_numbers import RandomNumbers
from hounsfield.phantom.shapes import (
    Both,
    Capsule,
    Course,
    Ellipsoid,
    Grown,
    Merged,
    Rough,
    Without,
    axes_along,
    smooth_tube,
    tube,
    widened,
)
from hounsfield.phantom.skeleton import SIDES, AlongSpine
from hounsfield.phantom.smooth_noise import SmoothNoise
from hounsfield.phantom.trees import Branching, grown, points_within
from hounsfield.phantom.trunk import CAVITY, BelowDiaphragm, diaphragm
from hounsfield.phantom.volume import Field, Point, Slab, Volume

BLOOD: Final = 152.0
"""Hounsfield units of blood a minute after contrast medium was given."""
DIAPHRAGM_THICKNESS: Final = 2.6
_HEART_BLOOD, _HEART_MUSCLE, _WALL, _AIR = 158.0, 108.0, 60.0, -985.0
_ARTERIES, _VEINS, _AIRWAYS = 600, 300, 70

_HEART_AXES: Final = axes_along((0.68, -0.5, 0.53))
"""From the base of the heart to its apex, across, and up."""
_HEART_SURFACE: Final = SmoothNoise(32, 34.0)
_HEART: Final = Ellipsoid((15.0, -30.0, 124.0), (64.0, 44.0, 48.0), _HEART_AXES)
_MEDIASTINUM: Final = Merged(
    Rough(Ellipsoid((2.0, -10.0, 50.0), (31.0, 56.0, 96.0)), SmoothNoise(31, 30.0), 4.0),
    Rough(_HEART, _HEART_SURFACE, 3.0),
    14.0,
)
_BEHIND_LUNGS: Final = AlongSpine(6.0, 20.0, 23.0)
_BESIDE_AORTA: Final = Capsule((22.0, 29.0, 70.0), (19.0, 28.0, 175.0), 15.0, 14.0)

_CARINA: Final = (1.0, 9.0, 68.0)
_HILA: Final = {-1.0: (-36.0, 8.0, 84.0), 1.0: (40.0, 6.0, 80.0)}
"""Where airways and vessels enter the lung of each side."""
_WINDPIPE: Final[Course] = [((0.0, -4.0, -6.0), 8.4), ((0.0, 1.0, 30.0), 8.4), (_CARINA, 8.6)]
_GULLET: Final[Course] = [
    ((6.0, 12.0, -6.0), 5.5),
    ((7.0, 20.0, 60.0), 6.0),
    ((6.0, 22.0, 110.0), 6.5),
    ((16.0, 12.0, 160.0), 7.0),
    ((30.0, 2.0, 184.0), 7.5),
]
_VESSELS: Final[dict[str, Course]] = {
    "superior vena cava": [
        ((-24.0, -26.0, 26.0), 8.0),
        ((-27.0, -23.0, 50.0), 9.0),
        ((-28.0, -17.0, 80.0), 9.5),
        ((-30.0, -17.0, 108.0), 11.0),
    ],
    "inferior vena cava": [
        ((-30.0, -6.0, 136.0), 12.0),
        ((-28.0, 0.0, 168.0), 12.5),
        ((-24.0, 6.0, 200.0), 11.5),
        ((-20.0, 2.0, 240.0), 11.0),
        ((-19.0, -4.0, 275.0), 10.5),
        ((-19.0, -8.0, 306.0), 10.5),
    ],
    "brachiocephalic artery": [
        ((-9.0, -24.0, 50.0), 6.5),
        ((-14.0, -22.0, 30.0), 6.0),
        ((-24.0, -17.0, 8.0), 4.5),
        ((-30.0, -16.0, -6.0), 4.5),
    ],
    "right carotid artery": [((-14.0, -22.0, 26.0), 4.5), ((-18.0, -12.0, 8.0), 4.0), ((-19.0, -10.0, -6.0), 4.0)],
    "left carotid artery": [((0.0, -14.0, 44.0), 4.6), ((6.0, -13.0, 22.0), 4.0), ((14.0, -8.0, -6.0), 4.0)],
    "left subclavian artery": [
        ((12.0, 2.0, 42.0), 5.2),
        ((20.0, 2.0, 22.0), 4.8),
        ((30.0, -6.0, 6.0), 4.6),
        ((48.0, -18.0, -6.0), 4.6),
    ],
    "right brachiocephalic vein": [
        ((-24.0, -27.0, 28.0), 7.5),
        ((-30.0, -32.0, 12.0), 7.0),
        ((-42.0, -36.0, -6.0), 6.5),
    ],
    "left brachiocephalic vein": [
        ((-22.0, -28.0, 32.0), 7.0),
        ((4.0, -38.0, 24.0), 6.5),
        ((26.0, -36.0, 12.0), 6.5),
        ((40.0, -36.0, -6.0), 6.5),
    ],
    "pulmonary trunk": [((20.0, -46.0, 104.0), 14.0), ((18.0, -36.0, 88.0), 14.0), ((17.0, -22.0, 77.0), 13.5)],
    "right pulmonary artery": [
        ((17.0, -22.0, 77.0), 12.0),
        ((0.0, -12.0, 80.0), 10.5),
        ((-20.0, -6.0, 82.0), 10.0),
        ((-38.0, 2.0, 86.0), 8.0),
    ],
    "left pulmonary artery": [((17.0, -22.0, 77.0), 12.0), ((28.0, -8.0, 74.0), 10.5), ((40.0, 4.0, 76.0), 8.5)],
    "aorta": [
        ((6.0, -28.0, 100.0), 15.0),
        ((-9.0, -33.0, 82.0), 15.5),
        ((-12.0, -30.0, 66.0), 14.5),
        ((-4.0, -20.0, 53.0), 14.0),
        ((9.0, -2.0, 48.0), 13.0),
        ((19.0, 16.0, 54.0), 12.5),
        ((22.0, 27.0, 70.0), 12.0),
        ((22.0, 31.0, 110.0), 11.5),
        ((19.0, 28.0, 150.0), 11.0),
        ((13.0, 17.0, 190.0), 10.5),
        ((8.0, 5.0, 230.0), 9.8),
        ((6.0, -3.0, 270.0), 9.2),
        ((6.0, -8.0, 306.0), 8.8),
    ],
}
"""Painted in this order; each hides what it crosses of those before."""
_CORONARY_ARTERIES: Final[tuple[Course, ...]] = (
    [((8.0, -40.0, 96.0), 1.8), ((28.0, -54.0, 104.0), 1.7), ((48.0, -66.0, 128.0), 1.4), ((58.0, -66.0, 146.0), 1.2)],
    [
        ((-4.0, -46.0, 98.0), 1.8),
        ((-22.0, -56.0, 112.0), 1.7),
        ((-24.0, -46.0, 140.0), 1.6),
        ((0.0, -22.0, 160.0), 1.3),
    ],
    [((14.0, -34.0, 98.0), 1.8), ((38.0, -14.0, 104.0), 1.7), ((52.0, -4.0, 124.0), 1.4)],
)


@dataclass(frozen=True, slots=True)
class _Lung:
    """A lung: the room of the chest on one side of heart, spine and great vessels."""

    side: float

    @property
    def low(self) -> Point:
        return min(self.side * 1.0, self.side * 128.0), -92.0, 6.0

    @property
    def high(self) -> Point:
        return max(self.side * 1.0, self.side * 128.0), 86.0, 262.0

    def distance(self, slab: Slab) -> Field:
        apex = Ellipsoid((self.side * 64.0, 6.0, 138.0), (86.0, 110.0, 131.0))
        inside: Field = np.maximum(CAVITY.distance(slab) + np.float32(1.5), apex.distance(slab))
        np.maximum(inside, (slab.s - diaphragm(slab)) * np.float32(0.75), out=inside)
        for other in (_MEDIASTINUM, _BEHIND_LUNGS, _BESIDE_AORTA):
            np.maximum(inside, -other.distance(slab), out=inside)
        np.maximum(inside, np.float32(1.2) - slab.x * np.float32(self.side), out=inside)
        return inside


def paint_diaphragm(volume: Volume) -> None:
    """Paint the muscle between chest and abdomen."""
    volume.paint(Both(Without(BelowDiaphragm(), BelowDiaphragm(DIAPHRAGM_THICKNESS)), CAVITY), 58)


def paint_lungs(volume: Volume) -> None:
    """Paint both lungs with their fissures, vessels and airways."""
    parts, patches, ripples = SmoothNoise(33, 14.0), SmoothNoise(34, 4.5), SmoothNoise(35, 40.0)

    def tissue(slab: Slab) -> Field:
        values = parts(slab) * np.float32(16) + patches(slab) * np.float32(26)
        # Blood sinks to the back of a patient who lies on it.
        values += slab.y * np.float32(0.42) - np.float32(858)
        fissure = slab.y * np.float32(0.56) - slab.s * np.float32(0.82) + np.float32(94)
        fissure = np.abs(fissure + ripples(slab) * np.float32(4))
        np.subtract(np.float32(1.1), fissure, out=fissure)
        np.clip(fissure, 0, 1, out=fissure)
        fissure *= np.float32(230)
        values += fissure
        return values

    for side in SIDES:
        lung = _Lung(side)
        volume.paint(lung, tissue, edge=1.6)
        _paint_trees(volume, lung)


def _paint_trees(volume: Volume, lung: _Lung) -> None:
    random = RandomNumbers(40 if lung.side < 0 else 41)
    room = Grown(lung, -3.0)
    x, y, s = _HILA[lung.side]
    arteries = grown(
        (x - 3.0 * lung.side, y - 4.0, s - 2.0), points_within(room, random, _ARTERIES), Branching(7.5, 0.7)
    )
    veins = grown((x - 2.0 * lung.side, y - 6.0, s + 14.0), points_within(room, random, _VEINS), Branching(6.0, 0.7))
    for branch in (*arteries, *veins):
        thin = branch.end_radius < 1.0
        volume.paint(branch, 40 if thin else 110, edge=1.3, strength=0.85 if thin else 1.0)
    airways = grown((x, y, s), points_within(room, random, _AIRWAYS), Branching(5.6, 0.8))
    # Narrower ones have walls that no scanner shows.
    wide = [branch for branch in airways if branch.start_radius > 1.3]
    for branch in wide:
        volume.paint_all(widened([branch], 1.0 + branch.start_radius * 0.1), 20)
    volume.paint_all(wide, _AIR)


def paint_airways(volume: Volume) -> None:
    """Paint the windpipe, the main bronchi, and the gullet behind them."""
    gullet = smooth_tube(_GULLET)
    volume.paint_all(gullet, 62)
    volume.paint_all(widened(smooth_tube(_GULLET[:3]), -4.2), -300)
    pieces = tube(_WINDPIPE)
    for hilum in _HILA.values():
        pieces += tube([(_CARINA, 7.2), (hilum, 5.6)])
    volume.paint_all(widened(pieces, 1.5), 70)
    volume.paint_all(pieces, _AIR)


def paint_heart(volume: Volume) -> None:
    """Paint the heart in its fat, and the vessels of chest and abdomen."""
    rough = SmoothNoise(36, 13.0)
    sac = Both(Grown(Rough(_HEART, _HEART_SURFACE, 3.0), 1.0), Grown(_HEART, 3.0))
    volume.paint(sac, 25)
    volume.paint(Grown(sac, -1.6), -92)
    right = _ventricle((12.0, -20.0, 4.0), (48.0, 20.0, 36.0))
    volume.paint(Rough(Grown(right, 3.0), rough, 1.5), _HEART_MUSCLE)
    volume.paint(Rough(right, rough, 1.5), _HEART_BLOOD)
    volume.paint(Rough(_ventricle((15.0, 15.0, 8.0), (48.0, 30.0, 32.0)), rough, 1.2), _HEART_MUSCLE)
    volume.paint(Rough(_ventricle((9.0, 15.0, 8.0), (41.0, 19.5, 21.0)), rough, 2.0), _HEART_BLOOD)
    for place in ((20.0, 3.0, 4.0), (18.0, 20.0, 12.0)):
        volume.paint(_ventricle(place, (9.0, 4.0, 4.0)), _HEART_MUSCLE)
    for atrium in (
        Ellipsoid((3.0, 6.0, 104.0), (31.0, 17.0, 21.0)),
        Ellipsoid((-34.0, -24.0, 122.0), (20.0, 25.0, 31.0)),
    ):
        volume.paint(Grown(Rough(atrium, rough, 1.5), 1.8), 80)
        volume.paint(Rough(atrium, rough, 1.5), _HEART_BLOOD)
    for side in SIDES:
        for s in (98.0, 114.0):
            vein: Course = [
                ((side * 24.0, 8.0, 104.0), 6.5),
                ((side * 38.0, 12.0, s), 5.5),
                ((side * 50.0, 14.0, s + 2), 4.0),
            ]
            _paint_vessel(volume, vein, _HEART_BLOOD)
    for course in _VESSELS.values():
        _paint_vessel(volume, course, BLOOD)
    for course in _CORONARY_ARTERIES:
        volume.paint_all(smooth_tube(course), 210)


def _ventricle(place: Point, radii: Point) -> Ellipsoid:
    """Return an ellipsoid along the axes of the heart, at a place that is counted from its middle along them."""
    x, y, s = (
        middle + math.fsum(step * axis[number] for step, axis in zip(place, _HEART_AXES, strict=True))
        for number, middle in enumerate(_HEART.centre)
    )
    return Ellipsoid((x, y, s), radii, _HEART_AXES)


def _paint_vessel(volume: Volume, course: Course, blood: float) -> None:
    pieces = smooth_tube(course)
    volume.paint_all(widened(pieces, 1.2), _WALL)
    volume.paint_all(pieces, blood)
