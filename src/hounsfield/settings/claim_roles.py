"""Claim rules: the roles of tokens of the configured issuer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

ClaimPath = Sequence[str]
"""Names from the outermost object inwards: ``("realm_access", "roles")``."""


ROLE_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account_id>[0-9]{12}):role/(?P<name>[\x21-\x7e]{1,512})"
)


_MEMBERS: Final = {"claim", "value", "role"}


@dataclass(frozen=True, slots=True)
class ClaimRole:
    """One rule.

    Attributes
    ----------
    claim : sequence of str
        Where the claim is, from the outermost object inwards.
    value : str
        What it must be, or have among its values.
    role_arn : str
        ARN of the role.
    """

    claim: ClaimPath
    value: str
    role_arn: str


def parse_claim_roles(text: str) -> tuple[ClaimRole, ...]:
    """Read the rules: a JSON list of objects with ``claim``, ``value`` and ``role``; empty for none.

    ``claim`` is a name, or a list of names for one within others: ``["realm_access", "roles"]``.

    Raises
    ------
    ValueError
        The text is not that.
    """
    if not text.strip():
        return ()
    try:
        rules = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"it must be JSON: {error}") from error
    if not isinstance(rules, list):
        raise ValueError(  # noqa: TRY004 - what is wrong is the text
            'it must be a list such as [{"claim": "groups", "value": "radiology", "role": "arn:…"}]'
        )
    return tuple(_rule(rule) for rule in rules)


def _rule(rule: object) -> ClaimRole:
    if not isinstance(rule, dict) or set(rule) != _MEMBERS:
        raise ValueError("each entry must be an object with claim, value and role")
    claim, value, role = rule["claim"], rule["value"], rule["role"]
    path = [claim] if isinstance(claim, str) else claim
    if not (isinstance(path, list) and path and all(isinstance(name, str) and name for name in path)):
        raise ValueError("claim must be a name, or a list of names")
    if not (isinstance(value, str) and value):
        raise ValueError("value must be text")
    if not (isinstance(role, str) and ROLE_ARN.fullmatch(role)):
        raise ValueError(f"{role!r} is not the ARN of a role, such as arn:aws:iam::000000000000:role/reader")
    return ClaimRole(tuple(path), value, role)
