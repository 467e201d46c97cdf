"""The viewer of a study: the page around it; what it shows the browser asks the API for, over the bridge."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import label
from hounsfield.console.datastore import open_datastore
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
    study = visit.query.get("study", "")
    if not study:
        raise ApiError(400, "ValidationException", "The address must name a study by its UID: ?study=1.2.3", "")
    response = visit.render(
        "viewer.html",
        datastore=datastore,
        study=study,
        path=f"/console/api/datastore/{label(datastore.id)}/studies/{label(study)}",
        tools=TOOLS,
        actions=ACTIONS,
    )
    response.headers["Content-Security-Policy"] = VIEWER_POLICY
    return response


PAGES: Final = (Page("/console/datastores/{datastore}/view", show_viewer),)
