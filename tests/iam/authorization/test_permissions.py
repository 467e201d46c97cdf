"""Asking for a permission: every resource, the caller's keys, tags that are looked up, and the words of a refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from hounsfield.iam.authorization import AccessDeniedError, Permission, may_be_denied, refused_resources, require
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.principals import Principal, root_of
from support.identities.permission_requests import IMAGE_SET, SESSION, STORE, USER, KnownFacts, may

ROOT = root_of("aws", "123456789012")


def passes(principal: Principal, permission: Permission, facts: KnownFacts | None = None) -> bool:
    try:
        require(principal, permission, facts or KnownFacts())
    except AccessDeniedError:
        return False
    return True


GET = Permission("medical-imaging:GetImageSet", [STORE, IMAGE_SET])


def test_root_may_do_everything() -> None:
    assert passes(ROOT, GET)
    assert passes(ROOT, Permission("iam:PassRole", ["*"]))


def test_every_resource_must_be_allowed_and_the_refusal_names_the_one_that_is_not() -> None:
    with pytest.raises(AccessDeniedError) as refused:
        require(may(USER, {"Resource": STORE}), GET, KnownFacts())
    assert str(refused.value) == (
        f"User: {USER.arn} is not authorized to perform: medical-imaging:GetImageSet on resource: {IMAGE_SET} "
        "because no identity-based policy allows the medical-imaging:GetImageSet action"
    )
    denied = may(USER, {"Resource": STORE}, {"Effect": "Deny", "Resource": IMAGE_SET})
    with pytest.raises(AccessDeniedError, match=f"{IMAGE_SET} with an explicit deny in an identity-based policy"):
        require(denied, GET, KnownFacts())
    assert passes(may(USER, {}), GET)


@pytest.mark.parametrize(
    ("principal", "key", "value"),
    [
        (USER, "aws:username", "ann"),
        (USER, "aws:userid", "AIDAQQQQQQQQQQQQQQQQQ"),
        (USER, "aws:PrincipalArn", USER.arn),
        (USER, "aws:PrincipalAccount", "123456789012"),
        (USER, "aws:PrincipalType", "User"),
        (USER, "aws:PrincipalTag/ward", "3"),
        (USER, "aws:PrincipalTag/WARD", "3"),
        (USER, "aws:TokenIssueTime", None),
        (USER, "aws:FederatedProvider", None),
        (USER, "aws:PrincipalTag/bed", None),
        (SESSION, "aws:username", None),
        (SESSION, "aws:userid", "AROAQQQQQQQQQQQQQQQQQ:night"),
        (SESSION, "aws:PrincipalArn", "arn:aws:iam::123456789012:role/readers"),
        (SESSION, "aws:PrincipalType", "AssumedRole"),
        (SESSION, "aws:TokenIssueTime", "2026-07-01T00:00:00Z"),
        (SESSION, "aws:FederatedProvider", "id.example.org"),
    ],
)
def test_keys_of_the_caller(principal: Principal, key: str, value: str | None) -> None:
    condition = {"Null": {key: True}} if value is None else {"StringEquals": {key: value}}
    assert passes(may(principal, {"Condition": condition}), GET)
    other = {"Null": {key: False}} if value is None else {"StringNotEquals": {key: value}}
    assert not passes(may(principal, {"Condition": other}), GET)


def test_tags_of_resources_are_looked_up_only_when_a_policy_asks() -> None:
    facts = KnownFacts(tags={STORE: {"Ward": "3"}, IMAGE_SET: {"ward": "3", "Bed": "1"}})
    assert passes(may(USER, {}), GET, facts)
    assert facts.looked_up == []
    same = {"StringEquals": {"aws:ResourceTag/ward": "${aws:PrincipalTag/ward}"}}
    assert passes(may(USER, {"Condition": same}), GET, facts)
    assert facts.looked_up == [STORE, IMAGE_SET]
    # Of one resource alone is not enough.
    bed = {"StringEquals": {"aws:ResourceTag/Bed": "1"}}
    assert not passes(may(USER, {"Condition": bed}), GET, facts)
    assert may(USER, {"Condition": bed}).rights.ask_for_resource_tags
    assert not may(USER, {}).rights.ask_for_resource_tags


@pytest.mark.parametrize("tags", [{"Ward": "3", "ward": "4"}, {"ward": "4", "Ward": "3"}])
def test_of_keys_that_differ_only_in_case_one_is_read(tags: dict[str, str]) -> None:
    facts = KnownFacts(tags={STORE: tags})
    get = Permission("medical-imaging:GetDatastore", [STORE])
    for ward, passed in (("3", True), ("4", False)):
        equal = {"Condition": {"StringEquals": {"aws:ResourceTag/WARD": ward}}}
        assert passes(may(USER, equal), get, facts) is passed
        assert passes(may(USER, {}, {"Effect": "Deny", **equal}), get, facts) is not passed


def test_what_is_not_known_yet_may_be_allowed_and_is_asked_again() -> None:
    tagged = {"Condition": {"StringEquals": {"aws:RequestTag/Ward": "3"}}}
    action = "medical-imaging:CreateDatastore"
    hoped = Permission(
        action, ["*"], {"aws:requesttag/": UnsettledValue.HOPEFUL, "aws:tagkeys": UnsettledValue.HOPEFUL}
    )
    assert passes(may(USER, tagged), hoped)
    assert passes(may(USER, {}, {"Effect": "Deny", **tagged}), hoped)
    assert not passes(may(USER, {"Action": "s3:*"}), hoped)
    assert not passes(may(USER, {**tagged, "Effect": "Deny"}), hoped)
    assert passes(may(USER, tagged), replace(hoped, context={"aws:requesttag/ward": "3"}))
    assert not passes(may(USER, tagged), replace(hoped, context={"aws:requesttag/ward": "4"}))
    assert not passes(may(USER, tagged), replace(hoped, context={}))


def test_a_further_resource_need_not_be_allowed_but_may_not_be_denied() -> None:
    permission = Permission("medical-imaging:GetDICOMInstance", [STORE], unless_denied=[IMAGE_SET])
    assert passes(may(USER, {"Resource": STORE}), permission)
    assert not passes(may(USER, {}, {"Effect": "Deny", "Resource": IMAGE_SET}), permission)
    assert not passes(may(USER, {"Resource": IMAGE_SET}), permission)


def test_another_permission_will_do_where_none_denies_the_first() -> None:
    permission = Permission("medical-imaging:A", [STORE], instead=Permission("medical-imaging:B", [STORE]))
    a, b = {"Action": "medical-imaging:A"}, {"Action": "medical-imaging:B"}
    assert passes(may(USER, a), permission)
    assert passes(may(USER, b), permission)
    assert not passes(may(USER, b, {**a, "Effect": "Deny"}), permission)
    assert passes(may(USER, a, {**b, "Effect": "Deny"}), permission)
    with pytest.raises(AccessDeniedError, match="medical-imaging:A on resource"):
        require(may(USER, {"Action": "s3:*"}), permission, KnownFacts())


OTHER = STORE[:-1] + "b"
_WORDS = st.sampled_from([STORE, OTHER, STORE[:60], "/imageset/", "b" * 32, "b", "*", "?", "/", "${aws:username}"])
_NAMES = (
    st.lists(_WORDS, min_size=1, max_size=4)
    .map("".join)
    .filter(lambda name: name.startswith(STORE[:60]) or name == "*")
)


@given(st.lists(_NAMES, min_size=1, max_size=2), st.sampled_from(["Resource", "NotResource"]))
def test_who_may_not_be_denied_an_image_set_is_denied_none_but_with_its_data_store(names: list[str], how: str) -> None:
    statement = {"Effect": "Deny", how: names}
    whole = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Action": "medical-imaging:*", **statement}]
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": whole}))
    principal = replace(USER, rights=PolicySet((policy,)))
    refused = refused_resources(principal, Permission(GET.action, [], unless_denied=[STORE, IMAGE_SET]), KnownFacts())
    event(str(IMAGE_SET in refused))
    assert may_be_denied(principal, GET.action, f"{STORE}/imageset/") or IMAGE_SET not in refused or STORE in refused


def test_a_deny_elsewhere_limits_nobody() -> None:
    def limited(statement: dict[str, Any], action: str = GET.action) -> bool:
        return may_be_denied(may(USER, {}, {"Effect": "Deny", **statement}), action, f"{STORE}/imageset/")

    assert limited({"Resource": IMAGE_SET})
    assert limited({"Resource": f"{STORE}/*"})
    assert limited({"Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/ward": "3"}}})
    assert not limited({"Resource": IMAGE_SET}, "s3:GetObject")
    assert not limited({"Resource": STORE})
    assert not limited({"Resource": [OTHER, f"{OTHER}/*"]})
    assert not limited({"Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    assert not may_be_denied(ROOT, GET.action, "")
