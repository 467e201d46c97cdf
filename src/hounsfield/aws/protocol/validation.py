"""Validation of parsed parameters by the constraints of the service model.

    parameters ─▶ check (one function a shape, built once) ─▶ violations ─▶ one ValidationException that tells them all

The texts are those of Smithy services: "1 validation error detected: Value 'x' at 'jobName' failed to satisfy
constraint: Member must …". Values that the model marks as sensitive, and everything inside them, stay out of the text;
so do structures, lists, maps, and texts that may be long: URIs and file paths can hold the name of a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from functools import cache
from typing import TypeAlias

from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.model import Kind, Parameter, Parameters, Shape
from hounsfield.aws.protocol.patterns import matcher

SHOWN_CHARACTERS = 128
LONGEST_SHOWN_KIND = 256
"""Texts whose limit in the model is above this many characters are never shown."""

SHOWN_VIOLATIONS = 50

Constraint: TypeAlias = tuple[Callable[[Parameter], bool], str]
Check: TypeAlias = Callable[[Parameter, str, list[str]], None]


def validate(shape: Shape, parameters: Parameters) -> None:
    """Check parameters against all constraints of a structure.

    Parameters
    ----------
    shape : Shape
        Input structure of an operation.
    parameters : dict
        Parsed parameters, of the right types already.

    Raises
    ------
    ValidationException
        One or more constraints are violated; the message tells each (the first 50 in full).
    """
    violations: list[str] = []
    _check_of(shape, sensitive=shape.sensitive)(parameters, "", violations)
    if violations:
        raise ValidationException(violations_text(violations))


def violations_text(violations: list[str]) -> str:
    """Put violations together in the form of Smithy services.

    Parameters
    ----------
    violations : list of str
        Texts of the form "Value … at … failed to satisfy constraint: …"; at least one.
    """
    count = len(violations)
    head = f"{count} validation error{'' if count == 1 else 's'} detected: "
    return head + "; ".join(violations[:SHOWN_VIOLATIONS]) + ("; …" if count > SHOWN_VIOLATIONS else "")


def violation(value: str | None, path: str, constraint: str) -> str:
    """Describe one violation.

    Parameters
    ----------
    value : str or None
        The value in quotes, ``null``, or None to leave it out.
    path : str
        Where the value is, in member names.
    constraint : str
        What it must be, "Member must …".
    """
    shown = "" if value is None else f" {value}"
    return f"Value{shown} at '{path}' failed to satisfy constraint: {constraint}"


@cache
def _check_of(shape: Shape, *, sensitive: bool) -> Check:
    """Build the check of a shape; `sensitive` says that the shape or one around it is."""
    constraints = _constraints(shape)
    inner = _INNER_CHECKS.get(shape.kind)
    check_inside = inner(shape, sensitive) if inner else None
    long = shape.kind is Kind.STRING and (shape.maximum or 0) > LONGEST_SHOWN_KIND
    hidden = sensitive or long or check_inside is not None or shape.kind is Kind.BLOB

    def check(value: Parameter, path: str, violations: list[str]) -> None:
        for holds, text in constraints:
            if not holds(value):
                violations.append(violation(None if hidden else _shown(value), path, text))
        if check_inside is not None:
            check_inside(value, path, violations)

    return check


def _shown(value: Parameter) -> str:
    text = str(value)
    return f"'{text[:SHOWN_CHARACTERS]}…'" if len(text) > SHOWN_CHARACTERS else f"'{text}'"


def _constraints(shape: Shape) -> list[Constraint]:
    """List what must hold of a value by itself, whatever is inside it."""
    constraints = [*_limits(shape)]
    if shape.pattern is not None:
        text = f"Member must satisfy regular expression pattern: {shape.pattern}"
        constraints.append((_on_text(matcher(shape.pattern)), text))
    if shape.enum:
        permitted = frozenset(shape.enum)
        text = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        constraints.append((_on_text(permitted.__contains__), text))
    return constraints


def _on_text(holds: Callable[[str], bool]) -> Callable[[Parameter], bool]:
    return lambda value: isinstance(value, str) and holds(value)


def _limits(shape: Shape) -> list[Constraint]:
    low, high = shape.minimum, shape.maximum
    limits: list[Constraint] = []
    of_what, size = ("value", _value) if shape.kind is Kind.INTEGER else ("length", _length)
    if low is not None and (low > 0 or shape.kind is Kind.INTEGER):
        limits.append((lambda value: size(value) >= low, f"Member must have {of_what} greater than or equal to {low}"))
    if high is not None:
        limits.append((lambda value: size(value) <= high, f"Member must have {of_what} less than or equal to {high}"))
    return limits


def _length(value: Parameter) -> int:
    return len(value) if isinstance(value, Sized) else 0


def _value(value: Parameter) -> int:
    return value if isinstance(value, int) else 0


def _structure_check(shape: Shape, sensitive: bool) -> Check:
    members = [
        (member.name, member.required, _check_of(member.shape, sensitive=sensitive or member.shape.sensitive))
        for member in shape.members.values()
    ]
    alternatives = ", ".join(shape.members)

    def check(value: Parameter, path: str, violations: list[str]) -> None:
        if not isinstance(value, dict):
            return
        prefix = f"{path}." if path else ""
        if shape.union and len(value) != 1:
            text = f"Member must have exactly one of these members: [{alternatives}]"
            violations.append(violation(None, path, text))
        for name, required, check_member in members:
            item = value.get(name)
            if item is not None:
                check_member(item, prefix + name, violations)
            elif required:
                violations.append(violation("null", prefix + name, "Member must not be null"))

    return check


def _list_check(shape: Shape, sensitive: bool) -> Check:
    element = shape.element
    check_element = _check_of(element, sensitive=sensitive or element.sensitive)

    def check(value: Parameter, path: str, violations: list[str]) -> None:
        if isinstance(value, list):
            for number, item in enumerate(value, start=1):
                check_element(item, f"{path}.{number}.member", violations)

    return check


def _map_check(shape: Shape, sensitive: bool) -> Check:
    del sensitive  # neither keys nor values are shown
    if shape.element.kind is not Kind.STRING:
        message = f"The service model has the map {shape.name} with values other than text, which is not known here."
        raise ValueError(message)
    check_keys = _texts_check("Map keys", _constraints(shape.key))
    check_values = _texts_check("Map value", _constraints(shape.element))

    def check(value: Parameter, path: str, violations: list[str]) -> None:
        if isinstance(value, dict):
            check_keys(value.keys(), path, violations)
            check_values(value.values(), path, violations)

    return check


def _texts_check(what: str, constraints: list[Constraint]) -> Callable[[Iterable[Parameter], str, list[str]], None]:
    text = f"{what} must satisfy constraint: [{', '.join(text for _, text in constraints)}]"

    def check(items: Iterable[Parameter], path: str, violations: list[str]) -> None:
        if not all(holds(item) for item in items for holds, _ in constraints):
            violations.append(violation(None, path, text))

    return check


_INNER_CHECKS: dict[Kind, Callable[[Shape, bool], Check]] = {
    Kind.STRUCTURE: _structure_check,
    Kind.LIST: _list_check,
    Kind.MAP: _map_check,
}
