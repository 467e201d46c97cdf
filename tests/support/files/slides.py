"""A whole slide image as a scanner makes it: two resolutions of one picture, in tiles (PS3.3 section A.32.8)."""

from __future__ import annotations

import io
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
