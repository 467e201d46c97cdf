"""Roles: a new one, its settings and its trust policy, and what users have too."""

from __future__ import annotations

import json
from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.identities.identity import Identity, open_identity, path_of, require_creation
from hounsfield.console.identities.policy_document import check_unchanged, document_values, mark_of
from hounsfield.console.page import Page
from hounsfield.console.pages.identities import IdentityPages, policy_choices
from hounsfield.console.tags import read_tags
from hounsfield.console.visit import Visit
from hounsfield.iam.identities.records import IdentityKind

LONGEST: Final = (
    ("3600", "1 hour"),
    ("7200", "2 hours"),
    ("14400", "4 hours"),
    ("28800", "8 hours"),
    ("43200", "12 hours"),
)
_ROLES: Final = IdentityPages(IdentityKind.ROLE)
_ONE: Final = "/console/roles/{role}"


def _trust_of_account(visit: Visit) -> str:
    """Return the trust policy that leaves it to the policies of users and roles who may use a role."""
    place = visit.place
    principal = {"AWS": f"arn:{place.partition}:iam::{place.account_id}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


async def new_role(visit: Visit) -> Response:
    """Show the form of a new role."""
    require_creation(visit, "iam:CreateRole", "role")
    return await _form(visit, {"trust": _trust_of_account(visit)}, None)


async def _form(visit: Visit, values: dict[str, str], error: ApiError | None) -> Response:
    return visit.render(
        "identities/new_role.html",
        values=values,
        choices=await policy_choices(visit),
        longest=LONGEST,
        **document_values(values.get("trust", ""), error),
    )


async def create_role(visit: Visit) -> Response:
    """Make a role, and attach the policy that was chosen."""
    form, call = visit.form, visit.calls.administration
    try:
        tags = [{"Key": key, "Value": text} for key, text in read_tags(form.raw("tags")).items()]
        made = await call(
            "CreateRole",
            RoleName=form.text("name"),
            AssumeRolePolicyDocument=form.raw("trust"),
            Description=form.text("description") or None,
            MaxSessionDuration=_seconds(form.text("longest")),
            Tags=tags or None,
            PermissionsBoundary=form.text("boundary") or None,
        )
    except ValueError as error:
        return await _form(visit, form.values(), ApiError(400, "ValidationException", str(error), ""))
    except ApiError as error:
        return await _form(visit, form.values(), error)
    role = Identity.of(visit, IdentityKind.ROLE, made["Role"])
    try:
        if form.text("policy"):
            await call("AttachRolePolicy", **role.member, PolicyArn=form.text("policy"))
    except ApiError as error:
        raise error.after(f"The role {role.name} is made.") from None
    return visit.redirect(role.path, f"The role {role.name} is made.")


def _seconds(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


async def update_role(visit: Visit) -> Response:
    """Change the description and the longest session of a role."""
    form, name = visit.form, visit.labels["role"]
    await visit.calls.administration(
        "UpdateRole",
        RoleName=name,
        Description=form.text("description") if "description" in form else None,
        MaxSessionDuration=_seconds(form.text("longest")),
    )
    return visit.redirect(path_of(IdentityKind.ROLE, name), "The role is changed.")


async def show_trust(visit: Visit) -> Response:
    """Show the trust policy of a role in the form that changes it."""
    role = await open_identity(visit, IdentityKind.ROLE)
    return _trust_form(visit, role, role.trust, None)


def _trust_form(visit: Visit, role: Identity, document: str, error: ApiError | None) -> Response:
    return visit.render(
        "identities/trust.html",
        identity=role,
        seen=mark_of(role.trust),
        **document_values(document, error),
    )


async def put_trust(visit: Visit) -> Response:
    """Put another trust policy in the place of that of a role."""
    role, document = await open_identity(visit, IdentityKind.ROLE), visit.form.raw("document")
    try:
        check_unchanged(visit.form, role.trust)
        await visit.calls.administration("UpdateAssumeRolePolicy", **role.member, PolicyDocument=document)
    except ApiError as error:
        return _trust_form(visit, role, document, error)
    return visit.redirect(role.path, "The trust policy is saved.")


PAGES: Final = (
    Page("/console/roles/new", new_role),
    Page("/console/roles/new", create_role, ("POST",)),
    Page(f"{_ONE}/settings", update_role, ("POST",)),
    Page(f"{_ONE}/trust", show_trust),
    Page(f"{_ONE}/trust", put_trust, ("POST",)),
    *_ROLES.pages(),
)
