"""Import warnings of pixel data: what was read although it is wrong, and why frames could not be made."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from hounsfield.dicom.values.warnings import ImportWarning, WarningCode
from hounsfield.pixels.errors import FrameProblem, FramesError, PixelError
from hounsfield.pixels.leniencies import PixelLeniency, PixelNote

CODES: Final = MappingProxyType(
    {
        PixelLeniency.BASIC_OFFSET_TABLE: WarningCode.INVALID_OFFSET_TABLE,
        PixelLeniency.EXTENDED_OFFSET_TABLE: WarningCode.INVALID_OFFSET_TABLE,
        PixelLeniency.NUMBER_OF_FRAMES: WarningCode.FRAME_NUMBER_MISMATCH,
        PixelLeniency.NO_DELIMITER: WarningCode.COERCION_OF_DATA_ELEMENTS,
        PixelLeniency.ZEROS: WarningCode.COERCION_OF_DATA_ELEMENTS,
        PixelLeniency.ITEM_DELIMITER: WarningCode.COERCION_OF_DATA_ELEMENTS,
        PixelLeniency.NO_END_MARKER: WarningCode.COERCION_OF_DATA_ELEMENTS,
        PixelLeniency.SHORT_RUN_LENGTH: WarningCode.TRANSCODING_EXCEPTION,
        PixelLeniency.DAMAGED_FRAMES: WarningCode.TRANSCODING_EXCEPTION,
    }
)
"""The code of each leniency."""

_PROBLEMS: Final = MappingProxyType(
    {
        FrameProblem.EXTRACTION: WarningCode.FRAMES_EXTRACTION_FAILURE,
        FrameProblem.NUMBER_MISMATCH: WarningCode.FRAME_NUMBER_MISMATCH,
        FrameProblem.OFFSET_TABLE: WarningCode.INVALID_OFFSET_TABLE,
    }
)


def note_warning(note: PixelNote) -> ImportWarning:
    """Warn of a leniency that pixel data needed."""
    return ImportWarning(CODES[note.leniency], note.text())


def frames_warning(error: FramesError) -> ImportWarning:
    """Warn that no frames were found."""
    return ImportWarning(_PROBLEMS[error.problem], f"Frames could not be extracted: {error}")


def description_warning(error: PixelError) -> ImportWarning:
    """Warn that pixel data is not described so that frames could be found in it."""
    return ImportWarning(WarningCode.FRAMES_EXTRACTION_FAILURE, f"Frames could not be extracted: {error}")


def transcoding_warning(error: PixelError) -> ImportWarning:
    """Warn that frames could not be brought into the stored form."""
    return ImportWarning(WarningCode.TRANSCODING_EXCEPTION, f"The pixel data is kept as it came: {error}")
