"""The metadata of an image set: as a tree, searched, and element by element (API operation GetImageSetMetadata)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.downloads import open_download
from hounsfield.console.imagesets.elements import DataSet, element_at, find
from hounsfield.console.imagesets.image_set import ImageSet, open_image_set, render_image_set
from hounsfield.console.imagesets.metadata import (
    InstanceEntry,
    ask_document,
    levels_of,
    list_instances,
    read_instance,
    series_of,
)
from hounsfield.console.imagesets.metadata_search import FoundElements, search_document
from hounsfield.console.imagesets.metadata_tree import INSTANCE, MOST_ROWS, Branch, Place, branch_of, branch_of_level
from hounsfield.console.page import Page
from hounsfield.console.pages.image_set import IMAGE_SET
from hounsfield.console.visit import Visit
from hounsfield.dicom.healthimaging.document_parts import DocumentParts

T = TypeVar("T")

TAB: Final = "metadata"
_INSTANCES: Final = 100
_FRAMES: Final = 100
_WHOLE_VALUE: Final = 1 << 20
_LONGEST_SEARCH: Final = 256


@dataclass(frozen=True, slots=True)
class _Tree:
    branches: list[Branch]
    instances: list[InstanceEntry]


async def show_metadata(visit: Visit) -> Response:
    """Show the tree, or what a search finds in it."""
    image_set = await open_image_set(visit)
    text = visit.query.get("q", "").strip()[:_LONGEST_SEARCH]
    found: FoundElements | None = None
    tree: _Tree | None = None
    refused: ApiError | None = None
    try:
        if text:
            found = await ask_document(visit, image_set, lambda document: search_document(document, text))
        else:
            tree = await ask_document(visit, image_set, lambda document: _tree_of(document, image_set))
    except ApiError as error:
        refused = error
    instances = tree.instances if tree else []
    page_count = max(1, -(-len(instances) // _INSTANCES))
    page = visit.number("page", 1, page_count)
    return render_image_set(
        visit,
        "image_set/metadata.html",
        image_set,
        TAB,
        error=refused,
        text=text,
        found=found,
        place_of=lambda level, sop_uid: Place(image_set, level, sop_uid),
        branches=tree.branches if tree else [],
        instances=instances[(page - 1) * _INSTANCES : page * _INSTANCES],
        instance_count=len(instances),
        page=page,
        page_count=page_count,
    )


def _tree_of(document: DocumentParts, image_set: ImageSet) -> _Tree:
    return _Tree([branch_of_level(image_set, level) for level in levels_of(document)], list_instances(document))


async def show_element(visit: Visit) -> Response:
    """Show a level, an instance, an item or a sequence with what is in it, or all of a value."""
    image_set = await open_image_set(visit)
    path, start = visit.query.get("path", ""), visit.number("start")
    level, sop_uid = visit.query.get("level", "Patient"), visit.query.get("instance", "")
    shown = await ask_document(
        visit,
        image_set,
        _or_missing(lambda document: _look_up(branch_of(document, image_set, level, sop_uid), path, start)),
    )
    return render_image_set(visit, "image_set/element.html", image_set, TAB, level=level, path=path, **shown)


def _look_up(branch: Branch, path: str, start: int) -> dict[str, Any]:
    """Return what a page shows of what is at a path: rows of a data set, items of a sequence, or a value."""
    found = find(branch.data_set, path)
    following = branch.place.address(path, start + MOST_ROWS)
    shown: dict[str, Any] = {"branch": branch, "element": None, "rows": None, "items": None, "following": None}
    if isinstance(found, dict):
        data_set: DataSet = found
        more = following if len(found) > start + MOST_ROWS else None
        return {**shown, "rows": branch.rows(data_set, path, start), "following": more, "start": start}
    element = element_at(branch.data_set, branch.vrs, path)
    if element.is_sequence:
        more = following if len(element.items) > start + MOST_ROWS else None
        return {**shown, "element": element, "items": branch.items(element, start), "following": more}
    return {**shown, "element": element, "value": element.show(_WHOLE_VALUE)}


async def show_frames(visit: Visit) -> Response:
    """Show the frames of an instance, of the first where none is named."""
    image_set = await open_image_set(visit)
    start, sop_uid = visit.number("start"), visit.query.get("instance", "")

    def look_up(document: DocumentParts) -> dict[str, Any]:
        chosen = sop_uid or next(iter(document.ranges), "")
        instance = read_instance(document, chosen)
        place = Place(image_set, INSTANCE, chosen)
        return {
            "instance_place": place,
            "instance": instance,
            "frames": list(enumerate(instance.frames, start=1))[start : start + _FRAMES],
            "following": place.frames_address(start + _FRAMES) if len(instance.frames) > start + _FRAMES else None,
            "series": series_of(document),
        }

    shown = await ask_document(visit, image_set, _or_missing(look_up))
    return render_image_set(visit, "image_set/frames.html", image_set, TAB, **shown)


async def show_picture(visit: Visit) -> Response:
    """Show a frame as a picture, the first one of the first instance where none is named."""
    image_set = await open_image_set(visit)
    number, sop_uid = visit.number("start", 1), visit.query.get("instance", "")

    def look_up(document: DocumentParts) -> dict[str, Any]:
        chosen = sop_uid or next(iter(document.ranges), "")
        instance = read_instance(document, chosen)
        if number > len(instance.frames):
            raise KeyError(number)
        return {
            "instance_place": Place(image_set, INSTANCE, chosen),
            "frame_count": len(instance.frames),
            "series": series_of(document),
        }

    shown = await ask_document(visit, image_set, _or_missing(look_up))
    return render_image_set(visit, "image_set/picture.html", image_set, TAB, number=number, **shown)


async def download_metadata(visit: Visit) -> Response:
    """Send the document as a file."""
    image_set = await open_image_set(visit)
    version = image_set.shown.version
    return await open_download(
        visit,
        "POST",
        f"{image_set.api_path}/getImageSetMetadata",
        f"{image_set.id}-version-{version}.json",
        query={"version": version},
    )


def _or_missing(question: Callable[[DocumentParts], T]) -> Callable[[DocumentParts], T]:
    """Let a question say in words that the document does not have what is asked for."""

    def ask(document: DocumentParts) -> T:
        try:
            return question(document)
        except KeyError:
            message = "This version of the image set has no such instance, element or frame."
            raise ApiError(404, "ResourceNotFoundException", message, "") from None

    return ask


PAGES: Final = (
    Page(f"{IMAGE_SET}/metadata", show_metadata),
    Page(f"{IMAGE_SET}/metadata/element", show_element),
    Page(f"{IMAGE_SET}/metadata/frames", show_frames),
    Page(f"{IMAGE_SET}/metadata/picture", show_picture),
    Page(f"{IMAGE_SET}/metadata.json", download_metadata, is_file=True),
)
