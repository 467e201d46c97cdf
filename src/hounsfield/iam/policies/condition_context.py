"""Condition context: the values of the condition keys of a request."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol, TypeAlias


class UnsettledValue(Enum):
    """Stands for the value of a condition key that the request has but that is not known, or has many values that differ."""

    HOPEFUL = auto()
    """It may be what an Allow asks for, and not what a Deny asks for: the permission is asked for again once it is known."""
    CAUTIOUS = auto()
    """It may be what a Deny asks for, and not what an Allow asks for: it stays unknown."""


ContextValue: TypeAlias = "str | tuple[str, ...] | UnsettledValue"
"""Value of a condition key of a request: one, several for the set operators, or one that is not known."""


class ConditionContext(Protocol):
    """The condition keys of a request."""

    def get(self, key: str, /) -> ContextValue | None:
        """Return the value of a condition key by its name in lower case; None when the request does not have it."""
        ...
