"""Data stores: the list, a new one, details, and the end of one (API operations ListDatastores, CreateDatastore, …)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.datastore import open_datastore
from hounsfield.console.navigation import tabs_of
from hounsfield.console.page import Page
from hounsfield.console.tags import read_tags
from hounsfield.console.visit import Visit

LIST: Final = "/console/datastores"
_LOOKS: Final = 10
_BETWEEN_LOOKS_SECONDS: Final = 0.3
_A_PAGE: Final = 50
_STATUSES: Final = ("ACTIVE", "CREATING", "CREATE_FAILED", "DELETING", "DELETED")
_USUAL_FORMAT: Final = "HTJ2K"


async def list_datastores(visit: Visit) -> Response:
    """Show the data stores."""
    status = visit.query.get("status", "ACTIVE")
    query = {
        "maxResults": _A_PAGE,
        "nextToken": visit.query.get("page"),
        "datastoreStatus": status if status in _STATUSES else None,
    }
    found = (await visit.calls.get("/datastore", query)).json()
    return visit.render(
        "datastores/list.html",
        datastores=found["datastoreSummaries"],
        next_page=found.get("nextToken"),
        statuses=_STATUSES,
        chosen=status,
    )


async def start(visit: Visit) -> Response:
    """Lead to where work begins: into the only data store, else to the list of them.

    Who may not list them is asked which one is meant.
    """
    if visit.query.get("datastore"):
        return visit.redirect(f"{LIST}/{label(visit.query['datastore'].strip())}")
    if not visit.may("medical-imaging:ListDatastores"):
        return visit.render("datastores/open.html")
    found = (await visit.calls.get("/datastore", {"maxResults": 2, "datastoreStatus": "ACTIVE"})).json()
    only = found["datastoreSummaries"] if not found.get("nextToken") else []
    return visit.redirect(f"{LIST}/{label(only[0]['datastoreId'])}" if len(only) == 1 else LIST)


async def show_first_tab(visit: Visit) -> Response:
    """Lead to the first tab of a data store that is offered."""
    arn = visit.place.datastore_arn(visit.labels["datastore"])
    tabs = tabs_of(visit, arn)
    return visit.redirect(f"{LIST}/{label(visit.labels['datastore'])}/{tabs[0].path if tabs else 'details'}")


async def show_details(visit: Visit) -> Response:
    """Show what a data store is."""
    datastore = await open_datastore(visit)
    return visit.render("datastores/details.html", datastore=datastore, tab="details")


async def new_datastore(visit: Visit) -> Response:
    """Show the form of a new data store."""
    visit.require("medical-imaging:CreateDatastore")
    return _creation_form(visit, {"format": _USUAL_FORMAT, "client_token": str(uuid4())})


async def create_datastore(visit: Visit) -> Response:
    """Make a data store."""
    form = visit.form
    try:
        tags = read_tags(form.raw("tags"))
        made = await visit.calls.post(
            "/datastore",
            {
                "clientToken": form.text("client_token") or str(uuid4()),
                "datastoreName": form.text("name") or None,
                "losslessStorageFormat": form.text("format") or None,
                "kmsKeyArn": form.text("kms_key_arn") or None,
                "lambdaAuthorizerArn": form.text("authorizer_arn") or None,
                "tags": tags or None,
            },
        )
    except ValueError as error:
        return _creation_form(visit, form.values(), ApiError(400, "ValidationException", str(error), ""))
    except ApiError as error:
        return _creation_form(visit, form.values(), error)
    datastore_id = made.json()["datastoreId"]
    return visit.redirect(
        f"{LIST}/{label(datastore_id)}{'' if await _is_ready(visit, datastore_id) else '/details'}",
        "The data store was made.",
    )


async def _is_ready(visit: Visit, datastore_id: str) -> bool:
    """Wait a moment until a new data store can be used; return whether it can."""
    if not visit.may("medical-imaging:GetDatastore", visit.place.datastore_arn(datastore_id)):
        return False
    for _ in range(_LOOKS):
        found = (await visit.calls.get(f"/datastore/{label(datastore_id)}")).json()
        if found["datastoreProperties"]["datastoreStatus"] != "CREATING":
            return True
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
    return False


def _creation_form(visit: Visit, values: Mapping[str, str], error: ApiError | None = None) -> Response:
    return visit.render("datastores/new.html", values=values, error=error)


async def ask_deletion(visit: Visit) -> Response:
    """Ask whether a data store is to be deleted."""
    datastore = await open_datastore(visit)
    visit.require("medical-imaging:DeleteDatastore", datastore.arn)
    return visit.render("datastores/delete.html", datastore=datastore, error=None, typed="")


async def delete_datastore(visit: Visit) -> Response:
    """Delete a data store whose name was typed."""
    datastore = await open_datastore(visit)
    typed = visit.form.text("name")
    error: ApiError | None = None
    if typed != datastore.title:
        error = ApiError(400, "ValidationException", "This is not the name of the data store.", "")
    else:
        try:
            await visit.calls.call("DELETE", f"/datastore/{label(datastore.id)}")
        except ApiError as refused:
            error = refused
    if error is not None:
        return visit.render("datastores/delete.html", datastore=datastore, error=error, typed=typed)
    return visit.redirect(LIST, "The data store is being deleted.")


PAGES: Final = (
    Page("/console/start", start),
    Page(LIST, list_datastores),
    Page(f"{LIST}/new", new_datastore),
    Page(f"{LIST}/new", create_datastore, ("POST",)),
    Page(f"{LIST}/{{datastore}}", show_first_tab),
    Page(f"{LIST}/{{datastore}}/details", show_details),
    Page(f"{LIST}/{{datastore}}/delete", ask_deletion),
    Page(f"{LIST}/{{datastore}}/delete", delete_datastore, ("POST",)),
)
