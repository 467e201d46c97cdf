"""The JSON documents of UpdateImageSetMetadata, read into one tree. Pure.

    {"SchemaVersion": 1.1,
     "Patient": {"DICOM": {...}},
     "Study": {"DICOM": {...},
               "Series": {"<uid>": {"DICOM": {...},
                                    "Instances": {"<uid>": {"DICOM": {...}, "DICOMVRs": {...}}}}}}}

What is in neither blob is not in the tree. In removableAttributes an empty object removes the instance or series it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hounsfield.dicom.healthimaging.edit_values import VRS, named
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.imagesets.request_json import read_request_json

UPDATABLE: Final = "updatableAttributes"
REMOVABLE: Final = "removableAttributes"
_SCHEMA_VERSIONS: Final = (1.1, "1.1")


@dataclass(slots=True)
class LevelRequest:
    """What is asked for at one level, keys as the caller wrote them."""

    values: dict[str, object] = field(default_factory=dict)
    vrs: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    remove_whole: bool = False


@dataclass(slots=True)
class SeriesRequest:
    """What is asked for a series and its instances, by SOP Instance UID."""

    level: LevelRequest = field(default_factory=LevelRequest)
    instances: dict[str, LevelRequest] = field(default_factory=dict)


@dataclass(slots=True)
class EditRequest:
    """Both blobs; series by Series Instance UID."""

    patient: LevelRequest = field(default_factory=LevelRequest)
    study: LevelRequest = field(default_factory=LevelRequest)
    series: dict[str, SeriesRequest] = field(default_factory=dict)


def read_request(updatable: bytes | None, removable: bytes | None) -> EditRequest:
    """Read the blobs of a request; raises `InvalidRequestError` when they are not of the form above."""
    request = EditRequest()
    for blob, data in ((UPDATABLE, updatable), (REMOVABLE, removable)):
        if data is not None:
            _Reader(blob, request).read(data)
    return request


class _Reader:
    """Reads one blob into the tree."""

    def __init__(self, blob: str, request: EditRequest) -> None:
        self._blob = blob
        self._request = request

    def read(self, data: bytes) -> None:
        top = self._object(read_request_json(self._blob, data), self._blob, {"SchemaVersion", "Patient", "Study"})
        if "SchemaVersion" in top and top["SchemaVersion"] not in _SCHEMA_VERSIONS:
            raise InvalidRequestError(f"{self._blob}: SchemaVersion must be 1.1")
        if "Patient" in top:
            patient = self._object(top["Patient"], "Patient", {"DICOM", "DICOMVRs"})
            self._level(patient, "Patient", self._request.patient)
        if "Study" in top:
            study = self._object(top["Study"], "Study", {"DICOM", "DICOMVRs", "Series"})
            self._level(study, "Study", self._request.study)
            for uid, series in self._object(study.get("Series", {}), "Series").items():
                self._series(series, self._request.series.setdefault(uid, SeriesRequest()))

    def _series(self, value: object, target: SeriesRequest) -> None:
        series = self._object(value, "a series", {"DICOM", "DICOMVRs", "Instances"})
        target.level.remove_whole = target.level.remove_whole or (self._blob == REMOVABLE and not series)
        self._level(series, "a series", target.level)
        for uid, value_of_instance in self._object(series.get("Instances", {}), "Instances").items():
            instance = self._object(value_of_instance, "an instance", {"DICOM", "DICOMVRs"})
            level = target.instances.setdefault(uid, LevelRequest())
            level.remove_whole = level.remove_whole or (self._blob == REMOVABLE and not instance)
            self._level(instance, "an instance", level)

    def _level(self, content: Mapping[str, object], where: str, target: LevelRequest) -> None:
        dicom = self._object(content.get("DICOM", {}), f"DICOM of {where}")
        vrs = self._object(content.get("DICOMVRs", {}), f"DICOMVRs of {where}")
        if self._blob == REMOVABLE:
            target.removed |= set(dicom)
            return
        target.values.update(dicom)
        for key, vr in vrs.items():
            if not isinstance(vr, str) or vr not in VRS:
                raise InvalidRequestError(f"DICOMVRs of {where}: {named(key)} has no value representation of DICOM")
            target.vrs[key.upper()] = vr

    def _object(self, value: object, what: str, members: set[str] | None = None) -> Mapping[str, object]:
        """Take a JSON object with no other members than these; any when None."""
        if not isinstance(value, dict):
            raise InvalidRequestError(f"{self._blob}: {what} must be a JSON object")
        for name in value:
            if members is not None and name not in members:
                raise InvalidRequestError(
                    f"{self._blob}: {named(name)} cannot be changed in {what}, only {', '.join(sorted(members))}"
                )
        return value
