"""Conditions: AWS's pages on condition operators and set operators as tables, one row for each rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.iam.policies.condition import Effect, read_condition
from hounsfield.iam.policies.condition_context import ContextValue, UnsettledValue
from hounsfield.iam.policies.evaluation import decide
from hounsfield.iam.policies.operators import OPERATORS
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.policies.wildcards import LiteralText, WildcardPattern

KEY = "aws:x"
ARN = "arn:aws:iam::123456789012:role/readers/night"


def is_met(operator: str, values: Any, value: ContextValue | None, effect: Effect = Effect.ALLOW, **more: str) -> bool:
    context: dict[str, ContextValue] = {key.replace("_", ":"): entry for key, entry in more.items()}
    if value is not None:
        context[KEY] = value
    texts = [values] if isinstance(values, str) else list(values)
    return read_condition(operator, KEY, texts, variables=True).is_met(context, effect)


EQUAL_PAIRS = [
    # operator, its negation, values of the policy, value of the request, whether they match
    ("StringEquals", "StringNotEquals", "ward", "ward", True),
    ("StringEquals", "StringNotEquals", "ward", "Ward", False),
    ("StringEquals", "StringNotEquals", ["icu", "ward"], "ward", True),
    ("StringEquals", "StringNotEquals", "w*", "ward", False),
    ("StringEquals", "StringNotEquals", "w*", "w*", True),
    ("StringEquals", "StringNotEquals", "", "", True),
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "ward", "WARD", True),
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "ward", "wards", False),
    ("StringLike", "StringNotLike", "w*d", "ward", True),
    ("StringLike", "StringNotLike", "w*d", "Ward", False),
    ("StringLike", "StringNotLike", "w??d", "ward", True),
    ("StringLike", "StringNotLike", "w?d", "ward", False),
    ("StringLike", "StringNotLike", ["x*", "*"], "", True),
    ("NumericEquals", "NumericNotEquals", "10", "10.0", True),
    ("NumericEquals", "NumericNotEquals", "10", "11", False),
    ("NumericEquals", "NumericNotEquals", "0.1", "0.10", True),
    ("NumericEquals", "NumericNotEquals", "10", "ten", False),
    ("DateEquals", "DateNotEquals", "2026-07-01T00:00:00Z", "2026-07-01T02:00:00+02:00", True),
    ("DateEquals", "DateNotEquals", "2026-07-01", "2026-07-01T00:00:00Z", True),
    ("DateEquals", "DateNotEquals", "2026-07-01T00:00:00Z", "1782864000", True),
    ("DateEquals", "DateNotEquals", "2026-07-01T00:00:00Z", "2026-07-01T00:00:00.5Z", False),
    ("DateEquals", "DateNotEquals", "2026-07-01T00:00:00Z", "soon", False),
    ("IpAddress", "NotIpAddress", "203.0.113.0/24", "203.0.113.7", True),
    ("IpAddress", "NotIpAddress", "203.0.113.0/24", "203.0.114.7", False),
    ("IpAddress", "NotIpAddress", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", "NotIpAddress", "203.0.113.7/24", "203.0.113.9", True),
    ("IpAddress", "NotIpAddress", "2001:db8::/32", "2001:db8:1::1", True),
    ("IpAddress", "NotIpAddress", "2001:db8::/32", "203.0.113.7", False),
    ("IpAddress", "NotIpAddress", "0.0.0.0/0", "2001:db8::1", False),
    ("IpAddress", "NotIpAddress", "203.0.113.0/24", "::ffff:203.0.113.7", True),
    ("IpAddress", "NotIpAddress", "203.0.113.0/24", "gateway", False),
    ("ArnEquals", "ArnNotEquals", ARN, ARN, True),
    ("ArnEquals", "ArnNotEquals", "arn:aws:iam::123456789012:role/*", ARN, True),
    ("ArnLike", "ArnNotLike", "arn:aws:iam::123456789012:role/readers/?ight", ARN, True),
    ("ArnLike", "ArnNotLike", "arn:aws:iam::*:role/*", ARN, True),
    ("ArnLike", "ArnNotLike", "arn:aws:iam::123456789013:role/*", ARN, False),
    ("ArnLike", "ArnNotLike", "arn:*:role/*", ARN, True),
    ("ArnLike", "ArnNotLike", "arn:aws:*:*:*:*", "arn:aws", False),
    # Each segment is compared on its own: what the star of one stands for ends at the next colon.
    ("ArnLike", "ArnNotLike", "arn:aws:*:123456789012:*:night", "arn:aws:iam::123456789012:role/readers:night", False),
    ("ArnLike", "ArnNotLike", "*", ARN, True),
]


@pytest.mark.parametrize(("operator", "negation", "values", "value", "matches"), EQUAL_PAIRS)
def test_values_match_or_do_not(operator: str, negation: str, values: Any, value: str, matches: bool) -> None:
    assert is_met(operator, values, value) is matches
    assert is_met(negation, values, value) is not matches
    assert is_met(f"{operator}IfExists", values, value) is matches
    assert is_met(f"{negation}IfExists", values, value) is not matches


@pytest.mark.parametrize(
    ("operator", "values", "value", "expected"),
    [
        ("NumericLessThan", "10", "9.5", True),
        ("NumericLessThan", "10", "10", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericLessThanEquals", "10", "11", False),
        ("NumericGreaterThan", "10", "11", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericGreaterThanEquals", "10", "1e1", True),
        ("NumericGreaterThanEquals", "10", "many", False),
        ("DateLessThan", "2026-07-01T00:00:00Z", "2026-06-30T23:59:59Z", True),
        ("DateLessThan", "2026-07-01T00:00:00Z", "2026-07-01T00:00:00Z", False),
        ("DateLessThanEquals", "2026-07-01T00:00:00Z", "2026-07-01T00:00:00Z", True),
        ("DateGreaterThan", "2026", "2026-01-01T00:00:01Z", True),
        ("DateGreaterThan", "2026-07-01T00:00Z", "1782863999", False),
        ("DateGreaterThanEquals", "1782864000", "2026-07-01T00:00:00Z", True),
        ("Bool", "true", "true", True),
        ("Bool", "true", "TRUE", True),
        ("Bool", "true", "false", False),
        ("Bool", "false", "false", True),
        ("Bool", "false", "no", False),
        ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ6", False),
        ("BinaryEquals", "QmluYXJ5", "?", False),
    ],
)
def test_operators_without_a_negation(operator: str, values: str, value: str, expected: bool) -> None:
    assert is_met(operator, values, value) is expected
    assert is_met(f"{operator}IfExists", values, value) is expected


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "Null"])
def test_without_the_key_only_what_is_negated_or_if_exists_is_met(name: str) -> None:
    value = {"Bool": "true", "BinaryEquals": "YQ==", "IpAddress": "::1", "NotIpAddress": "::1"}.get(name, "2026")
    negated = "Not" in name
    assert is_met(name, value, None) is negated
    assert is_met(f"{name}IfExists", value, None) is True
    assert is_met(f"ForAllValues:{name}", value, None) is True
    assert is_met(f"ForAnyValue:{name}", value, None) is False
    assert is_met(f"ForAnyValue:{name}IfExists", value, None) is True
    # A key without any value is as none.
    assert is_met(name, value, ()) is negated
    assert is_met(f"ForAllValues:{name}", value, "") is True


@pytest.mark.parametrize(
    ("values", "value", "expected"),
    [("true", None, True), ("true", "x", False), ("false", None, False), ("false", "x", True), ("true", (), True)],
)
def test_null_asks_whether_the_key_is_there(values: str, value: ContextValue | None, expected: bool) -> None:
    assert is_met("Null", values, value) is expected


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        # The policy has ["project", "ward-*"]
        ("ForAllValues:StringLike", ("project",), True),
        ("ForAllValues:StringLike", ("project", "ward-3"), True),
        ("ForAllValues:StringLike", ("project", "cost"), False),
        ("ForAllValues:StringLike", ("cost",), False),
        ("ForAllValues:StringNotLike", ("cost", "site"), True),
        ("ForAllValues:StringNotLike", ("cost", "project"), False),
        ("ForAnyValue:StringLike", ("project", "cost"), True),
        ("ForAnyValue:StringLike", ("cost", "site"), False),
        ("ForAnyValue:StringNotLike", ("cost", "project"), True),
        ("ForAnyValue:StringNotLike", ("project", "ward-3"), False),
        ("StringLike", ("cost", "project"), True),
        ("StringNotLike", ("cost", "project"), False),
    ],
)
def test_set_operators(operator: str, value: tuple[str, ...], expected: bool) -> None:
    assert is_met(operator, ["project", "ward-*"], value) is expected


@pytest.mark.parametrize(
    ("operator", "text", "value", "expected"),
    [
        ("StringEquals", "home/${aws:username}", "home/ann", True),
        ("StringEquals", "home/${AWS:UserName}", "home/ann", True),
        ("StringEquals", "home/${ aws:username }", "home/ann", True),
        ("StringEquals", "home/${aws:username}", "home/bob", False),
        ("StringLike", "home/${aws:username}/*", "home/ann/x", True),
        ("StringEquals", "${aws:missing, 'nobody'}", "nobody", True),
        ("StringEquals", "${aws:username, 'nobody'}", "ann", True),
        ("StringLike", "${aws:missing, '*'}", "anybody", False),
        ("StringEquals", "${aws:missing}", "", False),
        ("StringEquals", "${aws:missing}", "${aws:missing}", False),
        ("StringLike", "a${*}b", "a*b", True),
        ("StringLike", "a${*}b", "axb", False),
        ("StringLike", "a${?}b", "axb", False),
        ("StringEquals", "${$}{aws:username}", "${aws:username}", True),
        ("StringEquals", "5$", "5$", True),
        ("StringEqualsIgnoreCase", "${aws:username}", "ANN", True),
        ("ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::123456789012:user/ann", True),
    ],
)
def test_policy_variables(operator: str, text: str, value: str, expected: bool) -> None:
    assert is_met(operator, text, value, aws_username="ann") is expected


def test_what_a_variable_stands_for_is_no_pattern() -> None:
    assert not is_met("StringLike", "home/${aws:username}", "home/ann", aws_username="*")
    assert is_met("StringLike", "home/${aws:username}", "home/*", aws_username="*")
    assert not is_met("StringLike", "${aws:username}", "ann", aws_username="${aws:x}")
    colons = "arn:aws:iam::${aws:username}:user/ann"
    assert not is_met("ArnLike", colons, "arn:aws:iam::1:user/ann", aws_username="1:user/ann:x")


def test_older_policies_have_no_variables() -> None:
    condition = read_condition("StringEquals", KEY, ["${aws:username}"], variables=False)
    assert condition.is_met({KEY: "${aws:username}", "aws:username": "ann"}, Effect.ALLOW)
    assert not condition.is_met({KEY: "ann", "aws:username": "ann"}, Effect.ALLOW)


@pytest.mark.parametrize("operator", ["StringNotEquals", "StringNotLike", "ForAllValues:StringNotEquals", "ArnNotLike"])
def test_to_differ_from_a_variable_without_value_denies_but_does_not_allow(operator: str) -> None:
    assert is_met(operator, "${aws:missing}", "ann", Effect.DENY)
    assert not is_met(operator, "${aws:missing}", "ann", Effect.ALLOW)


@pytest.mark.parametrize(
    ("text", "resource", "allowed"),
    [
        ("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/ann/x", True),
        ("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/bob/x", False),
        ("arn:aws:s3:::b/${aws:missing}*", "arn:aws:s3:::b/", False),
        ("arn:aws:s3:::b/${aws:missing, 'all'}/*", "arn:aws:s3:::b/all/x", True),
        ("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/x", False),
    ],
)
def test_variables_in_resources(text: str, resource: str, allowed: bool) -> None:
    entry = {"Effect": "Allow", "Action": "*", "Resource": text}
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": entry}))
    assert decide(PolicySet((policy,)), "s3:GetObject", resource, {"aws:username": "ann"}).allowed is allowed


def test_none_of_a_resource_without_value_gives_nobody_a_permission() -> None:
    text = "arn:aws:s3:::b/${aws:missing}"
    for effect, allowed in (("Allow", False), ("Deny", False)):
        entries = [{"Effect": "Allow", "Action": "*", "Resource": "*"}] if effect == "Deny" else []
        entries.append({"Effect": effect, "Action": "*", "NotResource": text})
        policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": entries}))
        assert decide(PolicySet((policy,)), "s3:GetObject", "arn:aws:s3:::b/x", {}).allowed is allowed


def test_all_operators_and_keys_of_a_block_must_be_met() -> None:
    block = {"StringEquals": {"aws:a": "1", "aws:b": ["2", "3"]}, "Bool": {"aws:SecureTransport": True}}
    entry = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": block}
    rights = PolicySet((parse_policy(json.dumps({"Version": "2012-10-17", "Statement": [entry]})),))
    whole: dict[str, ContextValue] = {"aws:a": "1", "aws:b": "3", "aws:securetransport": "true"}
    assert decide(rights, "s3:GetObject", "*", whole).allowed
    for key in whole:
        assert not decide(rights, "s3:GetObject", "*", {**whole, key: "4"}).allowed


@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals", "ForAllValues:StringLike", "Null"])
def test_what_is_not_known_counts_as_hoped_for_or_as_feared(operator: str) -> None:
    values = "true" if operator == "Null" else "x"
    assert is_met(operator, values, UnsettledValue.HOPEFUL, Effect.ALLOW)
    assert not is_met(operator, values, UnsettledValue.HOPEFUL, Effect.DENY)
    assert not is_met(operator, values, UnsettledValue.CAUTIOUS, Effect.ALLOW)
    assert is_met(operator, values, UnsettledValue.CAUTIOUS, Effect.DENY)


def matches(pattern: str, text: str) -> bool:
    """The reference: what ``*`` and ``?`` mean, by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return matches(pattern[1:], text) or (bool(text) and matches(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(pattern[1:], text[1:])


@given(st.text("ab*?:\n", max_size=8), st.text("ab:\n*", max_size=8))
def test_wildcards_are_those_of_the_reference(pattern: str, text: str) -> None:
    assert WildcardPattern.of(pattern).match(text) is matches(pattern, text)


@given(
    st.text("ab*?", max_size=5), st.text("ab*?", max_size=5), st.text("ab*?", max_size=5), st.text("ab*?", max_size=9)
)
def test_exact_parts_have_no_wildcards(before: str, exact: str, after: str, text: str) -> None:
    pattern = WildcardPattern.of(before, LiteralText(exact), after)
    expected = any(
        text[place : place + len(exact)] == exact
        and matches(before, text[:place])
        and matches(after, text[place + len(exact) :])
        for place in range(len(text) + 1)
    )
    assert pattern.match(text) is expected
