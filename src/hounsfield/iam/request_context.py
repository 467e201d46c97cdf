"""Request context: the condition keys of one request on one resource.

    of the request itself (permission) ─┐
    of the caller (principal)           ├─▶ get(key)     looked up only when a policy asks
    of the resource: its tags           │
    of the connection, the time ────────┘

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from hounsfield.iam.policies.condition_context import ContextValue
from hounsfield.iam.policies.document import RESOURCE_TAG
from hounsfield.iam.principals import Principal, PrincipalKind

_PRINCIPAL_TAG: Final = "aws:principaltag/"
_TYPES: Final = {PrincipalKind.ROOT: "Account", PrincipalKind.USER: "User", PrincipalKind.ROLE: "AssumedRole"}


class RequestConditionKeys(Protocol):
    """What is known of a request beside what it asks for; looked up only when a policy asks."""

    def value(self, key: str) -> ContextValue | None:
        """Return a global condition key, in lower case, such as ``aws:sourceip``; None when the request has none."""
        ...

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        """Return the tags of a resource by its ARN (``aws:ResourceTag``); empty when it has none, or there is none."""
        ...


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The condition keys of a request on a resource.

    Attributes
    ----------
    own : Mapping of str to ContextValue
        Keys of the request itself, in lower case. One that ends in ``/`` stands for all keys that begin with it.
    principal : Principal
        Who calls.
    resource : str
        ARN of the resource.
    condition_keys : RequestConditionKeys
        What else is known.
    kept : dict
        Values that were found for this request already, on whichever resource.
    """

    own: Mapping[str, ContextValue]
    principal: Principal
    resource: str
    condition_keys: RequestConditionKeys
    kept: dict[str, ContextValue | None] = field(default_factory=dict, repr=False)

    def get(self, key: str, /) -> ContextValue | None:
        """Return the value of a condition key by its name in lower case; None when the request does not have it."""
        if key in self.kept:
            return self.kept[key]
        value = self._found(key)
        if not key.startswith(RESOURCE_TAG):
            self.kept[key] = value
        return value

    def _found(self, key: str) -> ContextValue | None:
        value = self.own.get(key)
        if value is not None:
            return value
        head, slash, name = key.partition("/")
        if slash:
            prefix = f"{head}/"
            if prefix in self.own:
                return self.own[prefix]
            if prefix == RESOURCE_TAG:
                return _tag(self.condition_keys.resource_tags(self.resource), name)
            if prefix == _PRINCIPAL_TAG:
                return _tag(self.principal.tags, name)
        of_principal = PRINCIPAL_KEYS.get(key)
        return self.condition_keys.value(key) if of_principal is None else of_principal(self.principal)


def _tag(tags: Mapping[str, str], name: str) -> str | None:
    """Find a tag; as names of condition keys, keys of tags are the same in upper and lower case."""
    return next((tags[key] for key in sorted(tags) if key.lower() == name), None)


def _arn(principal: Principal) -> str:
    """Return the ARN that policies know a caller by: for the session of a role that of the role."""
    return principal.arn if principal.session is None else principal.session.role_arn


def _issued_at(principal: Principal) -> str | None:
    if principal.session is None:
        return None
    return datetime.fromtimestamp(principal.session.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _provider(principal: Principal) -> str | None:
    return principal.session.provider or None if principal.session is not None else None


def _source_identity(principal: Principal) -> str | None:
    return principal.session.source_identity or None if principal.session is not None else None


def _user_name(principal: Principal) -> str | None:
    return principal.name if principal.kind is PrincipalKind.USER else None


PRINCIPAL_KEYS: Final[Mapping[str, Callable[[Principal], str | None]]] = {
    "aws:principalarn": _arn,
    "aws:principalaccount": lambda principal: principal.account_id,
    "aws:principaltype": lambda principal: _TYPES[principal.kind],
    "aws:principalisawsservice": lambda _: "false",
    "aws:userid": lambda principal: principal.id,
    "aws:username": _user_name,
    "aws:sourceidentity": _source_identity,
    "aws:tokenissuetime": _issued_at,
    "aws:federatedprovider": _provider,
}
"""The keys that the caller has a value for."""
