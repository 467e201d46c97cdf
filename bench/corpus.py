"""DICOM files to measure with: made of the real CT slice that pydicom carries, the same at every run.

CT_small.dcm, 128 × 128 ─▶ enlarged to 512 × 512 ─▶ turned, moved, noise of a scanner's grain ─▶ slices
its header, about 260 elements, private ones among them ──────────────────────────────────────▶ every slice
"""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UID

Frame = NDArray[np.int16]

SIDE = 512
TINY_SIDE = 64
FRAME_BYTES = SIDE * SIDE * 2
_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
_NOISE_TILES = 8
_NOISE = 14.0
_PIXEL_DATA_OW = b"\xe0\x7f\x10\x00OW\x00\x00"


def frames(count: int) -> Iterator[Frame]:
    """Make slices of 512 × 512 stored values of 16 bits, signed; no two are the same."""
    random = np.random.default_rng(20240229)
    picture, tiles = _picture(), _noise_tiles()
    for number in range(count):
        slice_ = np.roll(picture, number % 29, axis=number // 2 % 2)
        slice_ = slice_[:: -1 if number % 2 else 1, :: -1 if number % 3 else 1]
        noise = np.roll(tiles[number % _NOISE_TILES], tuple(random.integers(0, SIDE, 2)), axis=(0, 1))
        yield np.ascontiguousarray(slice_ + noise)


@cache
def _original() -> Dataset:
    path = get_testdata_file("CT_small.dcm")
    if not isinstance(path, str):
        raise FileNotFoundError("pydicom's CT_small.dcm")
    return pydicom.dcmread(path)


@cache
def _picture() -> Frame:
    small = _original().pixel_array.astype(np.float32)
    old = np.arange(small.shape[0])
    new = np.linspace(0, small.shape[0] - 1, SIDE)
    columns = np.stack([np.interp(new, old, column) for column in small.T], axis=1)
    return np.stack([np.interp(new, old, row) for row in columns]).astype(np.int16)


@cache
def _noise_tiles() -> list[Frame]:
    """Noise with the grain of a reconstruction kernel: each value goes with its neighbours."""
    random = np.random.default_rng(7)
    tiles = []
    for _ in range(_NOISE_TILES):
        noise = random.normal(0, 1, (SIDE, SIDE))
        for axis in (0, 1):
            noise = noise + 0.5 * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
        tiles.append((noise * (_NOISE / noise.std())).round().astype(np.int16))
    return tiles


def write_ct_series(folder: Path, count: int) -> list[Path]:
    """Write a CT series of single-frame files of 512 × 512, unless it is there."""
    return _written(folder, count, _slice, frames(count))


def write_tiny_series(folder: Path, count: int) -> list[Path]:
    """Write a series of single-frame files of 64 × 64 without private elements, unless it is there."""
    small = _original().pixel_array[:TINY_SIDE, :TINY_SIDE]
    return _written(folder, count, _tiny, (np.roll(small, number, axis=0) for number in range(count)))


def _written(folder: Path, count: int, make: Any, pictures: Iterator[Frame]) -> list[Path]:
    paths = [folder / f"{number:05d}.dcm" for number in range(count)]
    if not paths[-1].exists():
        folder.mkdir(parents=True, exist_ok=True)
        for number, (path, picture) in enumerate(zip(paths, pictures, strict=True)):
            pydicom.dcmwrite(path, make(number, picture), enforce_file_format=True)
    return paths


def _slice(number: int, frame: Frame, kind: int = 1) -> Dataset:
    dataset = copy.deepcopy(_original())
    if "DataSetTrailingPadding" in dataset:
        del dataset.DataSetTrailingPadding
    dataset.StudyInstanceUID = f"2.25.512{kind}"
    dataset.SeriesInstanceUID = f"2.25.512{kind}1"
    dataset.SOPInstanceUID = f"2.25.512{kind}1{number:06d}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceNumber = number + 1
    dataset.SliceLocation = round(number * 1.25, 2)
    dataset.ImagePositionPatient = [-158.135803, -179.035797, round(number * 1.25, 2)]
    dataset.Rows, dataset.Columns = frame.shape
    dataset.PixelData = frame.tobytes()
    return dataset


def _tiny(number: int, frame: Frame) -> Dataset:
    dataset = _slice(number, frame, kind=2)
    dataset.remove_private_tags()
    return dataset


def write_large_multiframe(path: Path, count: int) -> Path:
    """Write one file with ``count`` frames, frame by frame; 4096 of them are 2 GiB."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = _slice(0, next(frames(1)), kind=3)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(_ENHANCED_CT)
    dataset.NumberOfFrames = count
    del dataset.PixelData
    header = io.BytesIO()
    pydicom.dcmwrite(header, dataset, enforce_file_format=True)
    with path.open("wb") as file:
        file.write(header.getvalue())
        file.write(_PIXEL_DATA_OW + (count * FRAME_BYTES).to_bytes(4, "little"))
        for frame in frames(count):
            file.write(frame.tobytes())
    return path


def link_into(folder: Path, paths: list[Path]) -> None:
    """Put files into a folder of a bucket without copying them."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        os.link(path, folder / path.name)
