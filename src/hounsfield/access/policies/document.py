"""A policy document (IAM User Guide, "IAM JSON policy elements reference"), read once and quick to ask.

    Policy.about(action).on(resource) ─▶ the few statements that may concern both, denying ones apart ─▶ Statement.applies

Which statements name an action is found out once for each action and kept; which of these name a resource, for those that were
asked for last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from hounsfield.access.policies.conditions import Effect
from hounsfield.access.policies.selection import Selection
from hounsfield.access.policies.statements import Statement

RESOURCE_TAG: Final = "aws:resourcetag/"
"""What the condition keys of the tags of a resource begin with."""
_MOST_KEPT: Final = 512
_MOST_RESOURCES: Final = 16_384


class PolicyKind(StrEnum):
    """What a policy is for, by the words that error messages have for it."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    TRUST = "role trust policy"


@dataclass(frozen=True, slots=True, eq=False)
class Relevant:
    """The statements of a policy that are about an action.

    Attributes
    ----------
    denying, allowing : tuple of Statement
        By their effect.
    """

    denying: tuple[Statement, ...]
    allowing: tuple[Statement, ...]

    def on(self, resource: str) -> Concerned:
        """Give those that may concern a resource."""
        return _on(self, resource)


@dataclass(frozen=True, slots=True)
class Concerned:
    """The statements of a policy that are about an action and may be about a resource.

    Attributes
    ----------
    denying, allowing : Selection
        By their effect.
    """

    denying: Selection
    allowing: Selection


@lru_cache(maxsize=_MOST_RESOURCES)
def _on(relevant: Relevant, resource: str) -> Concerned:
    return Concerned(
        denying=Selection.of([statement for statement in relevant.denying if statement.may_concern(resource)]),
        allowing=Selection.of([statement for statement in relevant.allowing if statement.may_concern(resource)]),
    )


@dataclass(frozen=True, slots=True)
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
    version: str = field(compare=False)
    statements: tuple[Statement, ...] = field(repr=False, compare=False)
    keys: frozenset[str] = field(repr=False, compare=False)
    asks_for_resource_tags: bool = field(init=False, repr=False, compare=False)
    """Whether it may ask for tags of resources, which are looked up."""
    _about: dict[str, Relevant] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "asks_for_resource_tags", any(key.startswith(RESOURCE_TAG) for key in self.keys))

    def about(self, action: str) -> Relevant:
        """Give the statements that are about an action, such as ``medical-imaging:GetImageFrame``; case does not matter."""
        kept = self._about.get(action)
        if kept is not None:
            return kept
        lower = action.lower()
        meant = [statement for statement in self.statements if statement.actions.include(lower)]
        relevant = Relevant(
            denying=tuple(statement for statement in meant if statement.effect is Effect.DENY),
            allowing=tuple(statement for statement in meant if statement.effect is Effect.ALLOW),
        )
        if len(self._about) < _MOST_KEPT:
            self._about[action] = relevant
        return relevant
