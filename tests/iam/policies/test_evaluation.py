"""What policies decide: AWS's evaluation rules as tables, and the algebra of allowing and denying."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.iam.policies.condition import Effect
from hounsfield.iam.policies.document import Policy, PolicyKind
from hounsfield.iam.policies.evaluation import Decision, Outcome, decide, decide_each
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import NO_RIGHTS, PolicySet

STORE = "arn:aws:medical-imaging:us-east-1:123456789012:datastore/" + "a" * 32
OTHER = "arn:aws:medical-imaging:us-east-1:123456789012:datastore/" + "b" * 32
IMAGE_SET = f"{STORE}/imageset/" + "c" * 32
GET = "medical-imaging:GetDatastore"


def statement(effect: str, action: Any = "medical-imaging:*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any], kind: PolicyKind = PolicyKind.IDENTITY) -> Policy:
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), kind=kind)


ALLOW, DENY = policy(statement("Allow")), policy(statement("Deny"))
NOTHING = policy(statement("Allow", "s3:GetObject"))
BOTH = policy(statement("Allow"), statement("Deny"))

IDENTITY, BOUNDARY, SESSION = PolicyKind.IDENTITY, PolicyKind.BOUNDARY, PolicyKind.SESSION
ALLOWED, EXPLICIT, IMPLICIT = Outcome.ALLOWED, Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY


@pytest.mark.parametrize(
    ("rights", "outcome", "kind"),
    [
        (NO_RIGHTS, IMPLICIT, IDENTITY),
        (PolicySet((NOTHING,)), IMPLICIT, IDENTITY),
        (PolicySet((ALLOW,)), ALLOWED, IDENTITY),
        (PolicySet((NOTHING, ALLOW)), ALLOWED, IDENTITY),
        (PolicySet((DENY,)), EXPLICIT, IDENTITY),
        (PolicySet((BOTH,)), EXPLICIT, IDENTITY),
        (PolicySet((ALLOW, DENY)), EXPLICIT, IDENTITY),
        (PolicySet((DENY, ALLOW)), EXPLICIT, IDENTITY),
        (PolicySet((ALLOW,), boundary=ALLOW), ALLOWED, IDENTITY),
        (PolicySet((), boundary=ALLOW), IMPLICIT, IDENTITY),
        (PolicySet((ALLOW,), boundary=NOTHING), IMPLICIT, BOUNDARY),
        (PolicySet((ALLOW,), boundary=BOTH), EXPLICIT, BOUNDARY),
        (PolicySet((DENY,), boundary=DENY), EXPLICIT, IDENTITY),
        (PolicySet((ALLOW,), session=(ALLOW,)), ALLOWED, IDENTITY),
        (PolicySet((ALLOW,), session=(NOTHING, ALLOW)), ALLOWED, IDENTITY),
        (PolicySet((ALLOW,), session=(NOTHING,)), IMPLICIT, SESSION),
        (PolicySet((ALLOW,), session=(ALLOW, DENY)), EXPLICIT, SESSION),
        (PolicySet((NOTHING,), session=(ALLOW,)), IMPLICIT, IDENTITY),
        (PolicySet((ALLOW,), boundary=ALLOW, session=(ALLOW,)), ALLOWED, IDENTITY),
        (PolicySet((ALLOW,), boundary=NOTHING, session=(NOTHING,)), IMPLICIT, BOUNDARY),
        (PolicySet((NOTHING,), boundary=NOTHING, session=(DENY,)), EXPLICIT, SESSION),
    ],
)
def test_the_evaluation_logic(rights: PolicySet, outcome: Outcome, kind: PolicyKind) -> None:
    assert decide(rights, GET, STORE, {}) == Decision(outcome, kind)


@pytest.mark.parametrize(
    ("entry", "action", "allowed"),
    [
        ({"Action": "*"}, GET, True),
        ({"Action": "*:*"}, GET, True),
        ({"Action": "medical-imaging:*"}, GET, True),
        ({"Action": "MEDICAL-IMAGING:getDATASTORE"}, GET, True),
        ({"Action": "medical-imaging:Get*"}, GET, True),
        ({"Action": "medical-imaging:Get*"}, "medical-imaging:ListDatastores", False),
        ({"Action": "medical-imaging:*Datastore"}, GET, True),
        ({"Action": "medical-imaging:*Datastore"}, "medical-imaging:ListDatastores", False),
        ({"Action": "medical-imaging:Get?atastore"}, GET, True),
        ({"Action": "medical-imaging:GetDatastore?"}, GET, False),
        ({"Action": "s3:*"}, GET, False),
        ({"Action": ["s3:*", GET]}, GET, True),
        ({"NotAction": "s3:*"}, GET, True),
        ({"NotAction": ["s3:*", "medical-imaging:get*"]}, GET, False),
    ],
)
def test_actions(entry: dict[str, Any], action: str, allowed: bool) -> None:
    rights = PolicySet((policy({"Effect": "Allow", "Resource": "*", **entry}),))
    assert decide(rights, action, STORE, {}).allowed is allowed


@pytest.mark.parametrize(
    ("entry", "resource", "allowed"),
    [
        ({"Resource": "*"}, STORE, True),
        ({"Resource": "*"}, "*", True),
        ({"Resource": STORE}, STORE, True),
        ({"Resource": STORE}, OTHER, False),
        ({"Resource": STORE}, IMAGE_SET, False),
        ({"Resource": STORE}, "*", False),
        ({"Resource": STORE.upper().replace("ARN", "arn")}, STORE, False),
        ({"Resource": [OTHER, STORE]}, STORE, True),
        ({"Resource": f"{STORE}/imageset/*"}, IMAGE_SET, True),
        ({"Resource": f"{STORE}/imageset/*"}, STORE, False),
        ({"Resource": f"{STORE}*"}, IMAGE_SET, True),
        ({"Resource": f"{STORE[:-1]}?"}, STORE, True),
        ({"Resource": f"{STORE}?"}, STORE, False),
        ({"Resource": "arn:aws:medical-imaging:*:*:datastore/*"}, STORE, True),
        ({"Resource": "arn:aws:medical-imaging:eu-*:*:datastore/*"}, STORE, False),
        ({"Resource": "arn:aws:medical-imaging:*"}, STORE, True),
        ({"Resource": "arn:*"}, STORE, True),
        ({"Resource": "arn:*"}, "*", False),
        ({"NotResource": STORE}, STORE, False),
        ({"NotResource": STORE}, OTHER, True),
        ({"NotResource": STORE}, "*", True),
        ({"NotResource": "*"}, STORE, False),
        ({"NotResource": [f"{STORE}/*", OTHER]}, STORE, True),
    ],
)
def test_resources(entry: dict[str, Any], resource: str, allowed: bool) -> None:
    rights = PolicySet((policy({"Effect": "Allow", "Action": "*", **entry}),))
    assert decide(rights, GET, resource, {}).allowed is allowed


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        (NO_RIGHTS, f"because no identity-based policy allows the {GET} action"),
        (PolicySet((DENY,)), "with an explicit deny in an identity-based policy"),
        (PolicySet((ALLOW,), boundary=NOTHING), f"because no permissions boundary allows the {GET} action"),
        (PolicySet((ALLOW,), boundary=DENY), "with an explicit deny in a permissions boundary"),
        (PolicySet((ALLOW,), session=(NOTHING,)), f"because no session policy allows the {GET} action"),
        (PolicySet((ALLOW,), session=(DENY,)), "with an explicit deny in a session policy"),
    ],
)
def test_reasons_are_in_the_words_of_aws(rights: PolicySet, reason: str) -> None:
    assert decide(rights, GET, STORE, {}).reason(GET) == reason


ACTIONS = st.sampled_from(["*", GET, "medical-imaging:Get*", "medical-imaging:ListDatastores", "s3:*"])
RESOURCES = st.sampled_from(["*", STORE, OTHER, f"{STORE}/imageset/*", "arn:aws:medical-imaging:*:*:datastore/*"])
CONDITIONS = st.sampled_from(
    [
        {},
        {"StringEquals": {"aws:ResourceTag/ward": "3"}},
        {"StringNotEquals": {"aws:ResourceTag/ward": "3"}},
        {"StringEquals": {"aws:username": ["3", "4"], "aws:PrincipalTag/ward": ["w1", "3"]}},
        {"StringNotLike": {"aws:username": "${aws:PrincipalTag/ward}*"}},
        {"StringLike": {"aws:username": ["3*", "w1*"]}},
        {"StringLike": {"aws:username": "3", "aws:PrincipalTag/ward": ["*", "w1"]}},
        {"StringLike": {"aws:username": ["w?", "?"]}},
        {"ArnLike": {"aws:username": ["3*", "arn:aws:*"]}},
        {"StringEqualsIgnoreCase": {"aws:username": "W1X"}},
        {"ForAllValues:StringLike": {"aws:TagKeys": ["w*"]}},
        {"Null": {"aws:TagKeys": "true"}},
    ]
)
CONTEXTS = st.dictionaries(
    st.sampled_from(["aws:resourcetag/ward", "aws:username", "aws:principaltag/ward", "aws:tagkeys"]),
    st.sampled_from(["3", "4", "33", "w1x", "arn:aws:s3:::3", ("ward", "x"), ("w1", "w2")]),
)


@st.composite
def statements(draw: st.DrawFn, effects: tuple[str, ...] = ("Allow", "Deny")) -> dict[str, Any]:
    negated = draw(st.sampled_from(["", "Not"]))
    resource_negated = draw(st.sampled_from(["", "Not"]))
    return {
        "Effect": draw(st.sampled_from(effects)),
        f"{negated}Action": draw(st.lists(ACTIONS, min_size=1, max_size=3)),
        f"{resource_negated}Resource": draw(st.lists(RESOURCES, min_size=1, max_size=3)),
        "Condition": draw(CONDITIONS),
    }


POLICIES = st.lists(statements(), min_size=1, max_size=4).map(lambda entries: policy(*entries))
ALL_RIGHTS = st.builds(
    PolicySet,
    identity=st.lists(POLICIES, max_size=2).map(tuple),
    boundary=st.none() | POLICIES,
    session=st.lists(POLICIES, max_size=2).map(tuple),
)
REQUESTS = st.tuples(
    st.sampled_from([GET, "medical-imaging:GetImageFrame", "s3:GetObject"]),
    st.sampled_from([STORE, OTHER, IMAGE_SET, "*"]),
    CONTEXTS,
)
Request = tuple[str, str, dict[str, Any]]


def one_by_one(policies: tuple[Policy, ...], effect: Effect, action: str, resource: str, context: Any) -> bool:
    """The reference: every statement is asked, nothing is chosen or kept."""
    return any(
        statement.effect is effect
        and statement.actions.include(action.lower())
        and statement.may_concern(resource)
        and statement.applies(resource, context)
        for one in policies
        for statement in one.statements
    )


@given(ALL_RIGHTS, REQUESTS)
def test_what_is_chosen_and_kept_decides_as_every_statement_one_by_one(rights: PolicySet, request: Request) -> None:
    action, _, context = request
    layers = [
        rights.identity,
        *([(rights.boundary,)] if rights.boundary else []),
        *([rights.session] if rights.session else []),
    ]
    resources = [STORE, IMAGE_SET, OTHER, "*"]
    found = decide_each(rights, action, [(resource, context) for resource in resources])
    for resource, decision in zip(resources, found, strict=True):
        denied = any(one_by_one(layer, Effect.DENY, action, resource, context) for layer in layers)
        allowed = all(one_by_one(layer, Effect.ALLOW, action, resource, context) for layer in layers)
        assert decision.allowed is (allowed and not denied)
        assert (decision.outcome is EXPLICIT) is denied


@given(ALL_RIGHTS, statements(("Deny",)), REQUESTS)
def test_a_further_deny_never_allows_more(rights: PolicySet, entry: dict[str, Any], request: Request) -> None:
    more = PolicySet((*rights.identity, policy(entry)), rights.boundary, rights.session)
    assert decide(more, *request).allowed <= decide(rights, *request).allowed


@given(ALL_RIGHTS, statements(("Allow",)), REQUESTS)
def test_a_further_allow_never_denies(rights: PolicySet, entry: dict[str, Any], request: Request) -> None:
    more = PolicySet((*rights.identity, policy(entry)), rights.boundary, rights.session)
    assert decide(more, *request).allowed >= decide(rights, *request).allowed
    explicit = decide(more, *request).outcome is EXPLICIT
    assert explicit == (decide(rights, *request).outcome is EXPLICIT)


@given(ALL_RIGHTS, POLICIES, REQUESTS)
def test_boundaries_and_session_policies_only_narrow(rights: PolicySet, narrower: Policy, request: Request) -> None:
    bare = PolicySet(rights.identity)
    for narrowed in (PolicySet(rights.identity, narrower), PolicySet(rights.identity, None, (narrower,)), rights):
        assert decide(narrowed, *request).allowed <= decide(bare, *request).allowed


@given(st.lists(statements(), min_size=1, max_size=5), st.randoms(), REQUESTS)
def test_the_order_of_statements_and_policies_does_not_matter(
    entries: list[dict[str, Any]], random: Any, request: Request
) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    one = decide(PolicySet((policy(*entries),)), *request)
    assert decide(PolicySet((policy(*shuffled),)), *request) == one
    assert decide(PolicySet(tuple(policy(entry) for entry in shuffled)), *request) == one
