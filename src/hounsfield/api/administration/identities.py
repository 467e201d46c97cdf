"""Operations on users and roles alike: show, list, tag and delete them (IAM GetUser, ListRoles, TagUser, DeleteRole and so on).

IdentityOperations(kind) ─▶ GetUser, ListUsers, TagUser, UntagUser, DeleteUser, or those of roles
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hounsfield.api.administration.answers import identity_members
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source, on_everything
from hounsfield.api.administration.pages import PAGE_MEMBERS, page_of
from hounsfield.api.administration.resources import (
    NAME_MEMBERS,
    boundary_context,
    find_identity,
    named_identity,
    permission_on,
    permission_on_record,
    requested_tags,
)
from hounsfield.aws.protocol.members import mapping, optional_boolean, texts
from hounsfield.iam.authorization import Permission
from hounsfield.iam.identities.identities import delete_identity, get_identity, list_identities, tag_identity
from hounsfield.iam.identities.names import MOST_OF_IDENTITY_NAME, MOST_TAGS
from hounsfield.iam.identities.records import IdentityKind

TAGS: Final = Member("Tags", Form.TAGS, most_entries=MOST_TAGS)
BOUNDARY: Final = Member("PermissionsBoundary", least=20, most=2048)


def name_member(kind: IdentityKind, *, required: bool = True) -> Member:
    """Return the member that names a user or role."""
    return Member(NAME_MEMBERS[kind], required=required, most=MOST_OF_IDENTITY_NAME)


@dataclass(frozen=True, slots=True)
class IdentityOperations:
    """The operations of one kind of identity.

    Attributes
    ----------
    kind : IdentityKind
        Users, or roles.
    """

    kind: IdentityKind

    @property
    def noun(self) -> str:
        """The kind, as names of operations have it."""
        return self.kind.value.capitalize()

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations."""
        noun, name = self.noun, name_member(self.kind)
        named = name_member(self.kind, required=self.kind is IdentityKind.ROLE)
        tags = Member("Tags", Form.TAGS, required=True, most_entries=MOST_TAGS)
        keys = Member("TagKeys", Form.TEXTS, required=True, most=128, most_entries=MOST_TAGS)
        force = Member("Force", Form.BOOLEAN)
        source = Source.IAM
        return (
            Operation(f"Get{noun}", source, f"iam:Get{noun}", self.on_named, (named,), self._get),
            Operation(f"List{noun}s", source, f"iam:List{noun}s", on_everything, PAGE_MEMBERS, self._list),
            Operation(f"Tag{noun}", source, f"iam:Tag{noun}", self._may_tag, (name, tags), self._tag),
            Operation(f"Untag{noun}", source, f"iam:Untag{noun}", self._may_tag, (name, keys), self._untag),
            Operation(f"Delete{noun}", source, f"iam:Delete{noun}", self._may_delete, (name, force), self._delete),
        )

    def on_named(self, context: Context, call: Call, action: str) -> Sequence[Permission]:
        """Return the permission for an action on the user or role that a call names."""
        return (permission_on(context, call, action, self.kind),)

    def _get(self, context: Context, call: Call) -> Answer:
        record = get_identity(context.repository, self.kind, named_identity(call, self.kind))
        return {self.noun: identity_members(record)}

    def _list(self, context: Context, call: Call) -> Answer:
        records = list_identities(context.repository, self.kind)
        return page_of(call, f"{self.noun}s", records, lambda record: record.name, identity_members)

    def _may_tag(self, context: Context, call: Call, action: str) -> Sequence[Permission]:
        return (permission_on(context, call, action, self.kind, requested_tags(call)),)

    def _tag(self, context: Context, call: Call) -> Answer:
        tag_identity(context.repository, self.kind, named_identity(call, self.kind), mapping(call.parameters, "Tags"))
        return {}

    def _untag(self, context: Context, call: Call) -> Answer:
        keys = texts(call.parameters["TagKeys"])
        tag_identity(context.repository, self.kind, named_identity(call, self.kind), {}, keys)
        return {}

    def _may_delete(self, context: Context, call: Call, action: str) -> Sequence[Permission]:
        """Return what is needed to delete it, and with Force to take off all that it has before."""
        record = find_identity(context, call, self.kind) if optional_boolean(call.parameters, "Force") else None
        if record is None:
            return [permission_on(context, call, action, self.kind)]
        noun = self.noun
        own = boundary_context(context, record.boundary)
        needed = [permission_on_record(record, action)]
        if record.keys:
            needed.append(permission_on_record(record, "iam:DeleteAccessKey"))
        if record.inline:
            needed.append(permission_on_record(record, f"iam:Delete{noun}Policy", own))
        needed.extend(
            permission_on_record(record, f"iam:Detach{noun}Policy", {**own, "iam:policyarn": arn})
            for arn in record.attached
        )
        return needed

    def _delete(self, context: Context, call: Call) -> Answer:
        force = optional_boolean(call.parameters, "Force") or False
        delete_identity(context.repository, self.kind, named_identity(call, self.kind), force=force)
        return {}
