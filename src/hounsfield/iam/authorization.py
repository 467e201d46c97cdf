"""Authorization: what a caller may do.

    gateway ─▶ Permission(action, resources, context) ─▶ require(…, condition_keys) ─▶ pass, or AccessDeniedError

The APIs ask here before they read a request, naming the action and the resources it touches. Every resource must be
allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hounsfield.iam.policies.condition_context import ContextValue
from hounsfield.iam.policies.evaluation import Decision, Outcome, decide_each, denies_below
from hounsfield.iam.principals import Principal
from hounsfield.iam.request_context import RequestConditionKeys, RequestContext

__all__ = [
    "AccessDeniedError",
    "ContextValue",
    "Permission",
    "RequestConditionKeys",
    "may_be_denied",
    "refused_resources",
    "require",
]


class AccessDeniedError(Exception):
    """The caller may not do this; the message is in the form AWS gives it."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a request needs.

    Attributes
    ----------
    action : str
        IAM action, such as ``medical-imaging:GetImageFrame``.
    resources : sequence of str
        ARNs of the resources it touches, ``*`` when it names none. It must be allowed on each.
    context : Mapping of str to ContextValue
        Condition keys that this request has of its own, in lower case, such as ``medical-imaging:studyinstanceuid``,
        ``aws:requesttag/project`` or ``aws:tagkeys``. One that ends in ``/`` stands for all keys that begin with it.
    unless_denied : sequence of str
        ARNs of further resources, on which no policy need allow it, but none may deny it.
    instead : Permission or None
        Another permission that will do where no policy denies this one.
    """

    action: str
    resources: Sequence[str]
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    unless_denied: Sequence[str] = ()
    instead: Permission | None = None


def require(principal: Principal, permission: Permission, condition_keys: RequestConditionKeys) -> Permission:
    """Let the caller pass; gives what allowed it, the permission or the one instead.

    Parameters
    ----------
    principal : Principal
        Who calls. The root of the account may do everything.
    permission : Permission
        What the request needs.
    condition_keys : RequestConditionKeys
        What else is known of the request.

    Raises
    ------
    AccessDeniedError
        The caller's policies do not allow it; the message is in AWS's words.
    """
    if principal.is_root:
        return permission
    refused = _refusal(principal, permission, condition_keys)
    if refused is None:
        return permission
    resource, decision = refused
    if (
        decision.outcome is Outcome.IMPLICIT_DENY
        and permission.instead is not None
        and _refusal(principal, permission.instead, condition_keys) is None
    ):
        return permission.instead
    raise AccessDeniedError(
        f"User: {principal.arn} is not authorized to perform: {permission.action} on resource: {resource} "
        f"{decision.reason(permission.action)}"
    )


def refused_resources(
    principal: Principal, permission: Permission, condition_keys: RequestConditionKeys
) -> frozenset[str]:
    """Return the ARNs of a permission on which the caller does not have it; parameters are those of `require`."""
    if principal.is_root:
        return frozenset()
    return frozenset(resource for resource, _ in _refusals(principal, permission, condition_keys))


def may_be_denied(principal: Principal, action: str, prefix: str) -> bool:
    """Return whether a policy may deny the caller an action on some resources whose ARNs begin so, and not on all."""
    return not principal.is_root and denies_below(principal.rights, action, prefix)


def _refusal(
    principal: Principal, permission: Permission, condition_keys: RequestConditionKeys
) -> tuple[str, Decision] | None:
    """Return the resource on which it is not allowed, explicit denials first, and why."""
    refused: tuple[str, Decision] | None = None
    for resource, decision in _refusals(principal, permission, condition_keys):
        if decision.outcome is Outcome.EXPLICIT_DENY:
            return resource, decision
        refused = refused or (resource, decision)
    return refused


def _refusals(
    principal: Principal, permission: Permission, condition_keys: RequestConditionKeys
) -> Iterator[tuple[str, Decision]]:
    """Yield each resource on which it is not allowed, and why."""
    kept: dict[str, ContextValue | None] = {}
    unless_denied = frozenset(permission.unless_denied)
    asked = [
        (resource, RequestContext(permission.context, principal, resource, condition_keys, kept))
        for resource in (*permission.resources, *permission.unless_denied)
    ]
    for (resource, _), decision in zip(asked, decide_each(principal.rights, permission.action, asked), strict=True):
        denied = decision.outcome is Outcome.EXPLICIT_DENY
        if denied or not (decision.allowed or resource in unless_denied):
            yield resource, decision
