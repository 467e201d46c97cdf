"""One condition of a statement: an operator, a key and values (IAM User Guide, "IAM JSON policy elements: Condition").

ForAnyValue : StringLike IfExists   aws:TagKeys   ["project", "cost-*"]
└─quantifier  └─operator └─if_exists └─key         └─operands
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hounsfield.iam.policies.condition_context import ConditionContext, ContextValue, UnsettledValue
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.operators import NULL, OPERATORS, Operand, Operator, Predicate

_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]*:[^\s:](?:.*\S)?")
_LONGEST_KEY: Final = 512
_IF_EXISTS: Final = "IfExists"


class Effect(StrEnum):
    """What a statement does."""

    ALLOW = "Allow"
    DENY = "Deny"


class Quantifier(StrEnum):
    """Set operators: how many of the request's values must match.

    Source: IAM User Guide, "Set operators for multivalued context keys".
    """

    ONE = ""
    """The key has one value. Where it has more, any."""
    ALL = "ForAllValues"
    ANY = "ForAnyValue"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, ready to be asked.

    Attributes
    ----------
    operator : Operator
        How values are compared.
    quantifier : Quantifier
        Set operator.
    if_exists : bool
        Whether it is met when the request does not have the key.
    key : str
        Condition key, in lower case.
    operands : tuple of Operand
        The values; one of them must match, none where the operator is negated.
    """

    operator: Operator
    quantifier: Quantifier
    if_exists: bool
    key: str
    operands: tuple[Operand, ...]
    _constants: tuple[Predicate, ...] | None = field(init=False, repr=False)
    """The tests of all values, where none has a variable."""
    _simple: bool = field(init=False, repr=False)
    """Whether one value of the request is all that these are asked for."""

    def __post_init__(self) -> None:
        constants = [operand.constant for operand in self.operands]
        known = tuple(constant for constant in constants if constant is not None)
        object.__setattr__(self, "_constants", known if len(known) == len(constants) else None)
        simple = self.quantifier is Quantifier.ONE and self.operator is not NULL
        object.__setattr__(self, "_simple", simple and self._constants is not None)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Texts with one of which the key's only value must begin for the condition to be met; empty where others do too."""
        if not self._simple or self.operator.negated or self.if_exists:
            return ()
        texts = tuple(dict.fromkeys(operand.prefix for operand in self.operands))
        return texts if all(texts) else ()

    def is_met(self, context: ConditionContext, effect: Effect) -> bool:
        """Return whether the request meets it.

        Parameters
        ----------
        context : ConditionContext
            The request's condition keys.
        effect : Effect
            That of the statement, which decides what counts where something is not known.
        """
        value = context.get(self.key)
        if self._simple and isinstance(value, str):
            for predicate in self._constants or ():
                if predicate(value):
                    return not self.operator.negated
            return self.operator.negated
        return self._met_by_any(value, context, effect)

    def _met_by_any(self, value: ContextValue | None, context: ConditionContext, effect: Effect) -> bool:
        if isinstance(value, UnsettledValue):
            return (effect is Effect.ALLOW) == (value is UnsettledValue.HOPEFUL)
        if value == ():
            value = None
        if self.operator is NULL:
            return self._null(absent=value is None)
        known: Sequence[Predicate] | None = self._constants
        if known is None:
            predicates = [operand.predicate(context) for operand in self.operands]
            known = [predicate for predicate in predicates if predicate is not None]
            if len(known) < len(predicates) and self.operator.negated and effect is Effect.ALLOW:
                # To differ from what is not known gives nobody a permission.
                return False
        if value is None:
            return self._met_without_key()
        return self._met_by((value,) if isinstance(value, str) else value, known)

    def _null(self, *, absent: bool) -> bool:
        text = "true" if absent else "false"
        return any(operand.constant is not None and operand.constant(text) for operand in self.operands)

    def _met_without_key(self) -> bool:
        match self.quantifier:
            case Quantifier.ALL:
                return True
            case Quantifier.ANY:
                return self.if_exists
            case Quantifier.ONE:
                return self.if_exists or self.operator.negated

    def _met_by(self, values: tuple[str, ...], predicates: Sequence[Predicate]) -> bool:
        negated = self.operator.negated
        if self.quantifier is Quantifier.ONE:
            return _one(values, predicates) is not negated
        matching = (_one((value,), predicates) is not negated for value in values)
        if self.quantifier is Quantifier.ANY:
            return any(matching)
        # The guide: a null data set, such as an empty string, is as no key.
        return values == ("",) or all(matching)


def _one(values: tuple[str, ...], predicates: Sequence[Predicate]) -> bool:
    """Return whether one of the values is one that is asked for; plain loops, as this is asked for every statement."""
    for value in values:
        for predicate in predicates:
            if predicate(value):
                return True
    return False


def read_condition(operator_name: str, key: str, values: Sequence[str], *, variables: bool) -> Condition:
    """Read one condition.

    Parameters
    ----------
    operator_name : str
        Such as ``StringEquals`` or ``ForAnyValue:StringLikeIfExists``.
    key : str
        Condition key.
    values : sequence of str
        Its values.
    variables : bool
        Whether the values may have policy variables.

    Raises
    ------
    PolicyError
        There is no such operator, the key is not one, or a value is not of the operator's kind.
    """
    quantifier, operator, if_exists = _operator(operator_name)
    if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key):
        raise PolicyError(f"{operator_name}: {key[:64]!r} is not a condition key such as aws:SourceIp")
    if not values:
        raise PolicyError(f"{operator_name}: {key} has no value; it must have one at least")
    try:
        operands = tuple(operator.operand(value, variables) for value in values)
    except PolicyError as error:
        raise PolicyError(f"{operator_name}: {key}: {error}") from error
    return Condition(operator, quantifier, if_exists, key.lower(), operands)


def _operator(name: str) -> tuple[Quantifier, Operator, bool]:
    prefix, colon, rest = name.rpartition(":")
    if_exists = rest.endswith(_IF_EXISTS)
    operator = OPERATORS.get(rest.removesuffix(_IF_EXISTS))
    quantifiers = {str(entry): entry for entry in Quantifier if entry}
    quantifier = quantifiers.get(prefix) if colon else Quantifier.ONE
    if operator is None or quantifier is None:
        raise PolicyError(
            f"{name[:64]!r} is not a condition operator; these are {', '.join(OPERATORS)}, each but Null also with "
            f"{_IF_EXISTS} at its end or {' or '.join(f'{prefix}:' for prefix in quantifiers)} before it"
        )
    if operator is NULL and (if_exists or colon):
        raise PolicyError(f"{name}: Null stands alone, without IfExists or a set operator")
    return quantifier, operator, if_exists
