"""Roles: CreateRole, UpdateRole, UpdateAssumeRolePolicy, and what users have too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hounsfield.api.administration.answers import identity_members
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.identities import BOUNDARY, TAGS, IdentityOperations, name_member
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source
from hounsfield.api.administration.resources import permissions_to_create
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import mapping, optional_integer, optional_text, text
from hounsfield.iam.authorization import Permission
from hounsfield.iam.identities.identities import DEFAULT_SESSION_SECONDS, create_role, update_role
from hounsfield.iam.identities.names import MOST_OF_DESCRIPTION, SESSION_SECONDS
from hounsfield.iam.identities.records import IdentityKind

_ROLES: Final = IdentityOperations(IdentityKind.ROLE)
_NAME: Final = name_member(IdentityKind.ROLE)
_DESCRIPTION: Final = Member("Description", least=0, most=MOST_OF_DESCRIPTION)
_LONGEST: Final = Member("MaxSessionDuration", Form.INTEGER, least=SESSION_SECONDS[0], most=SESSION_SECONDS[-1])


def _may_create(context: Context, call: Call, action: str) -> Sequence[Permission]:
    return permissions_to_create(context, call, action, IdentityKind.ROLE)


def _create(context: Context, call: Call) -> Answer:
    parameters = call.parameters
    made = create_role(
        context.repository,
        text(parameters, "RoleName"),
        text(parameters, "AssumeRolePolicyDocument"),
        max_session_seconds=optional_integer(parameters, "MaxSessionDuration") or DEFAULT_SESSION_SECONDS,
        description=optional_text(parameters, "Description") or "",
        tags=mapping(parameters, "Tags"),
        boundary=optional_text(parameters, "PermissionsBoundary"),
    )
    return {"Role": identity_members(made)}


def _update(context: Context, call: Call) -> Answer:
    seconds = optional_integer(call.parameters, "MaxSessionDuration")
    description = optional_text(call.parameters, "Description")
    if seconds is None and description is None:
        raise ValidationException("One of Description and MaxSessionDuration must say what is to change.")
    name = text(call.parameters, "RoleName")
    updated = update_role(context.repository, name, max_session_seconds=seconds, description=description)
    return {"Role": identity_members(updated)}


def _update_trust(context: Context, call: Call) -> Answer:
    document = text(call.parameters, "PolicyDocument")
    updated = update_role(context.repository, text(call.parameters, "RoleName"), trust=document)
    return {"Role": identity_members(updated)}


OPERATIONS: Final = (
    Operation(
        "CreateRole",
        Source.IAM,
        "iam:CreateRole",
        _may_create,
        (
            _NAME,
            Member("AssumeRolePolicyDocument", Form.DOCUMENT, required=True),
            _DESCRIPTION,
            _LONGEST,
            TAGS,
            BOUNDARY,
        ),
        _create,
    ),
    Operation("UpdateRole", Source.IAM, "iam:UpdateRole", _ROLES.on_named, (_NAME, _DESCRIPTION, _LONGEST), _update),
    Operation(
        "UpdateAssumeRolePolicy",
        Source.IAM,
        "iam:UpdateAssumeRolePolicy",
        _ROLES.on_named,
        (_NAME, Member("PolicyDocument", Form.DOCUMENT, required=True)),
        _update_trust,
    ),
    *_ROLES.operations(),
)
