"""Managed policies: create, show, list, change and delete them, and tell who has one (IAM CreatePolicy and so on).

A policy has one document here: CreatePolicyVersion puts another in its place, and no earlier one is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hounsfield.api.administration.answers import policy_members, time_text
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source, on_everything
from hounsfield.api.administration.pages import PAGE_MEMBERS, page_of
from hounsfield.api.administration.resources import true_policy_arn
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import optional_boolean, optional_text, text
from hounsfield.iam.authorization import Permission
from hounsfield.iam.identities.identities import list_identities
from hounsfield.iam.identities.managed_policies import (
    create_policy,
    delete_policy,
    get_policy,
    list_policies,
    update_policy,
)
from hounsfield.iam.identities.names import MOST_OF_DESCRIPTION, MOST_OF_POLICY_NAME
from hounsfield.iam.identities.records import IdentityKind

POLICY_ARN: Final = Member("PolicyArn", required=True, least=20, most=2048)
POLICY_NAME: Final = Member("PolicyName", required=True, most=MOST_OF_POLICY_NAME)
DOCUMENT: Final = Member("PolicyDocument", Form.DOCUMENT, required=True)
_SCOPES: Final = ("All", "Local", "AWS")


def _may_create(context: Context, call: Call, action: str) -> Sequence[Permission]:
    arn = context.repository.arn("policy", text(call.parameters, "PolicyName"))
    return (Permission(action, (true_policy_arn(context, arn),)),)


def _create(context: Context, call: Call) -> Answer:
    parameters = call.parameters
    made = create_policy(
        context.repository,
        text(parameters, "PolicyName"),
        text(parameters, "PolicyDocument"),
        optional_text(parameters, "Description") or "",
    )
    return {"Policy": policy_members(made)}


def _on_policy(context: Context, call: Call, action: str) -> Sequence[Permission]:
    return (Permission(action, (true_policy_arn(context, text(call.parameters, "PolicyArn")),)),)


def _get(context: Context, call: Call) -> Answer:
    return {"Policy": policy_members(get_policy(context.repository, text(call.parameters, "PolicyArn")))}


def _get_document(context: Context, call: Call) -> Answer:
    record = get_policy(context.repository, text(call.parameters, "PolicyArn"))
    created = time_text(record.updated_at)
    return {"PolicyVersion": {"Document": record.document, "IsDefaultVersion": True, "CreateDate": created}}


def _list(context: Context, call: Call) -> Answer:
    scope = optional_text(call.parameters, "Scope") or _SCOPES[0]
    records = [
        record
        for record in list_policies(context.repository)
        if scope == "All" or (scope == "Local") == bool(record.id)
        if record.users_and_roles or not optional_boolean(call.parameters, "OnlyAttached")
    ]
    return page_of(call, "Policies", records, lambda record: record.name, policy_members)


def _update(context: Context, call: Call) -> Answer:
    if optional_boolean(call.parameters, "SetAsDefault") is False:
        raise ValidationException("SetAsDefault must be true: a policy has one document, which the new one replaces.")
    arn, document = text(call.parameters, "PolicyArn"), text(call.parameters, "PolicyDocument")
    return {"Policy": policy_members(update_policy(context.repository, arn, document))}


def _delete(context: Context, call: Call) -> Answer:
    delete_policy(context.repository, text(call.parameters, "PolicyArn"))
    return {}


def _list_holders(context: Context, call: Call) -> Answer:
    arn = get_policy(context.repository, text(call.parameters, "PolicyArn")).arn
    answer: dict[str, Json] = {}
    for kind, member in ((IdentityKind.USER, "User"), (IdentityKind.ROLE, "Role")):
        answer[f"Policy{member}s"] = [
            {
                f"{member}Name": record.name,
                f"{member}Id": record.id,
                "Usage": [
                    *(["PermissionsPolicy"] if arn in record.attached else []),
                    *(["PermissionsBoundary"] if arn == record.boundary else []),
                ],
            }
            for record in list_identities(context.repository, kind)
            if arn in record.attached or arn == record.boundary
        ]
    return answer


OPERATIONS: Final = (
    Operation(
        "CreatePolicy",
        Source.IAM,
        "iam:CreatePolicy",
        _may_create,
        (POLICY_NAME, DOCUMENT, Member("Description", least=0, most=MOST_OF_DESCRIPTION)),
        _create,
    ),
    Operation("GetPolicy", Source.IAM, "iam:GetPolicy", _on_policy, (POLICY_ARN,), _get),
    Operation("GetPolicyVersion", Source.IAM, "iam:GetPolicyVersion", _on_policy, (POLICY_ARN,), _get_document),
    Operation(
        "ListPolicies",
        Source.IAM,
        "iam:ListPolicies",
        on_everything,
        (Member("Scope", choices=_SCOPES), Member("OnlyAttached", Form.BOOLEAN), *PAGE_MEMBERS),
        _list,
    ),
    Operation(
        "CreatePolicyVersion",
        Source.IAM,
        "iam:CreatePolicyVersion",
        _on_policy,
        (POLICY_ARN, DOCUMENT, Member("SetAsDefault", Form.BOOLEAN)),
        _update,
    ),
    Operation("DeletePolicy", Source.IAM, "iam:DeletePolicy", _on_policy, (POLICY_ARN,), _delete),
    Operation(
        "ListEntitiesForPolicy", Source.IAM, "iam:ListEntitiesForPolicy", _on_policy, (POLICY_ARN,), _list_holders
    ),
)
