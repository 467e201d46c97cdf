"""Policy documents from outside: bounded in size, then parsed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from hounsfield.iam.identities.errors import MalformedPolicyError
from hounsfield.iam.policies.aws_managed import managed_arns, managed_policy
from hounsfield.iam.policies.document import Policy, PolicyKind
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.parser import parse_policy

MOST_OF_MANAGED: Final = 6144
MOST_OF_INLINE: Final = {"user": 2048, "role": 10_240}
MOST_OF_TRUST: Final = 4096


@cache
def built_in(partition: str) -> Mapping[str, Policy]:
    """Return the managed policies that every installation of a partition has, by ARN."""
    arns = managed_arns(partition)
    return {arn: policy for arn in arns if (policy := managed_policy(arn)) is not None}


def identity_policy(text: str, most: int = MOST_OF_MANAGED) -> Policy:
    """Read the policy of a user or role; raises `MalformedPolicyError`."""
    return _read(text, most, PolicyKind.IDENTITY)


def trust_policy(text: str) -> Policy:
    """Read the trust policy of a role; raises `MalformedPolicyError`."""
    return _read(text, MOST_OF_TRUST, PolicyKind.TRUST)


@lru_cache(maxsize=4096)
def _read(text: str, most: int, kind: PolicyKind) -> Policy:
    # What was read once is not read again whenever something else of the directory changes.
    try:
        return parse_policy(text, kind=kind, most=most)
    except PolicyError as error:
        raise MalformedPolicyError(str(error)) from error
