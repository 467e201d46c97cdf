"""Pictures, descriptions and frame sources for tests of pixel data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.frames.frames import FrameSource, frame_source
from hounsfield.pixels.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN, NATIVE

PYDICOM_DATA = Path(pydicom.__file__).parent / "data" / "test_files"


def make_format(samples: np.ndarray, **changes: object) -> PixelFormat:
    """Describe decoded samples of one frame."""
    bits = samples.dtype.itemsize * 8
    count = samples.shape[2] if samples.ndim == 3 else 1
    values = {
        "rows": samples.shape[0],
        "columns": samples.shape[1],
        "samples_per_pixel": count,
        "photometric_interpretation": "MONOCHROME2" if count == 1 else "RGB",
        "planar_configuration": 0,
        "bits_allocated": bits,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "pixel_representation": int(samples.dtype.kind == "i"),
        "number_of_frames": 1,
    }
    return PixelFormat(**{**values, **changes})


def image(dtype: str, shape: tuple[int, ...], *, bits: int | None = None) -> np.ndarray:
    """A picture with slopes, edges and noise that uses `bits` of a sample, all of them if not given."""
    rng = np.random.default_rng(len(shape) * 1000 + shape[0])
    info = np.iinfo(dtype)
    depth = bits or info.bits
    rows, columns = np.indices(shape[:2])
    wave = np.sin(rows / 9.0) * np.cos(columns / 7.0) * 0.3 + 0.5 + (rows > columns) * 0.1
    if len(shape) == 3:
        wave = wave[..., None] * np.linspace(0.6, 1.0, shape[2])
    values = (wave + rng.normal(0, 0.02, shape)).clip(0, 1) * (2.0**depth - 1)
    if info.min < 0:
        values -= 2.0 ** (depth - 1)
    return values.astype(np.int64).astype(dtype)


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """A file in memory."""
    return lambda offset, size: data[offset : offset + size]


def source(value: bytes, format_: PixelFormat, syntax: str, **options: object) -> FrameSource:
    """The frames of a value, as they would lie in a file with something before them."""
    defaults = {"little_endian": syntax != EXPLICIT_VR_BIG_ENDIAN, "vr": "OW"}
    return frame_source(
        reader(b"\0" * 100 + value),
        100,
        len(value) if syntax in NATIVE else None,
        100 + len(value),
        format_,
        syntax,
        **{**defaults, **options},
    )


def dataset_format(ds: Dataset) -> PixelFormat:
    """Describe the pixel data of a data set."""
    return PixelFormat(
        ds.Rows,
        ds.Columns,
        ds.get("SamplesPerPixel", 1),
        ds.PhotometricInterpretation,
        ds.get("PlanarConfiguration") or 0,
        ds.BitsAllocated,
        ds.BitsStored,
        ds.HighBit,
        ds.PixelRepresentation,
        int(ds.get("NumberOfFrames", 1) or 0),
    )


def dataset_frames(ds: Dataset, syntax: str) -> FrameSource:
    """The frames of a data set."""
    table = None
    if "ExtendedOffsetTable" in ds:
        table = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths)
    return source(ds.PixelData, dataset_format(ds), syntax, vr=ds["PixelData"].VR, extended_offset_table=table)


def pydicom_files() -> list[Path]:
    """DICOM files that come with pydicom."""
    return sorted(path for path in PYDICOM_DATA.glob("*.dcm"))
