"""Studies of a data store: the search, and the page of a study (operations SearchDICOMStudies, SearchDICOMSeries, …)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.imagesets.found_image_sets import FoundImageSet, search_image_sets
from hounsfield.console.page import Page
from hounsfield.console.studies.found_studies import FoundSeries, FoundStudy, read_series, read_study
from hounsfield.console.studies.study_search import (
    FIELDS,
    SORTS,
    StudyFilters,
    find_study_of_uid,
    is_image_set_id,
    is_uid,
    quick_search,
    search_dicomweb,
)
from hounsfield.console.visit import Visit

_STUDIES: Final = "/console/datastores/{datastore}/studies"
PAGE_SIZES: Final = (25, 50, 100)
_NOT_QUICK: Final = frozenset({"from", "to", "modality"})
"""Fields that the quick search does not look at."""
_MOST_SKIPPED: Final = 1_000_000
_MOST_SERIES: Final = 200
_MOST_IMAGE_SETS: Final = 200
_IMAGE_SETS_A_PAGE: Final = 50
_MOST_LOOKED_AT: Final = 100
"""How many instances are looked at for whether they are images; a study with more is taken to have some."""
MODALITIES: Final = (
    "CT",
    "MR",
    "US",
    "DX",
    "CR",
    "MG",
    "XA",
    "RF",
    "NM",
    "PT",
    "OT",
    "SC",
    "SR",
    "SM",
    "ES",
    "XC",
    "SEG",
)
"""Offered to be chosen from; any other can be typed."""


async def search_studies(visit: Visit) -> Response:
    """Show the studies that match."""
    datastore = await open_datastore(visit)
    text = visit.query.get("q", "").strip()
    if not text:
        return await _show_studies(visit, datastore, StudyFilters.of_query(visit.query))
    try:
        target = await _find(visit, datastore, text)
    except ApiError as error:
        return _page(visit, datastore, StudyFilters(), error=error)
    if target is not None:
        return visit.redirect(target)
    return _page(visit, datastore, StudyFilters(), not_found=text)


async def _find(visit: Visit, datastore: Datastore, text: str) -> str | None:
    """Return the address of what the quick search finds, None where it finds nothing."""
    if is_uid(text):
        study = await find_study_of_uid(visit.calls, datastore.id, text)
        if study is not None:
            return study_path(datastore, study)
    if is_image_set_id(text) and await _is_image_set(visit, datastore, text):
        return f"{datastore.path}/imagesets/{label(text)}"
    guess, also = await quick_search(visit.calls, datastore.id, text)
    if guess is None:
        return None
    cleared = {name: None for name in ("q", *FIELDS) if name != guess.field}
    return visit.address(**cleared, **{guess.field: guess.text}, also=",".join(also))


async def _is_image_set(visit: Visit, datastore: Datastore, image_set_id: str) -> bool:
    try:
        await visit.calls.post(f"/datastore/{label(datastore.id)}/imageSet/{image_set_id}/getImageSet")
    except ApiError:
        return False
    return True


async def _show_studies(visit: Visit, datastore: Datastore, filters: StudyFilters) -> Response:
    size, offset = _size(visit), visit.number("offset", most=_MOST_SKIPPED)
    query = [*filters.parameters(), ("limit", size + 1), ("offset", offset)]
    try:
        answer = await visit.calls.get(f"/datastore/{label(datastore.id)}/studies", query)
    except ApiError as error:
        if error.status != 400:
            raise
        return _page(visit, datastore, filters, error=error)
    studies = [read_study(one) for one in answer.json()]
    if "orderby" in answer.headers.get("warning", ""):
        filters = replace(filters, sort="")
    return _page(visit, datastore, filters, studies=studies[:size], more=len(studies) > size)


def _page(
    visit: Visit,
    datastore: Datastore,
    filters: StudyFilters,
    *,
    studies: Sequence[FoundStudy] = (),
    more: bool = False,
    error: ApiError | None = None,
    not_found: str = "",
) -> Response:
    size, offset = _size(visit), visit.number("offset", most=_MOST_SKIPPED)
    also = [name for name in visit.query.get("also", "").split(",") if name in FIELDS]
    given = next(iter(filters.values.values()), "")
    return visit.render(
        "studies/list.html",
        headers=tidy_address(visit),
        datastore=datastore,
        tab="studies",
        filters=filters,
        fields=FIELDS,
        sorts=SORTS,
        modalities=MODALITIES,
        sizes=PAGE_SIZES,
        size=size,
        offset=offset,
        studies=studies,
        more=more and offset + size <= _MOST_SKIPPED,
        error=error,
        not_found=not_found,
        # What the quick search found stays typed, as far as it is of one field.
        found=given if len(filters.values) == 1 and not filters.values.keys() & _NOT_QUICK else "",
        also=[(name, given) for name in also] if len(filters.values) == 1 else [],
        shows_pictures=may_see_pictures(visit, datastore),
    )


async def show_study(visit: Visit) -> Response:
    """Show what a study is, and its series."""
    datastore = await open_datastore(visit)
    uid = visit.labels["study"]
    image_sets, more_image_sets = await _image_sets(visit, datastore, uid)
    study: FoundStudy | None = None
    series: Sequence[FoundSeries] = ()
    offset = visit.number("offset", most=_MOST_SKIPPED)
    if visit.may("medical-imaging:SearchDICOMStudies", datastore.arn) or not image_sets:
        found = await search_dicomweb(visit.calls, datastore.id, "studies", [("StudyInstanceUID", uid), ("limit", 1)])
        study = read_study(found[0]) if found else None
    if study is not None and _may_search(visit, datastore, uid, "SearchDICOMSeries"):
        path = f"studies/{label(uid)}/series"
        query = [("includefield", "00080021,00080031,00180015"), ("limit", _MOST_SERIES + 1), ("offset", offset)]
        series = [read_series(one) for one in await search_dicomweb(visit.calls, datastore.id, path, query)]
    if study is None and not image_sets:
        raise ApiError(404, "ResourceNotFoundException", "There is no such study in this data store.", "")
    shows_pictures = may_see_pictures(visit, datastore)
    blank = await _series_without_images(visit, datastore, study, series) if study and shows_pictures else set()
    of_series: dict[str, list[FoundImageSet]] = {}
    for one in image_sets:
        of_series.setdefault(one.series_uid, []).append(one)
    return visit.render(
        "studies/study.html",
        datastore=datastore,
        study=study or _study_of(image_sets[0]),
        is_primary=study is not None,
        series=series[:_MOST_SERIES],
        offset=offset,
        most_series=_MOST_SERIES,
        more_series=len(series) > _MOST_SERIES,
        of_series=of_series,
        others=[one for one in image_sets if one.series_uid not in {row.uid for row in series}],
        more_image_sets=more_image_sets,
        may_download=visit.may("medical-imaging:GetDICOMInstance", datastore.arn),
        opens_viewer=visit.may("medical-imaging:GetDICOMSeriesMetadata", datastore.arn),
        shows_pictures=shows_pictures,
        blank=blank,
        is_blank=bool(blank) and all(one.uid in blank for one in series),
    )


async def _image_sets(visit: Visit, datastore: Datastore, study_uid: str) -> tuple[list[FoundImageSet], bool]:
    """Return the first image sets of a study, and whether there are more.

    There are none where the caller may not search for them, and where the UID is one that SearchImageSets does not take.
    """
    found: list[FoundImageSet] = []
    if not visit.may("medical-imaging:SearchImageSets", datastore.arn):
        return found, False
    token: str | None = None
    criteria = {"filters": [{"operator": "EQUAL", "values": [{"DICOMStudyInstanceUID": study_uid}]}]}
    while len(found) < _MOST_IMAGE_SETS:
        try:
            page, token = await search_image_sets(visit.calls, datastore.id, criteria, _IMAGE_SETS_A_PAGE, token)
        except ApiError as error:
            if error.status not in (400, 403):
                raise
            break
        found += page
        if token is None:
            break
    return found, token is not None


def _study_of(image_set: FoundImageSet) -> FoundStudy:
    """Return what an image set says of its study, which no search by DICOMweb finds."""
    return FoundStudy(
        uid=image_set.study_uid,
        patient_name=image_set.patient_name,
        patient_id=image_set.patient_id,
        birth_date=image_set.birth_date,
        sex=image_set.sex,
        date=image_set.study_date,
        time=image_set.study_time,
        description=image_set.study_description,
        accession=image_set.accession,
        study_id=image_set.study_id,
        referring_physician="",
        modalities=(),
        series_count=None,
        instance_count=None,
    )


def study_path(datastore: Datastore, study_uid: str) -> str:
    """Return the address of the page of a study."""
    return f"{datastore.path}/studies/{label(study_uid)}"


def may_see_pictures(visit: Visit, datastore: Datastore) -> bool:
    """Return whether thumbnails are offered."""
    return visit.may("medical-imaging:GetDICOMInstanceFrames", datastore.arn)


async def _series_without_images(
    visit: Visit, datastore: Datastore, study: FoundStudy, series: Sequence[FoundSeries]
) -> set[str]:
    """Return the UIDs of series of which no instance has rows (0028,0010), as far as that can be told by one look."""
    count = study.instance_count or 0
    may_look = _may_search(visit, datastore, study.uid, "SearchDICOMInstances")
    if not may_look or not study.has_pictures or not 0 < count <= _MOST_LOOKED_AT:
        return set()
    path = f"studies/{label(study.uid)}/instances"
    found = await search_dicomweb(visit.calls, datastore.id, path, [("limit", _MOST_LOOKED_AT + 1)])
    if len(found) > _MOST_LOOKED_AT:
        return set()
    with_images = {one["0020000E"]["Value"][0] for one in found if one.get("00280010", {}).get("Value")}
    return {one.uid for one in series} - with_images


def _may_search(visit: Visit, datastore: Datastore, study_uid: str, operation: str) -> bool:
    context = {"medical-imaging:studyinstanceuid": study_uid}
    return visit.may(f"medical-imaging:{operation}", datastore.arn, context=context)


def tidy_address(visit: Visit, *idle: str) -> Mapping[str, str]:
    """Return the header that puts the address of a part into the browser, without fields that are empty or idle."""
    if not visit.is_part:
        return {}
    empty = [name for name, value in visit.query.items() if not value.strip()]
    return {"HX-Push-Url": visit.address(**dict.fromkeys((*empty, *idle)))}


def _size(visit: Visit) -> int:
    size = visit.number("size", most=PAGE_SIZES[-1])
    return size if size in PAGE_SIZES else PAGE_SIZES[0]


PAGES: Final = (
    Page(_STUDIES, search_studies),
    Page(f"{_STUDIES}/{{study}}", show_study),
)
