"""The query parameter ``orderby`` of a search for studies, as other servers have it.

orderby=StudyDate ─▶ the earliest first      orderby=-StudyDate ─▶ the latest first
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hounsfield.dicom.json.includefield import tag_named
from hounsfield.imaging.search.dicom_plan import StudyOrder
from hounsfield.imaging.search.search_keys import SEARCH_KEYS
from hounsfield.storage.db.study_tables import STUDY_INDEXES

ORDER_BY: Final = "orderby"


def study_order(query: Sequence[tuple[str, str]]) -> StudyOrder | None:
    """Return the order of studies that a query asks for.

    Returns
    -------
    StudyOrder or None
        None where it asks for none, for several, or for one by what is no attribute that studies can be ordered by.
    """
    given = [value.strip() for name, value in query if name.lower() == ORDER_BY]
    if len(given) != 1:
        return None
    tag = tag_named(given[0].removeprefix("-"))
    key = SEARCH_KEYS.get(tag) if tag is not None else None
    if key is None or key.column not in STUDY_INDEXES:
        return None
    return StudyOrder(key.column, given[0].startswith("-"))
