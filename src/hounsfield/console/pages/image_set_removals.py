"""The end of an image set, and of instances in it (API operations DeleteImageSet and UpdateImageSetMetadata)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.imagesets.chosen_instances import MOST_LISTED, read_chosen
from hounsfield.console.imagesets.image_set import ImageSet, open_image_set, render_image_set, require_unchanged
from hounsfield.console.imagesets.image_set_content import ImageSetContent, read_content, show_value
from hounsfield.console.imagesets.other_image_sets import find_others
from hounsfield.console.imagesets.typed_edits import removal_of
from hounsfield.console.page import Page
from hounsfield.console.pages.image_set import IMAGE_SET
from hounsfield.console.visit import Visit
from hounsfield.dicom.healthimaging.levels import Level

TYPED_CHARACTERS: Final = 8
"""How much of the id is typed to confirm a deletion."""
_MOST_COMPARED: Final = 5


async def ask_removal(visit: Visit) -> Response:
    """Ask which instances are to be removed; those that were copied elsewhere are chosen already."""
    return await _removal_form(visit, await open_image_set(visit))


async def remove(visit: Visit) -> Response:
    """Remove the chosen instances by a new version."""
    image_set = await open_image_set(visit)
    if image_set.latest.is_closed:
        return await _removal_form(visit, image_set)
    content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
    problem = ""
    try:
        chosen = read_chosen(visit.form, content)
        if not chosen:
            problem = "Choose the instances to remove."
        elif len(chosen) == len(content.instances):
            problem = "An image set keeps at least one instance. To remove all of them, delete it."
    except ValueError as wrong:
        problem = str(wrong)
    if problem:
        return await _removal_form(visit, image_set, content, problem=problem)
    try:
        require_unchanged(visit, image_set)
        answer = await visit.calls.post(
            f"{image_set.api_path}/updateImageSetMetadata",
            {"DICOMUpdates": removal_of(chosen, content.series_uid)},
            query={"latestVersion": image_set.latest.version, "force": "true"},
        )
    except ApiError as error:
        return await _removal_form(visit, await open_image_set(visit), error=error)
    version = answer.json()["latestVersionId"]
    path, copied = image_set.path, visit.form.text("copied")
    if copied:
        path = f"{image_set.datastore.path}/imagesets/{label(copied)}/after-split?from={label(image_set.id)}"
    return visit.redirect(path, f"The chosen instances are being removed from the image set, by version {version}.")


async def _removal_form(
    visit: Visit,
    image_set: ImageSet,
    content: ImageSetContent | None = None,
    *,
    problem: str = "",
    error: ApiError | None = None,
) -> Response:
    ticked = set(visit.form.texts("instance"))
    copied = visit.form.text("copied") or visit.query.get("copied", "")
    if content is None and not image_set.latest.is_closed:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
        if copied and visit.request.method == "GET":
            ticked |= set((await read_content(visit.calls, image_set.datastore.id, copied)).instances)
    return render_image_set(
        visit,
        "image_set/remove.html",
        image_set,
        "remove",
        content=content,
        most=MOST_LISTED,
        ticked=ticked,
        copied=copied,
        problem=problem,
        error=error,
        form=visit.form,
    )


async def ask_deletion(visit: Visit) -> Response:
    """Ask whether the image set is to be deleted, and show what goes with it."""
    return await _deletion_form(visit, await open_image_set(visit))


async def delete(visit: Visit) -> Response:
    """Delete an image set whose id was typed."""
    image_set = await open_image_set(visit)
    typed = visit.form.text("id")
    if typed not in (image_set.id, image_set.id[:TYPED_CHARACTERS]):
        return await _deletion_form(visit, image_set, problem=f"Type {image_set.id[:TYPED_CHARACTERS]}.")
    version = visit.form.text("version")
    if version and version != image_set.latest.version:
        return await _deletion_form(
            visit,
            image_set,
            problem="It has changed since you opened the page. Look at what is deleted now, then type it again.",
        )
    try:
        await visit.calls.post(f"{image_set.api_path}/deleteImageSet")
    except ApiError as error:
        return await _deletion_form(visit, await open_image_set(visit), error=error)
    return visit.redirect(image_set.path, "The image set is being deleted.")


async def _deletion_form(
    visit: Visit, image_set: ImageSet, *, problem: str = "", error: ApiError | None = None
) -> Response:
    shown: dict[str, Any] = {"content": None, "others": (), "shared": 0, "compared": True}
    if not image_set.latest.is_closed:
        shown.update(await _what_goes(visit, image_set))
    return render_image_set(
        visit,
        "image_set/delete.html",
        image_set,
        "delete",
        problem=problem,
        error=error,
        wanted=image_set.id[:TYPED_CHARACTERS],
        **shown,
    )


async def _what_goes(visit: Visit, image_set: ImageSet) -> dict[str, Any]:
    """Return what is deleted, and how much of it other image sets have too, as far as who asks may know."""
    try:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
    except ApiError:
        return {}
    shown: dict[str, Any] = {
        "content": content,
        "patient": show_value(content.values(Level.PATIENT).get("PatientName")),
        "patient_id": show_value(content.values(Level.PATIENT).get("PatientID")),
        "study": show_value(content.values(Level.STUDY).get("StudyDescription")),
        "series": show_value(content.values(Level.SERIES).get("SeriesDescription")),
    }
    try:
        found = await find_others(visit.calls, image_set.datastore.id, image_set.id, content)
        others = [other for other in found if other.series_uid == content.series_uid]
        elsewhere: set[str] = set()
        for other in others[:_MOST_COMPARED]:
            elsewhere |= set((await read_content(visit.calls, image_set.datastore.id, other.id)).instances)
    except ApiError:
        return {**shown, "compared": False}
    return {**shown, "others": others, "shared": len(elsewhere & content.instances.keys())}


PAGES: Final = (
    Page(f"{IMAGE_SET}/remove", ask_removal),
    Page(f"{IMAGE_SET}/remove", remove, ("POST",)),
    Page(f"{IMAGE_SET}/delete", ask_deletion),
    Page(f"{IMAGE_SET}/delete", delete, ("POST",)),
)
