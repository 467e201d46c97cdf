"""The versions of an image set: the list, with who made them, and what is different between two of them."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.imagesets.image_set import open_image_set, render_image_set
from hounsfield.console.imagesets.metadata import fetch_document, in_thread, unpack
from hounsfield.console.imagesets.metadata_comparison import compare_documents
from hounsfield.console.imagesets.version_history import LOOKUP, History, list_versions, look_up_history
from hounsfield.console.navigation import may_on_image_set
from hounsfield.console.page import Page
from hounsfield.console.pages.image_set import IMAGE_SET
from hounsfield.console.visit import Visit

TAB: Final = "versions"
_ROWS: Final = 100


async def show_versions(visit: Visit) -> Response:
    """Show the versions. Who made them is looked up when a page asks for it, as that may take longer."""
    image_set = await open_image_set(visit)
    versions, following = await list_versions(visit, image_set, visit.query.get("page"))
    history: History | None = None
    refused: ApiError | None = None
    if visit.query.get("who") and versions:
        try:
            history = await look_up_history(visit, image_set, versions)
        except ApiError as error:
            refused = error
    return render_image_set(
        visit,
        "image_set/versions.html",
        image_set,
        TAB,
        versions=versions,
        following=following,
        may_look_up=visit.may(LOOKUP),
        may_read=may_on_image_set(visit, "GetImageSetMetadata", image_set.arn),
        history=history,
        refused=refused,
    )


async def show_comparison(visit: Visit) -> Response:
    """Show what is different between two versions, the latest and the one before where none are named."""
    image_set = await open_image_set(visit)
    latest = image_set.latest.version
    later = visit.query.get("to") or latest
    earlier = visit.query.get("from") or str(max(1, int(later) - 1) if later.isdecimal() else 1)
    before = await fetch_document(visit, image_set, earlier)
    after = await fetch_document(visit, image_set, later)
    comparison = await in_thread(lambda: compare_documents(unpack(before), unpack(after)))
    rows: list[tuple[str, Any]] = [(change.level, change) for change in comparison.changes]
    rows += [("Instances added", sop_uid) for sop_uid in comparison.added]
    rows += [("Instances removed", sop_uid) for sop_uid in comparison.removed]
    page_count = max(1, -(-len(rows) // _ROWS))
    page = visit.number("page", 1, page_count)
    shown = rows[(page - 1) * _ROWS : page * _ROWS]
    return render_image_set(
        visit,
        "image_set/comparison.html",
        image_set,
        TAB,
        earlier=earlier,
        later=later,
        comparison=comparison,
        sections=[(name, [row for _, row in group]) for name, group in groupby(shown, key=lambda row: row[0])],
        page=page,
        page_count=page_count,
    )


PAGES: Final = (Page(f"{IMAGE_SET}/versions", show_versions), Page(f"{IMAGE_SET}/compare", show_comparison))
