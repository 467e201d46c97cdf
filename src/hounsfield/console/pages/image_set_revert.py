"""Going back to a version of an image set, by a new version with its content (API operation UpdateImageSetMetadata)."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.imagesets.image_set import ImageSet, open_image_set, render_image_set
from hounsfield.console.imagesets.image_set_content import differences, read_content
from hounsfield.console.imagesets.version_history import list_versions
from hounsfield.console.page import Page
from hounsfield.console.pages.image_set import IMAGE_SET
from hounsfield.console.visit import Visit

_MOST_DIFFERENCES: Final = 100


async def ask_version(visit: Visit) -> Response:
    """Show the versions, or what going back to one of them would change."""
    return await _form(visit, await open_image_set(visit), visit.query.get("to", ""))


async def revert(visit: Visit) -> Response:
    """Go back to a version."""
    image_set = await open_image_set(visit)
    form = visit.form
    wanted = form.text("to")
    if form.text("version") != image_set.latest.version and not image_set.latest.is_locked:
        return await _form(visit, image_set, wanted, stale=True)
    try:
        answer = await visit.calls.post(
            f"{image_set.api_path}/updateImageSetMetadata",
            {"revertToVersionId": wanted},
            query={"latestVersion": form.text("version")},
        )
    except ApiError as error:
        return await _form(visit, image_set, wanted, error=error)
    made = answer.json()["latestVersionId"]
    return visit.redirect(image_set.path, f"Version {made} is being made, with the content of version {wanted}.")


async def _form(
    visit: Visit, image_set: ImageSet, wanted: str, *, stale: bool = False, error: ApiError | None = None
) -> Response:
    shown: dict[str, Any] = {
        "wanted": wanted,
        "stale": stale,
        "error": error,
        "changes": None,
        "more": False,
        "content": None,
    }
    latest = image_set.latest
    if not latest.is_closed:
        if wanted.isdecimal() and int(wanted) != int(latest.version):
            now = await read_content(visit.calls, image_set.datastore.id, image_set.id)
            then = await read_content(visit.calls, image_set.datastore.id, image_set.id, wanted)
            found = list(islice(differences(now, then), _MOST_DIFFERENCES + 1))
            shown.update(content=now, changes=found[:_MOST_DIFFERENCES], more=len(found) > _MOST_DIFFERENCES)
        else:
            versions, _ = await list_versions(visit, image_set)
            shown.update(versions=[one for one in versions if one.version != latest.version])
    return render_image_set(visit, "image_set/revert.html", image_set, "revert", **shown)


PAGES: Final = (
    Page(f"{IMAGE_SET}/revert", ask_version),
    Page(f"{IMAGE_SET}/revert", revert, ("POST",)),
)
