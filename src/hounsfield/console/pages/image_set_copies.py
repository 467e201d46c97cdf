"""Copies of an image set: into a new one, of a part, into another, and into the primary one (API operation CopyImageSet)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.imagesets.chosen_instances import MOST_LISTED, read_chosen
from hounsfield.console.imagesets.found_image_sets import FoundImageSet
from hounsfield.console.imagesets.image_set import (
    ImageSet,
    get_version,
    open_image_set,
    render_image_set,
    require_unchanged,
)
from hounsfield.console.imagesets.image_set_content import ImageSetContent, level_differences, read_content
from hounsfield.console.imagesets.other_image_sets import find_others
from hounsfield.console.navigation import may_on_image_set
from hounsfield.console.page import Page
from hounsfield.console.pages.image_set import IMAGE_SET
from hounsfield.console.visit import Visit
from hounsfield.dicom.healthimaging.levels import Level

_GROUPING: Final = (
    (Level.PATIENT, "PatientID"),
    (Level.STUDY, "StudyInstanceUID"),
    (Level.STUDY, "StudyDate"),
    (Level.STUDY, "AccessionNumber"),
    (Level.STUDY, "StudyID"),
    (Level.SERIES, "SeriesInstanceUID"),
    (Level.SERIES, "SeriesNumber"),
)
"""What must agree for a promotion, as for an import."""


async def _start(
    visit: Visit,
    image_set: ImageSet,
    *,
    destination: tuple[str, str] | None = None,
    chosen: tuple[str, Sequence[str]] | None = None,
    force: bool = False,
    promote: bool = False,
) -> str:
    """Begin a copy of the version that the form is about; gives the destination. Raises `ApiError`."""
    require_unchanged(visit, image_set)
    source: dict[str, Any] = {"latestVersionId": visit.form.text("version")}
    if chosen is not None:
        series_uid, sop_uids = chosen
        attributes = {
            "SchemaVersion": "1.1",
            "Study": {"Series": {series_uid: {"Instances": {uid: {} for uid in sop_uids}}}},
        }
        source["DICOMCopies"] = {"copiableAttributes": json.dumps(attributes)}
    body: dict[str, Any] = {"sourceImageSet": source}
    if destination is not None:
        body["destinationImageSet"] = {"imageSetId": destination[0], "latestVersionId": destination[1]}
    answer = await visit.calls.post(
        f"{image_set.api_path}/copyImageSet",
        body,
        query={"force": "true" if force else None, "promoteToPrimary": "true" if promote else None},
    )
    return str(answer.json()["destinationImageSetProperties"]["imageSetId"])


def _path_of(image_set: ImageSet, other_id: str) -> str:
    return f"{image_set.datastore.path}/imagesets/{label(other_id)}"


async def ask_copy(visit: Visit) -> Response:
    """Ask whether the image set is to be copied into a new one."""
    return await _copy_form(visit, await open_image_set(visit))


async def copy(visit: Visit) -> Response:
    """Copy the image set into a new one."""
    image_set = await open_image_set(visit)
    try:
        made = await _start(visit, image_set)
    except ApiError as error:
        return await _copy_form(visit, await open_image_set(visit), error)
    return visit.redirect(_path_of(image_set, made), "The copy is being made: this is the new image set.")


async def _copy_form(visit: Visit, image_set: ImageSet, error: ApiError | None = None) -> Response:
    content = None
    if not image_set.latest.is_closed:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
    return render_image_set(visit, "image_set/copy.html", image_set, "copy", content=content, error=error)


async def ask_split(visit: Visit) -> Response:
    """Ask which instances are to be copied into a new image set."""
    return await _split_form(visit, await open_image_set(visit))


async def split(visit: Visit) -> Response:
    """Copy the chosen instances into a new image set."""
    image_set = await open_image_set(visit)
    if image_set.latest.is_closed:
        return await _split_form(visit, image_set)
    content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
    try:
        chosen = read_chosen(visit.form, content)
    except ValueError as problem:
        return await _split_form(visit, image_set, content, problem=str(problem))
    if not chosen:
        return await _split_form(visit, image_set, content, problem="Choose the instances to copy.")
    try:
        made = await _start(visit, image_set, chosen=(content.series_uid, chosen))
    except ApiError as error:
        return await _split_form(visit, await open_image_set(visit), error=error)
    count = f"{len(chosen)} instance{'s' if len(chosen) != 1 else ''}"
    if len(chosen) == len(content.instances):
        return visit.redirect(_path_of(image_set, made), "All is being copied: this is the new image set.")
    return visit.redirect(
        f"{_path_of(image_set, made)}/after-split?from={label(image_set.id)}",
        f"The copy of {count} is being made: this is the new image set.",
    )


async def _split_form(
    visit: Visit,
    image_set: ImageSet,
    content: ImageSetContent | None = None,
    *,
    problem: str = "",
    error: ApiError | None = None,
) -> Response:
    if content is None and not image_set.latest.is_closed:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
    return render_image_set(
        visit,
        "image_set/split.html",
        image_set,
        "split",
        content=content,
        most=MOST_LISTED,
        ticked=set(visit.form.texts("instance")),
        problem=problem,
        error=error,
        form=visit.form,
    )


async def show_split(visit: Visit) -> Response:
    """Show what comes after a split, what of it is done, and in which lists the copies are."""
    image_set = await open_image_set(visit)
    shown: dict[str, Any] = {"content": None, "original": None}
    original_id = visit.query.get("from", "")
    if original_id and not image_set.latest.is_closed:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
        original = await read_content(visit.calls, image_set.datastore.id, original_id)
        others = await _others(visit, image_set, content)
        of_series = (other.id for other in others if other.is_primary and other.series_uid == content.series_uid)
        primary = next((other for other in of_series if other != original_id), None)
        arn = visit.place.image_set_arn(image_set.datastore.id, original_id)
        failed = None
        if (promoted := visit.query.get("promoted")) and primary is None:
            version = await get_version(visit.calls, image_set.datastore.id, promoted)
            failed = version if version.has_failed else None
        shown = {
            "content": content,
            "original": original,
            "failed": failed,
            "original_id": original_id,
            "original_path": _path_of(image_set, original_id),
            "has_own_uid": content.series_uid != original.series_uid,
            "primary_path": _path_of(image_set, primary) if primary else "",
            "still_there": sum(uid in original.instances for uid in content.instances),
            "may_edit": may_on_image_set(visit, "UpdateImageSetMetadata", image_set.arn),
            "may_promote": may_on_image_set(visit, "CopyImageSet", image_set.arn),
            "may_remove": may_on_image_set(visit, "UpdateImageSetMetadata", arn),
            "may_delete": may_on_image_set(visit, "DeleteImageSet", image_set.arn),
        }
    return render_image_set(visit, "image_set/after_split.html", image_set, "after-split", **shown)


async def ask_merge(visit: Visit) -> Response:
    """Ask into which image set the instances are to be copied, and show what that means."""
    return await _merge_form(visit, await open_image_set(visit), visit.query.get("into", "").strip())


async def merge(visit: Visit) -> Response:
    """Copy all instances into another image set."""
    image_set = await open_image_set(visit)
    form = visit.form
    into = form.text("into")
    if "into-version" not in form or image_set.latest.is_closed:
        return await _merge_form(visit, image_set, into)
    try:
        await _start(visit, image_set, destination=(into, form.text("into-version")), force="force" in form)
    except ApiError as error:
        return await _merge_form(visit, await open_image_set(visit), into, error=error)
    return visit.redirect(_path_of(image_set, into), "The instances are being copied into this image set.")


async def _merge_form(visit: Visit, image_set: ImageSet, into: str, *, error: ApiError | None = None) -> Response:
    shown: dict[str, Any] = {"into": into, "other": None, "others": (), "problem": "", "content": None}
    if not image_set.latest.is_closed:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
        shown["content"] = content
        if into == image_set.id:
            shown["problem"] = "This is the image set itself."
        elif into:
            try:
                shown.update(await _compared(visit, image_set, content, into))
            except ApiError as refused:
                shown["problem"] = refused.message
        if shown["other"] is None:
            shown["others"] = await _others(visit, image_set, content)
    return render_image_set(visit, "image_set/merge.html", image_set, "merge", error=error, form=visit.form, **shown)


async def _compared(visit: Visit, image_set: ImageSet, content: ImageSetContent, into: str) -> dict[str, Any]:
    """Return what a merge into another image set meets there."""
    other = await get_version(visit.calls, image_set.datastore.id, into)
    if other.is_deleted:
        return {"problem": "This image set is deleted."}
    if other.is_locked:
        return {"problem": "Another operation on this image set is under way. Try again when it has ended."}
    there = await read_content(visit.calls, image_set.datastore.id, into, other.version)
    return {
        "other": other,
        "other_path": _path_of(image_set, into),
        "there": there,
        "changes": level_differences(there, content),
        "twice": [uid for uid in content.instances if uid in there.instances],
    }


async def _others(visit: Visit, image_set: ImageSet, content: ImageSetContent) -> Sequence[FoundImageSet]:
    if not visit.may("medical-imaging:SearchImageSets", image_set.datastore.arn):
        return ()
    return await find_others(visit.calls, image_set.datastore.id, image_set.id, content)


async def ask_promotion(visit: Visit) -> Response:
    """Ask whether an image set is to be promoted, and show into what."""
    return await _promotion_form(visit, await open_image_set(visit))


async def promote(visit: Visit) -> Response:
    """Copy the instances into the primary image set of the series, or into a new one that is primary."""
    image_set = await open_image_set(visit)
    try:
        made = await _start(visit, image_set, promote=True)
    except ApiError as error:
        return await _promotion_form(visit, await open_image_set(visit), error)
    if split_from := visit.form.text("split-from"):
        return visit.redirect(
            f"{image_set.path}/after-split?from={label(split_from)}&promoted={label(made)}",
            "The promotion to a primary image set is being made.",
        )
    return visit.redirect(_path_of(image_set, made), "The promotion is being made: this is the primary image set.")


async def _promotion_form(visit: Visit, image_set: ImageSet, error: ApiError | None = None) -> Response:
    shown: dict[str, Any] = {"content": None, "primary": None, "siblings": 0, "changes": (), "twice": ()}
    shown["split_from"] = visit.form.text("split-from") or visit.query.get("split-from", "")
    if not image_set.latest.is_closed and not image_set.latest.is_primary:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
        shown["content"] = content
        primaries = [other for other in await _others(visit, image_set, content) if other.is_primary]
        shown["siblings"] = len(primaries)
        # A series has one primary image set at most. Where it has none, it must fit in with those of its study.
        if primaries:
            there = await read_content(visit.calls, image_set.datastore.id, primaries[0].id)
            is_same_series = primaries[0].series_uid == content.series_uid
            shared = _GROUPING if is_same_series else _GROUPING[:-2]
            shown["changes"] = [
                one for one in level_differences(there, content) if (Level(one.where), one.key) in shared
            ]
            if is_same_series:
                shown["primary"] = primaries[0]
                shown["twice"] = [uid for uid in content.instances if uid in there.instances]
            shown["compared_with"] = _path_of(image_set, primaries[0].id)
    return render_image_set(visit, "image_set/promote.html", image_set, "promote", error=error, **shown)


PAGES: Final = (
    Page(f"{IMAGE_SET}/copy", ask_copy),
    Page(f"{IMAGE_SET}/copy", copy, ("POST",)),
    Page(f"{IMAGE_SET}/split", ask_split),
    Page(f"{IMAGE_SET}/split", split, ("POST",)),
    Page(f"{IMAGE_SET}/after-split", show_split),
    Page(f"{IMAGE_SET}/merge", ask_merge),
    Page(f"{IMAGE_SET}/merge", merge, ("POST",)),
    Page(f"{IMAGE_SET}/promote", ask_promotion),
    Page(f"{IMAGE_SET}/promote", promote, ("POST",)),
)
