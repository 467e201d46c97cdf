"""The viewer of a study: the page around it; what it shows the browser asks the API for, over the bridge."""

from __future__ import annotations

import gzip
from typing import Final

import orjson
from starlette.responses import Response

from hounsfield.console.calls import label
from hounsfield.console.datastore import open_datastore
from hounsfield.console.imagesets.metadata import in_thread
from hounsfield.console.page import Page
from hounsfield.console.security_headers import VIEWER_POLICY
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
    ("clear", "Remove measurements", "Delete"),
    ("save", "Save as PNG", "K"),
)
"""What is done at once: name, words, key."""


async def show_viewer(visit: Visit) -> Response:
    """Show the viewer of a study."""
    datastore = await open_datastore(visit)
    study, series = visit.query.get("study", ""), visit.query.get("series", "")
    if visit.query.get("imageset"):
        study, series = await _series_of(visit, datastore.id, visit.query["imageset"])
    if not study:
        return visit.redirect(datastore.path)
    response = visit.render(
        "viewer.html",
        datastore=datastore,
        study=study,
        series=series,
        path=f"/console/api/datastore/{label(datastore.id)}/studies/{label(study)}",
        tools=TOOLS,
        actions=ACTIONS,
    )
    response.headers["Content-Security-Policy"] = VIEWER_POLICY
    return response


async def _series_of(visit: Visit, datastore_id: str, image_set_id: str) -> tuple[str, str]:
    """Return the UIDs of study and series of an image set (API operation GetImageSetMetadata)."""
    path = f"/datastore/{label(datastore_id)}/imageSet/{label(image_set_id)}/getImageSetMetadata"
    metadata = (await visit.calls.post(path, {})).body
    study = await in_thread(lambda: orjson.loads(gzip.decompress(metadata))["Study"])
    return study["DICOM"]["StudyInstanceUID"], next(iter(study["Series"]), "")


PAGES: Final = (Page("/console/datastores/{datastore}/view", show_viewer),)
