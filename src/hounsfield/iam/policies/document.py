"""A policy document (IAM User Guide, "IAM JSON policy elements reference").

A policy that was read is one object, compared and kept by that: the same text read twice makes two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hounsfield.iam.policies.statement import Statement

RESOURCE_TAG: Final = "aws:resourcetag/"
"""What the condition keys of the tags of a resource begin with."""


class PolicyKind(StrEnum):
    """What a policy is for, by the words that error messages have for it."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    TRUST = "role trust policy"


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy that was read and found valid.

    Attributes
    ----------
    text : str
        The JSON it was read from.
    kind : PolicyKind
        What it was read as.
    version : str
        Version of the policy language.
    statements : tuple of Statement
        What it says.
    keys : frozenset of str
        Condition keys it may ask for, in lower case.
    """

    text: str
    kind: PolicyKind
    version: str = field(repr=False)
    statements: tuple[Statement, ...] = field(repr=False)
    keys: frozenset[str] = field(repr=False)
    asks_for_resource_tags: bool = field(init=False, repr=False)
    """Whether it may ask for tags of resources, which are looked up."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asks_for_resource_tags", any(key.startswith(RESOURCE_TAG) for key in self.keys))
