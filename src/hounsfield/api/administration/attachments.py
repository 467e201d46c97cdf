"""Policies of users and roles: attached managed ones, inline ones, and permissions boundaries (IAM AttachUserPolicy, …).

AttachmentOperations(kind) ─▶ AttachUserPolicy, PutUserPolicy, PutUserPermissionsBoundary, …, or those of roles
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.identities import name_member
from hounsfield.api.administration.members import Member
from hounsfield.api.administration.operation import Answer, Handle, Operation, Permissions, Source
from hounsfield.api.administration.policies import DOCUMENT, POLICY_ARN, POLICY_NAME
from hounsfield.api.administration.resources import (
    NAME_MEMBERS,
    boundary_context,
    find_identity,
    named_identity,
    permission_on,
    true_policy_arn,
)
from hounsfield.aws.protocol.members import optional_text, text
from hounsfield.iam.authorization import ContextValue, Permission
from hounsfield.iam.identities.attachments import (
    attach_policy,
    detach_policy,
    get_inline_policy,
    put_inline_policy,
    remove_inline_policy,
    set_boundary,
)
from hounsfield.iam.identities.identities import get_identity
from hounsfield.iam.identities.records import IdentityKind

_BOUNDARY: Final = Member("PermissionsBoundary", required=True, least=20, most=2048)


@dataclass(frozen=True, slots=True)
class AttachmentOperations:
    """The operations on the policies of one kind of identity.

    Attributes
    ----------
    kind : IdentityKind
        Users, or roles.
    """

    kind: IdentityKind

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations."""
        noun, name = self.kind.value.capitalize(), name_member(self.kind)
        on, changing = self._on_named, self._on_bounded
        return (
            _operation(f"Attach{noun}Policy", changing, (name, POLICY_ARN), self._attach),
            _operation(f"Detach{noun}Policy", changing, (name, POLICY_ARN), self._detach),
            _operation(f"ListAttached{noun}Policies", on, (name,), self._list_attached),
            _operation(f"Put{noun}Policy", changing, (name, POLICY_NAME, DOCUMENT), self._put),
            _operation(f"Get{noun}Policy", on, (name, POLICY_NAME), self._get),
            _operation(f"List{noun}Policies", on, (name,), self._list),
            _operation(f"Delete{noun}Policy", changing, (name, POLICY_NAME), self._delete),
            _operation(f"Put{noun}PermissionsBoundary", self._may_bound, (name, _BOUNDARY), self._put_boundary),
            _operation(f"Delete{noun}PermissionsBoundary", changing, (name,), self._delete_boundary),
        )

    def _on_named(self, context: Context, call: Call, action: str) -> Sequence[Permission]:
        return (permission_on(context, call, action, self.kind),)

    def _on_bounded(self, context: Context, call: Call, action: str) -> Sequence[Permission]:
        """Return the permission for a change, which policies may bind to the policy, and to the boundary that there is."""
        record = find_identity(context, call, self.kind)
        own: dict[str, ContextValue] = boundary_context(context, None if record is None else record.boundary)
        policy = optional_text(call.parameters, "PolicyArn")
        if policy is not None:
            own["iam:policyarn"] = true_policy_arn(context, policy)
        return (permission_on(context, call, action, self.kind, own),)

    def _may_bound(self, context: Context, call: Call, action: str) -> Sequence[Permission]:
        own = boundary_context(context, text(call.parameters, "PermissionsBoundary"))
        return (permission_on(context, call, action, self.kind, own),)

    def _attach(self, context: Context, call: Call) -> Answer:
        attach_policy(
            context.repository, self.kind, named_identity(call, self.kind), text(call.parameters, "PolicyArn")
        )
        return {}

    def _detach(self, context: Context, call: Call) -> Answer:
        detach_policy(
            context.repository, self.kind, named_identity(call, self.kind), text(call.parameters, "PolicyArn")
        )
        return {}

    def _list_attached(self, context: Context, call: Call) -> Answer:
        record = get_identity(context.repository, self.kind, named_identity(call, self.kind))
        return {
            "AttachedPolicies": [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in record.attached]
        }

    def _put(self, context: Context, call: Call) -> Answer:
        name, document = text(call.parameters, "PolicyName"), text(call.parameters, "PolicyDocument")
        put_inline_policy(context.repository, self.kind, named_identity(call, self.kind), name, document)
        return {}

    def _get(self, context: Context, call: Call) -> Answer:
        holder, name = named_identity(call, self.kind), text(call.parameters, "PolicyName")
        document = get_inline_policy(context.repository, self.kind, holder, name)
        return {NAME_MEMBERS[self.kind]: holder, "PolicyName": name, "PolicyDocument": document}

    def _list(self, context: Context, call: Call) -> Answer:
        record = get_identity(context.repository, self.kind, named_identity(call, self.kind))
        return {"PolicyNames": list(record.inline)}

    def _delete(self, context: Context, call: Call) -> Answer:
        name = text(call.parameters, "PolicyName")
        remove_inline_policy(context.repository, self.kind, named_identity(call, self.kind), name)
        return {}

    def _put_boundary(self, context: Context, call: Call) -> Answer:
        boundary = text(call.parameters, "PermissionsBoundary")
        set_boundary(context.repository, self.kind, named_identity(call, self.kind), boundary)
        return {}

    def _delete_boundary(self, context: Context, call: Call) -> Answer:
        set_boundary(context.repository, self.kind, named_identity(call, self.kind), None)
        return {}


def _operation(name: str, permissions: Permissions, members: tuple[Member, ...], handle: Handle) -> Operation:
    return Operation(name, Source.IAM, f"iam:{name}", permissions, members, handle)


OPERATIONS: Final = (
    *AttachmentOperations(IdentityKind.USER).operations(),
    *AttachmentOperations(IdentityKind.ROLE).operations(),
)
