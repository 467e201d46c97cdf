"""Small real DICOM files made for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian


def uid(*parts: int) -> str:
    """Return a UID that is the same for the same parts."""
    return "2.25.7" + "".join(f"{part:05d}" for part in parts)


def noise(rows: int, columns: int, seed: int = 0, dtype: str = "<i2") -> NDArray[Any]:
    """Return a smooth picture with some noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    picture = 600 * np.sin(x / 17 + seed) + 400 * np.cos(y / 23) + random.normal(0, 8, (rows, columns))
    return picture.astype(dtype)


def slice_of(
    series: int = 1,
    number: int = 1,
    *,
    study: int = 1,
    pixels: NDArray[Any] | None = None,
    **elements: Any,
) -> Dataset:
    """Make one CT slice; ``elements`` replace or add elements by keyword."""
    pixels = noise(64, 64, seed=number) if pixels is None else pixels
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid(study, series, number)
    dataset.StudyInstanceUID = uid(study)
    dataset.SeriesInstanceUID = uid(study, series)
    dataset.PatientID = "P-1"
    dataset.PatientName = "Roe^Jane"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "F"
    dataset.StudyDate = "20240102"
    dataset.StudyTime = "101112"
    dataset.StudyID = "S1"
    dataset.StudyDescription = "Head"
    dataset.AccessionNumber = "A-1"
    dataset.Modality = "CT"
    dataset.BodyPartExamined = "HEAD"
    dataset.SeriesNumber = series
    dataset.InstanceNumber = number
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = pixels.shape[0]
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    """Write a DICOM file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path
