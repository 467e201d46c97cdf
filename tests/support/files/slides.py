"""A whole slide image as a scanner makes it: two resolutions of one picture, in tiles (PS3.3 section A.32.8)."""

from __future__ import annotations

import io
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage

from support.files.synthetic import slice_of

SIDE, TILE = 512, 256
_MICROMETRE: float = 0.001


def slide_picture(side: int = SIDE) -> NDArray[np.uint8]:
    """Return the picture: red grows to the right, green downwards, blue in squares."""
    y, x = np.mgrid[0:side, 0:side]
    squares = (x // (side // 8) + y // (side // 8)) % 2 * 200
    return np.stack([x * 255 // side, y * 255 // side, squares], axis=-1).astype(np.uint8)


def slide(series: int, *, jpeg: bool) -> list[Dataset]:
    """Make the two instances of a slide; tiles of RGB as they are, or JPEG with subsampled colour."""
    return [_level(series, number, side, jpeg=jpeg) for number, side in ((1, SIDE), (2, TILE))]


def _level(series: int, number: int, side: int, *, jpeg: bool) -> Dataset:
    picture = slide_picture(side)
    tiles = [picture[y : y + TILE, x : x + TILE] for y in range(0, side, TILE) for x in range(0, side, TILE)]
    dataset = slice_of(series, number, pixels=np.zeros((TILE, TILE), "<i2"), Modality="SM", **_module(side))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    original = ("ORIGINAL", "NONE") if number == 1 else ("DERIVED", "RESAMPLED")
    dataset.ImageType = [original[0], "PRIMARY", "VOLUME", original[1]]
    dataset.NumberOfFrames, dataset.SamplesPerPixel, dataset.PlanarConfiguration = len(tiles), 3, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PhotometricInterpretation = "YBR_FULL_422" if jpeg else "RGB"
    dataset.LossyImageCompression = "01" if jpeg else "00"
    dataset.FrameOfReferenceUID = f"{dataset.SeriesInstanceUID}9"
    dataset.SharedFunctionalGroupsSequence = [_shared(dataset, SIDE / side)]
    if jpeg:
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([_jpeg(tile) for tile in tiles])
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.PixelData = np.stack(tiles).tobytes()
    return dataset


def _module(side: int) -> dict[str, Any]:
    """Return what says how tiles make the slide."""
    origin, path, specimen = Dataset(), Dataset(), Dataset()
    origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 0.0
    path.OpticalPathIdentifier, path.ColorSpace = "1", "SRGB"
    path.IlluminationTypeCodeSequence = [_code("111744", "DCM", "Brightfield illumination")]
    path.IlluminationColorCodeSequence = [_code("371251000", "SCT", "White")]
    path.ICCProfile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "S1", "2.25.77"
    specimen.IssuerOfTheSpecimenIdentifierSequence = specimen.SpecimenPreparationSequence = []
    millimetres = SIDE * _MICROMETRE / 2
    return {
        "ContentDate": "20240101",
        "ContentTime": "101010",
        "AcquisitionDateTime": "20240101101010",
        "Manufacturer": "none",
        "ManufacturerModelName": "none",
        "DeviceSerialNumber": "1",
        "SoftwareVersions": "1",
        "PositionReferenceIndicator": "SLIDE_CORNER",
        "ContainerIdentifier": "S1",
        "IssuerOfTheContainerIdentifierSequence": [],
        "ContainerTypeCodeSequence": [_code("258661006", "SCT", "Slide")],
        "SpecimenDescriptionSequence": [specimen],
        "AcquisitionContextSequence": [],
        "VolumetricProperties": "VOLUME",
        "SpecimenLabelInImage": "NO",
        "BurnedInAnnotation": "NO",
        "FocusMethod": "AUTO",
        "ExtendedDepthOfField": "NO",
        "ImagedVolumeWidth": millimetres,
        "ImagedVolumeHeight": millimetres,
        "ImagedVolumeDepth": 1.0,
        "TotalPixelMatrixOriginSequence": [origin],
        "ImageOrientationSlide": [0, -1, 0, -1, 0, 0],
        "TotalPixelMatrixColumns": side,
        "TotalPixelMatrixRows": side,
        "TotalPixelMatrixFocalPlanes": 1,
        "NumberOfOpticalPaths": 1,
        "DimensionOrganizationType": "TILED_FULL",
        "OpticalPathSequence": [path],
    }


def _shared(dataset: Dataset, scale: float) -> Dataset:
    shared, measures, kind, path = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [_MICROMETRE / 2 * scale] * 2
    measures.SliceThickness = _MICROMETRE
    kind.FrameType, path.OpticalPathIdentifier = dataset.ImageType, "1"
    shared.PixelMeasuresSequence = [measures]
    shared.WholeSlideMicroscopyImageFrameTypeSequence = [kind]
    shared.OpticalPathIdentificationSequence = [path]
    return shared


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _jpeg(tile: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(tile).save(buffer, "JPEG", quality=95, subsampling="4:2:2")
    return buffer.getvalue()


Pictures = dict[tuple[str, float], NDArray[np.uint8]]
"""Pictures of one size by optical path and height of the focal plane in micrometres."""


def level_of(
    series: int,
    number: int,
    pictures: Pictures,
    *,
    spacing: tuple[float, float],
    tile: int = 128,
    places: list[tuple[int, int]] | None = None,
    **elements: Any,
) -> Dataset:
    """Make one size of a slide, TILED_FULL, or TILED_SPARSE with frames at places.

    Parameters
    ----------
    series, number : int
        Of the instance.
    pictures : Pictures
        What is on it; paths and planes in the order of frames.
    spacing : tuple of float
        Millimetres between rows and between columns.
    tile : int
        Rows and columns of a frame; what lies beyond the picture is filled with 77.
    places : list of tuple of int, optional
        Row and column of the first pixel of each frame, counted from 0; without it all tiles in their order.
    **elements
        By keyword, instead of those of the slide.
    """
    (rows, columns, *rest), paths = (
        next(iter(pictures.values())).shape,
        list(dict.fromkeys(path for path, _ in pictures)),
    )
    planes = sorted({height for _, height in pictures})
    grid = [(row, column) for row in range(0, rows, tile) for column in range(0, columns, tile)]
    chosen = grid if places is None else places
    dataset = _level(series, number, TILE, jpeg=False)
    for keyword, value in {"TotalPixelMatrixRows": rows, "TotalPixelMatrixColumns": columns, **elements}.items():
        setattr(dataset, keyword, value)
    dataset.Rows = dataset.Columns = tile
    if not rest:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        del dataset.PlanarConfiguration
    dataset.TotalPixelMatrixFocalPlanes, dataset.NumberOfOpticalPaths = len(planes), len(paths)
    dataset.NumberOfFrames = len(chosen) * len(pictures)
    dataset.DimensionOrganizationType = "TILED_FULL" if places is None else "TILED_SPARSE"
    first = dataset.OpticalPathSequence[0]
    dataset.OpticalPathSequence = [_named(first, path) for path in paths]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence[0].PixelSpacing = list(spacing)
    if len(planes) > 1:
        shared.PixelMeasuresSequence[0].SpacingBetweenSlices = (planes[1] - planes[0]) * _MICROMETRE
    if places is not None:
        del shared.OpticalPathIdentificationSequence
        dataset.PerFrameFunctionalGroupsSequence = [
            _place(dataset, path, height, row, column) for path, height in pictures for row, column in chosen
        ]
    frames = [_cut(picture, row, column, tile) for picture in pictures.values() for row, column in chosen]
    dataset.PixelData = np.stack(frames).tobytes()
    return dataset


def _named(path: Dataset, name: str) -> Dataset:
    copy = deepcopy(path)
    copy.OpticalPathIdentifier, copy.OpticalPathDescription, copy.ObjectiveLensPower = name, f"Stain {name}", 20
    return copy


def _place(dataset: Dataset, path: str, height: float, row: int, column: int) -> Dataset:
    place, used, item = Dataset(), Dataset(), Dataset()
    right, down = dataset.ImageOrientationSlide[:2], dataset.ImageOrientationSlide[3:5]
    spacing = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    origin = dataset.TotalPixelMatrixOriginSequence[0]
    offsets = [origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem]
    place.XOffsetInSlideCoordinateSystem, place.YOffsetInSlideCoordinateSystem = (
        round(float(offset) + right[axis] * column * spacing[1] + down[axis] * row * spacing[0], 8)
        for axis, offset in enumerate(offsets)
    )
    place.ZOffsetInSlideCoordinateSystem = height
    place.ColumnPositionInTotalImagePixelMatrix, place.RowPositionInTotalImagePixelMatrix = column + 1, row + 1
    used.OpticalPathIdentifier = path
    item.PlanePositionSlideSequence, item.OpticalPathIdentificationSequence = [place], [used]
    return item


def _cut(picture: NDArray[np.uint8], row: int, column: int, tile: int) -> NDArray[np.uint8]:
    part = picture[row : row + tile, column : column + tile]
    padding = [(0, tile - part.shape[0]), (0, tile - part.shape[1])] + [(0, 0)] * (part.ndim - 2)
    return np.pad(part, padding, constant_values=77)
