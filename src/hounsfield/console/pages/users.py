"""Users: a new one, at once with a policy and a key, and what roles have too."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.identities.identity import Identity, require_creation
from hounsfield.console.page import Page
from hounsfield.console.pages import access_keys
from hounsfield.console.pages.identities import IdentityPages, policy_choices
from hounsfield.console.tags import read_tags
from hounsfield.console.visit import Visit
from hounsfield.iam.identities.records import IdentityKind

_USERS: Final = IdentityPages(IdentityKind.USER)


async def new_user(visit: Visit) -> Response:
    """Show the form of a new user."""
    require_creation(visit, "iam:CreateUser", "user")
    return await _form(visit, None)


async def _form(visit: Visit, error: ApiError | None) -> Response:
    return visit.render(
        "identities/new_user.html",
        values=visit.form.values(),
        choices=await policy_choices(visit),
        spans=access_keys.SPANS,
        error=error,
    )


async def create_user(visit: Visit) -> Response:
    """Make a user, attach the policy that was chosen, and make a key if one is wanted."""
    form, call = visit.form, visit.calls.administration
    try:
        tags = [{"Key": key, "Value": text} for key, text in read_tags(form.raw("tags")).items()]
        made = await call(
            "CreateUser",
            UserName=form.text("name"),
            Tags=tags or None,
            PermissionsBoundary=form.text("boundary") or None,
        )
    except ValueError as error:
        return await _form(visit, ApiError(400, "ValidationException", str(error), ""))
    except ApiError as error:
        return await _form(visit, error)
    user = Identity.of(visit, IdentityKind.USER, made["User"])
    try:
        if form.text("policy"):
            await call("AttachUserPolicy", **user.member, PolicyArn=form.text("policy"))
        if form.text("key"):
            return await access_keys.make_key(visit, user, form.text("expires"))
    except ApiError as error:
        raise error.after(f"The user {user.name} is made.") from None
    return visit.redirect(user.path, f"The user {user.name} is made.")


PAGES: Final = (
    Page("/console/users/new", new_user),
    Page("/console/users/new", create_user, ("POST",)),
    *access_keys.PAGES,
    *_USERS.pages(),
)
