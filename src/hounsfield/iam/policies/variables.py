"""Policy variables (IAM User Guide, "IAM policy elements: Variables and tags").

    "home/${aws:username}/${*}"  ─read─▶ "home/", aws:username, "/", * as itself ─resolve─▶ parts of a pattern, or None

What a variable stands for is never read as a wildcard, a variable or a border of an ARN. Only policies of version 2012-10-17
have variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from hounsfield.iam.policies.condition_context import ConditionContext
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.wildcards import LiteralText, Part

_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_NAMED: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._/:-]*:[^\s,'{}]+(?: [^\s,'{}]+)*)\s*(?:,\s*'([^']*)'\s*)?")
_LONGEST: Final = 512
_THEMSELVES: Final = ("*", "?", "$")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable.

    Attributes
    ----------
    key : str
        The condition key whose value it takes, in lower case.
    default : str or None
        What it is without one.
    """

    key: str
    default: str | None = None

    def value(self, context: ConditionContext) -> str | None:
        """Return what it stands for; None when the key has no value, or more than one."""
        value = context.get(self.key)
        return value if isinstance(value, str) else self.default


TemplatePart: TypeAlias = "Part | Variable"


@dataclass(frozen=True, slots=True)
class Template:
    """Text with variables.

    Attributes
    ----------
    parts : tuple
        What follows each other.
    """

    parts: tuple[TemplatePart, ...]

    @classmethod
    def read(cls, text: str, *, variables: bool) -> Template:
        """Read the text of a policy.

        Parameters
        ----------
        text : str
            The text.
        variables : bool
            Whether the version of the policy has variables.

        Raises
        ------
        PolicyError
            A variable is not of the form ``${key}`` or ``${key, 'default'}``.
        """
        if not variables or "$" not in text:
            return cls((text,))
        parts: list[TemplatePart] = []
        position = 0
        for found in _VARIABLE.finditer(text):
            parts += [text[position : found.start()], _variable(found[1])]
            position = found.end()
        rest = text[position:]
        if any("${" in part for part in (*parts, rest) if isinstance(part, str)):
            raise PolicyError(
                f"{text!r} has a ${{ without its closing }}; write ${{$}}{{ for the characters themselves"
            )
        return cls(tuple(part for part in (*parts, rest) if part != ""))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in it."""
        return tuple(part for part in self.parts if isinstance(part, Variable))

    def resolve(self, context: ConditionContext) -> tuple[Part, ...] | None:
        """Return the parts with every variable as the text it stands for; None when one stands for nothing."""
        parts: list[Part] = []
        for part in self.parts:
            if isinstance(part, Variable):
                value = part.value(context)
                if value is None:
                    return None
                parts.append(LiteralText(value))
            else:
                parts.append(part)
        return tuple(parts)


def join_plain_parts(parts: tuple[Part, ...]) -> str:
    """Return parts as text in which nothing is a wildcard."""
    return "".join(part.text if isinstance(part, LiteralText) else part for part in parts)


def segments(parts: tuple[Part, ...], count: int) -> list[list[Part]]:
    """Cut parts at colons of the policy's own text, into ``count`` segments at most."""
    found: list[list[Part]] = [[]]
    for part in parts:
        if isinstance(part, LiteralText):
            found[-1].append(part)
            continue
        first, *others = part.split(":", count - len(found))
        found[-1].append(first)
        found += [[other] for other in others]
    return found


def _variable(name: str) -> TemplatePart:
    if name in _THEMSELVES:
        return LiteralText(name)
    named = _NAMED.fullmatch(name) if len(name) <= _LONGEST else None
    if named is None:
        raise PolicyError(
            f"${{{name[:64]}}} is not a policy variable; it must be ${{key}} with a condition key such as aws:username, "
            f"${{key, 'default'}}, or one of ${{*}} ${{?}} ${{$}}"
        )
    return Variable(named[1].lower(), named[2])
