"""What the archive reads out of the patient, study and series levels: the grouping elements and the search index.

Both are taken from the levels and from nothing else, so that the index, the rules of organising and the metadata document
always tell the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hounsfield.dicom.document import Levels
from hounsfield.dicom.record import Grouping
from hounsfield.dicom.values import JsonValue

_INTEGER = re.compile(r"[+-]?\d{1,10}")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The searchable elements of an image set, as text, empty when missing (API shape DICOMTags).

    The names are those of the columns of the table of image sets.
    """

    patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    study_uid: str
    study_id: str
    study_description: str
    study_date: str
    study_time: str
    accession_number: str
    series_uid: str
    series_number: str
    modality: str
    body_part: str


def index_entry(levels: Levels) -> IndexEntry:
    """Read the searchable elements out of the levels."""
    patient, study, series = levels.patient, levels.study, levels.series
    return IndexEntry(
        patient_id=_text(patient, "PatientID"),
        patient_name=_text(patient, "PatientName"),
        patient_birth_date=_text(patient, "PatientBirthDate"),
        patient_sex=_text(patient, "PatientSex"),
        study_uid=_text(study, "StudyInstanceUID"),
        study_id=_text(study, "StudyID"),
        study_description=_text(study, "StudyDescription"),
        study_date=_text(study, "StudyDate"),
        study_time=_text(study, "StudyTime"),
        accession_number=_text(study, "AccessionNumber"),
        series_uid=_text(series, "SeriesInstanceUID"),
        series_number=_text(series, "SeriesNumber"),
        modality=_text(series, "Modality"),
        body_part=_text(series, "BodyPartExamined"),
    )


def grouping_of(index: IndexEntry) -> Grouping:
    """Give the seven grouping elements (developer guide, "Understanding import jobs")."""
    return Grouping(
        study_date=index.study_date,
        accession_number=index.accession_number,
        patient_id=index.patient_id,
        study_uid=index.study_uid,
        study_id=index.study_id,
        series_uid=index.series_uid,
        series_number=index.series_number,
    )


def merge_levels(older: Levels, newer: Levels) -> Levels:
    """Let newer elements win; elements that only the older levels have stay."""
    return Levels(
        patient=_merged(older.patient, newer.patient),
        study=_merged(older.study, newer.study),
        series=_merged(older.series, newer.series),
    )


def series_number_as_integer(text: str) -> int | None:
    """Give SeriesNumber (IS) as a 32-bit integer, or None when it is not one."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**31) <= number < 2**31 else None


def _text(level: Mapping[str, JsonValue], keyword: str) -> str:
    value = level.get(keyword)
    if isinstance(value, list):
        value = "\\".join(str(part).strip() for part in value)
    # PostgreSQL has no text with zero bytes, which only a damaged element can hold.
    return "" if value is None else str(value).replace("\0", "").strip()


def _merged(older: Mapping[str, JsonValue], newer: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return dict(sorted({**older, **newer}.items()))
