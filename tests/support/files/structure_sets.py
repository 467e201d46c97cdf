"""Structure sets of radiotherapy, made for a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from support.files.synthetic import slice_of, uid


@dataclass(frozen=True)
class Region:
    """A region: contours as type and points, in millimetres in the patient."""

    name: str
    contours: Sequence[tuple[str, NDArray[Any]]]
    colour: tuple[int, int, int] | None = None
    reference: str = uid(77)


def structure_set(series: int, regions: Sequence[Region], of_series: str = uid(1, 1)) -> Dataset:
    """Make the structure set of a series of images of the first study; regions are numbered from 1."""
    file = slice_of(series, 1)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(file, keyword)
    del file.SamplesPerPixel, file.PhotometricInterpretation, file.ImageType
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    file.Modality, file.SeriesDescription, file.StructureSetLabel = "RTSTRUCT", f"Structures {series}", "Plan A"
    file.ReferencedFrameOfReferenceSequence = [Dataset()]
    reference = file.ReferencedFrameOfReferenceSequence[0]
    reference.FrameOfReferenceUID = uid(77)
    reference.RTReferencedStudySequence = [Dataset()]
    reference.RTReferencedStudySequence[0].RTReferencedSeriesSequence = [Dataset()]
    reference.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].SeriesInstanceUID = of_series
    file.StructureSetROISequence, file.ROIContourSequence, file.RTROIObservationsSequence = [], [], []
    for number, region in enumerate(regions, start=1):
        described, drawn, observed = Dataset(), Dataset(), Dataset()
        described.ROINumber, described.ROIName, described.ROIGenerationAlgorithm = number, region.name, "MANUAL"
        described.ReferencedFrameOfReferenceUID = region.reference
        drawn.ReferencedROINumber = observed.ReferencedROINumber = number
        observed.ObservationNumber, observed.RTROIInterpretedType = number, "ORGAN"
        if region.colour:
            drawn.ROIDisplayColor = list(region.colour)
        drawn.ContourSequence = [_contour(kind, points) for kind, points in region.contours]
        file.StructureSetROISequence.append(described)
        file.ROIContourSequence.append(drawn)
        file.RTROIObservationsSequence.append(observed)
    return file


def _contour(kind: str, points: NDArray[Any]) -> Dataset:
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
    text = "\\".join(f"{one:.9g}" for one in points.ravel())
    # What is too long for a length of 16 bits is written as UN (PS3.5 section 6.2.2).
    item.add_new(
        "ContourData",
        "DS" if len(text) < 2**16 else "UN",
        text if len(text) < 2**16 else text.encode() + b" " * (len(text) % 2),
    )
    return item
