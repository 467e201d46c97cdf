"""Patient, study and series levels: what is indexed of them, and their sealing.

Both are taken from the levels and from nothing else, so that the index, the rules of organising and the metadata document
always tell the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.dicom.healthimaging.record import Grouping
from hounsfield.dicom.json.level_attributes import document_members
from hounsfield.dicom.values.dates_and_times import normalise_date, normalise_time
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.storage.db.ordering import LAST
from hounsfield.storage.keys.data_key import DataKey

_INTEGER = re.compile(r"[+-]?\d{1,10}")
_LONGEST_INDEXED = 512


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The searchable elements of an image set, as text, empty when missing (API shape DICOMTags and what DICOMweb searches).

    The names are those of the columns of the table of image sets. ``request_attributes`` is a member of DICOM JSON,
    ``series_order`` what series are sorted by. Dates and times are in the spelling of today, whatever the file has.
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
    patient_birth_time: str
    referring_physician: str
    series_description: str
    request_attributes: str
    series_order: int


def index_entry(levels: Levels) -> IndexEntry:
    """Read the searchable elements out of the levels."""
    patient, study, series = levels.patient, levels.study, levels.series
    series_number = plain_text(series, "SeriesNumber")
    return IndexEntry(
        patient_id=plain_text(patient, "PatientID"),
        patient_name=plain_text(patient, "PatientName"),
        patient_birth_date=normalise_date(plain_text(patient, "PatientBirthDate")),
        patient_sex=plain_text(patient, "PatientSex"),
        study_uid=plain_text(study, "StudyInstanceUID"),
        study_id=plain_text(study, "StudyID"),
        study_description=plain_text(study, "StudyDescription"),
        study_date=normalise_date(plain_text(study, "StudyDate")),
        study_time=normalise_time(plain_text(study, "StudyTime")),
        accession_number=plain_text(study, "AccessionNumber"),
        series_uid=plain_text(series, "SeriesInstanceUID"),
        series_number=series_number,
        modality=plain_text(series, "Modality")[:_LONGEST_INDEXED],
        body_part=plain_text(series, "BodyPartExamined"),
        patient_birth_time=normalise_time(plain_text(patient, "PatientBirthTime")),
        referring_physician=plain_text(study, "ReferringPhysicianName"),
        series_description=plain_text(series, "SeriesDescription"),
        request_attributes=_request_attributes(series),
        series_order=order_of(series_number),
    )


def grouping_of(index: IndexEntry) -> Grouping:
    """Return the seven grouping elements (developer guide, "Understanding import jobs")."""
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
    """Return SeriesNumber (IS) as a 32-bit integer, or None when it is not one."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**31) <= number < 2**31 else None


def order_of(number: str) -> int:
    """Return what is sorted by: the number that a text (IS) is, `LAST` when it is none."""
    integer = series_number_as_integer(number)
    return LAST if integer is None else integer


def _request_attributes(series: Mapping[str, JsonValue]) -> str:
    items = series.get("RequestAttributesSequence")
    if not items:
        return ""
    members = document_members({"RequestAttributesSequence": items})
    return members[0][1].decode() if members else ""


def plain_text(level: Mapping[str, JsonValue], keyword: str) -> str:
    """Return a value as text, several separated by backslashes, empty when missing."""
    value = level.get(keyword)
    if isinstance(value, list):
        value = "\\".join(str(part).strip() for part in value)
    # PostgreSQL has no text with zero bytes, which only a damaged element can hold.
    return "" if value is None else str(value).replace("\0", "").strip()


def _merged(older: Mapping[str, JsonValue], newer: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return dict(sorted({**older, **newer}.items()))


def seal_levels(key: DataKey, image_set_id: str, version: int, levels: Levels) -> bytes:
    """Encrypt the levels of one version."""
    return key.seal(levels.to_json(), f"levels:{image_set_id}:{version}")


def open_levels(key: DataKey, image_set_id: str, version: int, sealed: bytes) -> Levels:
    """Decrypt the levels of one version."""
    return Levels.from_json(key.open(sealed, f"levels:{image_set_id}:{version}"))
