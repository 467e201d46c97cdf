"""Image sets as a search finds them (API operation SearchImageSets)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hounsfield.console.calls import Calls, label
from hounsfield.console.studies.found_studies import NO_PICTURES


@dataclass(frozen=True, slots=True)
class FoundImageSet:
    """An image set.

    Attributes
    ----------
    id : str
        Its id.
    version : int
        Its latest version.
    is_primary : bool
        Whether it is the primary one of its series.
    created_at, updated_at : float
        In seconds since 1970-01-01 UTC.
    storage_tier : str
        Such as ``FREQUENT_ACCESS``.
    patient_name, patient_id, birth_date, sex : str
        Of its patient, as they are stored.
    study_uid, study_id, study_description, study_date, study_time, accession : str
        Of its study, as they are stored.
    series_uid, modality, body_part : str
        Of its series, as they are stored.
    series_number, instance_count : int or None
        Number of its series, and how many instances it has.
    """

    id: str
    version: int
    is_primary: bool
    created_at: float
    updated_at: float
    storage_tier: str
    patient_name: str
    patient_id: str
    birth_date: str
    sex: str
    study_uid: str
    study_id: str
    study_description: str
    study_date: str
    study_time: str
    accession: str
    series_uid: str
    modality: str
    body_part: str
    series_number: int | None
    instance_count: int | None

    @property
    def has_pictures(self) -> bool:
        """Whether a picture may be asked for."""
        return bool(self.study_uid and self.series_uid) and self.modality not in NO_PICTURES


def read_image_set(found: Mapping[str, Any]) -> FoundImageSet:
    """Read an entry of ``imageSetsMetadataSummaries``."""
    tags: Mapping[str, Any] = found["DICOMTags"]
    text = {name: str(value) for name, value in tags.items()}.get
    return FoundImageSet(
        id=found["imageSetId"],
        version=found["version"],
        is_primary=bool(found.get("isPrimary")),
        created_at=found["createdAt"],
        updated_at=found["updatedAt"],
        storage_tier=found.get("storageTier") or "",
        patient_name=text("DICOMPatientName", ""),
        patient_id=text("DICOMPatientId", ""),
        birth_date=text("DICOMPatientBirthDate", ""),
        sex=text("DICOMPatientSex", ""),
        study_uid=text("DICOMStudyInstanceUID", ""),
        study_id=text("DICOMStudyId", ""),
        study_description=text("DICOMStudyDescription", ""),
        study_date=text("DICOMStudyDate", ""),
        study_time=text("DICOMStudyTime", ""),
        accession=text("DICOMAccessionNumber", ""),
        series_uid=text("DICOMSeriesInstanceUID", ""),
        modality=text("DICOMSeriesModality", ""),
        body_part=text("DICOMSeriesBodyPart", ""),
        series_number=tags.get("DICOMSeriesNumber"),
        instance_count=tags.get("DICOMNumberOfStudyRelatedInstances"),
    )


async def search_image_sets(
    calls: Calls, datastore_id: str, criteria: Mapping[str, Any], most: int, token: str | None
) -> tuple[list[FoundImageSet], str | None]:
    """Return a page of image sets, and the token of the next page (API operation SearchImageSets).

    Parameters
    ----------
    calls : Calls
        Makes the call.
    datastore_id : str
        Where they are.
    criteria : mapping
        The member ``searchCriteria``.
    most : int
        Image sets of a page.
    token : str or None
        Token of the page; None for the first.

    Raises
    ------
    ApiError
        The caller may not search, or the criteria cannot be searched for.
    """
    path = f"/datastore/{label(datastore_id)}/searchImageSets"
    found = (await calls.post(path, criteria, {"maxResults": most, "nextToken": token})).json()
    return [read_image_set(one) for one in found["imageSetsMetadataSummaries"]], found.get("nextToken")
