"""Import warnings: a file was imported, but something in it is not as DICOM wants it.

The codes are those of HealthImaging, written to Warning Reason (0008,1196). The developer guide prints three of the
decimal values wrongly; the hexadecimal ones are the truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class WarningCode(IntEnum):
    """Reason of a warning; `name` is the type as the guide's table writes it."""

    COERCION_OF_DATA_ELEMENTS = 0xB000
    ELEMENTS_DISCARDED = 0xB006
    SOP_CLASS_DATA_MISMATCH = 0xB007
    TRANSCODING_EXCEPTION = 0xB100
    FRAMES_EXTRACTION_FAILURE = 0xB110
    FRAME_NUMBER_MISMATCH = 0xB111
    INVALID_OFFSET_TABLE = 0xB112
    UNSUPPORTED_TRANSFER_SYNTAX = 0xB120
    INVALID_UID_FORMAT = 0xB201
    INVALID_DICOM_VALUE_LENGTH = 0xB202
    OTHER = 0xBFFF

    @property
    def type_name(self) -> str:
        """The type as lines of ``warning.ndjson`` write it, for example ``InvalidOffsetTable``."""
        return "".join(word.capitalize() for word in self.name.split("_"))


_SEVERITY: Final = (
    WarningCode.OTHER,
    WarningCode.FRAMES_EXTRACTION_FAILURE,
    WarningCode.FRAME_NUMBER_MISMATCH,
    WarningCode.INVALID_OFFSET_TABLE,
    WarningCode.TRANSCODING_EXCEPTION,
    WarningCode.UNSUPPORTED_TRANSFER_SYNTAX,
    WarningCode.SOP_CLASS_DATA_MISMATCH,
    WarningCode.ELEMENTS_DISCARDED,
    WarningCode.COERCION_OF_DATA_ELEMENTS,
    WarningCode.INVALID_DICOM_VALUE_LENGTH,
    WarningCode.INVALID_UID_FORMAT,
)
"""Gravest first: no frames at all, frames only as one blob, changed metadata, metadata that is merely irregular."""


@dataclass(frozen=True, slots=True)
class ImportWarning:
    """One warning of one file.

    Attributes
    ----------
    code : WarningCode
        Reason.
    message : str
        For the user; names elements, never values of patient data.
    """

    code: WarningCode
    message: str


def find_gravest(warnings: Iterable[ImportWarning]) -> WarningCode | None:
    """Pick the code for Warning Reason (0008,1196), which holds one value only.

    Parameters
    ----------
    warnings : Iterable of ImportWarning
        Warnings of one instance.

    Returns
    -------
    WarningCode or None
        The gravest one; None when there is no warning.
    """
    return min((warning.code for warning in warnings), key=_SEVERITY.index, default=None)
