"""Users and roles: what their pages share, which are lists, the page of one, its policies, boundary, tags, and its end.

IdentityPages(kind) ─▶ /console/users, /console/users/{user}, …, or those of roles
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.identities.identity import Identity, may_create, noun_of, open_identity, path_of
from hounsfield.console.identities.managed_policies import is_built_in, policy_path
from hounsfield.console.identities.policy_document import EMPTY_POLICY, check_unchanged, document_values, mark_of
from hounsfield.console.page import Page
from hounsfield.console.pages.access_keys import open_keys
from hounsfield.console.tags import read_tags, write_tags
from hounsfield.console.visit import Visit
from hounsfield.iam.identities.records import IdentityKind

A_PAGE: Final = 50
MOST_OFFERED: Final = 1000


def _invalid(reason: str) -> ApiError:
    return ApiError(400, "ValidationException", reason, "")


async def policy_choices(visit: Visit) -> Sequence[Mapping[str, Any]]:
    """Return the managed policies that can be chosen, by name; none where the visitor may not list them."""
    if not visit.may("iam:ListPolicies"):
        return ()
    return list((await visit.calls.administration("ListPolicies", MaxItems=MOST_OFFERED))["Policies"])


@dataclass(frozen=True, slots=True)
class IdentityPages:
    """The pages of one kind of identity.

    Attributes
    ----------
    kind : IdentityKind
        Users, or roles.
    """

    kind: IdentityKind

    @property
    def path(self) -> str:
        """Address of the list."""
        return f"/console/{self.kind}s"

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        one = f"{self.path}/{{{self.kind}}}"
        return (
            Page(self.path, self.show_list),
            Page(one, self.show),
            Page(f"{one}/attach", self.attach, ("POST",)),
            Page(f"{one}/detach", self.detach, ("POST",)),
            Page(f"{one}/boundary", self.set_boundary, ("POST",)),
            Page(f"{one}/tags", self.set_tags, ("POST",)),
            Page(f"{one}/delete", self.ask_deletion),
            Page(f"{one}/delete", self.delete, ("POST",)),
            Page(f"{one}/inline", self.new_inline),
            Page(f"{one}/inline", self.put_inline, ("POST",)),
            Page(f"{one}/inline/{{inline}}", self.show_inline),
            Page(f"{one}/inline/{{inline}}", self.put_inline, ("POST",)),
            Page(f"{one}/inline/{{inline}}/delete", self.delete_inline, ("POST",)),
        )

    async def show_list(self, visit: Visit) -> Response:
        """Show the users or roles."""
        noun, wanted = noun_of(self.kind), visit.query.get("name", "")
        found = await visit.calls.administration(
            f"List{noun}s", MaxItems=A_PAGE, NameContains=wanted or None, Marker=visit.query.get("page") or None
        )
        return visit.render(
            "identities/list.html",
            may_create=may_create(visit, f"iam:Create{noun}", self.kind.value),
            kind=self.kind.value,
            noun=noun,
            path=self.path,
            identities=[Identity.of(visit, self.kind, one) for one in found[f"{noun}s"]],
            total=found["TotalCount"],
            next_page=found.get("Marker"),
            wanted=wanted,
        )

    async def show(self, visit: Visit) -> Response:
        """Show one user or role with all that hangs on it."""
        return await self._page_of(visit, {})

    async def _page_of(self, visit: Visit, errors: Mapping[str, ApiError]) -> Response:
        """Return the page of one, with what is wrong with a form of it by the name of the form."""
        identity = await open_identity(visit, self.kind)
        noun, call = identity.noun, visit.calls.administration
        attached = inline = None
        if identity.may(f"iam:ListAttached{noun}Policies"):
            attached = (await call(f"ListAttached{noun}Policies", **identity.member))["AttachedPolicies"]
        if identity.may(f"iam:List{noun}Policies"):
            inline = (await call(f"List{noun}Policies", **identity.member))["PolicyNames"]
        held = {one["PolicyArn"] for one in attached or ()}
        choices = await policy_choices(visit)
        return visit.render(
            "identities/show.html",
            status=next((error.status for error in errors.values()), 200),
            identity=identity,
            keys=await open_keys(identity, visit) if self.kind is IdentityKind.USER else None,
            attached=attached,
            inline=inline,
            choices=choices,
            attachable=[one for one in choices if one["Arn"] not in held],
            typed_tags=visit.form.raw("tags") if "tags" in errors else write_tags(identity.tags),
            typed=visit.form,
            errors=errors,
            is_built_in=is_built_in,
            policy_path=policy_path,
        )

    async def _do(self, visit: Visit, form: str, done: str, operation: str, **members: object) -> Response:
        """Call an operation on the one of the page, and lead back there; or show the page with what is wrong with the form."""
        name = visit.labels[self.kind.value]
        try:
            await visit.calls.administration(operation, **{f"{noun_of(self.kind)}Name": name}, **members)
        except ApiError as error:
            if error.status == 403:
                raise
            return await self._page_of(visit, {form: error})
        return visit.redirect(path_of(self.kind, name), done)

    async def attach(self, visit: Visit) -> Response:
        """Attach a managed policy."""
        arn = visit.form.text("policy")
        return await self._do(
            visit, "policies", "The policy is attached.", f"Attach{noun_of(self.kind)}Policy", PolicyArn=arn
        )

    async def detach(self, visit: Visit) -> Response:
        """Take a managed policy off."""
        arn = visit.form.text("policy")
        return await self._do(
            visit, "policies", "The policy is detached.", f"Detach{noun_of(self.kind)}Policy", PolicyArn=arn
        )

    async def set_boundary(self, visit: Visit) -> Response:
        """Set or take off the permissions boundary."""
        noun, arn = noun_of(self.kind), visit.form.text("boundary")
        if not arn and "boundary" in visit.form:
            return await self._do(visit, "boundary", "The boundary is taken off.", f"Delete{noun}PermissionsBoundary")
        return await self._do(
            visit, "boundary", "The boundary is set.", f"Put{noun}PermissionsBoundary", PermissionsBoundary=arn
        )

    async def set_tags(self, visit: Visit) -> Response:
        """Let the tags be those that were typed."""
        identity = await open_identity(visit, self.kind)
        if "tags" not in visit.form:
            return await self._page_of(visit, {"tags": _invalid("The tags are missing.")})
        try:
            wanted = read_tags(visit.form.raw("tags"))
        except ValueError as error:
            return await self._page_of(visit, {"tags": _invalid(str(error))})
        changed = [{"Key": key, "Value": text} for key, text in wanted.items() if identity.tags.get(key) != text]
        keys = {key.lower() for key in wanted}
        gone = [key for key in identity.tags if key.lower() not in keys]
        try:
            if changed:
                await visit.calls.administration(f"Tag{identity.noun}", **identity.member, Tags=changed)
            if gone:
                await visit.calls.administration(f"Untag{identity.noun}", **identity.member, TagKeys=gone)
        except ApiError as error:
            if error.status == 403:
                raise
            return await self._page_of(visit, {"tags": error})
        return visit.redirect(identity.path, "The tags are set.")

    async def ask_deletion(self, visit: Visit) -> Response:
        """Ask whether one is to be deleted, and say what goes with it."""
        return await self._deletion(visit, None)

    async def _deletion(self, visit: Visit, error: ApiError | None) -> Response:
        identity = await open_identity(visit, self.kind)
        return visit.render(
            "identities/delete.html",
            identity=identity,
            error=error,
            typed=visit.form.text("name"),
        )

    async def delete(self, visit: Visit) -> Response:
        """Delete one whose name was typed, with all that hangs on it."""
        identity = await open_identity(visit, self.kind)
        if visit.form.text("name") != identity.name:
            return await self._deletion(visit, _invalid(f"This is not the name of the {self.kind}."))
        try:
            await visit.calls.administration(f"Delete{identity.noun}", **identity.member, Force=True)
        except ApiError as error:
            return await self._deletion(visit, error)
        return visit.redirect(self.path, f"The {self.kind} {identity.name} is deleted.")

    async def new_inline(self, visit: Visit) -> Response:
        """Show the form of a new inline policy."""
        identity = await open_identity(visit, self.kind)
        if not identity.may(f"iam:Put{identity.noun}Policy"):
            visit.require(f"iam:Put{identity.noun}Policy", identity.arn)
        return self._inline_form(visit, identity, "", EMPTY_POLICY, EMPTY_POLICY)

    async def show_inline(self, visit: Visit) -> Response:
        """Show an inline policy in the form that changes it."""
        identity, name = await open_identity(visit, self.kind), visit.labels["inline"]
        document = await self._document(visit, identity, name)
        return self._inline_form(visit, identity, name, document, document)

    async def _document(self, visit: Visit, identity: Identity, name: str) -> str:
        found = await visit.calls.administration(f"Get{identity.noun}Policy", **identity.member, PolicyName=name)
        return str(found["PolicyDocument"])

    async def put_inline(self, visit: Visit) -> Response:
        """Put an inline policy, a new one or one in the place of another."""
        identity = await open_identity(visit, self.kind)
        known = visit.labels.get("inline", "")
        name, document = known or visit.form.text("name"), visit.form.raw("document")
        current = await self._document(visit, identity, known) if known else ""
        try:
            if known:
                check_unchanged(visit.form, current)
            await visit.calls.administration(
                f"Put{identity.noun}Policy", **identity.member, PolicyName=name, PolicyDocument=document
            )
        except ApiError as error:
            return self._inline_form(visit, identity, known, document, current, error)
        return visit.redirect(identity.path, f"The inline policy {name} is saved.")

    def _inline_form(
        self,
        visit: Visit,
        identity: Identity,
        name: str,
        document: str,
        current: str,
        error: ApiError | None = None,
    ) -> Response:
        return visit.render(
            "identities/inline.html",
            identity=identity,
            name=name,
            typed_name=visit.form.text("name"),
            seen=mark_of(current) if name else "",
            address=f"{identity.path}/inline/{label(name)}" if name else f"{identity.path}/inline",
            **document_values(document, error),
        )

    async def delete_inline(self, visit: Visit) -> Response:
        """Delete an inline policy."""
        name = visit.labels["inline"]
        return await self._do(
            visit,
            "policies",
            f"The inline policy {name} is deleted.",
            f"Delete{noun_of(self.kind)}Policy",
            PolicyName=name,
        )
