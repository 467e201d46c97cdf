"""A formula of what somebody may see means the same image sets as a decision on each, and so does the query made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, select

from hounsfield.iam.policies.evaluation import decide
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.policies.resource_filter import NotExpressibleError, ResourceFilter
from hounsfield.iam.principals import Principal, PrincipalKind
from hounsfield.iam.request_context import RequestContext
from hounsfield.storage.db.image_set_tables import metadata
from hounsfield.storage.db.tag_filters import Formula, IdIs, condition, holds, starts
from hounsfield.storage.db.tag_table import image_set_tags
from support.examples import examples

STORE: Final = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/" + "5a" * 16
PREFIX: Final = f"{STORE}/imageset/"
ACTION: Final = "medical-imaging:SearchImageSets"
IDS: Final = ["0f" * 16, "0e" * 16, "ab" * 16, "cd" * 16, "12" * 16, "34" * 16]
VALUES: Final = ["3", "4", "", "ann", "03", "a*b"]
USER: Final = Principal(
    "arn:aws:iam::000000000000:user/ann", PrincipalKind.USER, "AIDAQQQQQQQQQQQQQQQQQ", "ann", tags={"Ward": "3"}
)

resources = st.sampled_from(
    [
        "*",
        STORE,
        f"{STORE}*",
        f"{STORE}/imageset/*",
        f"{PREFIX}{IDS[0]}",
        f"{PREFIX}{IDS[1]}",
        f"{PREFIX}0*",
        f"{PREFIX}*f",
        "arn:aws:medical-imaging:*:*:datastore/*/imageset/*",
        "arn:aws:medical-imaging:*:*:datastore/" + "6b" * 16 + "/imageset/*",
        "arn:aws:medical-imaging:eu-west-1:*",
        "arn:aws:medical-imaging:us-east-1:000000000000:datastore/?????",
        f"{PREFIX}${{aws:PrincipalTag/none}}",
        f"{PREFIX}{IDS[2][:-2]}${{aws:PrincipalTag/end, '{IDS[2][-2:]}'}}",
    ]
)
operators = st.sampled_from(
    [
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIfExists",
        "StringNotEqualsIfExists",
        "ForAllValues:StringEquals",
        "ForAnyValue:StringEquals",
        "ForAllValues:StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
        "NumericEquals",
        "NumericLessThan",
    ]
)
keys = st.sampled_from(["aws:ResourceTag/ward", "aws:ResourceTag/Ward", "aws:ResourceTag/bed", "aws:username", "aws:x"])
texts = st.sampled_from(
    [*VALUES, "${aws:PrincipalTag/ward}", "${aws:PrincipalTag/none}", "${aws:ResourceTag/bed}", "a*"]
)
numbers = st.sampled_from(["3", "4", "10"])


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    block: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 2))):
        operator = draw(operators)
        values = numbers if operator.startswith("Numeric") else texts
        block.setdefault(operator, {})[draw(keys)] = draw(st.lists(values, min_size=1, max_size=3))
    if draw(st.booleans()):
        block["Null"] = {draw(keys): draw(st.sampled_from(["true", "false"]))}
    return block


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(["Resource", "Resource", "Resource", "NotResource"]))
    return {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        "Action": draw(st.sampled_from(["*", ACTION, "medical-imaging:Get*"])),
        name: draw(st.lists(resources, min_size=1, max_size=2)),
        "Condition": draw(conditions()),
    }


policies = st.lists(statements(), min_size=1, max_size=4).map(
    lambda given: parse_policy(json.dumps({"Version": "2012-10-17", "Statement": given}))
)
rights = st.builds(
    PolicySet,
    st.lists(policies, min_size=1, max_size=2).map(tuple),
    st.none() | policies,
    st.lists(policies, max_size=1).map(tuple),
)
tags = st.fixed_dictionaries(
    {}, optional={"ward": st.sampled_from(VALUES), "bed": st.sampled_from(VALUES), "other": st.just("1")}
)


@dataclass
class Tagged:
    """Facts of a request about image sets with tags."""

    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def value(self, key: str) -> str | None:
        del key
        return None

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        return self.tags[resource]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as opened:
        yield opened


def formula_of(granted: PolicySet, of: Mapping[str, Mapping[str, str]]) -> Formula:
    def values_of(key: str) -> set[str]:
        return {tags[key] for tags in of.values() if key in tags}

    return ResourceFilter(PREFIX, RequestContext({}, USER, "", Tagged()), values_of).of(granted, ACTION)


def found(connection: Connection, formula: Formula, of: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Ask the database, in a transaction that leaves nothing behind."""
    repeated = {"datastore_id": "d", "study_uid": "1", "is_primary": True, "study_date": "", "study_time": ""}
    times = {"updated_at": 1, "created_at": 1, "study_updated_at": 1}
    rows = [
        {"image_set_id": name, "tag_key": key, "tag_value": value, **repeated, **times}
        for name, tags in of.items()
        for key, value in tags.items()
    ]
    with connection.begin() as transaction:
        if rows:
            connection.execute(insert(image_set_tags), rows)
        ids = select(image_set_tags.c.image_set_id).where(condition(formula, image_set_tags.c.image_set_id))
        seen = set(connection.execute(ids).scalars())
        transaction.rollback()
    return seen


@settings(max_examples=examples(500), deadline=None)
@given(granted=rights, given=st.lists(tags, min_size=len(IDS), max_size=len(IDS)))
def test_the_formula_means_what_is_decided(
    connection: Connection, granted: PolicySet, given: list[dict[str, str]]
) -> None:
    of = dict(zip(IDS, given, strict=True))
    try:
        formula = formula_of(granted, of)
    except NotExpressibleError:
        return
    facts = Tagged({PREFIX + name: tags for name, tags in of.items()})
    decided = {
        name
        for name in of
        if decide(granted, ACTION, PREFIX + name, RequestContext({}, USER, PREFIX + name, facts)).allowed
    }
    assert {name for name, tags in of.items() if holds(formula, name, tags)} == decided
    assert found(connection, formula, of) == {name for name in decided if of[name]}
    begin = starts(formula)
    if begin is not None:
        # Every image set that is meant has one of them, so that a search which begins with them misses none.
        for name in decided:
            assert any(
                start.id == name if isinstance(start, IdIs) else of[name].get(start[0]) == start[1] for start in begin
            )


def policy(*given: dict[str, Any]) -> PolicySet:
    whole = [{"Effect": "Allow", "Action": "medical-imaging:*", "Resource": f"{PREFIX}*", **entry} for entry in given]
    return PolicySet((parse_policy(json.dumps({"Version": "2012-10-17", "Statement": whole})),))


def test_tags_and_ids_are_what_a_search_begins_with() -> None:
    own = {"Condition": {"StringEquals": {"aws:ResourceTag/Ward": ["${aws:PrincipalTag/ward}", "4"]}}}
    denied = {"Effect": "Deny", "Condition": {"StringEquals": {"aws:ResourceTag/vip": "yes"}}}
    one = {"Resource": PREFIX + IDS[0]}
    assert starts(formula_of(policy(own, denied, one), {})) == [("ward", "3"), ("ward", "4"), IdIs(IDS[0])]
    assert starts(formula_of(policy({"Resource": STORE}), {})) == []
    assert formula_of(policy({}), {}) is True
    assert starts(formula_of(policy({}, denied), {})) is None


@pytest.mark.parametrize(
    "statement",
    [
        {"Condition": {"StringEquals": {"aws:ResourceTag/a": "${aws:ResourceTag/b}"}}},
        {"Resource": f"{PREFIX}0*"},
        {"Resource": f"{PREFIX}${{aws:ResourceTag/id}}"},
    ],
)
def test_what_no_formula_says_is_said(statement: dict[str, Any]) -> None:
    with pytest.raises(NotExpressibleError):
        formula_of(policy(statement), {})


def test_too_many_values_are_not_looked_at() -> None:
    like = policy({"Condition": {"StringLike": {"aws:ResourceTag/patient": "P-*"}}})
    reach = ResourceFilter(PREFIX, RequestContext({}, USER, "", Tagged()), lambda _: None)
    with pytest.raises(NotExpressibleError):
        reach.of(like, ACTION)
