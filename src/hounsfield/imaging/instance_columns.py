"""Columns by which DICOMweb finds and lists instances, read from their elements.

Series and study take the date, the time and the time zone of their first instance over: the levels of the metadata document
do not have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from hounsfield.dicom.values.dates_and_times import normalise_date, normalise_time
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.imaging.levels import order_of, plain_text

_INTEGER: Final = re.compile(r"[+-]?\d{1,9}")
_LONGEST: Final = 64
"""Characters that are kept of text that a damaged file may have of any length."""


@dataclass(frozen=True, slots=True)
class InstanceColumns:
    """The indexed elements of an instance; the names are those of the columns of the table of instances.

    Attributes
    ----------
    instance_number : str
        Instance Number (0020,0013), empty when missing.
    instance_order : int
        What instances are sorted by.
    pixel_rows, pixel_columns, bits_allocated, number_of_frames : int or None
        (0028,0010), (0028,0011), (0028,0100) and (0028,0008).
    warning_reason : int or None
        Warning Reason (0008,1196) of the import.
    performed_date, performed_time : str
        Performed Procedure Step Start Date (0040,0244) and Time (0040,0245), empty when missing.
    timezone_offset : str
        Timezone Offset From UTC (0008,0201), empty when missing.
    """

    instance_number: str
    instance_order: int
    pixel_rows: int | None
    pixel_columns: int | None
    bits_allocated: int | None
    number_of_frames: int | None
    warning_reason: int | None
    performed_date: str
    performed_time: str
    timezone_offset: str


def read_columns(attributes: Mapping[str, JsonValue]) -> InstanceColumns:
    """Read the indexed elements out of the values that the metadata document has of an instance."""
    number = plain_text(attributes, "InstanceNumber")
    return InstanceColumns(
        instance_number=number,
        instance_order=order_of(number),
        pixel_rows=_integer(attributes, "Rows"),
        pixel_columns=_integer(attributes, "Columns"),
        bits_allocated=_integer(attributes, "BitsAllocated"),
        number_of_frames=_integer(attributes, "NumberOfFrames"),
        warning_reason=_integer(attributes, "WarningReason"),
        performed_date=normalise_date(plain_text(attributes, "PerformedProcedureStepStartDate"))[:_LONGEST],
        performed_time=normalise_time(plain_text(attributes, "PerformedProcedureStepStartTime"))[:_LONGEST],
        timezone_offset=plain_text(attributes, "TimezoneOffsetFromUTC"),
    )


def read_fragment_columns(fragment: bytes) -> InstanceColumns:
    """Read the indexed elements of an instance from its JSON fragment."""
    return read_columns(orjson.loads(fragment)["DICOM"])


def _integer(attributes: Mapping[str, JsonValue], keyword: str) -> int | None:
    text = plain_text(attributes, keyword).partition("\\")[0]
    return int(text) if _INTEGER.fullmatch(text) else None
