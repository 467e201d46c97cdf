"""An image set: what it is (API operation GetImageSet)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hounsfield.console.image_set import open_image_set, render_image_set
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit

IMAGE_SET: Final = "/console/datastores/{datastore}/imagesets/{imageset}"


async def show_overview(visit: Visit) -> Response:
    """Show what an image set is."""
    return render_image_set(visit, "image_set/overview.html", await open_image_set(visit), "")


PAGES: Final = (Page(IMAGE_SET, show_overview),)
