"""Policy documents as they come from outside: bounded, then read by the policy language itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hounsfield.access.directory.errors import InvalidInputError
from hounsfield.access.policies.document import Policy, PolicyKind
from hounsfield.access.policies.errors import PolicyError
from hounsfield.access.policies.managed import managed_policies
from hounsfield.access.policies.parsing import parse_policy

BUILT_IN: Final[Mapping[str, Policy]] = managed_policies()
"""Managed policies that every installation has, by ARN."""
MOST_OF_MANAGED: Final = 6144
MOST_OF_INLINE: Final = {"user": 2048, "role": 10_240}
MOST_OF_TRUST: Final = 4096


def identity_policy(text: str, most: int = MOST_OF_MANAGED) -> Policy:
    """Read the policy of a user or role; raises `InvalidInputError`."""
    return _read(text, most, PolicyKind.IDENTITY)


def trust_policy(text: str) -> Policy:
    """Read the trust policy of a role; raises `InvalidInputError`."""
    return _read(text, MOST_OF_TRUST, PolicyKind.TRUST)


def _read(text: str, most: int, kind: PolicyKind) -> Policy:
    try:
        return parse_policy(text, kind=kind, most=most)
    except PolicyError as error:
        raise InvalidInputError(str(error)) from error
