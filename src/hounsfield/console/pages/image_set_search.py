"""Image sets of a data store: the search (API operation SearchImageSets)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.imagesets.found_image_sets import FoundImageSet, search_image_sets
from hounsfield.console.imagesets.image_set_filters import ATTRIBUTES, DATES, WITHOUT_VALUE, ImageSetFilters
from hounsfield.console.page import Page
from hounsfield.console.pages.studies import may_see_pictures, tidy_address
from hounsfield.console.visit import Visit

IMAGE_SETS: Final = "/console/datastores/{datastore}/imagesets"
A_PAGE: Final = 25
_MOST_TRAIL: Final = 12
"""Pages that one can go back: the address has the token of each."""


async def show_image_sets(visit: Visit) -> Response:
    """Show the image sets that match."""
    datastore = await open_datastore(visit)
    filters = ImageSetFilters.of_query(visit.query)
    try:
        image_sets, next_page = await search_image_sets(
            visit.calls, datastore.id, filters.criteria(), A_PAGE, visit.query.get("page")
        )
    except ValueError as error:
        return _page(visit, datastore, filters, error=ApiError(400, "ValidationException", str(error), ""))
    except ApiError as error:
        if error.status != 400:
            raise
        return _page(visit, datastore, filters, error=error)
    return _page(visit, datastore, filters, image_sets=image_sets, next_page=next_page)


def _page(
    visit: Visit,
    datastore: Datastore,
    filters: ImageSetFilters,
    *,
    image_sets: Sequence[FoundImageSet] = (),
    next_page: str | None = None,
    error: ApiError | None = None,
) -> Response:
    return visit.render(
        "image_sets/search.html",
        headers=tidy_address(visit, *_idle_fields(filters)),
        datastore=datastore,
        tab="imagesets",
        filters=filters,
        attributes=ATTRIBUTES,
        without_value=WITHOUT_VALUE,
        dates=DATES,
        image_sets=image_sets,
        next_address=_next_address(visit, next_page),
        previous_address=_previous_address(visit),
        error=error,
        shows_pictures=may_see_pictures(visit, datastore),
        deletable={
            one.id
            for one in image_sets
            if visit.may("medical-imaging:DeleteImageSet", visit.place.image_set_arn(datastore.id, one.id))
        },
    )


def _next_address(visit: Visit, token: str | None) -> str | None:
    """Return the address of the next page: it has the tokens of the pages before it, so that one can go back."""
    if token is None:
        return None
    here = visit.query.get("page", "")
    trail = [*_trail(visit), here] if here else []
    return visit.address(page=token, trail=" ".join(trail[-_MOST_TRAIL:]))


def _previous_address(visit: Visit) -> str | None:
    """Return the address of the page before this one: the first page is that without a token."""
    if not visit.query.get("page"):
        return None
    *before, last = _trail(visit) or [""]
    return visit.address(page=last, trail=" ".join(before))


def _trail(visit: Visit) -> list[str]:
    return visit.query.get("trail", "").split()[-_MOST_TRAIL:]


def _idle_fields(filters: ImageSetFilters) -> list[str]:
    """Return the fields that say nothing without another one."""
    idle = [] if filters.has_attribute else ["by", "value"]
    return idle if filters.has_range else [*idle, "date", "from_time", "to_time"]


PAGES: Final = (Page(IMAGE_SETS, show_image_sets),)
