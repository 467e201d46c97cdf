"""The permission of a caller as it was at a request, kept for work that goes on after it.

principal · permission · condition keys ─▶ PermissionSnapshot: policies, and values of the keys they ask for ─▶ JSON
JSON ─▶ PermissionSnapshot ─▶ principal · permission ─▶ decided as at the request, but for the tags of resources
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from hounsfield.iam.authorization import ContextValue, Permission
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.iam.policies.document import RESOURCE_TAG, Policy, PolicyKind
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.principals import Principal, PrincipalKind
from hounsfield.iam.request_context import RequestConditionKeys, RequestContext


@dataclass(frozen=True, slots=True)
class PermissionSnapshot:
    """What somebody may do, by one action.

    Attributes
    ----------
    principal : Principal
        Who it was, with nothing but the policies.
    permission : Permission
        The action, what it was allowed on, and the values of all condition keys that the policies ask for, but for tags of
        resources.
    """

    principal: Principal
    permission: Permission = field(repr=False)

    @classmethod
    def of(
        cls, principal: Principal, permission: Permission, condition_keys: RequestConditionKeys
    ) -> PermissionSnapshot:
        """Keep the rights of a caller; parameters are those of `hounsfield.iam.authorization.require`."""
        context = RequestContext(permission.context, principal, "*", condition_keys)
        values: dict[str, ContextValue] = {}
        for policy in _policies(principal.rights):
            for key in policy.keys:
                value = None if key.startswith(RESOURCE_TAG) else context.get(key)
                if value is not None and not isinstance(value, UnsettledValue):
                    values[key] = value
        kept = Permission(permission.action, tuple(permission.resources), values)
        return cls(_nobody_but(principal.arn, principal.rights), kept)

    def to_json(self) -> str:
        """Serialise."""
        rights = self.principal.rights
        content = {
            "arn": self.principal.arn,
            "action": self.permission.action,
            "resources": self.permission.resources,
            "values": self.permission.context,
            "identity": [policy.text for policy in rights.identity],
            "boundary": None if rights.boundary is None else rights.boundary.text,
            "session": [policy.text for policy in rights.session],
        }
        return orjson.dumps(content).decode()

    @classmethod
    def from_json(cls, text: str) -> PermissionSnapshot:
        """Read what `to_json` wrote."""
        content = orjson.loads(text)
        boundary = content["boundary"]
        rights = PolicySet(
            identity=tuple(parse_policy(text, most=_ANY) for text in content["identity"]),
            boundary=None if boundary is None else parse_policy(boundary, kind=PolicyKind.BOUNDARY, most=_ANY),
            session=tuple(parse_policy(text, kind=PolicyKind.SESSION, most=_ANY) for text in content["session"]),
        )
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in content["values"].items()}
        kept = Permission(content["action"], tuple(content["resources"]), values)
        return cls(_nobody_but(content["arn"], rights), kept)


@dataclass(frozen=True, slots=True)
class NoConditionKeys:
    """Nothing is known of a request that was answered long ago, beside what was kept of it."""

    def value(self, key: str) -> ContextValue | None:  # noqa: ARG002 - as in the protocol
        """None, whatever the key."""
        return None

    def resource_tags(self, resource: str) -> Mapping[str, str]:  # noqa: ARG002
        """Return no tags."""
        return {}


_ANY: Final = 1 << 30
"""The size of a policy was checked when it was made."""


def _policies(rights: PolicySet) -> Iterator[Policy]:
    yield from rights.identity
    if rights.boundary is not None:
        yield rights.boundary
    yield from rights.session


def _nobody_but(arn: str, rights: PolicySet) -> Principal:
    """Make a principal that has no values of its own: those that there were are kept as values of the request."""
    return Principal(arn, PrincipalKind.ROLE, id="", rights=rights)
