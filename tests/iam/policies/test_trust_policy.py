"""Trust policies of roles: whom the element Principal means, and what it takes to get the role."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hounsfield.iam.policies.document import PolicyKind
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.evaluation import Outcome
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.principal_element import Party, PartyKind, Trust
from hounsfield.iam.policies.trust_policy import TrustDecision, decide_trust

ACCOUNT, OTHER_ACCOUNT = "123456789012", "210987654321"
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/readers"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/readers/night"
USER = Party(PartyKind.AWS, frozenset({USER_ARN, "AIDAQQQQQQQQQQQQQQQQQ"}), ACCOUNT)
SESSION = Party(PartyKind.AWS, frozenset({SESSION_ARN, ROLE_ARN, "AROAQQQQQQQQQQQQQQQQQ"}), ACCOUNT)
SERVICE = Party(PartyKind.SERVICE, frozenset({"medical-imaging.amazonaws.com"}))
WEB = Party(PartyKind.FEDERATED, frozenset({"id.example.org", f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example.org"}))

NAMED = TrustDecision(Outcome.ALLOWED, Trust.NAMED)
OF_ACCOUNT = TrustDecision(Outcome.ALLOWED, Trust.ACCOUNT)
NOT = TrustDecision(Outcome.IMPLICIT_DENY)
DENIED = TrustDecision(Outcome.EXPLICIT_DENY)


def trust(*statements: dict[str, Any]) -> str:
    whole = [{"Effect": "Allow", "Action": "sts:AssumeRole", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": whole})


@pytest.mark.parametrize(
    ("principal", "party", "decision"),
    [
        ({"AWS": ACCOUNT}, USER, OF_ACCOUNT),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, SESSION, OF_ACCOUNT),
        ({"AWS": OTHER_ACCOUNT}, USER, NOT),
        ({"AWS": USER_ARN}, USER, NAMED),
        ({"AWS": [ACCOUNT, USER_ARN]}, USER, NAMED),
        ({"AWS": "AIDAQQQQQQQQQQQQQQQQQ"}, USER, NAMED),
        ({"AWS": USER_ARN}, SESSION, NOT),
        ({"AWS": ROLE_ARN}, SESSION, NAMED),
        ({"AWS": SESSION_ARN}, SESSION, NAMED),
        ({"AWS": f"{SESSION_ARN}2"}, SESSION, NOT),
        ({"AWS": "*"}, USER, NAMED),
        ({"AWS": "*"}, SERVICE, NOT),
        ("*", USER, NAMED),
        ("*", SERVICE, NAMED),
        ({"Service": "medical-imaging.amazonaws.com"}, SERVICE, NAMED),
        ({"Service": "ec2.amazonaws.com"}, SERVICE, NOT),
        ({"Service": "medical-imaging.amazonaws.com"}, USER, NOT),
        ({"Service": "ec2.amazonaws.com", "AWS": USER_ARN}, USER, NAMED),
        ({"Federated": "id.example.org"}, WEB, NAMED),
        ({"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example.org"}, WEB, NAMED),
        ({"Federated": "id.example.com"}, WEB, NOT),
    ],
)
def test_whom_a_trust_policy_means(principal: Any, party: Party, decision: TrustDecision) -> None:
    policy = parse_policy(trust({"Principal": principal}), kind=PolicyKind.TRUST)
    assert decide_trust(policy, "sts:AssumeRole", party, {}) == decision
    assert decide_trust(policy, "sts:AssumeRoleWithWebIdentity", party, {}) == NOT


def test_a_denied_principal_does_not_get_the_role() -> None:
    text = trust({"Principal": {"AWS": ACCOUNT}}, {"Effect": "Deny", "Principal": {"AWS": USER_ARN}})
    policy = parse_policy(text, kind=PolicyKind.TRUST)
    assert decide_trust(policy, "sts:AssumeRole", USER, {}) == DENIED
    assert decide_trust(policy, "sts:AssumeRole", SESSION, {}) == OF_ACCOUNT


def test_conditions_are_asked() -> None:
    text = trust(
        {"Principal": {"AWS": USER_ARN}, "Condition": {"StringEquals": {"sts:ExternalId": "u-1"}}},
        {
            "Principal": {"Federated": "id.example.org"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringLike": {"id.example.org:sub": "ward-*"}, "StringEquals": {"id.example.org:aud": "x"}},
        },
    )
    policy = parse_policy(text, kind=PolicyKind.TRUST)
    assert decide_trust(policy, "sts:AssumeRole", USER, {"sts:externalid": "u-1"}) == NAMED
    assert decide_trust(policy, "sts:AssumeRole", USER, {}) == NOT
    claims = {"id.example.org:sub": "ward-3", "id.example.org:aud": "x"}
    assert decide_trust(policy, "sts:AssumeRoleWithWebIdentity", WEB, claims) == NAMED
    assert decide_trust(policy, "sts:AssumeRoleWithWebIdentity", WEB, {**claims, "id.example.org:aud": "y"}) == NOT


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({}, "Principal must be"),
        ({"Principal": {}}, "Principal must be"),
        ({"Principal": "ann"}, "Principal must be"),
        ({"Principal": {"Users": "ann"}}, "Principal has 'Users'; it must be one of AWS, Service, Federated"),
        ({"Principal": {"AWS": "ann"}}, "Principal AWS has 'ann'"),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}}, "or * alone"),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:group/g"}}, "Principal AWS has"),
        ({"Principal": {"Service": "medical imaging"}}, "Principal Service has"),
        ({"Principal": {"Federated": "id.example.*"}}, "Principal Federated has"),
        ({"NotPrincipal": "*"}, "no element 'NotPrincipal'"),
        ({"Principal": "*", "Resource": "*"}, "no element 'Resource'"),
        ({"Principal": "*", "Action": "s3:GetObject"}, "about actions of sts"),
        ({"Principal": "*", "Action": "*"}, "about actions of sts"),
    ],
)
def test_refused_trust_policies(statement: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(trust(statement), kind=PolicyKind.TRUST)
    assert message in str(refused.value)
