"""The torso as a series of CT images (PS3.3 A.3), one DICOM file for each slice."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from typing import Final
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from hounsfield.phantom.volume import COLUMNS, HEIGHT, PIXEL_SPACING, ROWS, SLICE_SPACING, Volume

VERSION: Final = 1
"""Rises with every change of a pixel or an attribute, and the UIDs change with it."""
_ROOT: Final = f"hounsfield phantom {VERSION}"


def phantom_uid(*names: str) -> UID:
    """Return the UID of something of the phantom, made of its names as PS3.5 B.2 has it.

    Parameters
    ----------
    *names : str
        ``study``; ``series``; ``frame of reference``; ``image`` and its number.
    """
    return UID(f"2.25.{uuid5(NAMESPACE_OID, ' '.join((_ROOT, *names))).int}")


STUDY_UID: Final = phantom_uid("study")
SERIES_UID: Final = phantom_uid("series")


def ct_files(volume: Volume) -> Iterator[tuple[str, bytes]]:
    """Return name and content of a DICOM file for each slice, from the top down.

    Parameters
    ----------
    volume : Volume
        Hounsfield units; stored as they are, in 16 bits.
    """
    common = _common()
    for number, pixels in enumerate(volume.values, start=1):
        yield f"slice-{number:03d}.dcm", _file(common, number, pixels)


def _file(common: Dataset, number: int, pixels: NDArray[np.int16]) -> bytes:
    dataset = copy.copy(common)
    z = HEIGHT / 2 - (number - 1) * SLICE_SPACING
    left, front = (-(count - 1) / 2 * PIXEL_SPACING for count in (COLUMNS, ROWS))
    dataset.SOPInstanceUID = phantom_uid("image", str(number))
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [f"{left:.2f}", f"{front:.2f}", f"{z:.2f}"]
    dataset.SliceLocation = f"{z:.2f}"
    dataset.PixelData = pixels.astype("<i2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = phantom_uid("implementation")
    dataset.file_meta.ImplementationVersionName = f"PHANTOM_{VERSION}"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _common() -> Dataset:
    """Return what all images have alike: the modules of the CT Image IOD, in the order of PS3.3 Table A.3-1."""
    dataset = Dataset()
    dataset.PatientName = "Phantom^Hounsfield"
    dataset.PatientID = "PHANTOM"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.QualityControlSubject = "YES"
    dataset.StudyInstanceUID = STUDY_UID
    # The day on which a CT scanner first showed a patient.
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "19711001"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "120000"
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.StudyDescription = "Generated torso"
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = SERIES_UID
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "Chest and abdomen, portal venous phase, 1.5 mm"
    dataset.BodyPartExamined = "CHESTABDOMEN"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = phantom_uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "Hounsfield"
    dataset.ManufacturerModelName = "Phantom"
    dataset.SoftwareVersions = str(VERSION)
    dataset.ContrastBolusAgent = "Simulated"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.AcquisitionNumber = 1
    dataset.PixelSpacing = [PIXEL_SPACING, PIXEL_SPACING]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SliceThickness = SLICE_SPACING
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.KVP = None
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = [40, -600, 400], [400, 1500, 1800]
    dataset.WindowCenterWidthExplanation = ["Soft tissue", "Lung", "Bone"]
    dataset.SOPClassUID = CTImageStorage
    return dataset
