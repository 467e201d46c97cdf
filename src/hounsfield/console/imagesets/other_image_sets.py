"""Other image sets of a data store that have to do with one: those of its series and of its study (API SearchImageSets)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hounsfield.console.calls import Calls, label
from hounsfield.console.imagesets.image_set_content import ImageSetContent, show_value
from hounsfield.dicom.healthimaging.levels import Level

_A_PAGE: Final = 50
_PAGES: Final = 4
MOST_FOUND: Final = _A_PAGE * _PAGES
"""Image sets of a series, and of a study, that are found at most."""


@dataclass(frozen=True, slots=True)
class OtherImageSet:
    """An image set as a search finds it.

    Attributes
    ----------
    id, version : str
        What it is known by, and its latest version.
    is_primary : bool
        Whether it is a primary one.
    is_same_series : bool
        Whether it is of the same series.
    patient_id, patient_name, description, series_uid : str
        Values of its patient, study and series.
    updated_at : float or None
        When it changed, in seconds since 1970-01-01 UTC.
    """

    id: str
    version: str
    is_primary: bool
    is_same_series: bool
    patient_id: str
    patient_name: str
    description: str
    series_uid: str
    updated_at: float | None


async def find_others(
    calls: Calls, datastore_id: str, image_set_id: str, content: ImageSetContent
) -> list[OtherImageSet]:
    """Find the other image sets of the same study, those of the same series and then primary ones first; raises `ApiError`.

    Of the series it is the first 200 at most, and of the study.
    """
    study_uid = show_value(content.values(Level.STUDY).get("StudyInstanceUID"))
    others: dict[str, OtherImageSet] = {}
    for criterion in ({"DICOMSeriesInstanceUID": content.series_uid}, {"DICOMStudyInstanceUID": study_uid}):
        async for found in _search(calls, datastore_id, criterion):
            if found.get("DICOMTags", {}).get("DICOMStudyInstanceUID") == study_uid:
                others.setdefault(found["imageSetId"], _other(found, content.series_uid))
    others.pop(image_set_id, None)
    return sorted(others.values(), key=lambda other: (not other.is_same_series, not other.is_primary))


async def _search(calls: Calls, datastore_id: str, criterion: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
    token: str | None = None
    for _ in range(_PAGES):
        answer = await calls.post(
            f"/datastore/{label(datastore_id)}/searchImageSets",
            {"filters": [{"operator": "EQUAL", "values": [criterion]}]},
            query={"maxResults": _A_PAGE, "nextToken": token},
        )
        page = answer.json()
        for found in page["imageSetsMetadataSummaries"]:
            yield found
        token = page.get("nextToken")
        if token is None:
            return


def _other(found: Mapping[str, Any], series_uid: str) -> OtherImageSet:
    tags = found.get("DICOMTags", {})
    return OtherImageSet(
        id=found["imageSetId"],
        version=str(found["version"]),
        is_primary=bool(found.get("isPrimary")),
        is_same_series=tags.get("DICOMSeriesInstanceUID") == series_uid,
        patient_id=tags.get("DICOMPatientId", ""),
        patient_name=tags.get("DICOMPatientName", ""),
        description=tags.get("DICOMStudyDescription", ""),
        series_uid=tags.get("DICOMSeriesInstanceUID", ""),
        updated_at=found.get("updatedAt"),
    )
