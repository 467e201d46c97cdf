"""Random numbers that are the same with every version of numpy and on every machine.

numpy guarantees the stream of a bit generator for a seed, and not what its distributions make of the stream
(NEP 19). So the integers of the stream are used, and only sums, products and quotients of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_UNIT = 2.0**-53


class RandomNumbers:
    """A stream of random numbers.

    Parameters
    ----------
    seed : int
        The same seed gives the same stream.
    """

    def __init__(self, seed: int) -> None:
        self._stream = np.random.PCG64(seed)

    def octets(self, count: int) -> NDArray[np.uint8]:
        """Return that many numbers from 0 to 255; shape (count,)."""
        words = np.asarray(self._stream.random_raw(-(-count // 8)), "<u8")
        return words.view(np.uint8)[:count]

    def units(self, count: int) -> list[float]:
        """Return that many numbers from 0 up to, but not including, 1."""
        return [(int(word) >> 11) * _UNIT for word in np.asarray(self._stream.random_raw(count))]

    def unit(self) -> float:
        """Return one number from 0 up to, but not including, 1."""
        return self.units(1)[0]
