"""How an image is shown, written down plainly a second time: as the standard's formulas have it, value by value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut


def windowed(values: NDArray[Any], center: float, width: float, function: str = "LINEAR") -> NDArray[np.float64]:
    """Apply a window (PS3.3 section C.11.2.1.2.1, C.11.2.1.3); 0 to 255."""
    x = values.astype(float)
    if function == "SIGMOID":
        return 255 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR_EXACT":
        y = ((x - center) / width + 0.5) * 255
        y[x <= center - width / 2] = 0
        y[x > center + width / 2] = 255
        return y
    y = np.zeros_like(x) if width == 1 else ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
    y[x <= center - 0.5 - (width - 1) / 2] = 0
    y[x > center - 0.5 + (width - 1) / 2] = 255
    return y


def stretched(values: NDArray[Any], ignored: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Show the smallest value black and the largest white."""
    x = values.astype(float)
    counted = x if ignored is None else x[~ignored]
    low, high = counted.min(), counted.max()
    return np.clip((x - low) / (high - low), 0, 1) * 255


def by_pydicom(dataset: Dataset) -> NDArray[np.float64]:
    """Apply modality and VOI transformation as pydicom does, on the scale 0 to 255."""
    values = apply_modality_lut(dataset.pixel_array, dataset)
    shown = apply_voi_lut(values, dataset, prefer_lut=True).astype(float)
    if "VOILUTSequence" in dataset:
        return shown / (2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1) * 255
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    bits = dataset.BitsStored
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if dataset.PixelRepresentation else (0, (1 << bits) - 1)
    low, high = low * slope + intercept, high * slope + intercept
    return (shown - low) / (high - low) * 255
