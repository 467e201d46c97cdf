"""Grouping keys: the series, and the values that must agree within an image set."""

from __future__ import annotations

from typing import NamedTuple

from hounsfield.dicom.healthimaging.record import Grouping


class SeriesKey(NamedTuple):
    """What a primary image set is unique by within a data store."""

    study_uid: str
    series_uid: str


class StudyVariant(NamedTuple):
    """The study-level grouping elements besides the Study Instance UID."""

    study_date: str
    accession_number: str
    patient_id: str
    study_id: str


class Variant(NamedTuple):
    """The grouping elements in which instances of one series can differ."""

    study: StudyVariant
    series_number: str


def variant_of(grouping: Grouping) -> Variant:
    """Return the part of the grouping elements in which instances of one series can differ."""
    study = StudyVariant(grouping.study_date, grouping.accession_number, grouping.patient_id, grouping.study_id)
    return Variant(study, grouping.series_number)
