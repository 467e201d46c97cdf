"""The image set that a page is about, at its latest version or at another that the query names (``version``).

/console/datastores/{datastore}/imagesets/{imageset}?version=2 ─▶ GetImageSet, twice where a version is named ─▶ ImageSet
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, Calls, label
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.navigation import Entry, image_set_tabs_of
from hounsfield.console.visit import Visit

_UNDER_WAY: Final[Mapping[str, str]] = {
    "COPYING": "Instances are being copied into it. Until that is done it cannot be changed, and you see the version before.",
    "COPYING_WITH_READ_ONLY_ACCESS": "It is being copied. It can be read, and cannot be changed until that is done.",
    "UPDATING": "Its metadata is being changed. Until that is done you see the version before.",
    "UPDATING_FOR_STUDY_CONSISTENCY": "Its metadata is being changed, as an image set of the same study is. "
    "Until that is done you see the version before.",
    "DELETING": "It is being deleted.",
    "IMPORTING": "Instances are being imported into it. Until that is done it cannot be changed.",
}
_FAILED: Final[Mapping[str, str]] = {
    "COPY_FAILED": "The copy into this version failed. It has the content of the version before.",
    "UPDATE_FAILED": "The change that was to be this version failed. It has the content of the version before.",
    "IMPORT_FAILED": "The import into this version failed. It has the content of the version before.",
}
_STATE: Final = "state"
"""Id of the element that shows the state."""


@dataclass(frozen=True, slots=True)
class ImageSetVersion:
    """The properties of a version (API operations GetImageSet and ListImageSetVersions).

    Attributes
    ----------
    version : str
        Its number.
    state : str
        ``ACTIVE``, ``LOCKED`` or ``DELETED``.
    status : str
        What became of the last operation on it, such as ``UPDATED``.
    message : str
        Why that failed; empty where it did not.
    is_primary : bool
        Whether DICOMweb shows it as its series.
    forced : bool
        Whether it was made with force.
    created_at, updated_at, deleted_at, last_accessed_at : float or None
        In seconds since 1970-01-01 UTC; `created_at` is that of the image set.
    storage_tier : str
        Such as ``FREQUENT_ACCESS``; empty where it is not said.
    """

    version: str
    state: str
    status: str
    message: str
    is_primary: bool
    forced: bool
    created_at: float | None
    updated_at: float | None
    deleted_at: float | None
    last_accessed_at: float | None
    storage_tier: str

    @property
    def words(self) -> str:
        """What state and status mean for a reader; empty where there is nothing to say."""
        if self.state == "DELETED":
            return "It was deleted. Its metadata and its frames cannot be read any more."
        return _UNDER_WAY.get(self.status, "") if self.is_locked else _FAILED.get(self.status, "")

    @property
    def is_locked(self) -> bool:
        """Whether an operation on it is under way, so that no other can begin."""
        return self.state == "LOCKED"

    @property
    def is_deleted(self) -> bool:
        """Whether it is gone, or on its way."""
        return self.state == "DELETED" or self.status == "DELETING"

    @property
    def is_closed(self) -> bool:
        """Whether no operation on it can begin: one is under way, or it is gone."""
        return self.is_locked or self.is_deleted

    @property
    def has_failed(self) -> bool:
        """Whether the operation that made it failed."""
        return self.status in _FAILED


def read_version(found: Mapping[str, Any]) -> ImageSetVersion:
    """Return the version that an answer of the API describes; in a list one member is spelled otherwise."""
    return ImageSetVersion(
        version=found["versionId"],
        state=found["imageSetState"],
        status=found.get("imageSetWorkflowStatus") or found.get("ImageSetWorkflowStatus") or "",
        message=found.get("message") or "",
        is_primary=bool(found.get("isPrimary")),
        forced=bool((found.get("overrides") or {}).get("forced")),
        created_at=found.get("createdAt"),
        updated_at=found.get("updatedAt"),
        deleted_at=found.get("deletedAt"),
        last_accessed_at=found.get("lastAccessedAt"),
        storage_tier=found.get("storageTier") or "",
    )


@dataclass(frozen=True, slots=True)
class ImageSet:
    """An image set as pages show it.

    Attributes
    ----------
    datastore : Datastore
        Where it is.
    id, arn : str
        What it is known by.
    latest : ImageSetVersion
        Its latest version, which actions are about.
    shown : ImageSetVersion
        The version that the page is about.
    tabs : sequence of Entry
        What is offered of it.
    """

    datastore: Datastore
    id: str
    arn: str
    latest: ImageSetVersion
    shown: ImageSetVersion
    tabs: Sequence[Entry]

    @property
    def path(self) -> str:
        """Address of its first page, without a version."""
        return f"{self.datastore.path}/imagesets/{label(self.id)}"

    @property
    def is_latest(self) -> bool:
        """Whether the page is about the latest version."""
        return self.shown.version == self.latest.version

    def address(self, tab: str = "", version: str | None = None) -> str:
        """Return the address of a tab for a version; None for the one that is shown."""
        path = f"{self.path}/{tab}" if tab else self.path
        wanted = self.shown.version if version is None else version
        return path if wanted == self.latest.version else f"{path}?version={label(wanted)}"

    @property
    def api_path(self) -> str:
        """Path of its operations in the API."""
        return image_set_api_path(self.datastore.id, self.id)


def image_set_api_path(datastore_id: str, image_set_id: str) -> str:
    """Return the path of the operations on an image set in the API."""
    return f"/datastore/{label(datastore_id)}/imageSet/{label(image_set_id)}"


async def get_version(
    calls: Calls, datastore_id: str, image_set_id: str, version: str | None = None
) -> ImageSetVersion:
    """Return a version of an image set, the latest without one; raises `ApiError`."""
    operation = f"{image_set_api_path(datastore_id, image_set_id)}/getImageSet"
    return read_version((await calls.post(operation, query={"version": version})).json())


async def open_image_set(visit: Visit) -> ImageSet:
    """Return the image set that the path of a page names, at the version that its query names.

    Raises
    ------
    ApiError
        The data store, the image set or the version is not there, or who asks may not see it (GetImageSet).
    """
    datastore = await open_datastore(visit, of_what_is_in_it=True)
    image_set_id = visit.labels["imageset"]
    arn = visit.place.image_set_arn(datastore.id, image_set_id)
    latest = await get_version(visit.calls, datastore.id, image_set_id)
    version = visit.query.get("version")
    shown = latest
    if version and version != latest.version:
        shown = await get_version(visit.calls, datastore.id, image_set_id, version)
    return ImageSet(datastore, image_set_id, arn, latest, shown, image_set_tabs_of(visit, arn))


def require_unchanged(visit: Visit, image_set: ImageSet) -> None:
    """Make sure that a form is about the latest version; raises `ApiError` where that has moved since it was opened.

    One that is locked is left to the API, which says so.
    """
    if visit.form.text("version") != image_set.latest.version and not image_set.latest.is_locked:
        raise ApiError(
            409,
            "ConflictException",
            "This image set has changed since you opened the page. Nothing was done. "
            "Look at it as it is now, then send it again.",
            "",
        )


def render_image_set(visit: Visit, template: str, image_set: ImageSet, tab: str, **values: Any) -> Response:
    """Return a page of an image set.

    The page of one that is locked asks again and again whether it still is (`_STATE`). Once it is not, all of the page is out
    of date, and the browser is told to load it anew. That page then says that it is done.

    Parameters
    ----------
    visit : Visit
        The visit.
    template : str
        Name of the template, which begins with the heading of ``macros/image_set.html``.
    image_set : ImageSet
        The image set.
    tab : str
        Path of the tab that the page is.
    **values
        What the template shows besides, and `error`, see `Visit.render`.
    """
    asks_again = visit.request.headers.get("hx-target") == _STATE
    headers = {"HX-Refresh": "true"} if asks_again and not image_set.latest.is_locked else {}
    response = visit.render(template, headers=headers, image_set=image_set, tab=tab, **values)
    if headers and not image_set.latest.has_failed:
        words = (
            "the image set is deleted" if image_set.latest.is_deleted else f"version {image_set.latest.version} is made"
        )
        visit.leave_message(response, f"Done: {words}.")
    return response
