"""Parser of policy JSON (IAM User Guide, "Grammar of the IAM JSON policy language").

text ─▶ json_reading ─▶ elements checked one by one ─▶ Statement, … ─▶ Policy
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hounsfield.iam.policies.condition import Condition, Effect, read_condition
from hounsfield.iam.policies.document import Policy, PolicyKind
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.json_reader import Json, Number, read_json, size_of
from hounsfield.iam.policies.principal_element import ANYBODY, EVERYBODY, Parties, read_parties
from hounsfield.iam.policies.statement import Actions, Resources, Statement
from hounsfield.iam.policies.variables import Template
from hounsfield.iam.policies.wildcards import ANY, ONE, WildcardPattern

VERSIONS: Final = ("2012-10-17", "2008-10-17")
"""Versions of the policy language; the second, which is also that of policies that name none, has no variables."""
LARGEST: Final[Mapping[PolicyKind, int]] = {
    PolicyKind.IDENTITY: 10_240,
    PolicyKind.BOUNDARY: 6_144,
    PolicyKind.SESSION: 2_048,
    PolicyKind.TRUST: 4_096,
}
"""Most characters without white space; the largest of IAM's quotas for that kind."""
_MOST_STATEMENTS: Final = 1_000
_POLICY_ELEMENTS: Final = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS: Final = {"Sid", "Effect", "Action", "NotAction", "Condition"}
_SID: Final = re.compile(r"[A-Za-z0-9]*")
_TRUST_SID: Final = re.compile(r"[\x20-\x7e]*")
_ACTION: Final = re.compile(r"\*|(?:[A-Za-z0-9-]+|\*):[A-Za-z0-9*?_-]+")
_WHITE: Final = re.compile(r"\s")
_ARN_SEGMENTS: Final = 6


def parse_policy(text: str | bytes, *, kind: PolicyKind = PolicyKind.IDENTITY, most: int | None = None) -> Policy:
    """Read a policy.

    Parameters
    ----------
    text : str or bytes
        Its JSON.
    kind : PolicyKind
        What it is for, which decides on its size and on the elements it has.
    most : int or None
        Most characters without white space, where it is another number than `LARGEST` has.

    Raises
    ------
    PolicyError
        It is not valid; the message says where and why.
    """
    text, document = read_json(text)
    most = LARGEST[kind] if most is None else most
    size = size_of(text)
    if size > most:
        raise PolicyError(f"The policy has {size} characters without white space; a {kind} can have {most} here.")
    _only(document, _POLICY_ELEMENTS, "the policy")
    version = document.get("Version", VERSIONS[-1])
    if version not in VERSIONS:
        raise PolicyError(f"Version is {_shown(version)}; it must be {' or '.join(VERSIONS)}.")
    if _text(document.get("Id", "")) is None:
        raise PolicyError("Id must be a string.")
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    if not listed or len(listed) > _MOST_STATEMENTS or "Statement" not in document:
        raise PolicyError(f"Statement must be there, with 1 to {_MOST_STATEMENTS} statements.")
    read = tuple(_numbered(index, entry, kind, str(version)) for index, entry in enumerate(listed, 1))
    sids = [statement.sid for statement in read if statement.sid]
    if kind is not PolicyKind.TRUST and len(set(sids)) < len(sids):
        twice = next(sid for sid in sids if sids.count(sid) > 1)
        raise PolicyError(f"Two statements have the Sid {twice}; each must have its own.")
    keys = frozenset[str]().union(*(statement.keys for statement in read))
    return Policy(text, kind, str(version), read, keys)


def _numbered(number: int, entry: Json, kind: PolicyKind, version: str) -> Statement:
    try:
        return _statement(entry, kind, variables=version == VERSIONS[0])
    except PolicyError as error:
        message = str(error)
        raise PolicyError(f"Statement {number}: {message}{'' if message.endswith('.') else '.'}") from error


def _statement(entry: Json, kind: PolicyKind, *, variables: bool) -> Statement:
    if not isinstance(entry, dict):
        raise PolicyError("it must be a JSON object")
    trust = kind is PolicyKind.TRUST
    elements = _STATEMENT_ELEMENTS | ({"Principal"} if trust else {"Resource", "NotResource"})
    _only(entry, elements, f"a {kind}")
    sid = _text(entry.get("Sid", ""))
    if sid is None or not (_TRUST_SID if trust else _SID).fullmatch(sid):
        raise PolicyError(f"Sid is {_shown(entry['Sid'])}; it must be letters and digits")
    effect = entry.get("Effect")
    if effect not in tuple(Effect):
        raise PolicyError(f"Effect is {_shown(effect)}; it must be Allow or Deny")
    return Statement(
        effect=Effect(str(effect)),
        actions=_actions(entry, trust=trust),
        resources=None if trust else _resources(entry, variables=variables),
        parties=_parties(entry) if trust else None,
        conditions=_conditions(entry.get("Condition", {}), variables=variables),
        sid=sid,
    )


def _actions(entry: Mapping[str, Json], *, trust: bool) -> Actions:
    name, values = _either(entry, "Action", "NotAction")
    for value in values:
        if not _ACTION.fullmatch(value):
            raise PolicyError(
                f"{name} has {value[:128]!r}; it must be * or a service and an action, such as medical-imaging:Get*"
            )
        if trust and not value.lower().startswith("sts:"):
            raise PolicyError(
                f"{name} has {value[:128]!r}; a role trust policy is about actions of sts, such as sts:AssumeRole"
            )
    return Actions(tuple(WildcardPattern.of(value.lower()) for value in values), negated=name == "NotAction")


def _resources(entry: Mapping[str, Json], *, variables: bool) -> Resources:
    name, values = _either(entry, "Resource", "NotResource")
    names: set[str] = set()
    patterns: list[WildcardPattern] = []
    templates: list[Template] = []
    for value in values:
        template = Template.read(_arn(name, value), variables=variables)
        if template.variables:
            templates.append(template)
        elif template.parts == (value,) and ANY not in value and ONE not in value:
            names.add(value)
        else:
            patterns.append(WildcardPattern.of(*template.resolve({}) or ()))
    return Resources(
        frozenset(names), tuple(patterns), tuple(templates), everything=ANY in values, negated=name == "NotResource"
    )


def _arn(name: str, value: str) -> str:
    segments = value.split(":")
    whole = len(segments) >= _ARN_SEGMENTS or segments[-1].endswith(ANY)
    if (value != ANY and not (segments[0] == "arn" and whole)) or _WHITE.search(value.partition("${")[0]):
        raise PolicyError(
            f"{name} has {value[:128]!r}; it must be * or an ARN, such as "
            f"arn:aws:medical-imaging:us-east-1:123456789012:datastore/*"
        )
    return value


def _parties(entry: Mapping[str, Json]) -> Parties:
    principal = entry.get("Principal")
    if principal == ANYBODY:
        return EVERYBODY
    if not isinstance(principal, dict) or not principal:
        raise PolicyError('Principal must be "*" or an object such as {"Service": "medical-imaging.amazonaws.com"}')
    return read_parties({key: _strings(f"Principal {key}", value) for key, value in principal.items()})


def _conditions(block: Json, *, variables: bool) -> tuple[Condition, ...]:
    if not isinstance(block, dict):
        raise PolicyError("Condition must be an object of operators")
    found: list[Condition] = []
    for operator, keys in block.items():
        if not isinstance(keys, dict):
            raise PolicyError(f"Condition {operator[:64]} must be an object of condition keys")
        for key, values in keys.items():
            texts = tuple(_condition_value(operator, key, value) for value in _listed(values))
            found.append(read_condition(operator, key, texts, variables=variables))
    return tuple(found)


def _condition_value(operator: str, key: str, value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise PolicyError(f"{operator[:64]}: {key[:64]}: values must be strings, numbers or booleans")
    return str(value)


def _either(entry: Mapping[str, Json], name: str, negated: str) -> tuple[str, tuple[str, ...]]:
    given = [element for element in (name, negated) if element in entry]
    if len(given) != 1:
        raise PolicyError(f"it must have either {name} or {negated}")
    return given[0], _strings(given[0], entry[given[0]])


def _strings(name: str, value: Json) -> tuple[str, ...]:
    texts = tuple(text for text in map(_text, _listed(value)) if text)
    if not texts or len(texts) < len(_listed(value)):
        raise PolicyError(f"{name} must be a string or a list of strings, of one at least and none empty")
    return texts


def _text(value: Json) -> str | None:
    """Return a JSON string; None for all else, numbers too."""
    return value if isinstance(value, str) and not isinstance(value, Number) else None


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _only(entry: Mapping[str, Json], known: set[str], whose: str) -> None:
    for name in entry:
        if name not in known:
            raise PolicyError(f"{whose} has no element {name[:64]!r}; its elements are {', '.join(sorted(known))}.")


def _shown(value: Json) -> str:
    return repr(value[:64]) if isinstance(value, str) else "not a string" if value is not None else "missing"
