"""Statements of policies: effect, actions, resources, conditions (IAM User Guide, "IAM JSON policy elements: Statement")."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.iam.policies.condition import Condition, Effect
from hounsfield.iam.policies.condition_context import ConditionContext
from hounsfield.iam.policies.principal_element import Parties
from hounsfield.iam.policies.variables import Template
from hounsfield.iam.policies.wildcards import WildcardPattern


@dataclass(frozen=True, slots=True)
class Actions:
    """The element Action or NotAction.

    Attributes
    ----------
    patterns : tuple of WildcardPattern
        Its values, in lower case.
    negated : bool
        Whether it is NotAction.
    """

    patterns: tuple[WildcardPattern, ...]
    negated: bool = False

    def include(self, action: str) -> bool:
        """Return whether an action, in lower case, is meant."""
        return any(pattern.match(action) for pattern in self.patterns) is not self.negated


@dataclass(frozen=True, slots=True)
class Resources:
    """The element Resource or NotResource.

    Attributes
    ----------
    names : frozenset of str
        Values that have neither wildcards nor variables.
    patterns : tuple of WildcardPattern
        Values with wildcards.
    templates : tuple of Template
        Values with variables.
    everything : bool
        Whether one of the values is ``*``.
    negated : bool
        Whether it is NotResource.
    """

    names: frozenset[str]
    patterns: tuple[WildcardPattern, ...]
    templates: tuple[Template, ...]
    everything: bool = False
    negated: bool = False

    def known(self, resource: str) -> bool | None:
        """Return whether a resource is meant, by its ARN, or ``*`` where the action has none; None if variables decide that."""
        if self.everything or resource in self.names or any(pattern.match(resource) for pattern in self.patterns):
            return not self.negated
        return None if self.templates else self.negated

    def include(self, resource: str, context: ConditionContext, effect: Effect) -> bool:
        """Return whether variables make a resource be meant that else would not.

        A value with a variable that stands for nothing names no resource; and to be none of these gives nobody a permission.
        """
        unknown = False
        for template in self.templates:
            parts = template.resolve(context)
            if parts is None:
                unknown = True
            elif WildcardPattern.of(*parts).match(resource):
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

    @property
    def keys(self) -> frozenset[str]:
        """Condition keys it may ask for, in lower case."""
        keys = {condition.key for condition in self.conditions}
        for condition in self.conditions:
            keys.update(variable.key for operand in condition.operands for variable in operand.variables)
        for template in self.resources.templates if self.resources else ():
            keys.update(variable.key for variable in template.variables)
        return frozenset(keys)

    def may_concern(self, resource: str) -> bool:
        """Return whether it is about a resource, or may be, with what its variables stand for."""
        return self.resources is None or self.resources.known(resource) is not False

    def applies(self, resource: str, context: ConditionContext) -> bool:
        """Return whether it decides about a request whose action is one of its own, and whose resource it may concern."""
        resources = self.resources
        if (
            resources is not None
            and resources.templates
            and resources.known(resource) is None
            and not resources.include(resource, context, self.effect)
        ):
            return False
        for condition in self.conditions:  # noqa: SIM110 - a plain loop: this is asked for every statement
            if not condition.is_met(context, self.effect):
                return False
        return True

    def conditions_met(self, context: ConditionContext) -> bool:
        """Return whether all of its conditions are met."""
        return all(condition.is_met(context, self.effect) for condition in self.conditions)
