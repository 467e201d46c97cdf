"""What a caller may do.

    door ─▶ Permission(action, resources, context) ─▶ require(principal, permission, facts) ─▶ pass, or AccessDeniedError

The front doors ask here before they read a request, naming the action and the resources it touches. Every resource must be
allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hounsfield.access.principals import Principal

ContextValue: TypeAlias = "str | tuple[str, ...]"
"""Value of a condition key of a request: one, or several for the set operators."""


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
        ARNs of the resources it touches, ``*`` when it names none.
    context : Mapping of str to ContextValue
        Condition keys that this request has of its own, in lower case, such as ``medical-imaging:studyinstanceuid``,
        ``aws:requesttag/project`` or ``aws:tagkeys``.
    """

    action: str
    resources: Sequence[str]
    context: Mapping[str, ContextValue] = field(default_factory=dict)


class RequestFacts(Protocol):
    """What is known of a request beside what it asks for; looked up only when a policy asks."""

    def value(self, key: str) -> ContextValue | None:
        """Give a global condition key, in lower case, such as ``aws:sourceip``; None when the request has none."""
        ...

    def resource_tag(self, resource: str, key: str) -> str | None:
        """Give the value of a tag of a resource by its ARN (``aws:ResourceTag``); None when it has none."""
        ...


def require(principal: Principal, permission: Permission) -> None:
    """Let the caller pass or raise `AccessDeniedError`."""
    if principal.is_root:
        return
    raise AccessDeniedError(
        f"User: {principal.arn} is not authorized to perform: {permission.action} on resource: {permission.resources[0]}"
    )
