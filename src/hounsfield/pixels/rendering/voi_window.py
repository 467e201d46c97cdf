"""VOI windows: which values go from black to white, and along which curve (PS3.3 section C.11.2.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.errors import PixelError


class WindowFunction(StrEnum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center, Window Width and VOI LUT Function.

    Raises
    ------
    PixelError
        The width is too small for the function, or a number is not finite.
    """

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR

    def __post_init__(self) -> None:
        if not (math.isfinite(self.center) and math.isfinite(self.width)):
            raise PixelError("the center and the width of a window must be finite numbers")
        if self.width < 1 if self.function is WindowFunction.LINEAR else self.width <= 0:
            least = "at least 1" if self.function is WindowFunction.LINEAR else "greater than 0"
            raise PixelError(f"the width of a window with the function {self.function} must be {least}")

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return brightness from 0 to 1 for values after the modality transformation; values must be floating point."""
        if self.function is WindowFunction.SIGMOID:
            # Beyond an exponent of 60 nothing changes any more, and numpy would warn of an overflow.
            exponent = np.clip(-4 * (values - self.center) / self.width, -60, 60)
            return np.asarray(1 / (1 + np.exp(exponent)))
        if self.function is WindowFunction.LINEAR_EXACT:
            return np.clip((values - self.center) / self.width + 0.5, 0, 1)
        if self.width == 1:
            return (values > self.center - 0.5).astype(values.dtype)
        return np.clip((values - (self.center - 0.5)) / (self.width - 1) + 0.5, 0, 1)


def whole_range(low: float, high: float) -> Window | None:
    """Return the window that shows the lowest value black and the highest white; None when they are the same."""
    if not high > low:
        return None
    return Window((low + high) / 2, high - low, WindowFunction.LINEAR_EXACT)
