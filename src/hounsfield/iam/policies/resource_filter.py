"""Resource filters: the image sets on which an action is allowed, as a formula over ids and tags.

    statements about the action ─▶ what is known of the request counts now ─▶ names and tags of image sets stay
                                                                           ─▶ Formula, for an index

The formula means the same image sets that `evaluation` allows. Policies that say something which no formula says are not
reached (`NotExpressibleError`), and are decided for one image set after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from hounsfield.iam.policies.condition import Condition, Effect
from hounsfield.iam.policies.condition_context import ConditionContext, ContextValue
from hounsfield.iam.policies.document import RESOURCE_TAG
from hounsfield.iam.policies.evaluation import layers_of
from hounsfield.iam.policies.operators import NULL
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.policies.statement import Resources, Statement
from hounsfield.iam.policies.statement_index import ActionStatements, find_statements
from hounsfield.iam.policies.wildcards import WildcardPattern
from hounsfield.storage.db.tag_filters import Formula, IdIs, all_of, any_of, negate, tag_is

_OF_IDS: Final = re.compile(r"[0-9a-f]*")
_NO_VALUE: Final = "\0"
"""Stands for all values that a condition does not name: no tag has it."""
_EXACT: Final = frozenset({"StringEquals", "StringNotEquals"})

ValuesOf = Callable[[str], "Collection[str] | None"]
"""Gives all values that a tag, by its key in lower case, has; None where there are too many."""


class NotExpressibleError(Exception):
    """Policies say something that no formula says."""


@dataclass(frozen=True, slots=True)
class ResourceFilter:
    """Where a formula is asked for.

    Attributes
    ----------
    prefix : str
        What the ARNs of the image sets of a data store begin with, up to their ids.
    context : ConditionContext
        The request's condition keys; tags of resources are not asked of it.
    values_of : callable
        Gives the values of a tag in the data store.
    """

    prefix: str
    context: ConditionContext
    values_of: ValuesOf

    def of(self, rights: PolicySet, action: str) -> Formula:
        """Return the image sets on which somebody may do something.

        Raises
        ------
        NotExpressibleError
            No formula says it.
        """
        allowed = [self._any(find_statements(policies, action), Effect.ALLOW) for _, policies in layers_of(rights)]
        return all_of([*allowed, self.not_denied(rights, action)])

    def not_denied(self, rights: PolicySet, action: str) -> Formula:
        """Return the image sets on which no statement denies it, whether or not one allows it; raises as `of` does."""
        return negate(
            any_of(self._any(find_statements(policies, action), Effect.DENY) for _, policies in layers_of(rights))
        )

    def _any(self, found: ActionStatements, effect: Effect) -> Formula:
        return any_of(self._statement(statement) for statement in found.of(effect))

    def _statement(self, statement: Statement) -> Formula:
        parts: list[Formula] = []
        # What is cheap and may settle it comes first.
        if statement.resources is not None:
            parts.append(self._resources(statement.resources, statement.effect))
        for condition in sorted(statement.conditions, key=lambda condition: condition.key.startswith(RESOURCE_TAG)):
            if False in parts:
                return False
            parts.append(self._condition(condition, statement.effect))
        return all_of(parts)

    def _resources(self, resources: Resources, effect: Effect) -> Formula:
        if resources.everything:
            return not resources.negated
        found: list[Formula] = [
            IdIs(name.removeprefix(self.prefix)) for name in resources.names if name.startswith(self.prefix)
        ]
        found += [self._pattern(pattern) for pattern in resources.patterns]
        unknown = False
        for template in resources.templates:
            self._no_tags(variable.key for variable in template.variables)
            parts = template.resolve(self.context)
            unknown = unknown or parts is None
            if parts is not None:
                found.append(self._pattern(WildcardPattern.of(*parts)))
        if not resources.negated:
            return any_of(found)
        return negate(any_of(found)) if not (unknown and effect is Effect.ALLOW) else False

    def _pattern(self, pattern: WildcardPattern) -> Formula:
        """Return what a pattern says of ids, where it says the same of all of them, or names one."""
        prefix = pattern.prefix
        if not (prefix.startswith(self.prefix) or self.prefix.startswith(prefix)):
            return False
        _, last = pattern.pieces[-1]
        if len(pattern.pieces) == 1 and isinstance(last, str):
            return IdIs(last.removeprefix(self.prefix)) if last.startswith(self.prefix) else False
        if last == "" and pattern.match(self.prefix):
            return True
        if any(self._may_reach_ids(piece) for _, piece in pattern.pieces if piece != ""):
            raise NotExpressibleError
        # All that it says is of what ARNs have before the id, which it does not match, or it would have to end there.
        return False

    def _may_reach_ids(self, piece: str | re.Pattern[str]) -> bool:
        """Return whether a piece of a pattern, with what it says, may lie in an id, or over where ids begin."""
        if not isinstance(piece, str) or _OF_IDS.fullmatch(piece):
            return True
        return any(self.prefix.endswith(piece[:cut]) and _OF_IDS.fullmatch(piece[cut:]) for cut in range(1, len(piece)))

    def _condition(self, condition: Condition, effect: Effect) -> Formula:
        self._no_tags(variable.key for operand in condition.operands for variable in operand.variables)
        if not condition.key.startswith(RESOURCE_TAG):
            return condition.is_met(self.context, effect)
        key = condition.key.removeprefix(RESOURCE_TAG)

        def is_met(value: str | None) -> bool:
            return condition.is_met(_TaggedContext(self.context, condition.key, value), effect)

        if condition.operator is NULL:
            named: Collection[str] = ()
        elif condition.operator.name in _EXACT:
            named = self._texts(condition)
        else:
            found = self.values_of(key)
            if found is None:
                raise NotExpressibleError
            return tag_is(key, (value for value in found if is_met(value)), others=False, absent=is_met(None))
        if _NO_VALUE in named:
            raise NotExpressibleError
        others = is_met(_NO_VALUE)
        unlike = (value for value in {*named, ""} if is_met(value) is not others)
        return tag_is(key, unlike, others=others, absent=is_met(None))

    def _texts(self, condition: Condition) -> list[str]:
        """Return the values that a condition asks for to the letter, with what their variables stand for."""
        texts = []
        for operand in condition.operands:
            text = operand.text(self.context)
            if text is not None:
                texts.append(text)
        return texts

    @staticmethod
    def _no_tags(keys: Iterable[str]) -> None:
        if any(key.startswith(RESOURCE_TAG) for key in keys):
            raise NotExpressibleError


@dataclass(frozen=True, slots=True)
class _TaggedContext:
    """The keys of a request on a resource with a tag, or without it."""

    context: ConditionContext
    tag_key: str
    value: str | None

    def get(self, key: str, /) -> ContextValue | None:
        return self.value if key == self.tag_key else self.context.get(key)
