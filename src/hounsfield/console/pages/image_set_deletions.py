"""The end of several image sets at once (API operations SearchImageSets, GetImageSet and DeleteImageSet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.imagesets.found_image_sets import FoundImageSet, search_image_sets
from hounsfield.console.imagesets.image_set_filters import ImageSetFilters
from hounsfield.console.page import Page
from hounsfield.console.pages.image_set_search import A_PAGE, IMAGE_SETS
from hounsfield.console.visit import Visit

_DELETE: Final = f"{IMAGE_SETS}/delete"
_CHOSEN: Final = "image_set"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one image set.

    Attributes
    ----------
    id : str
        Its id.
    reason : str
        Why it is not deleted; empty where it is.
    """

    id: str
    reason: str


async def ask_deletions(visit: Visit) -> Response:
    """Ask whether the image sets that were chosen on a page of the search are to be deleted, and show what they are."""
    datastore = await open_datastore(visit)
    chosen = set(visit.request.query_params.getlist(_CHOSEN))
    if not chosen:
        return visit.redirect(f"{datastore.path}/imagesets", "Choose the image sets to delete first.")
    criteria = ImageSetFilters.of_query(visit.query).criteria()
    found, _ = await search_image_sets(visit.calls, datastore.id, criteria, A_PAGE, visit.query.get("page"))
    image_sets = [one for one in found if one.id in chosen]
    return _form(visit, datastore, image_sets, gone=len(chosen) - len(image_sets))


async def delete_chosen(visit: Visit) -> Response:
    """Delete image sets whose number was typed, but those that have changed since they were shown."""
    datastore = await open_datastore(visit)
    chosen = [text.partition(":") for text in visit.form.texts(_CHOSEN)[:A_PAGE]]
    if visit.form.text("count") != str(len(chosen)):
        shown = await ask_deletions(visit)
        shown.status_code = 400
        return shown
    ended = [await _delete(visit, datastore, image_set_id, version) for image_set_id, _, version in chosen]
    return visit.render("image_sets/deleted.html", datastore=datastore, tab="imagesets", ended=ended)


async def _delete(visit: Visit, datastore: Datastore, image_set_id: str, version: str) -> Ended:
    path = f"/datastore/{label(datastore.id)}/imageSet/{label(image_set_id)}"
    try:
        latest = (await visit.calls.post(f"{path}/getImageSet")).json()
        if latest["versionId"] != version:
            return Ended(image_set_id, "It has changed since you looked at it, so it was left as it is.")
        await visit.calls.post(f"{path}/deleteImageSet")
    except ApiError as error:
        return Ended(image_set_id, error.message)
    return Ended(image_set_id, "")


def _form(visit: Visit, datastore: Datastore, image_sets: Sequence[FoundImageSet], gone: int) -> Response:
    return visit.render(
        "image_sets/delete.html",
        datastore=datastore,
        tab="imagesets",
        image_sets=image_sets,
        gone=gone,
        problem=f"Type {len(image_sets)}." if visit.request.method == "POST" else "",
    )


PAGES: Final = (Page(_DELETE, ask_deletions), Page(_DELETE, delete_chosen, ("POST",)))
