"""Instance records: elements as JSON values in four levels, and what is searched by.

Part10 ─▶ check limits ─▶ decode each element ─┬─ patient list  ─▶ patient
                                               ├─ study list    ─▶ study
                                               ├─ series list   ─▶ series
                                               └─ all others    ─▶ attributes, vrs
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hounsfield.dicom.healthimaging.levels import KEYWORDS, Level
from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.values.charsets import CharacterSet
from hounsfield.dicom.values.dates_and_times import normalise_date
from hounsfield.dicom.values.decode import JsonValue, ValueDecoder
from hounsfield.dicom.values.dictionary import TAGS, tag_of
from hounsfield.dicom.values.errors import DicomError, tag_text
from hounsfield.dicom.values.vr_checks import check_maximums, check_values
from hounsfield.dicom.values.warnings import ImportWarning, WarningCode, find_gravest

_MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x00020002
_WARNING_REASON: Final = "WarningReason"
_META_CHARACTER_SET: Final = CharacterSet()
_NAMED: Final = 8
"""Tags that a warning lists; more are counted."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """The seven elements that must agree inside an image set, stripped text, empty when missing.

    HealthImaging's guide, "Understanding image sets"; null equals empty.
    """

    study_date: str
    accession_number: str
    patient_id: str
    study_uid: str
    study_id: str
    series_uid: str
    series_number: str


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """The metadata of one instance.

    Attributes
    ----------
    study_uid, series_uid, sop_uid : str
        Its place in the hierarchy.
    sop_class_uid : str
        SOP Class UID (0008,0016), or the meta information's, or empty.
    patient, study, series : dict
        Values of the elements kept at these levels, by keyword in alphabetical order.
    attributes : dict
        Values of all other elements in tag order, file meta information first.
    vrs : dict of str to str
        VR of every element whose key is hexadecimal.
    warnings : tuple of ImportWarning
        What was wrong with the data set.
    grouping : Grouping
        What image sets are organised by.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    patient: dict[str, JsonValue]
    study: dict[str, JsonValue]
    series: dict[str, JsonValue]
    attributes: dict[str, JsonValue]
    vrs: dict[str, str]
    warnings: tuple[ImportWarning, ...]
    grouping: Grouping

    def with_warnings(self, extra: Sequence[ImportWarning]) -> InstanceRecord:
        """Add warnings, and name the gravest of all in Warning Reason (0008,1196).

        Parameters
        ----------
        extra : Sequence of ImportWarning
            Warnings found by others, for example while splitting the pixel data into frames.

        Returns
        -------
        InstanceRecord
            The record itself when there is no warning at all.
        """
        warnings = self.warnings + tuple(extra)
        code = find_gravest(warnings)
        if code is None:
            return self
        attributes = _inserted(self.attributes, _WARNING_REASON, int(code))
        return replace(self, attributes=attributes, warnings=warnings)


def instance_record(part10: Part10) -> InstanceRecord:
    """Make the record of a file.

    Parameters
    ----------
    part10 : Part10
        The file.

    Returns
    -------
    InstanceRecord
        With warnings for values that break their VR, and for text and numbers that could not be decoded in full.

    Raises
    ------
    DicomError
        When Study, Series or SOP Instance UID is missing, or an element exceeds the service's limits.
    """
    charset = part10.character_set
    check_maximums(part10.elements, charset, little_endian=part10.little_endian)
    attributes, vrs, body = _decoded(part10)
    patient, study, series = (_taken(attributes, level) for level in (Level.PATIENT, Level.STUDY, Level.SERIES))
    study_uid = _required(study, "StudyInstanceUID")
    series_uid = _required(series, "SeriesInstanceUID")
    sop_uid = _required(attributes, "SOPInstanceUID")
    record = InstanceRecord(
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=sop_uid,
        sop_class_uid=_plain(attributes.get("SOPClassUID")) or part10.text(_MEDIA_STORAGE_SOP_CLASS_UID) or "",
        patient=patient,
        study=study,
        series=series,
        attributes=attributes,
        vrs=vrs,
        warnings=part10.warnings + check_values(part10.elements, charset) + _findings(body, charset),
        grouping=grouping_of(patient, study, series),
    )
    return record.with_warnings(())


def instance_values(part10: Part10) -> tuple[dict[str, JsonValue], dict[str, str]]:
    """Return the attributes and VRs of the record of a file, without the checks of `instance_record` and what they warn of."""
    attributes, vrs, _ = _decoded(part10)
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        for keyword in KEYWORDS[level] & attributes.keys():
            del attributes[keyword]
    return attributes, vrs


def _decoded(part10: Part10) -> tuple[dict[str, JsonValue], dict[str, str], ValueDecoder]:
    """Decode all elements; gives the values, the VRs of those without keyword, and the decoder of the data set."""
    # File meta information is little endian whatever the data set is (PS3.10 section 7.1).
    meta = ValueDecoder(little_endian=True)
    body = ValueDecoder(little_endian=part10.little_endian)
    attributes: dict[str, JsonValue] = {}
    meta.add(attributes, part10.meta, _META_CHARACTER_SET)
    body.add(attributes, part10.elements, part10.character_set)
    return attributes, _sorted({**meta.vrs, **body.vrs}), body


def grouping_of(patient: dict[str, JsonValue], study: dict[str, JsonValue], series: dict[str, JsonValue]) -> Grouping:
    """Read the grouping elements out of the level dictionaries.

    Parameters
    ----------
    patient, study, series : dict
        Values by keyword.

    Returns
    -------
    Grouping
        Several values in an element meant for one are joined by a backslash; dates are in the spelling of today.
    """
    return Grouping(
        study_date=normalise_date(_plain(study.get("StudyDate"))),
        accession_number=_plain(study.get("AccessionNumber")),
        patient_id=_plain(patient.get("PatientID")),
        study_uid=_plain(study.get("StudyInstanceUID")),
        study_id=_plain(study.get("StudyID")),
        series_uid=_plain(series.get("SeriesInstanceUID")),
        series_number=_plain(series.get("SeriesNumber")),
    )


def _taken(values: dict[str, JsonValue], level: Level) -> dict[str, JsonValue]:
    """Take the values of a level out of all values."""
    present = KEYWORDS[level] & values.keys()
    return {keyword: values.pop(keyword) for keyword in sorted(present)}


def _sorted(vrs: dict[str, str]) -> dict[str, str]:
    return {key: vrs[key] for key in sorted(vrs)}


def _findings(body: ValueDecoder, charset: CharacterSet) -> tuple[ImportWarning, ...]:
    """Return what was wrong with the values of a data set."""
    code = WarningCode.COERCION_OF_DATA_ELEMENTS
    result = []
    if not charset.known:
        result.append(ImportWarning(code, "SpecificCharacterSet names an unknown character set; read as Latin-1."))
    if body.undecodable:
        text = f"Text of {_listed(body.undecodable)} has bytes outside its character set; they were replaced."
        result.append(ImportWarning(code, text))
    if body.malformed:
        text = f"The length of {_listed(body.malformed)} does not fit its value representation; bytes were left out."
        result.append(ImportWarning(code, text))
    return tuple(result)


def _listed(tags: set[int]) -> str:
    """Write a few tags out and count the others."""
    texts = [tag_text(tag) for tag in sorted(tags)]
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more


def _required(values: dict[str, JsonValue], keyword: str) -> str:
    uid = _plain(values.get(keyword))
    if not uid:
        raise DicomError(f"DICOM attribute {keyword} does not exist")
    return uid


def _plain(value: JsonValue) -> str:
    """Write a value as stripped text."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "\\".join(_plain(part) for part in value)
    return str(value).strip()


def _inserted(attributes: dict[str, JsonValue], keyword: str, value: JsonValue) -> dict[str, JsonValue]:
    """Put a value into a copy of the attributes, at its place in tag order."""
    if keyword in attributes:
        return {**attributes, keyword: value}
    tag = TAGS[keyword]
    items = list(attributes.items())
    place = next((place for place, (key, _) in enumerate(items) if (tag_of(key) or 0) > tag), len(items))
    items.insert(place, (keyword, value))
    return dict(items)
