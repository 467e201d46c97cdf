"""Reader of policy JSON: bounded, without duplicate keys, numbers as they are written."""

from __future__ import annotations

import json
from typing import Final, NoReturn, TypeAlias, Union

from hounsfield.iam.policies.errors import PolicyError

MOST_CHARACTERS: Final = 131_072
"""Longest document with its blanks (IAM API, PutRolePolicy ``PolicyDocument``)."""


class Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()


Json: TypeAlias = Union[str, bool, list["Json"], dict[str, "Json"], None]  # noqa: UP007 - of forward references


def read_json(text: str | bytes) -> tuple[str, dict[str, Json]]:
    """Read the JSON object of a policy.

    Parameters
    ----------
    text : str or bytes
        The document; bytes in UTF-8.

    Returns
    -------
    tuple of (str, dict)
        The text, and the object.

    Raises
    ------
    PolicyError
        It is too long or nested too deep, is no JSON object, or has a key twice.
    """
    if len(text) > MOST_CHARACTERS:
        raise PolicyError(f"The policy is longer than {MOST_CHARACTERS} characters.")
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise PolicyError(f"The policy is not UTF-8: byte {error.start} cannot be read.") from None
    try:
        document: Json = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=Number, parse_float=Number
        )
    except json.JSONDecodeError as error:
        raise PolicyError(f"The policy is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise PolicyError("The policy is nested too deep: a condition is the deepest it can have.") from None
    if not isinstance(document, dict):
        raise PolicyError("The policy must be a JSON object with Version and Statement.")
    return text, document


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise PolicyError(f"The policy has the key {twice[:64]!r} twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise PolicyError(f"The policy has {name}, which is not JSON.")


def size_of(text: str) -> int:
    """Count the characters of a policy as IAM does: white space does not count."""
    return sum(len(word) for word in text.split())
