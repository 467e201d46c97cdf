"""Users: CreateUser, and what roles have too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hounsfield.api.administration.answers import identity_members
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.identities import BOUNDARY, TAGS, IdentityOperations, name_member
from hounsfield.api.administration.operation import Answer, Operation, Source
from hounsfield.api.administration.resources import permissions_to_create
from hounsfield.aws.protocol.members import mapping, optional_text, text
from hounsfield.iam.authorization import Permission
from hounsfield.iam.identities.identities import create_user
from hounsfield.iam.identities.records import IdentityKind


def _may_create(context: Context, call: Call, action: str) -> Sequence[Permission]:
    return permissions_to_create(context, call, action, IdentityKind.USER)


def _create(context: Context, call: Call) -> Answer:
    made = create_user(
        context.repository,
        text(call.parameters, "UserName"),
        mapping(call.parameters, "Tags"),
        boundary=optional_text(call.parameters, "PermissionsBoundary"),
    )
    return {"User": identity_members(made)}


OPERATIONS: Final = (
    Operation(
        "CreateUser",
        Source.IAM,
        "iam:CreateUser",
        _may_create,
        (name_member(IdentityKind.USER), TAGS, BOUNDARY),
        _create,
    ),
    *IdentityOperations(IdentityKind.USER).operations(),
)
