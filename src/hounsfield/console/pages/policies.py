"""Managed policies: the list, a new one, one with who has it, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.identities.identity import may_create, path_of, read_moment, require_creation
from hounsfield.console.identities.managed_policies import BUILT_IN, POLICIES, policy_path
from hounsfield.console.identities.policy_document import (
    EMPTY_POLICY,
    SCOPES_OF_DATASTORE,
    check_unchanged,
    document_values,
    mark_of,
    policy_of_datastore,
)
from hounsfield.console.page import Page
from hounsfield.console.pages.identities import A_PAGE
from hounsfield.console.visit import Visit
from hounsfield.iam.identities.records import IdentityKind

SCOPES: Final = (("All", "All"), ("Local", "Of this installation"), ("AWS", "Built in"))
_ONE: Final = f"{POLICIES}/{{owner}}/{{policy}}"


def _arn(visit: Visit) -> str:
    """Return the ARN of the policy that the path of a page names."""
    own = visit.place.iam_arn("policy", visit.labels["policy"])
    if visit.labels["owner"] != BUILT_IN:
        return own
    return f"arn:{visit.place.partition}:iam::{BUILT_IN}:policy/{visit.labels['policy']}"


async def show_list(visit: Visit) -> Response:
    """Show the managed policies."""
    scope, wanted = visit.query.get("scope", "All"), visit.query.get("name", "")
    found = await visit.calls.administration(
        "ListPolicies",
        Scope=scope if scope in dict(SCOPES) else None,
        OnlyAttached=True if visit.query.get("used") else None,
        NameContains=wanted or None,
        MaxItems=A_PAGE,
        Marker=visit.query.get("page") or None,
    )
    return visit.render(
        "policies/list.html",
        may_create=may_create(visit, "iam:CreatePolicy", "policy"),
        policies=[_shown(one) for one in found["Policies"]],
        total=found["TotalCount"],
        next_page=found.get("Marker"),
        scopes=SCOPES,
        scope=scope,
        wanted=wanted,
        used=bool(visit.query.get("used")),
    )


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": found["PolicyName"],
        "arn": found["Arn"],
        "path": policy_path(found["Arn"]),
        "is_built_in": "PolicyId" not in found,
        "description": found.get("Description", ""),
        "count": found["AttachmentCount"],
        "created_at": read_moment(found.get("CreateDate")),
        "updated_at": read_moment(found.get("UpdateDate")),
    }


async def new_policy(visit: Visit) -> Response:
    """Show the form of a new policy."""
    require_creation(visit, "iam:CreatePolicy", "policy")
    begun = EMPTY_POLICY
    actions = SCOPES_OF_DATASTORE.get(visit.query.get("allow", ""))
    if actions and visit.query.get("datastore"):
        begun = policy_of_datastore(visit.place.datastore_arn(visit.query["datastore"]), actions)
    return _creation_form(visit, {"document": begun}, None)


def _creation_form(visit: Visit, values: Mapping[str, str], error: ApiError | None) -> Response:
    return visit.render(
        "policies/new.html",
        values=values,
        **document_values(values.get("document", ""), error),
    )


async def create_policy(visit: Visit) -> Response:
    """Make a policy."""
    form = visit.form
    try:
        made = await visit.calls.administration(
            "CreatePolicy",
            PolicyName=form.text("name"),
            Description=form.text("description") or None,
            PolicyDocument=form.raw("document"),
        )
    except ApiError as error:
        return _creation_form(visit, {**form.values(), "document": form.raw("document")}, error)
    return visit.redirect(policy_path(made["Policy"]["Arn"]), f"The policy {made['Policy']['PolicyName']} is made.")


async def show_policy(visit: Visit) -> Response:
    """Show a policy: what it says, and who has it."""
    return await _page_of(visit, None)


async def _page_of(visit: Visit, error: ApiError | None) -> Response:
    arn, call = _arn(visit), visit.calls.administration
    policy = _shown((await call("GetPolicy", PolicyArn=arn))["Policy"])
    document = holders = None
    if visit.may("iam:GetPolicyVersion", policy["arn"]):
        document = (await call("GetPolicyVersion", PolicyArn=arn))["PolicyVersion"]["Document"]
    if visit.may("iam:ListEntitiesForPolicy", policy["arn"]):
        found = await call("ListEntitiesForPolicy", PolicyArn=arn)
        holders = [
            {"kind": kind, "name": one[f"{noun}Name"], "path": path_of(kind, one[f"{noun}Name"]), "usage": one["Usage"]}
            for kind, noun in ((IdentityKind.USER, "User"), (IdentityKind.ROLE, "Role"))
            for one in found[f"Policy{noun}s"]
        ]
    return visit.render(
        "policies/show.html",
        policy=policy,
        holders=holders,
        is_shown=document is not None,
        seen=mark_of(document or ""),
        **document_values(visit.form.raw("document") if error else document or "", error),
    )


async def put_document(visit: Visit) -> Response:
    """Put another document in the place of that of a policy."""
    arn, call = _arn(visit), visit.calls.administration
    try:
        if "seen" in visit.form:
            found = await call("GetPolicyVersion", PolicyArn=arn)
            check_unchanged(visit.form, found["PolicyVersion"]["Document"])
        document = visit.form.raw("document")
        await call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    except ApiError as error:
        if error.status == 403:
            raise
        return await _page_of(visit, error)
    return visit.redirect(policy_path(arn), "The policy is saved. It counts within a second.")


async def ask_deletion(visit: Visit) -> Response:
    """Ask whether a policy is to be deleted."""
    return await _deletion(visit, None)


async def _deletion(visit: Visit, error: ApiError | None) -> Response:
    policy = _shown((await visit.calls.administration("GetPolicy", PolicyArn=_arn(visit)))["Policy"])
    return visit.render(
        "policies/delete.html",
        policy=policy,
        error=error,
        typed=visit.form.text("name"),
    )


async def delete_policy(visit: Visit) -> Response:
    """Delete a policy whose name was typed."""
    if visit.form.text("name").lower() != visit.labels["policy"].lower():
        return await _deletion(visit, ApiError(400, "ValidationException", "This is not the name of the policy.", ""))
    try:
        await visit.calls.administration("DeletePolicy", PolicyArn=_arn(visit))
    except ApiError as error:
        return await _deletion(visit, error)
    return visit.redirect(POLICIES, f"The policy {visit.labels['policy']} is deleted.")


PAGES: Final = (
    Page(POLICIES, show_list),
    Page(f"{POLICIES}/new", new_policy),
    Page(f"{POLICIES}/new", create_policy, ("POST",)),
    Page(_ONE, show_policy),
    Page(_ONE, put_document, ("POST",)),
    Page(f"{_ONE}/delete", ask_deletion),
    Page(f"{_ONE}/delete", delete_policy, ("POST",)),
)
