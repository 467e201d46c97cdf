"""Pixel description: the elements of the Image Pixel module (PS3.3 C.7.6.3) as values of the pixel code."""

from __future__ import annotations

from dataclasses import replace

from hounsfield.dicom.io.part10 import Part10
from hounsfield.pixels.codecs.colour import JPEG_CODESTREAMS
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.frames.frames import FrameSource, frame_source

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
PLANAR_CONFIGURATION = 0x00280006
NUMBER_OF_FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100
BITS_STORED = 0x00280101
HIGH_BIT = 0x00280102
PIXEL_REPRESENTATION = 0x00280103
EXTENDED_OFFSET_TABLE = 0x7FE00001
EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00002


def pixel_format(file: Part10) -> PixelFormat:
    """Read the description of the pixel data.

    Raises
    ------
    PixelError
        A needed element is missing or has a value that cannot be.
    """
    bits_allocated = _needed(file, BITS_ALLOCATED, "BitsAllocated")
    bits_stored = file.integer(BITS_STORED) or bits_allocated
    format_ = PixelFormat(
        rows=_needed(file, ROWS, "Rows"),
        columns=_needed(file, COLUMNS, "Columns"),
        samples_per_pixel=file.integer(SAMPLES_PER_PIXEL) or 1,
        photometric_interpretation=file.text(PHOTOMETRIC_INTERPRETATION) or "MONOCHROME2",
        planar_configuration=file.integer(PLANAR_CONFIGURATION) or 0,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=_or(file.integer(HIGH_BIT), bits_stored - 1),
        pixel_representation=file.integer(PIXEL_REPRESENTATION) or 0,
        number_of_frames=_or(file.integer(NUMBER_OF_FRAMES), 1),
    )
    format_.validate()
    return format_


def with_corrected_colour(original: Part10, now: Part10, stored_transfer_syntax: str | None) -> Part10:
    """Let the data set that describes stored pixel data have the Photometric Interpretation that it was corrected to.

    Only where frames are stored as JPEG: they are decoded to red, green and blue by what is said of them. Of all other frames
    the samples stay what they are, and a correction tells what they mean.
    """
    corrected = now.text(PHOTOMETRIC_INTERPRETATION)
    if stored_transfer_syntax not in JPEG_CODESTREAMS or corrected in {None, original.text(PHOTOMETRIC_INTERPRETATION)}:
        return original
    (element,) = (element for element in now.elements if element.tag == PHOTOMETRIC_INTERPRETATION)
    others = (element for element in original.elements if element.tag != PHOTOMETRIC_INTERPRETATION)
    return replace(original, elements=tuple(sorted((*others, element), key=lambda one: one.tag)))


def pixel_frames(file: Part10, format_: PixelFormat) -> FrameSource:
    """Return the frames of a file, read one by one; raises `FramesError`."""
    pixel_data = file.pixel_data
    if pixel_data is None:
        raise PixelError("the data set has no pixel data")
    return frame_source(
        file.source.read,
        pixel_data.offset,
        pixel_data.length,
        pixel_data.end,
        format_,
        file.transfer_syntax,
        little_endian=file.little_endian,
        vr=pixel_data.vr,
        extended_offset_table=_extended_offset_table(file),
    )


def _extended_offset_table(file: Part10) -> tuple[bytes, bytes] | None:
    offsets, lengths = file.element(EXTENDED_OFFSET_TABLE), file.element(EXTENDED_OFFSET_TABLE_LENGTHS)
    if (
        offsets is None
        or lengths is None
        or not isinstance(offsets.value, bytes)
        or not isinstance(lengths.value, bytes)
    ):
        return None
    return offsets.value, lengths.value


def _needed(file: Part10, tag: int, keyword: str) -> int:
    value = file.integer(tag)
    if value is None:
        raise PixelError(f"the data set has pixel data but no {keyword}")
    return value


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
