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

from hounsfield.access.policies.conditions import Condition, Effect
from hounsfield.access.policies.context import ConditionContext
from hounsfield.access.policies.parties import Parties
from hounsfield.access.policies.templates import Template
from hounsfield.access.policies.wildcards import Wildcards

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


@dataclass(frozen=True, slots=True)
class Actions:
    """The element Action or NotAction.

    Attributes
    ----------
    patterns : tuple of Wildcards
        Its values, in lower case.
    negated : bool
        Whether it is NotAction.
    """

    patterns: tuple[Wildcards, ...]
    negated: bool = False

    def include(self, action: str) -> bool:
        """Tell whether an action, in lower case, is meant."""
        return any(pattern.match(action) for pattern in self.patterns) is not self.negated


@dataclass(frozen=True, slots=True)
class Resources:
    """The element Resource or NotResource.

    Attributes
    ----------
    names : frozenset of str
        Values that have neither wildcards nor variables.
    patterns : tuple of Wildcards
        Values with wildcards.
    templates : tuple of Template
        Values with variables.
    everything : bool
        Whether one of the values is ``*``.
    negated : bool
        Whether it is NotResource.
    """

    names: frozenset[str]
    patterns: tuple[Wildcards, ...]
    templates: tuple[Template, ...]
    everything: bool = False
    negated: bool = False

    def known(self, resource: str) -> bool | None:
        """Tell whether a resource is meant, by its ARN, or ``*`` where the action has none; None if variables decide that."""
        if self.everything or resource in self.names or any(pattern.match(resource) for pattern in self.patterns):
            return not self.negated
        return None if self.templates else self.negated

    def include(self, resource: str, context: ConditionContext, effect: Effect) -> bool:
        """Tell whether variables make a resource be meant that else would not.

        A value with a variable that stands for nothing names no resource; and to be none of these gives nobody a permission.
        """
        unknown = False
        for template in self.templates:
            parts = template.resolve(context)
            if parts is None:
                unknown = True
            elif Wildcards.of(*parts).match(resource):
                return not self.negated
        return self.negated and not (unknown and effect is Effect.ALLOW)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement.

    Attributes
    ----------
    effect : Effect
        What it does.
    actions : Actions
        Which actions it is about.
    resources : Resources or None
        Which resources; None in the trust policy of a role, which is about that role.
    parties : Parties or None
        Whom it is about; None in policies of an identity, which are about that one.
    conditions : tuple of Condition
        What must be the case, all of it.
    sid : str
        Its identifier; empty without one.
    """

    effect: Effect
    actions: Actions
    resources: Resources | None
    parties: Parties | None
    conditions: tuple[Condition, ...]
    sid: str = ""

    def may_concern(self, resource: str) -> bool:
        """Tell whether it is about a resource, or may be, with what its variables stand for."""
        return self.resources is None or self.resources.known(resource) is not False

    def applies(self, resource: str, context: ConditionContext) -> bool:
        """Tell whether it decides about a request whose action is one of its own, and whose resource it may concern."""
        resources = self.resources
        if (
            resources is not None
            and resources.templates
            and resources.known(resource) is None
            and not resources.include(resource, context, self.effect)
        ):
            return False
        return self.conditions_met(context)

    def conditions_met(self, context: ConditionContext) -> bool:
        """Tell whether all of its conditions are met."""
        effect = self.effect
        for condition in self.conditions:  # noqa: SIM110 - a plain loop: this is asked for every statement
            if not condition.met(context, effect):
                return False
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Relevant:
    """The statements of a policy that are about an action, or about an action and a resource.

    Attributes
    ----------
    denying, allowing : tuple of Statement
        By their effect.
    """

    denying: tuple[Statement, ...]
    allowing: tuple[Statement, ...]

    def on(self, resource: str) -> Relevant:
        """Give those that may concern a resource."""
        return _on(self, resource)


@lru_cache(maxsize=_MOST_RESOURCES)
def _on(relevant: Relevant, resource: str) -> Relevant:
    return Relevant(
        denying=tuple(statement for statement in relevant.denying if statement.may_concern(resource)),
        allowing=tuple(statement for statement in relevant.allowing if statement.may_concern(resource)),
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
