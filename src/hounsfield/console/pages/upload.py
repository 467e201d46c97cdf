"""Upload to a data store: the page whose script sends files by STOW-RS over the bridge (operation StoreDICOM)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hounsfield.console.datastore import open_datastore
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit


async def show_upload(visit: Visit) -> Response:
    """Show where files are dropped."""
    datastore = await open_datastore(visit)
    visit.require("medical-imaging:StoreDICOM", datastore.arn)
    return visit.render("upload/upload.html", datastore=datastore, tab="upload")


PAGES: Final = (Page("/console/datastores/{datastore}/upload", show_upload),)
