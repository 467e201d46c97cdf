"""Other image sets of a data store that have to do with one: those of its series and of its study (API SearchImageSets)."""

from __future__ import annotations

from typing import Final

from hounsfield.console.calls import Calls
from hounsfield.console.imagesets.found_image_sets import FoundImageSet, search_image_sets
from hounsfield.console.imagesets.image_set_content import ImageSetContent, show_value
from hounsfield.dicom.healthimaging.levels import Level

_A_PAGE: Final = 50
_PAGES: Final = 4
MOST_FOUND: Final = _A_PAGE * _PAGES
"""Image sets of a series, and of a study, that are found at most."""


async def find_others(
    calls: Calls, datastore_id: str, image_set_id: str, content: ImageSetContent
) -> list[FoundImageSet]:
    """Find the other image sets of the same study, those of the same series and then primary ones first; raises `ApiError`.

    Of the series it is the first 200 at most, and of the study.
    """
    study_uid = show_value(content.values(Level.STUDY).get("StudyInstanceUID"))
    others: dict[str, FoundImageSet] = {}
    for criterion in ({"DICOMSeriesInstanceUID": content.series_uid}, {"DICOMStudyInstanceUID": study_uid}):
        criteria = {"filters": [{"operator": "EQUAL", "values": [criterion]}]}
        token: str | None = None
        for _ in range(_PAGES):
            page, token = await search_image_sets(calls, datastore_id, criteria, _A_PAGE, token)
            others |= {one.id: one for one in page if one.study_uid == study_uid}
            if token is None:
                break
    others.pop(image_set_id, None)
    return sorted(others.values(), key=lambda other: (other.series_uid != content.series_uid, not other.is_primary))
