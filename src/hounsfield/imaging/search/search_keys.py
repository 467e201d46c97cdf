"""Search keys of DICOMweb: level, column and kind of matching of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from hounsfield.dicom.values.dictionary import TAGS


class SearchLevel(IntEnum):
    """What a search gives."""

    STUDY = 1
    SERIES = 2
    INSTANCE = 3


class Matching(Enum):
    """How a value is compared (PS3.4 section C.2.2.2)."""

    TEXT = "text"
    """Single value, wildcards; case counts."""
    DESCRIPTION = "description"
    """As text; case counts unless a setting says that it does not."""
    NAME = "name"
    """Single value, wildcards, words; case does not count."""
    CODE = "code"
    """List of values, wildcards."""
    MODALITIES = "modalities"
    """As codes, one of the modalities of the study."""
    UID = "uid"
    """List of values."""
    DATE = "date"
    """Single value, range."""
    TIME = "time"
    """Single value, range."""
    INTEGER = "integer"
    """Single value."""
    WARNING = "warning"
    """Single value, wildcards over its digits; ``*`` finds those that have one."""


@dataclass(frozen=True, slots=True)
class SearchKey:
    """An attribute to search by.

    Attributes
    ----------
    keyword : str
        Its keyword.
    level : SearchLevel
        From which level of results on it can be searched by.
    matching : Matching
        How.
    column : str
        Where its values are: of the tables of studies, image sets or instances, as its level.
    """

    keyword: str
    level: SearchLevel
    matching: Matching
    column: str

    @property
    def tag(self) -> int:
        """Its tag."""
        return TAGS[self.keyword]


_STUDY, _SERIES, _INSTANCE = SearchLevel.STUDY, SearchLevel.SERIES, SearchLevel.INSTANCE
_KEYS: Final = (
    SearchKey("StudyDate", _STUDY, Matching.DATE, "study_date"),
    SearchKey("StudyTime", _STUDY, Matching.TIME, "study_time"),
    SearchKey("AccessionNumber", _STUDY, Matching.TEXT, "accession_number"),
    SearchKey("ModalitiesInStudy", _STUDY, Matching.MODALITIES, "modalities"),
    SearchKey("ReferringPhysicianName", _STUDY, Matching.NAME, "referring_physician_key"),
    SearchKey("StudyDescription", _STUDY, Matching.DESCRIPTION, "study_description"),
    SearchKey("PatientName", _STUDY, Matching.NAME, "patient_name_key"),
    SearchKey("PatientID", _STUDY, Matching.TEXT, "patient_id"),
    SearchKey("PatientBirthDate", _STUDY, Matching.DATE, "patient_birth_date"),
    SearchKey("PatientBirthTime", _STUDY, Matching.TIME, "patient_birth_time"),
    SearchKey("StudyInstanceUID", _STUDY, Matching.UID, "study_uid"),
    SearchKey("StudyID", _STUDY, Matching.TEXT, "study_id"),
    SearchKey("Modality", _SERIES, Matching.CODE, "modality"),
    SearchKey("SeriesInstanceUID", _SERIES, Matching.UID, "series_uid"),
    SearchKey("SeriesNumber", _SERIES, Matching.INTEGER, "series_order"),
    SearchKey("PerformedProcedureStepStartDate", _SERIES, Matching.DATE, "performed_date"),
    SearchKey("PerformedProcedureStepStartTime", _SERIES, Matching.TIME, "performed_time"),
    SearchKey("SOPClassUID", _INSTANCE, Matching.UID, "sop_class_uid"),
    SearchKey("SOPInstanceUID", _INSTANCE, Matching.UID, "sop_uid"),
    SearchKey("InstanceNumber", _INSTANCE, Matching.INTEGER, "instance_order"),
    SearchKey("WarningReason", _INSTANCE, Matching.WARNING, "warning_reason"),
)

SEARCH_KEYS: Final[Mapping[int, SearchKey]] = {key.tag: key for key in _KEYS}
"""All of them by tag."""


def keys_of(level: SearchLevel) -> list[SearchKey]:
    """List what can be searched by at a level: its own attributes and those of the levels above."""
    return [key for key in _KEYS if key.level <= level]
