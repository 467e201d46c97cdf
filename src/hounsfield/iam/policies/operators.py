"""Condition operators (IAM User Guide, "IAM JSON policy elements: Condition operators"), as one table.

    OPERATORS[name].operand(text) ─▶ Operand ─predicate(context)─▶ a test of one value of the request, or None

A negated operator has the test of its positive one; `conditions` turns the outcome around.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from hounsfield.iam.policies.condition_context import ConditionContext
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.values import (
    parse_address,
    parse_base64,
    parse_boolean,
    parse_moment,
    parse_network,
    parse_number,
)
from hounsfield.iam.policies.variables import Template, Variable, join_plain_parts, segments
from hounsfield.iam.policies.wildcards import Part, WildcardPattern

Predicate: TypeAlias = Callable[[str], bool]
T = TypeVar("T")
_ARN_SEGMENTS: Final = 6


class ValueKind(StrEnum):
    """What an operator compares, by the headings of the guide."""

    STRING = "String"
    NUMERIC = "Numeric"
    DATE = "Date"
    BOOL = "Bool"
    BINARY = "Binary"
    IP_ADDRESS = "IP address"
    ARN = "ARN"
    NULL = "Null"


@dataclass(frozen=True, slots=True)
class Operand:
    """A value of a condition, ready to be compared.

    Attributes
    ----------
    constant : callable or None
        The test, where the value has no variable.
    template : Template or None
        The value, where it has variables.
    make : callable or None
        Makes the test out of the template's parts.
    prefix : str
        What every value that matches begins with, as far as that is known.
    """

    constant: Predicate | None = None
    template: Template | None = None
    make: Callable[[tuple[Part, ...]], Predicate] | None = None
    prefix: str = ""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in it."""
        return () if self.template is None else self.template.variables

    def text(self, context: ConditionContext) -> str | None:
        """Return the text that an operand of ``StringEquals`` is equal to; None when a variable stands for nothing."""
        if self.template is None:
            return self.prefix
        parts = self.template.resolve(context)
        return None if parts is None else join_plain_parts(parts)

    def predicate(self, context: ConditionContext) -> Predicate | None:
        """Return the test for a request; None when a variable stands for nothing."""
        if self.template is None or self.make is None:
            return self.constant
        parts = self.template.resolve(context)
        return None if parts is None else self.make(parts)


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator.

    Attributes
    ----------
    name : str
        Its name, without set operator and ``IfExists``.
    kind : ValueKind
        What it compares.
    negated : bool
        Whether it asks for values that do not match.
    operand : callable
        Makes an operand of a text, which may have variables if the flag says so; raises `PolicyError`.
    """

    name: str
    kind: ValueKind
    negated: bool
    operand: Callable[[str, bool], Operand]


def _templated(make: Callable[[tuple[Part, ...]], Predicate]) -> Callable[[str, bool], Operand]:
    def operand(text: str, variables: bool) -> Operand:
        template = Template.read(text, variables=variables)
        if template.variables:
            return Operand(template=template, make=make)
        parts = tuple(part for part in template.parts if not isinstance(part, Variable))
        if make is _equals:
            return Operand(make(parts), prefix=join_plain_parts(parts))
        return Operand(make(parts), prefix=WildcardPattern.of(*parts).prefix if make in (_like, _arn_like) else "")

    return operand


def _read(
    read: Callable[[str], T | None], compare: Callable[[T, T], bool], form: str
) -> Callable[[str, bool], Operand]:
    """Return the operands of values that are read, not compared as text; these have no variables."""

    def operand(text: str, _variables: bool) -> Operand:
        wanted = read(text)
        if wanted is None:
            raise PolicyError(f"{text!r} is not {form}")

        def predicate(value: str) -> bool:
            given = read(value)
            return given is not None and compare(given, wanted)

        return Operand(predicate)

    return operand


def _equals(parts: tuple[Part, ...]) -> Predicate:
    return join_plain_parts(parts).__eq__


def _equals_ignoring_case(parts: tuple[Part, ...]) -> Predicate:
    wanted = join_plain_parts(parts).lower()
    return lambda value: value.lower() == wanted


def _like(parts: tuple[Part, ...]) -> Predicate:
    return WildcardPattern.of(*parts).match


def _arn_like(parts: tuple[Part, ...]) -> Predicate:
    """Return the test that compares each of the six segments of an ARN; a pattern of fewer is compared as a whole."""
    patterns = [WildcardPattern.of(*segment) for segment in segments(parts, _ARN_SEGMENTS)]
    if len(patterns) < _ARN_SEGMENTS:
        return WildcardPattern.of(*parts).match

    def predicate(value: str) -> bool:
        given = value.split(":", _ARN_SEGMENTS - 1)
        return len(given) == _ARN_SEGMENTS and all(
            pattern.match(segment) for pattern, segment in zip(patterns, given, strict=True)
        )

    return predicate


def _network_operand(text: str, _variables: bool) -> Operand:
    wanted = parse_network(text)
    if wanted is None:
        raise PolicyError(f"{text!r} is not an IP address or a network such as 203.0.113.0/24 or 2001:db8::/32")

    def predicate(value: str) -> bool:
        given = parse_address(value)
        return given is not None and given.version == wanted.version and given in wanted

    return Operand(predicate)


_NUMBER_FORM: Final = "a number such as 10 or 2.5"
_DATE_FORM: Final = "a date such as 2026-07-01T00:00:00Z, or seconds since 1970"

_Comparison: TypeAlias = Callable[[Decimal, Decimal], bool]
_ORDERS: Final[Mapping[str, _Comparison]] = {
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}


def _pair(
    name: str, negated_name: str, kind: ValueKind, operand: Callable[[str, bool], Operand]
) -> tuple[Operator, Operator]:
    return Operator(name, kind, negated=False, operand=operand), Operator(
        negated_name, kind, negated=True, operand=operand
    )


def _ordered(name: str, kind: ValueKind, read: Callable[[str], Decimal | None], form: str) -> tuple[Operator, ...]:
    equal: _Comparison = operator.eq
    return (
        *_pair(f"{name}Equals", f"{name}NotEquals", kind, _read(read, equal, form)),
        *(
            Operator(name + order, kind, negated=False, operand=_read(read, compare, form))
            for order, compare in _ORDERS.items()
        ),
    )


_BOOLEAN = _read(parse_boolean, operator.eq, "true or false")

NULL: Final = Operator("Null", ValueKind.NULL, negated=False, operand=_BOOLEAN)
"""Asks whether the key is absent; its values are no values of the key."""

OPERATORS: Final[Mapping[str, Operator]] = {
    entry.name: entry
    for entry in (
        *_pair("StringEquals", "StringNotEquals", ValueKind.STRING, _templated(_equals)),
        *_pair(
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            ValueKind.STRING,
            _templated(_equals_ignoring_case),
        ),
        *_pair("StringLike", "StringNotLike", ValueKind.STRING, _templated(_like)),
        *_ordered("Numeric", ValueKind.NUMERIC, parse_number, _NUMBER_FORM),
        *_ordered("Date", ValueKind.DATE, parse_moment, _DATE_FORM),
        Operator("Bool", ValueKind.BOOL, negated=False, operand=_BOOLEAN),
        Operator(
            "BinaryEquals", ValueKind.BINARY, negated=False, operand=_read(parse_base64, operator.eq, "bytes in base64")
        ),
        *_pair("IpAddress", "NotIpAddress", ValueKind.IP_ADDRESS, _network_operand),
        *_pair("ArnEquals", "ArnNotEquals", ValueKind.ARN, _templated(_arn_like)),
        *_pair("ArnLike", "ArnNotLike", ValueKind.ARN, _templated(_arn_like)),
        NULL,
    )
}
