"""The data store that a page is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hounsfield.console.calls import ApiError, label
from hounsfield.console.navigation import Entry, tabs_of
from hounsfield.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Datastore:
    """A data store as pages show it (API operation GetDatastore).

    Attributes
    ----------
    id, arn : str
        What it is known by.
    name : str
        Its name; empty where it has none, or where the caller may not know it.
    status : str
        Such as ``ACTIVE``; empty where the caller may not know it.
    storage_format : str
        In which format frames are stored.
    kms_key_arn, authorizer_arn : str or None
        Its key of the key service, and what decides about bearer tokens.
    created_at, updated_at : float or None
        In seconds since 1970-01-01 UTC.
    tabs : sequence of Entry
        What is offered of it.
    """

    id: str
    arn: str
    name: str
    status: str
    storage_format: str
    kms_key_arn: str | None
    authorizer_arn: str | None
    created_at: float | None
    updated_at: float | None
    tabs: Sequence[Entry]

    @property
    def title(self) -> str:
        """What pages call it."""
        return self.name or self.id

    def offers(self, tab: str) -> bool:
        """Return whether a tab is offered, by its path."""
        return any(entry.path == tab for entry in self.tabs)

    @property
    def path(self) -> str:
        """Address of its pages."""
        return f"/console/datastores/{label(self.id)}"


async def open_datastore(visit: Visit, *, of_what_is_in_it: bool = False) -> Datastore:
    """Return the data store that the path of a page names.

    Who may not see what it is (GetDatastore), but may work in it, is shown its id.

    Parameters
    ----------
    visit : Visit
        The visit.
    of_what_is_in_it : bool
        Whether the page is about something in the data store, for which there is a permission of its own.

    Raises
    ------
    ApiError
        It is not there.
    """
    datastore_id = visit.labels["datastore"]
    arn = visit.place.datastore_arn(datastore_id)
    tabs = tabs_of(visit, arn)
    if (tabs or of_what_is_in_it) and not visit.may("medical-imaging:GetDatastore", arn):
        return Datastore(datastore_id, arn, "", "", "", None, None, None, None, tabs)
    found = (await visit.calls.get(f"/datastore/{label(datastore_id)}")).json()
    properties = found.get("datastoreProperties")
    if properties is None:
        raise ApiError(404, "ResourceNotFoundException", "There is no such data store.", "")
    return Datastore(
        datastore_id,
        properties["datastoreArn"],
        properties.get("datastoreName") or "",
        properties["datastoreStatus"],
        properties.get("losslessStorageFormat") or "HTJ2K",
        properties.get("kmsKeyArn"),
        properties.get("lambdaAuthorizerArn"),
        properties.get("createdAt"),
        properties.get("updatedAt"),
        # Of one that is deleted nothing else is there.
        [tab for tab in tabs if tab.path == "details"] if properties["datastoreStatus"] == "DELETED" else tabs,
    )
