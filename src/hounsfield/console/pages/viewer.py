"""The viewer of a study: the page around it; what it shows the browser asks the API for, over the bridge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.datastore import open_datastore
from hounsfield.console.imagesets.image_set import image_set_api_path
from hounsfield.console.imagesets.metadata import SeriesUids, in_thread, series_of, unpack
from hounsfield.console.page import Page
from hounsfield.console.security_headers import VIEWER_POLICY
from hounsfield.console.static_files import imported_modules
from hounsfield.console.visit import Visit

TOOLS: Final = (
    ("window", "Window", "W"),
    ("pan", "Pan", "P"),
    ("zoom", "Zoom", "Z"),
    ("scroll", "Scroll", "S"),
    ("probe", "Pixel value", "Q"),
    ("length", "Length", "L"),
    ("angle", "Angle", "A"),
    ("ellipse", "Ellipse", "E"),
    ("rectangle", "Rectangle", "R"),
)
"""What the left button of the mouse, or a finger, does: name, words, key."""

ACTIONS: Final = (
    ("fit", "Fit", "0"),
    ("actual", "1:1", "O"),
    ("larger", "Larger", "+"),
    ("smaller", "Smaller", "-"),
    ("left", "Turn left", "["),
    ("right", "Turn right", "]"),
    ("flipx", "Flip sideways", "H"),
    ("flipy", "Flip upside down", "V"),
    ("invert", "Invert", "I"),
    ("reset", "Reset", "X"),
    ("texts", "Texts", "T"),
    ("planes", "Overlay planes", "G"),
    ("measurements", "List of measurements", "M"),
    ("remove", "Remove the chosen measurement", "Delete"),
    ("clear", "Remove all measurements", "Shift+Delete"),
    ("metadata", "Metadata", "D"),
    ("save", "Save as PNG", "K"),
)
"""What is done at once: name, words, key."""


async def show_viewer(visit: Visit) -> Response:
    """Show the viewer of a study."""
    datastore = await open_datastore(visit)
    study, series = visit.query.get("study", ""), visit.query.get("series", "")
    if visit.query.get("imageset"):
        named = await _ask_series(visit, datastore.id, visit.query["imageset"])
        study, series = named.study_uid, named.series_uid
    if not study:
        return visit.redirect(datastore.path)
    path = f"/datastore/{label(datastore.id)}/studies/{label(study)}"
    found = await _find_series(visit, path)
    first = series or _first_series(found)
    response = visit.render(
        "viewer.html",
        datastore=datastore,
        study=study,
        series=series,
        path=f"/console/api{path}",
        found=found,
        metadata=f"/console/api{path}/series/{label(first)}/metadata" if first else "",
        modules=imported_modules("viewer/viewer.js", "viewer/pictures.js"),
        tools=TOOLS,
        actions=ACTIONS,
    )
    response.headers["Content-Security-Policy"] = VIEWER_POLICY
    return response


async def _find_series(visit: Visit, path: str) -> str:
    """Return the series of a study as DICOM JSON (SearchForSeries), which saves the browser a request; empty where refused."""
    try:
        answer = await visit.calls.get(f"{path}/series", {"includefield": "all"}, {"Accept": "application/dicom+json"})
    except ApiError:
        # The browser asks again, and says in words why there is none.
        return ""
    return answer.body.decode()


def _first_series(found: str) -> str:
    """Return the UID of the series that is opened first: the lowest number of those with instances; empty for none."""
    every = sorted(orjson.loads(found or "[]"), key=lambda series: _number(series, "00200011") or 0)
    first = next((series for series in every if _number(series, "00201209") != 0), None)
    return str(first["0020000E"]["Value"][0]) if first else ""


def _number(series: Mapping[str, Any], tag: str) -> float | None:
    found = series.get(tag, {}).get("Value", [None])[0]
    return found if isinstance(found, int | float) else None


async def _ask_series(visit: Visit, datastore_id: str, image_set_id: str) -> SeriesUids:
    """Return the UIDs of study and series of an image set (API operation GetImageSetMetadata)."""
    path = f"{image_set_api_path(datastore_id, image_set_id)}/getImageSetMetadata"
    packed = (await visit.calls.post(path)).body
    return await in_thread(lambda: series_of(unpack(packed)))


PAGES: Final = (Page("/console/datastores/{datastore}/view", show_viewer),)
