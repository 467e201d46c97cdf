"""OHIF on a data store, where it is installed: the page around it. Its data the browser asks the API for, over the bridge."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.datastore import open_datastore
from hounsfield.console.ohif import installed_ohif
from hounsfield.console.page import Page
from hounsfield.console.security_headers import ohif_headers
from hounsfield.console.visit import Visit


async def show_ohif(visit: Visit) -> Response:
    """Show OHIF, whose own part of the path says which of its pages."""
    ohif = installed_ohif()
    if ohif is None:
        raise ApiError(404, "NotFound", "OHIF is not installed on this server.", "")
    datastore = await open_datastore(visit)
    page = f"{datastore.path}/ohif"
    root = f"/console/api/datastore/{label(datastore.id)}"
    host = visit.request.url.netloc
    headers = ohif_headers(host, ohif.base, f"{root}/studies", f"{root}/studies/", f"{page}/")
    return visit.render("ohif.html", headers=headers, datastore=datastore, ohif=ohif, page=page, root=root)


PAGES: Final = (
    Page("/console/datastores/{datastore}/ohif", show_ohif, is_file=True),
    Page("/console/datastores/{datastore}/ohif/{page:path}", show_ohif, is_file=True),
)
"""With and without the slash: OHIF's list of studies has none when one comes back to it."""
