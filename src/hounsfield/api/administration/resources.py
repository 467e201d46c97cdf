"""Resources of permissions: the ARNs of users, roles and policies that calls name, and the condition keys of them.

Names are the same in upper and lower case, ARNs are not: policies are asked with the ARN of what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hounsfield.api.administration.context import Call, Context
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import mapping, optional_text, texts
from hounsfield.iam.authorization import ContextValue, Permission
from hounsfield.iam.identities.errors import NoSuchEntityError
from hounsfield.iam.identities.identities import get_identity
from hounsfield.iam.identities.managed_policies import get_policy
from hounsfield.iam.identities.records import IdentityKind, IdentityRecord
from hounsfield.iam.policies.document import RESOURCE_TAG
from hounsfield.iam.principals import PrincipalKind

NAME_MEMBERS: Final = {IdentityKind.USER: "UserName", IdentityKind.ROLE: "RoleName"}
_IAM_RESOURCE_TAG: Final = "iam:resourcetag/"


def named_identity(call: Call, kind: IdentityKind) -> str:
    """Return the name of the user or role that a call is about; a user who names none is meant.

    Raises
    ------
    ValidationException
        None is named, and the caller is no user.
    """
    member = NAME_MEMBERS[kind]
    name = optional_text(call.parameters, member)
    if name is None and kind is IdentityKind.USER and call.principal.kind is PrincipalKind.USER:
        return call.principal.name
    if name is None:
        raise ValidationException(f"{member} must be given: the caller is no {kind}.")
    return name


def find_identity(context: Context, call: Call, kind: IdentityKind) -> IdentityRecord | None:
    """Return the user or role that a call is about; None where there is none of that name."""
    try:
        return get_identity(context.repository, kind, named_identity(call, kind))
    except NoSuchEntityError:
        return None


def permission_on(
    context: Context,
    call: Call,
    action: str,
    kind: IdentityKind,
    own: Mapping[str, ContextValue] | None = None,
) -> Permission:
    """Return the permission for an action on the user or role that a call names.

    Parameters
    ----------
    context : Context
        Where users and roles are.
    call : Call
        Names one.
    action : str
        IAM action with its prefix.
    kind : IdentityKind
        User or role.
    own : Mapping of str to ContextValue, optional
        Condition keys that the request has of its own, in lower case.
    """
    return permission_on_named(context, action, kind, named_identity(call, kind), own)


def permission_on_named(
    context: Context, action: str, kind: IdentityKind, name: str, own: Mapping[str, ContextValue] | None = None
) -> Permission:
    """Return the permission for an action on a user or role; parameters are those of `permission_on`."""
    try:
        record = get_identity(context.repository, kind, name)
    except NoSuchEntityError:
        return Permission(action, (context.repository.arn(kind, name),), own or {})
    return permission_on_record(record, action, own)


def permission_on_record(
    record: IdentityRecord, action: str, own: Mapping[str, ContextValue] | None = None
) -> Permission:
    """Return the permission for an action on a user or role that there is; parameters are those of `permission_on`."""
    return Permission(action, (record.arn,), {**tag_context(record.tags), **(own or {})})


def tag_context(tags: Mapping[str, str]) -> dict[str, ContextValue]:
    """Return the condition keys of the tags of a user or role, ``aws:ResourceTag/…`` and ``iam:ResourceTag/…``."""
    return {
        f"{prefix}{key.lower()}": value for prefix in (RESOURCE_TAG, _IAM_RESOURCE_TAG) for key, value in tags.items()
    }


def requested_tags(call: Call) -> dict[str, ContextValue]:
    """Return the condition keys of the tags that a call sets, ``Tags``, and of those that it takes off, ``TagKeys``."""
    tags = mapping(call.parameters, "Tags")
    keys = (*tags, *texts(call.parameters.get("TagKeys", [])))
    own: dict[str, ContextValue] = {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
    return {**own, "aws:tagkeys": keys} if keys else own


def true_policy_arn(context: Context, arn: str) -> str:
    """Return the ARN of the managed policy that is meant, with its name as it is written; as given where there is none."""
    try:
        return get_policy(context.repository, arn).arn
    except NoSuchEntityError:
        return arn


def boundary_context(context: Context, arn: str | None) -> dict[str, ContextValue]:
    """Return the condition key ``iam:PermissionsBoundary`` for a boundary, that of a request or of a user or role."""
    return {} if arn is None else {"iam:permissionsboundary": true_policy_arn(context, arn)}


def permissions_to_create(context: Context, call: Call, action: str, kind: IdentityKind) -> Sequence[Permission]:
    """Return what is needed to create the user or role that a call names: to tag it too where it has tags."""
    tags = requested_tags(call)
    own = tags | boundary_context(context, optional_text(call.parameters, "PermissionsBoundary"))
    needed = [permission_on(context, call, action, kind, own)]
    if tags:
        needed.append(permission_on(context, call, f"iam:Tag{kind.value.capitalize()}", kind, tags))
    return needed
