"""Policy documents: the grammar, and what is refused with the place and the reason."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.iam.policies.aws_managed import DOCUMENTS, managed_arns, managed_policy
from hounsfield.iam.policies.document import PolicyKind
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.evaluation import decide
from hounsfield.iam.policies.json_reader import MOST_CHARACTERS
from hounsfield.iam.policies.parser import LARGEST, parse_policy
from hounsfield.iam.policies.policy_set import PolicySet

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "medical-imaging:*", "Resource": "*"}


def document(*statements: Any, **elements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **elements})


@pytest.mark.parametrize(
    "text",
    [
        document(GOOD),
        document(GOOD, GOOD, Id="two"),
        json.dumps({"Statement": GOOD}),
        json.dumps({"Version": "2008-10-17", "Statement": GOOD}),
        document({**GOOD, "Sid": "One1"}, {**GOOD, "Sid": "Two"}, {**GOOD, "Sid": ""}),
        document({**GOOD, "Condition": {}}),
        document({**GOOD, "Condition": {"NumericLessThan": {"aws:x": 5}, "Bool": {"aws:y": [True, "false"]}}}),
        document({**GOOD, "Condition": {"StringEquals": {"aws:ResourceTag/Ward round": "3"}}}),
        f"\n\t {document(GOOD)} \r\n",
    ],
)
def test_valid_documents(text: str) -> None:
    for given_text in (text, text.encode()):
        policy = parse_policy(given_text)
        assert policy.text == text
        assert decide(PolicySet((policy,)), "s3:GetObject", "*", {}).allowed is False


REFUSED: list[tuple[str | bytes, str]] = [
    ("", "not JSON"),
    ("[]", "must be a JSON object"),
    ("{", "line 1, column 2"),
    (document(GOOD) + "x", "not JSON"),
    (b"\xff{}", "not UTF-8: byte 0"),
    ('{"Version": "2012-10-17", "Version": "2012-10-17"}', "key 'Version' twice"),
    ('{"Statement": {"Effect": "Allow", "Effect": "Deny"}}', "key 'Effect' twice"),
    ('{"Statement": NaN}', "NaN"),
    ("[" * 100_000, "nested too deep"),
    ("{" + " " * MOST_CHARACTERS + "}", f"longer than {MOST_CHARACTERS}"),
    ('{"Version": "2012-10-18", "Statement": []}', "Version is '2012-10-18'; it must be 2012-10-17 or 2008-10-17"),
    ('{"Version": 1, "Statement": []}', "Version"),
    ('{"Version": "2012-10-17"}', "Statement must be there"),
    (document(), "Statement must be there"),
    (document(GOOD, Statements=[]), "no element 'Statements'"),
    (document(GOOD, Id=5), "Id must be a string"),
    (document("x"), "Statement 1: it must be a JSON object"),
    (document(GOOD, {**GOOD, "Effect": "allow"}), "Statement 2: Effect is 'allow'; it must be Allow or Deny"),
    (document({key: value for key, value in GOOD.items() if key != "Effect"}), "Effect is missing"),
    (document({**GOOD, "Principal": "*"}), "no element 'Principal'"),
    (document({**GOOD, "Sid": "a b"}), "Sid is 'a b'"),
    (document({**GOOD, "Sid": "A"}, {**GOOD, "Sid": "A"}), "Two statements have the Sid A"),
    (document({"Effect": "Allow", "Resource": "*"}), "either Action or NotAction"),
    (document({**GOOD, "NotAction": "s3:*"}), "either Action or NotAction"),
    (document({"Effect": "Allow", "Action": "s3:*"}), "either Resource or NotResource"),
    (document({**GOOD, "NotResource": "*"}), "either Resource or NotResource"),
    (document({**GOOD, "Action": []}), "Action must be a string or a list of strings"),
    (document({**GOOD, "Action": ["s3:*", 5]}), "Action must be a string or a list of strings"),
    (document({**GOOD, "Action": {}}), "Action must be a string or a list of strings"),
    (document({**GOOD, "Action": "GetDatastore"}), "Action has 'GetDatastore'"),
    (document({**GOOD, "Action": "medical-imaging:Get Datastore"}), "Action has"),
    (document({**GOOD, "Action": "medical*:Get"}), "Action has"),
    (document({**GOOD, "Resource": "datastore/x"}), "Resource has 'datastore/x'"),
    (document({**GOOD, "Resource": "arn:aws:medical-imaging"}), "Resource has"),
    (document({**GOOD, "Resource": ""}), "Resource must be"),
    (document({**GOOD, "Resource": "arn:aws:s3:::${aws:username"}), "without its closing"),
    (document({**GOOD, "Resource": "arn:aws:s3:::${user name}"}), "is not a policy variable"),
    (document({**GOOD, "Condition": []}), "Condition must be an object"),
    (document({**GOOD, "Condition": {"Bool": []}}), "Condition Bool must be an object"),
    (document({**GOOD, "Condition": {"StringIs": {"aws:x": "1"}}}), "'StringIs' is not a condition operator"),
    (document({**GOOD, "Condition": {"ForSome:StringEquals": {"aws:x": "1"}}}), "is not a condition operator"),
    (document({**GOOD, "Condition": {"NullIfExists": {"aws:x": "true"}}}), "Null stands alone"),
    (document({**GOOD, "Condition": {"ForAllValues:Null": {"aws:x": "true"}}}), "Null stands alone"),
    (document({**GOOD, "Condition": {"StringEquals": {"x": "1"}}}), "'x' is not a condition key"),
    (document({**GOOD, "Condition": {"StringEquals": {"aws:x": []}}}), "aws:x has no value"),
    (document({**GOOD, "Condition": {"StringEquals": {"aws:x": None}}}), "values must be strings"),
    (document({**GOOD, "Condition": {"StringEquals": {"aws:x": [["1"]]}}}), "values must be strings"),
    (
        document({**GOOD, "Condition": {"NumericEquals": {"aws:x": "ten"}}}),
        "NumericEquals: aws:x: 'ten' is not a number",
    ),
    (document({**GOOD, "Condition": {"NumericEquals": {"aws:x": "${aws:y}"}}}), "is not a number"),
    (document({**GOOD, "Condition": {"DateEquals": {"aws:x": "2026-13-01"}}}), "is not a date"),
    (document({**GOOD, "Condition": {"Bool": {"aws:x": "yes"}}}), "is not true or false"),
    (document({**GOOD, "Condition": {"IpAddress": {"aws:SourceIp": "1.2.3"}}}), "is not an IP address"),
    (document({**GOOD, "Condition": {"BinaryEquals": {"aws:x": "?"}}}), "bytes in base64"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused_documents(text: str | bytes, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text)
    assert message in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_white_space_does_not_count_for_the_size(kind: PolicyKind) -> None:
    trust = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
    entry = trust if kind is PolicyKind.TRUST else GOOD

    def of_size(size: int) -> str:
        text = document({**entry, "Condition": {"StringEquals": {"aws:x": "?"}}})
        return text.replace("?", "x" * (size - len("".join(text.split())) + 1)).replace(" ", " " * 20)

    assert parse_policy(of_size(LARGEST[kind]), kind=kind).kind is kind
    with pytest.raises(PolicyError, match=f"{LARGEST[kind] + 1} characters without white space"):
        parse_policy(of_size(LARGEST[kind] + 1), kind=kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["*", "Allow", "aws:x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from([*GOOD, "Condition", "StringEquals"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.fixed_dictionaries({"Statement": JSON | st.fixed_dictionaries(dict.fromkeys([*GOOD, "Condition"], JSON))}))
def test_whatever_comes_is_read_or_refused(content: dict[str, Any]) -> None:
    for kind in (PolicyKind.IDENTITY, PolicyKind.TRUST):
        with suppress(PolicyError):
            assert parse_policy(json.dumps(content), kind=kind).statements


@given(st.binary(max_size=40) | st.text('{}[]":, \\u0dAllow', max_size=40))
def test_bytes_that_are_no_policy_are_refused(text: str | bytes) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text)


def test_the_managed_policies_are_built_in() -> None:
    assert managed_arns() == (
        "arn:aws:iam::aws:policy/AWSHealthImagingFullAccess",
        "arn:aws:iam::aws:policy/AWSHealthImagingReadOnlyAccess",
    )
    assert all(managed_policy(arn) is managed_policy(managed_arns()[0]) for arn in managed_arns("aws-cn")[:1])
    assert managed_policy("arn:aws:iam::aws:policy/AdministratorAccess") is None
    assert managed_policy("arn:aws:iam::123456789012:policy/AWSHealthImagingFullAccess") is None
    for arn, text in zip(managed_arns(), DOCUMENTS.values(), strict=True):
        policy = managed_policy(arn)
        assert policy is not None
        assert json.loads(policy.text) == text


@pytest.mark.parametrize(
    ("name", "action", "allowed"),
    [
        ("AWSHealthImagingFullAccess", "medical-imaging:DeleteDatastore", True),
        ("AWSHealthImagingFullAccess", "medical-imaging:StoreDICOM", True),
        ("AWSHealthImagingFullAccess", "iam:PassRole", True),
        ("AWSHealthImagingFullAccess", "s3:GetObject", False),
        ("AWSHealthImagingReadOnlyAccess", "medical-imaging:GetImageFrame", True),
        ("AWSHealthImagingReadOnlyAccess", "medical-imaging:SearchImageSets", True),
        ("AWSHealthImagingReadOnlyAccess", "medical-imaging:GetDICOMInstance", False),
        ("AWSHealthImagingReadOnlyAccess", "medical-imaging:TagResource", False),
    ],
)
def test_what_the_managed_policies_allow(name: str, action: str, allowed: bool) -> None:
    policy = managed_policy(f"arn:aws:iam::aws:policy/{name}")
    assert policy is not None
    context = {"iam:passedtoservice": "medical-imaging.amazonaws.com"}
    assert decide(PolicySet((policy,)), action, "arn:aws:iam::123456789012:role/r", context).allowed is allowed
    other = {"iam:passedtoservice": "ec2.amazonaws.com"}
    passed = decide(PolicySet((policy,)), "iam:PassRole", "arn:aws:iam::123456789012:role/r", other)
    assert not passed.allowed
