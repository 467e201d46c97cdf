"""Policies: any text is a policy or refused, and any policy decides about any request, a denial always winning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from hounsfield.iam.authorization import ContextValue
from hounsfield.iam.policies.document import PolicyKind
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.evaluation import Outcome, decide
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from support.fuzzing import damaged, fuzz

ARN = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/"
GOOD = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "A",
                "Effect": "Allow",
                "Action": ["medical-imaging:Get*", "medical-imaging:?ist*"],
                "Resource": f"{ARN}*",
                "Condition": {
                    "StringLike": {"aws:PrincipalTag/team": "${aws:username}*"},
                    "ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": ["a", "b"]},
                    "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                    "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"},
                },
            }
        ],
    }
).encode()

words = st.text("aAbB*?:/${}.-_0\u00e9\n", max_size=12)
actions = st.one_of(
    st.sampled_from(["*", "medical-imaging:*", "medical-imaging:GetImageFrame", "medical-imaging:Get*", "s3:*"]), words
)
resources = st.one_of(
    st.sampled_from(["*", f"{ARN}*", f"{ARN}abc", "arn:aws:s3:::b/*"]), words.map(lambda word: ARN + word)
)
operators = st.sampled_from(
    [
        *(
            "StringEquals",
            "StringNotLike",
            "ArnLike",
            "NumericLessThan",
            "DateGreaterThan",
            "Bool",
            "IpAddress",
            "Null",
        ),
        *("BinaryEquals", "ForAllValues:StringLike", "ForAnyValue:StringNotEqualsIfExists", "Other"),
    ]
)
keys = st.sampled_from(
    ["aws:username", "aws:sourceip", "aws:tagkeys", "aws:currenttime", "aws:securetransport", "aws:x"]
)
values = st.one_of(
    words, st.sampled_from(["10.0.0.1", "2026-01-01T00:00:00Z", "true", "5", "1e9999", "::1/200", "YQ=="])
)


def one_or_more(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, st.lists(strategy, max_size=3))


statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Deny", "Maybe"]),
        "Action": one_or_more(actions),
        "Resource": one_or_more(resources),
    },
    optional={
        "Condition": st.dictionaries(operators, st.dictionaries(keys, one_or_more(values), max_size=2), max_size=2),
        "Sid": words,
    },
)
policies = st.lists(statements, min_size=1, max_size=3).map(
    lambda listed: json.dumps({"Version": "2012-10-17", "Statement": listed}).encode()
)


@dataclass(frozen=True)
class Keys:
    """Condition keys of a request."""

    values: Mapping[str, ContextValue] = field(default_factory=dict)

    def get(self, key: str, /) -> ContextValue | None:
        return self.values.get(key)


contexts = st.dictionaries(keys, st.one_of(values, st.lists(values, max_size=3).map(tuple)), max_size=4).map(Keys)


@fuzz(
    st.one_of(damaged(st.just(GOOD)), policies, st.binary(max_size=80)), st.sampled_from(list(PolicyKind)), examples=200
)
def test_any_text_is_a_policy_or_refused(text: bytes, kind: PolicyKind) -> None:
    try:
        parse_policy(text, kind=kind)
    except PolicyError as error:
        assert 5 < len(str(error)) < 2_000  # noqa: PT017 - both outcomes are right


@fuzz(st.lists(policies, max_size=3), st.lists(policies, max_size=1), actions, resources, contexts, examples=150)
def test_a_denial_wins_and_nothing_allows_but_what_says_so(
    identity: list[bytes], boundary: list[bytes], action: str, resource: str, context: Keys
) -> None:
    def read(texts: list[bytes]) -> list[Any]:
        found = []
        for text in texts:
            try:
                found.append(parse_policy(text))
            except PolicyError:
                continue
        return found

    allowing, bounding = read(identity), read(boundary)
    rights = PolicySet(tuple(allowing), bounding[0] if bounding else None)
    decision = decide(rights, action, resource, context)
    if not allowing:
        assert decision.outcome is not Outcome.ALLOWED
    everything = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
    denying = PolicySet((*allowing, parse_policy(everything)), rights.boundary)
    assert decide(denying, action, resource, context).outcome is Outcome.EXPLICIT_DENY
    # A boundary can only take away.
    if bounding and decision.outcome is Outcome.ALLOWED:
        assert decide(PolicySet(tuple(allowing)), action, resource, context).outcome is Outcome.ALLOWED


@fuzz(st.integers(1, 60), st.text("ab*", max_size=40), examples=30)
def test_wildcards_take_no_time(stars: int, text: str) -> None:
    """Patterns that make a matcher that goes back and forth take for ever."""
    action = "medical-imaging:" + "a*" * stars + "b"
    policy = parse_policy(
        json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}})
    )
    decide(PolicySet((policy,)), "medical-imaging:" + "a" * 4_000 + text, "*", Keys())


def test_deep_json_is_refused() -> None:
    for deep in (b"[" * 100_000, b'{"Statement":' * 9_000, b'{"a":' * 9_000 + b"1" + b"}" * 9_000):
        try:
            parse_policy(deep)
        except PolicyError:
            continue
        raise AssertionError("it was taken")
