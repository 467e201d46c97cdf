"""The scanner: it adds the table and noise to a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hounsfield.phantom.random_numbers import RandomNumbers
from hounsfield.phantom.volume import COLUMNS, HEIGHT, ROWS, SLICES, Field, Point, Slab, Volume

LEAST: Final = -1024
GREATEST: Final = 3071
_TILE: Final = 768
_OCTETS: Final = 4
_AIR_NOISE, _TISSUE_NOISE = 4.0, 8.0


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A bent sheet below the patient.

    Attributes
    ----------
    top, bottom : float
        Where it begins and ends in y at its middle, in mm.
    """

    top: float
    bottom: float

    @property
    def low(self) -> Point:
        return -180.0, self.top - 40.0, 0.0

    @property
    def high(self) -> Point:
        return 180.0, self.bottom, HEIGHT

    def distance(self, slab: Slab) -> Field:
        """Return the distance from the sheet; shape (slices, rows, columns)."""
        y = slab.y + slab.x * slab.x * np.float32(1 / 900)
        middle, half = (self.top + self.bottom) / 2, (self.bottom - self.top) / 2
        return np.abs(y - np.float32(middle)) - np.float32(half) + np.float32(0) * slab.s


def paint_table(volume: Volume) -> None:
    """Paint the table below the patient: a mattress, and a shell of carbon around foam."""
    for top, bottom, units in ((109.0, 114.0, -900.0), (114.5, 141.0, -180.0), (116.2, 139.2, -945.0)):
        volume.paint(_Sheet(top, bottom), units)


def add_noise(volume: Volume) -> None:
    """Add the noise of an X-ray tube; what is not air has more of it."""
    random = RandomNumbers(71)
    tiles = [_tile(random) for _ in range(2)]
    for number in range(SLICES):
        values = volume.values[number].astype(np.float32)
        noise = _crop(tiles[0], random) + _crop(tiles[1], random)
        amount = values * np.float32(1 / 1000)
        amount += np.float32(1)
        np.clip(amount, 0, 1, out=amount)
        amount *= np.float32(_TISSUE_NOISE)
        amount += np.float32(_AIR_NOISE)
        noise *= amount
        values += noise
        np.rint(values, out=values)
        np.clip(values, LEAST, GREATEST, out=values)
        volume.values[number] = values


def _tile(random: RandomNumbers) -> Field:
    """Return noise of a deviation of about 0.7, in which neighbours are alike as in a reconstructed picture."""
    octets = random.octets(_TILE * _TILE * _OCTETS).reshape(_OCTETS, _TILE, _TILE)
    # Sums of a few are nearly normal.
    white = octets.astype(np.int32).sum(axis=0) - 255 * _OCTETS // 2
    for axis in (0, 1):
        white = np.roll(white, 1, axis) + 2 * white + np.roll(white, -1, axis)
    noise: Field = white.astype(np.float32)
    noise *= np.float32(1 / 1250)
    return noise


def _crop(tile: Field, random: RandomNumbers) -> Field:
    row, column = (int(unit * (_TILE - size)) for unit, size in zip(random.units(2), (ROWS, COLUMNS), strict=True))
    return tile[row : row + ROWS, column : column + COLUMNS]
