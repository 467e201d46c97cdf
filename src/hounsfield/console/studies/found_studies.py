"""Studies and series as a search finds them (QIDO-RS, PS3.18 section 10.6), read from DICOM JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

NO_PICTURES: Final = frozenset(
    {
        "AU",
        "DOC",
        "ECG",
        "EPS",
        "HD",
        "KO",
        "M3D",
        "PLAN",
        "PR",
        "REG",
        "RTPLAN",
        "RTRECORD",
        "RTSTRUCT",
        "RWV",
        "SR",
        "STAIN",
    }
)
"""Modalities of objects that are no images (PS3.3 section C.7.3.1.1.1)."""


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study.

    Attributes
    ----------
    uid : str
        Its Study Instance UID.
    patient_name, patient_id, birth_date, sex : str
        Of its patient, as they are stored.
    date, time, description, accession, study_id, referring_physician : str
        Of the study, as they are stored.
    modalities : sequence of str
        Of its series.
    series_count, instance_count : int or None
        How many it has, of primary image sets.
    """

    uid: str
    patient_name: str
    patient_id: str
    birth_date: str
    sex: str
    date: str
    time: str
    description: str
    accession: str
    study_id: str
    referring_physician: str
    modalities: Sequence[str]
    series_count: int | None
    instance_count: int | None

    @property
    def has_pictures(self) -> bool:
        """Whether a picture may be asked for."""
        return not self.modalities or not NO_PICTURES.issuperset(self.modalities)


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series.

    Attributes
    ----------
    uid : str
        Its Series Instance UID.
    number, modality, description, body_part, date, time : str
        As they are stored.
    instance_count : int or None
        How many instances it has.
    """

    uid: str
    number: str
    modality: str
    description: str
    body_part: str
    date: str
    time: str
    instance_count: int | None

    @property
    def has_pictures(self) -> bool:
        """Whether a picture may be asked for."""
        return self.modality not in NO_PICTURES


def read_study(found: Mapping[str, Any]) -> FoundStudy:
    """Read a result of SearchDICOMStudies."""
    return FoundStudy(
        uid=_text(found, "0020000D"),
        patient_name=_name(found, "00100010"),
        patient_id=_text(found, "00100020"),
        birth_date=_text(found, "00100030"),
        sex=_text(found, "00100040"),
        date=_text(found, "00080020"),
        time=_text(found, "00080030"),
        description=_text(found, "00081030"),
        accession=_text(found, "00080050"),
        study_id=_text(found, "00200010"),
        referring_physician=_name(found, "00080090"),
        modalities=[str(one) for one in _values(found, "00080061") if one],
        series_count=_number(found, "00201206"),
        instance_count=_number(found, "00201208"),
    )


def read_series(found: Mapping[str, Any]) -> FoundSeries:
    """Read a result of SearchDICOMSeries."""
    return FoundSeries(
        uid=_text(found, "0020000E"),
        number=_text(found, "00200011"),
        modality=_text(found, "00080060"),
        description=_text(found, "0008103E"),
        body_part=_text(found, "00180015"),
        date=_text(found, "00080021") or _text(found, "00400244"),
        time=_text(found, "00080031") or _text(found, "00400245"),
        instance_count=_number(found, "00201209"),
    )


def _values(found: Mapping[str, Any], tag: str) -> Sequence[Any]:
    values: Sequence[Any] = found.get(tag, {}).get("Value", ())
    return values


def _text(found: Mapping[str, Any], tag: str) -> str:
    return "\\".join("" if value is None else str(value) for value in _values(found, tag))


def _name(found: Mapping[str, Any], tag: str) -> str:
    values = _values(found, tag)
    groups = values[0] if values and isinstance(values[0], dict) else {}
    return "=".join(groups.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


def _number(found: Mapping[str, Any], tag: str) -> int | None:
    values = _values(found, tag)
    try:
        return int(values[0]) if values else None
    except (TypeError, ValueError):
        return None
