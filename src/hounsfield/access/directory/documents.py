"""Policy documents as they come from outside: bounded, then read by the policy language itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from hounsfield.access.directory.errors import InvalidInputError
from hounsfield.access.policies.document import Policy

BUILT_IN: Final[Mapping[str, Policy]] = {}
"""Managed policies that every installation has, by ARN."""
MOST_OF_MANAGED: Final = 6144
MOST_OF_INLINE: Final = {"user": 2048, "role": 10_240}
MOST_OF_TRUST: Final = 4096


def size(text: str) -> int:
    """Give the size of a document as IAM counts it: characters that are not white space."""
    return sum(map(len, text.split()))


def identity_policy(text: str, most: int = MOST_OF_MANAGED) -> Policy:
    """Read the policy of a user or role; raises `InvalidInputError`."""
    return _read(text, most, "policy")


def trust_policy(text: str) -> Policy:
    """Read the trust policy of a role; raises `InvalidInputError`."""
    return _read(text, MOST_OF_TRUST, "trust policy")


def _read(text: str, most: int, what: str) -> Policy:
    if size(text) > most:
        raise InvalidInputError(f"the {what} has {size(text)} characters besides white space, it may have {most}")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"the {what} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InvalidInputError(f"the {what} must be a JSON object")
    return Policy(text)
