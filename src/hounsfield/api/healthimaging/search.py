"""SearchImageSets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.pagination import Listing
from hounsfield.api.healthimaging.parameters import moment, optional_text, structure, structures, text
from hounsfield.aws.protocol.model import Parameter, Parameters
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.levels import series_number_as_integer
from hounsfield.imaging.search.image_sets import (
    ImageSetSummary,
    SearchField,
    SearchFilter,
    SearchOperator,
    SearchSort,
    SearchValue,
    SortField,
    StudyDateAndTime,
    search_image_sets,
)

_FIELDS = {
    "DICOMPatientId": SearchField.PATIENT_ID,
    "DICOMAccessionNumber": SearchField.ACCESSION_NUMBER,
    "DICOMStudyId": SearchField.STUDY_ID,
    "DICOMStudyInstanceUID": SearchField.STUDY_UID,
    "DICOMSeriesInstanceUID": SearchField.SERIES_UID,
    "createdAt": SearchField.CREATED_AT,
    "updatedAt": SearchField.UPDATED_AT,
    "DICOMStudyDateAndTime": SearchField.STUDY_DATE_AND_TIME,
    "isPrimary": SearchField.IS_PRIMARY,
}

SORT_FIELDS: Final[Mapping[str, SortField]] = {
    "updatedAt": SortField.UPDATED_AT,
    "createdAt": SortField.CREATED_AT,
    "DICOMStudyDateAndTime": SortField.STUDY_DATE_AND_TIME,
}
_SORT_FIELD_NAMES: Final = {field: name for name, field in SORT_FIELDS.items()}


def search(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation SearchImageSets."""
    listing = Listing(context.tokens, "SearchImageSets", parameters)
    criteria = structure(parameters.get("searchCriteria", {}))
    sort = _sort(criteria)
    page = search_image_sets(
        context.image_store,
        context.access,
        text(parameters, "datastoreId"),
        [_filter(entry) for entry in structures(criteria.get("filters", []))],
        sort,
        after=listing.after,
        limit=listing.limit,
    )
    return {
        "imageSetsMetadataSummaries": [_summary(entry) for entry in page.entries],
        "sort": {"sortField": _SORT_FIELD_NAMES[sort.field], "sortOrder": "DESC" if sort.descending else "ASC"},
        "nextToken": listing.token(page.end),
    }


def _sort(criteria: Parameters) -> SearchSort:
    if "sort" not in criteria:
        return SearchSort()
    sort = structure(criteria["sort"])
    return SearchSort(SORT_FIELDS[text(sort, "sortField")], text(sort, "sortOrder") == "DESC")


def _filter(entry: Parameters) -> SearchFilter:
    values = [next(iter(value.items())) for value in structures(entry["values"])]
    members = {member for member, _ in values}
    if len(members) != 1:
        raise InvalidRequestError("the values of a filter must be of one attribute")
    operator = SearchOperator(text(entry, "operator"))
    return SearchFilter(_FIELDS[members.pop()], operator, tuple(_value(member, value) for member, value in values))


def _value(member: str, value: Parameter) -> SearchValue:
    if member == "DICOMStudyDateAndTime":
        parts = structure(value)
        return StudyDateAndTime(text(parts, "DICOMStudyDate"), optional_text(parts, "DICOMStudyTime") or "")
    if member in {"createdAt", "updatedAt"}:
        return moment(value)
    return value if isinstance(value, bool) else str(value)


def _summary(found: ImageSetSummary) -> dict[str, object]:
    index = found.index
    tags = {
        "DICOMPatientId": index.patient_id or None,
        "DICOMPatientName": index.patient_name or None,
        "DICOMPatientBirthDate": index.patient_birth_date or None,
        "DICOMPatientSex": index.patient_sex or None,
        "DICOMStudyInstanceUID": index.study_uid or None,
        "DICOMStudyId": index.study_id or None,
        "DICOMStudyDescription": index.study_description or None,
        # Both counts are those of the image set; public clients add them up over the image sets of a study.
        "DICOMNumberOfStudyRelatedSeries": 1,
        "DICOMNumberOfStudyRelatedInstances": found.instance_count,
        "DICOMAccessionNumber": index.accession_number or None,
        "DICOMSeriesInstanceUID": index.series_uid or None,
        "DICOMSeriesModality": index.modality or None,
        "DICOMSeriesBodyPart": index.body_part or None,
        "DICOMSeriesNumber": series_number_as_integer(index.series_number),
        "DICOMStudyDate": index.study_date or None,
        "DICOMStudyTime": index.study_time or None,
    }
    return {
        "imageSetId": found.image_set_id,
        "version": found.version,
        "createdAt": found.created_at,
        "updatedAt": found.updated_at,
        "lastAccessedAt": found.last_accessed_at,
        "storageTier": found.storage_tier,
        "isPrimary": found.is_primary,
        "DICOMTags": tags,
    }
