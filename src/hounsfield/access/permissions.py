"""What a caller may do. So far there is one rule: the root of the account may do everything, nobody else anything.

The front doors ask here before they read a request, naming the action and the resources it touches, so that policies can
take the place of the rule without a change to any door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hounsfield.access.principals import Principal


class AccessDeniedError(Exception):
    """The caller may not do this; the message is in the form AWS gives it."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a request needs: an IAM action, and the ARNs of the resources it touches (``*`` when it names none)."""

    action: str
    resources: Sequence[str]


def require(principal: Principal, permission: Permission) -> None:
    """Let the caller pass or raise `AccessDeniedError`."""
    if principal.is_root:
        return
    raise AccessDeniedError(
        f"User: {principal.arn} is not authorized to perform: {permission.action} on resource: {permission.resources[0]}"
    )
