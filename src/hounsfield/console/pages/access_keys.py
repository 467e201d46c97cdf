"""Access keys of a user: a new one, whose secret is shown once, and the page of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.identities.identity import Identity, open_identity, read_moment
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit
from hounsfield.iam.identities.records import IdentityKind

MOST_KEYS: Final = 2
SPANS: Final = (("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))
"""What can be chosen for the expiry of a key, in days."""
_KEY: Final = "/console/users/{user}/keys/{key}"


@dataclass(frozen=True, slots=True)
class Key:
    """An access key as pages show it.

    Attributes
    ----------
    id : str
        ``AKIA…``.
    is_active : bool
        Whether it is not disabled.
    created_at, expires_at, last_used_at : datetime or None
        When it was made, from when on it is refused, and when it last signed a request.
    """

    id: str
    is_active: bool
    created_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Key:
        """Return a key from the members of an answer."""
        return cls(
            found["AccessKeyId"],
            found["Status"] == "Active",
            read_moment(found.get("CreateDate")),
            read_moment(found.get("ExpirationDate")),
            read_moment(found.get("LastUsedDate")),
        )

    @property
    def state(self) -> str:
        """Whether it may be used now: ``active``, ``disabled`` or ``expired``."""
        if self.expires_at is not None and self.expires_at <= datetime.now(UTC):
            return "expired"
        return "active" if self.is_active else "disabled"


async def open_keys(identity: Identity, visit: Visit) -> Sequence[Key] | None:
    """Return the keys of a user, the oldest first; None where the visitor may not list them."""
    if not identity.may("iam:ListAccessKeys"):
        return None
    return await _list_keys(identity, visit)


async def _list_keys(identity: Identity, visit: Visit) -> Sequence[Key]:
    found = await visit.calls.administration("ListAccessKeys", **identity.member)
    return [Key.of(one) for one in found["AccessKeyMetadata"]]


async def create_key(visit: Visit) -> Response:
    """Make a key, and show its secret this once."""
    identity = await open_identity(visit, IdentityKind.USER)
    return await make_key(visit, identity, visit.form.text("expires"))


async def make_key(visit: Visit, identity: Identity, days: str) -> Response:
    """Make a key for a user, which expires in so many days or never, and return the page with its secret."""
    made = await visit.calls.administration(
        "CreateAccessKey", **identity.member, ExpirationDate=_expiry(days) if days else None
    )
    found = made["AccessKey"]
    older = [key for key in await open_keys(identity, visit) or () if key.id != found["AccessKeyId"]]
    return visit.render(
        "identities/key_made.html", identity=identity, key=Key.of(found), secret=found["SecretAccessKey"], older=older
    )


def _expiry(days: str) -> str:
    """Return the time in so many days, which must be one of those that can be chosen; raises `ApiError`."""
    if days not in dict(SPANS):
        raise ApiError(400, "ValidationException", "Choose one of the spans of the list.", "")
    return f"{datetime.now(UTC) + timedelta(days=int(days)):%Y-%m-%dT%H:%M:%SZ}"


async def show_key(visit: Visit) -> Response:
    """Show a key, and what can be done with it."""
    return await _page_of(visit, None)


async def _page_of(visit: Visit, error: ApiError | None) -> Response:
    identity = await open_identity(visit, IdentityKind.USER)
    keys = await _list_keys(identity, visit)
    key = next((one for one in keys if one.id == visit.labels["key"]), None)
    if key is None:
        raise ApiError(404, "NoSuchEntityException", f"The user {identity.name} has no such access key.", "")
    return visit.render(
        "identities/key.html",
        identity=identity,
        key=key,
        others=[one for one in keys if one.id != key.id],
        spans=SPANS,
        error=error,
    )


async def update_key(visit: Visit) -> Response:
    """Disable or enable a key, or say when it expires."""
    form, members = visit.form, {"UserName": visit.labels["user"], "AccessKeyId": visit.labels["key"]}
    try:
        if "expires" in form:
            days = form.text("expires")
            change: dict[str, object] = {"ExpirationDate": _expiry(days)} if days else {"NeverExpires": True}
            done = "The expiry is set."
        else:
            change = {"Status": form.text("status") or None}
            done = "The key is enabled." if form.text("status") == "Active" else "The key is disabled."
        await visit.calls.administration("UpdateAccessKey", **members, **change)
    except ApiError as error:
        if error.status == 403:
            raise
        return await _page_of(visit, error)
    back = "" if form.text("from") == "user" else f"/keys/{label(visit.labels['key'])}"
    return visit.redirect(f"/console/users/{label(visit.labels['user'])}{back}", done)


async def delete_key(visit: Visit) -> Response:
    """Delete a key."""
    user, key = visit.labels["user"], visit.labels["key"]
    await visit.calls.administration("DeleteAccessKey", UserName=user, AccessKeyId=key)
    return visit.redirect(f"/console/users/{label(user)}", f"The key {key} is deleted.")


PAGES: Final = (
    Page("/console/users/{user}/keys", create_key, ("POST",)),
    Page(_KEY, show_key),
    Page(_KEY, update_key, ("POST",)),
    Page(f"{_KEY}/delete", delete_key, ("POST",)),
)
