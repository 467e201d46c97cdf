"""The abdomen: liver, gall bladder, spleen, stomach, pancreas, kidneys, bowel, and the muscles behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hounsfield.phantom.chest import BLOOD, DIAPHRAGM_THICKNESS
from hounsfield.phantom.random_numbers import RandomNumbers
from hounsfield.phantom.shapes import (
    Both,
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
from hounsfield.phantom.skeleton import SIDES
from hounsfield.phantom.smooth_noise import SmoothNoise
from hounsfield.phantom.trees import Branching, grown, points_within
from hounsfield.phantom.trunk import CAVITY, BelowDiaphragm
from hounsfield.phantom.volume import HEIGHT, Field, Point, Shape, Slab, Volume

_LIVER, _SPLEEN, _PANCREAS, _MUSCLE, _FAT = 112.0, 122.0, 96.0, 60.0, -104.0
_KIDNEY_CORTEX, _KIDNEY_PYRAMID, _URINE = 188.0, 128.0, 14.0
_PORTAL_BLOOD, _HEPATIC_BLOOD, _BILE = 168.0, 150.0, 9.0
_STOMACH_WALL, _BOWEL_WALL, _GAS = 88.0, 112.0, -975.0
_ROOM: Final = Grown(CAVITY, -1.5)
_KIDNEYS: Final = {-1.0: (-66.0, 40.0, 252.0), 1.0: (62.0, 40.0, 244.0)}
"""The middle of the kidney of each side."""
_PYRAMIDS: Final = ((-0.62, -0.3), (0.1, -0.62), (0.62, 0.1), (0.3, 0.62))
"""Where the pyramids of one level of a kidney are, along its first two axes."""
_STOMACH: Final[Course] = [
    ((62.0, -14.0, 199.0), 28.0),
    ((62.0, -25.0, 216.0), 26.0),
    ((56.0, -34.0, 236.0), 25.0),
    ((36.0, -50.0, 254.0), 20.0),
    ((10.0, -50.0, 260.0), 16.0),
    ((-12.0, -40.0, 256.0), 9.0),
    ((-26.0, -30.0, 252.0), 10.0),
]
_RISING_COLON: Final[Course] = [
    ((-92.0, 14.0, 306.0), 21.0),
    ((-94.0, 10.0, 284.0), 20.0),
    ((-86.0, -18.0, 272.0), 19.0),
]
_CROSSING_COLON: Final[Course] = [
    ((-86.0, -18.0, 272.0), 19.0),
    ((-62.0, -58.0, 284.0), 17.0),
    ((-10.0, -66.0, 294.0), 16.0),
    ((48.0, -64.0, 284.0), 16.5),
    ((90.0, -36.0, 262.0), 16.0),
    ((100.0, 6.0, 250.0), 15.0),
]
_FALLING_COLON: Final[Course] = [((100.0, 6.0, 250.0), 14.0), ((101.0, 22.0, 272.0), 13.5), ((98.0, 26.0, 306.0), 13.5)]
_SMALL_BOWEL_ROWS: Final = (
    (-46.0, 274.0),
    (-24.0, 270.0),
    (-2.0, 280.0),
    (-24.0, 293.0),
    (-46.0, 298.0),
    (-2.0, 303.0),
)
"""y and s of each stretch of small bowel; it goes to and fro in x."""
_SMALL_BOWEL_PLACES: Final = (-56.0, -36.0, -14.0, 8.0, 30.0, 52.0, 70.0)


@dataclass(frozen=True, slots=True)
class _InFrontOf:
    """What lies in front of a level in y, as gas does over fluid in a patient who lies on the back."""

    level: float

    @property
    def low(self) -> Point:
        return -200.0, -200.0, 0.0

    @property
    def high(self) -> Point:
        return 200.0, self.level, HEIGHT

    def distance(self, slab: Slab) -> Field:
        return slab.y - np.float32(self.level)


def paint_abdomen(volume: Volume) -> None:
    """Paint the organs of the abdomen and the muscles behind them."""
    _paint_muscles(volume)
    for side in SIDES:
        _paint_kidney(volume, side)
    _paint_liver(volume)
    _paint_spleen(volume)
    _paint_colon(volume)
    _paint_small_bowel(volume)
    _paint_stomach(volume)
    _paint_gall_bladder(volume)
    _paint_pancreas(volume)


def _below_diaphragm(shape: Shape) -> Shape:
    """Return the part of a shape that the abdomen has room for."""
    return Both(Both(shape, BelowDiaphragm(DIAPHRAGM_THICKNESS)), _ROOM)


def _paint_muscles(volume: Volume) -> None:
    for side in SIDES:
        psoas: Course = [
            ((side * 22.0, 32.0, 218.0), 5.0),
            ((side * 32.0, 30.0, 255.0), 13.0),
            ((side * 41.0, 24.0, 306.0), 20.0),
        ]
        square: Course = [((side * 58.0, 62.0, 236.0), 9.0), ((side * 66.0, 56.0, 306.0), 14.0)]
        crus: Course = [
            ((side * 12.0, 12.0, 176.0), 3.0),
            ((side * 15.0, 12.0, 210.0), 5.0),
            ((side * 14.0, 8.0, 250.0), 3.5),
        ]
        for course in (psoas, square, crus):
            volume.paint_all(smooth_tube(course), _MUSCLE)


def _kidney(side: float) -> Ellipsoid:
    axes = axes_along((side * 0.75, 0.62, -0.22 * side), (side * -0.2, 0.22, 1.0))
    return Ellipsoid(_KIDNEYS[side], (27.0, 25.0, 49.0), axes)


def _paint_kidney(volume: Volume, side: float) -> None:
    whole = _kidney(side)
    x, y, s = whole.centre
    notch = Ellipsoid((x - side * 22.0, y - 18.0, s), (17.0, 18.0, 19.0))
    kidney = Rough(Without(whole, notch), SmoothNoise(60, 18.0), 1.8)
    fat = SmoothNoise(59, 11.0)
    volume.paint(Grown(kidney, 7.0), lambda slab: fat(slab) * np.float32(8) + np.float32(_FAT))
    volume.paint(kidney, _KIDNEY_CORTEX)
    for pyramid in _pyramids(whole):
        volume.paint(Both(pyramid, Grown(kidney, -5.0)), _KIDNEY_PYRAMID, edge=2.0)
    volume.paint(Ellipsoid((x - side * 6.0, y - 5.0, s), (11.0, 9.0, 27.0), whole.axes), -70, edge=3.0)
    volume.paint(Ellipsoid((x - side * 10.0, y - 8.0, s + 2), (9.0, 5.0, 12.0), whole.axes), _URINE, edge=2.5)
    root = (x - side * 14.0, y - 11.0, s - 2)
    artery: Course = [
        (root, 2.8),
        ((side * 36.0, 12.0, s - 8), 2.8),
        ((side * 20.0, 6.0, s - 11), 2.8),
        ((8.0, 0.0, s - 12), 2.8),
    ]
    vein: Course = [
        (root, 4.6),
        ((side * 35.0, 4.0, s - 5), 4.6),
        ((side * 20.0, -14.0, s - 7), 4.6),
        ((-18.0, -6.0, s - 6), 4.6),
    ]
    ureter: Course = [
        ((x - side * 20.0, y - 12.0, s + 8), 3.5),
        ((x - side * 24.0, y - 14.0, s + 30), 2.2),
        ((side * 32.0, 6.0, 306.0), 2.2),
    ]
    adrenal: Course = [
        ((x - side * 22.0, y - 22.0, s - 46), 2.6),
        ((x - side * 20.0, y - 8.0, s - 42), 2.6),
        ((x - side * 12.0, y + 4.0, s - 44), 2.6),
    ]
    volume.paint_all(smooth_tube(artery), BLOOD)
    volume.paint_all(smooth_tube(vein), _PORTAL_BLOOD)
    volume.paint_all(smooth_tube(ureter), 30)
    volume.paint_all(tube(adrenal, 2.6), 90)


def _pyramids(kidney: Ellipsoid) -> list[Ellipsoid]:
    pyramids = []
    along, across, up = kidney.axes
    x, y, s = kidney.centre
    for level in range(-3, 4):
        near = 0.55 if abs(level) == 3 else 1.0
        for number, (first, second) in enumerate(_PYRAMIDS):
            rise = level * 11.6 + (number % 2) * 3.0
            outward = tuple(near * (first * a + second * b) for a, b in zip(along, across, strict=True))
            middle = (
                x + 18.0 * outward[0] + rise * up[0],
                y + 18.0 * outward[1] + rise * up[1],
                s + 18.0 * outward[2] + rise * up[2],
            )
            pyramids.append(Ellipsoid(middle, (6.5, 4.6, 4.6), axes_along((outward[0], outward[1], 0.0))))
    return pyramids


def _paint_liver(volume: Volume) -> None:
    right = Ellipsoid((-62.0, -4.0, 206.0), (76.0, 86.0, 66.0), axes_along((1.0, 0.0, 0.16)))
    left = Ellipsoid((-8.0, -48.0, 186.0), (70.0, 36.0, 34.0), axes_along((1.0, 0.1, -0.12)))
    shape: Shape = Merged(right, left, 26.0)
    for other in (
        Ellipsoid((-8.0, 34.0, 230.0), (34.0, 44.0, 60.0)),
        Ellipsoid((-46.0, -52.0, 252.0), (22.0, 26.0, 32.0)),
        Grown(_kidney(-1.0), 5.0),
    ):
        shape = Without(shape, other)
    liver = _below_diaphragm(Rough(shape, SmoothNoise(51, 26.0), 2.5))
    texture = SmoothNoise(52, 5.0)
    volume.paint(liver, lambda slab: texture(slab) * np.float32(7) + np.float32(_LIVER))
    random = RandomNumbers(53)
    inner = Grown(liver, -5.0)
    hepatic = grown((-22.0, 0.0, 178.0), points_within(inner, random, 70), Branching(6.0, 0.9))
    portal = grown((-26.0, -14.0, 218.0), points_within(inner, random, 90), Branching(6.5, 0.9))
    for blood, branches in ((_HEPATIC_BLOOD, hepatic), (_PORTAL_BLOOD, portal)):
        for branch in branches:
            volume.paint(branch, blood, edge=1.6, strength=0.9)
    ligament = Ellipsoid((4.0, -66.0, 212.0), (2.0, 22.0, 22.0), axes_along((1.0, 0.25, 0.0)))
    volume.paint(Both(ligament, liver), -60)
    # Two cysts, of which many people have some.
    volume.paint(Ellipsoid((-88.0, 26.0, 196.0), (5.5, 6.0, 5.5)), 8)
    volume.paint(Ellipsoid((-40.0, -34.0, 206.0), (3.2, 3.5, 3.2)), 8)


def _paint_spleen(volume: Volume) -> None:
    whole = Ellipsoid((98.0, 36.0, 210.0), (34.0, 48.0, 50.0), axes_along((0.86, 0.5, 0.0)))
    hollow = Without(whole, Ellipsoid((54.0, 2.0, 212.0), (38.0, 44.0, 60.0)))
    shape = Rough(Without(hollow, Grown(_kidney(1.0), 4.0)), SmoothNoise(54, 22.0), 2.5)
    texture = SmoothNoise(55, 4.0)
    volume.paint(_below_diaphragm(shape), lambda slab: texture(slab) * np.float32(6) + np.float32(_SPLEEN))


def _paint_colon(volume: Volume) -> None:
    folds, stool = SmoothNoise(61, 15.0), SmoothNoise(63, 3.5)

    def contents(slab: Slab) -> Field:
        return stool(slab) * np.float32(170) - np.float32(60)

    for course in (_RISING_COLON, _CROSSING_COLON, _FALLING_COLON):
        pieces = smooth_tube(course)
        hollow = [Rough(piece, folds, 3.2) for piece in widened(pieces, -2.6)]
        volume.paint_all((_below_diaphragm(Rough(piece, folds, 3.2)) for piece in pieces), _STOMACH_WALL)
        volume.paint_all(hollow, contents)
        if course is _CROSSING_COLON:
            volume.paint_all((Both(piece, _InFrontOf(-58.0)) for piece in hollow), _GAS)


def _paint_small_bowel(volume: Volume) -> None:
    random = RandomNumbers(64)
    mesentery = Ellipsoid((6.0, -20.0, 300.0), (80.0, 44.0, 50.0))
    volume.paint_all(grown((4.0, -12.0, 262.0), points_within(mesentery, random, 90), Branching(3.2, 0.9)), 90)
    course: list[tuple[Point, float]] = []
    for number, (y, s) in enumerate(_SMALL_BOWEL_ROWS):
        for x in _SMALL_BOWEL_PLACES if number % 2 else reversed(_SMALL_BOWEL_PLACES):
            right, back, down, wide = random.units(4)
            course.append(((x + 8 * right - 4, y + 12 * back - 6, s + 12 * down - 6), 8.8 + 1.8 * wide))
    pieces = smooth_tube(course, 3)
    folds, chyme = SmoothNoise(65, 15.0), SmoothNoise(62, 5.0)
    volume.paint_all((Rough(piece, folds, 1.2) for piece in pieces), _BOWEL_WALL)
    volume.paint_all(widened(pieces, -2.4), lambda slab: chyme(slab) * np.float32(30) + np.float32(30))


def _paint_stomach(volume: Volume) -> None:
    folds, food = SmoothNoise(56, 12.0), SmoothNoise(57, 6.0)
    pieces = smooth_tube(_STOMACH)
    hollow = [Both(Rough(piece, folds, 2.8), BelowDiaphragm(7.0)) for piece in widened(pieces, -4.0)]
    volume.paint_all((_below_diaphragm(Rough(piece, folds, 1.5)) for piece in pieces), _STOMACH_WALL)
    volume.paint_all(hollow, lambda slab: food(slab) * np.float32(16) + np.float32(22))
    volume.paint_all((Both(piece, _InFrontOf(-37.0)) for piece in hollow), _GAS)


def _paint_gall_bladder(volume: Volume) -> None:
    bladder = Ellipsoid((-46.0, -46.0, 246.0), (12.5, 14.0, 25.0), axes_along((1.0, 0.0, 0.25), (0.0, 0.3, 1.0)))
    volume.paint(Grown(bladder, 1.6), 70)
    volume.paint(bladder, _BILE)


def _paint_pancreas(volume: Volume) -> None:
    lobes = SmoothNoise(58, 8.0)
    pancreas: Course = [
        ((-22.0, -18.0, 258.0), 15.0),
        ((-14.0, -24.0, 244.0), 12.0),
        ((6.0, -26.0, 234.0), 9.5),
        ((30.0, -16.0, 228.0), 9.0),
        ((58.0, 2.0, 222.0), 8.5),
        ((76.0, 11.0, 215.0), 7.0),
    ]
    splenic_vein: Course = [
        ((-14.0, -14.0, 234.0), 5.5),
        ((8.0, -16.0, 228.0), 5.0),
        ((34.0, -5.0, 222.0), 4.5),
        ((60.0, 8.0, 216.0), 4.0),
        ((80.0, 17.0, 210.0), 3.0),
    ]
    portal_vein: Course = [
        ((0.0, -22.0, 300.0), 5.0),
        ((-2.0, -20.0, 270.0), 5.5),
        ((-10.0, -15.0, 238.0), 6.5),
        ((-26.0, -14.0, 217.0), 6.5),
    ]
    mesenteric_artery: Course = [
        ((9.0, 4.0, 228.0), 3.8),
        ((8.0, -14.0, 240.0), 3.6),
        ((9.0, -20.0, 270.0), 3.6),
        ((8.0, -22.0, 304.0), 3.4),
    ]
    celiac_trunk: Course = [((10.0, 6.0, 214.0), 3.4), ((8.0, -10.0, 216.0), 3.4), ((-8.0, -14.0, 216.0), 3.4)]
    for piece in smooth_tube(pancreas):
        volume.paint(Rough(piece, lobes, 3.0), _PANCREAS, edge=2.0)
    volume.paint_all(smooth_tube(splenic_vein), _PORTAL_BLOOD)
    volume.paint_all(smooth_tube(portal_vein), _PORTAL_BLOOD)
    volume.paint_all(smooth_tube(mesenteric_artery), BLOOD)
    volume.paint_all(tube(celiac_trunk), BLOOD)
