"""A CT series that lies askew in the patient, and segmentations of it by highdicom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EnhancedCTImageStorage

from support.files.synthetic import slice_of, uid

SHAPE: Final = (5, 39, 53)
"""Slices, rows and columns; a slice is no whole number of bytes at one bit a pixel."""
SPACING: Final = (4.0, 0.7, 0.7)
_TURN: Final = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
_TILT: Final = np.array([[1.0, 0.0, 0.0], [0.0, 12 / 13, -5 / 13], [0.0, 5 / 13, 12 / 13]])
AXES: Final[NDArray[Any]] = (_TURN @ _TILT).T
"""Unit vectors along rows, along columns and from slice to slice."""
ORIGIN: Final = np.array([-31.0, 17.5, -204.25])
COLOURS: Final = ((230, 40, 60), (20, 200, 120), (90, 80, 240), (250, 200, 10))


def position(slice_: float, row: float | NDArray[Any] = 0, column: float | NDArray[Any] = 0) -> NDArray[Any]:
    """Return a place in the patient, in millimetres (PS3.3 equation C.7.6.2.1-1)."""
    right, down, on = AXES
    found: NDArray[Any] = ORIGIN + on * slice_ * SPACING[0] + down * row * SPACING[1] + right * column * SPACING[2]
    return found


def geometry(slice_: float) -> dict[str, Any]:
    """Return the attributes of a slice's plane."""
    return {
        "ImagePositionPatient": [f"{one:.8g}" for one in position(slice_)],
        "ImageOrientationPatient": [f"{one:.8g}" for one in (*AXES[0], *AXES[1])],
        "PixelSpacing": [str(SPACING[1]), str(SPACING[2])],
        "SliceThickness": str(SPACING[0]),
        "FrameOfReferenceUID": uid(77),
    }


def askew_series(study: int = 1, series: int = 1, **elements: Any) -> list[Dataset]:
    """Make the slices of the series, of noise in a window of 0 to 1000."""
    random = np.random.default_rng(5)
    return [
        slice_of(
            series,
            number + 1,
            study=study,
            pixels=random.integers(0, 1000, SHAPE[1:]).astype("<i2"),
            WindowCenter="500",
            WindowWidth="1000",
            **{**geometry(number), **elements},
        )
        for number in range(SHAPE[0])
    ]


def askew_frames(count: int, series: int = 1) -> Dataset:
    """Make one multi-frame image of small slices of the series."""
    shape = (count, 16, 18)
    image = slice_of(
        series, pixels=np.random.default_rng(6).integers(0, 1000, shape).astype("<i2"), FrameOfReferenceUID=uid(77)
    )
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    whole = geometry(0)
    measures.PixelSpacing, measures.SliceThickness = whole["PixelSpacing"], whole["SliceThickness"]
    orientation.ImageOrientationPatient = whole["ImageOrientationPatient"]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = []
    for number in range(count):
        own, place = Dataset(), Dataset()
        place.ImagePositionPatient = geometry(number)["ImagePositionPatient"]
        own.PlanePositionSequence = [place]
        image.PerFrameFunctionalGroupsSequence.append(own)
    return image


def blobs(shape: tuple[int, ...] = SHAPE, count: int = 3) -> NDArray[np.bool_]:
    """Return masks of several overlapping bodies: slices, rows, columns, bodies."""
    z, y, x = (np.linspace(-1, 1, size) for size in shape)
    random = np.random.default_rng(9)
    masks = np.zeros((*shape, count), bool)
    for body in range(count):
        a, b, c = random.uniform(-0.4, 0.4, 3)
        masks[..., body] = (
            ((z - a) / 1.1)[:, None, None] ** 2 + ((y - b) / 0.6)[None, :, None] ** 2 + ((x - c) / 0.5)[None, None] ** 2
        ) < 1
    return masks


def describe_segment(number: int, label: str, *, coloured: bool = True) -> Any:
    """Describe a segment of the liver, made by a program."""
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Liver,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence("Finder", codes.DCM.ArtificialIntelligence, "1.0"),
        display_color=hd.color.CIELabColor.from_rgb(*COLOURS[(number - 1) % len(COLOURS)]) if coloured else None,
    )


def segmentation(
    images: Sequence[Dataset],
    pixels: NDArray[Any],
    kind: str,
    series: int,
    *,
    segments: Mapping[int, str] | None = None,
    coloured: bool = True,
    **options: Any,
) -> hd.seg.Segmentation:
    """Make a segmentation in a series of its own."""
    named = segments or {number: f"Body {number}" for number in (1, 2, 3)}
    study = int(images[0].StudyInstanceUID.removeprefix(uid()))
    return hd.seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=[describe_segment(number, label, coloured=coloured) for number, label in named.items()],
        series_instance_uid=uid(study, series),
        series_number=series,
        sop_instance_uid=uid(study, series, 1),
        instance_number=1,
        manufacturer="Hounsfield",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
        series_description=f"{kind} {series}",
        **options,
    )
