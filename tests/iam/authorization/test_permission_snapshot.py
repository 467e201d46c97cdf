"""Rights that are kept decide later as they did at the request, whatever has become of caller, connection and time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import cycle, product
from typing import Final

from hounsfield.iam.authorization import ContextValue, Permission, may_be_denied, refused_resources
from hounsfield.iam.permission_snapshot import NoConditionKeys, PermissionSnapshot
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.principals import Principal
from support.identities.permission_requests import IMAGE_SET, SESSION, STORE, USER, KnownFacts, may

ACTION: Final = "medical-imaging:StartDICOMImportJob"
CONDITIONS: Final = (
    {"StringEquals": {"aws:username": "ward-3"}},
    {"StringNotEquals": {"aws:username": "ward-3"}},
    {"Null": {"aws:username": True}},
    {"StringEquals": {"aws:PrincipalType": "AssumedRole"}},
    {"Null": {"aws:TokenIssueTime": True}},
    {"StringLike": {"aws:userid": "A*"}},
    {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}},
    {"StringEquals": {"aws:FederatedProvider": "id.example.org"}},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"Null": {"aws:SourceIp": True}},
    {"StringEquals": {"aws:ResourceTag/ward": "3"}},
    {"StringEquals": {"aws:ResourceTag/ward": "${aws:PrincipalTag/ward}"}},
    {"StringNotEquals": {"aws:ResourceTag/ward": "${aws:username}"}},
)
RESOURCES: Final = ("*", IMAGE_SET, STORE, f"{STORE}/*", f"{STORE}/imageset/${{aws:PrincipalTag/bed}}")


@dataclass(frozen=True)
class TagsAlone:
    """What is still known when the work is done."""

    facts: KnownFacts

    def value(self, key: str) -> ContextValue | None:
        return NoConditionKeys().value(key)

    def resource_tags(self, resource: str) -> dict[str, str]:
        return dict(self.facts.resource_tags(resource))


def denied_by(layer: str, principal: Principal) -> Principal:
    """Have the policy of a principal as one of another kind."""
    (policy,) = principal.rights.identity
    others = may(principal, {}).rights.identity
    rights = {
        "identity": PolicySet((policy,)),
        "boundary": PolicySet(others, boundary=policy),
        "session": PolicySet(others, session=(policy,)),
    }
    return replace(principal, rights=rights[layer])


def test_kept_rights_refuse_what_they_refused() -> None:
    known = [
        KnownFacts({"aws:sourceip": address} if address else {}, {IMAGE_SET: tags})
        for address, tags in product(("10.1.2.3", ""), ({}, {"Ward": "3"}, {"Ward": "ward-3"}))
    ]
    refusals = 0
    layers = cycle(("identity", "boundary", "session"))
    for (who, condition, resource), layer in zip(product((USER, SESSION), CONDITIONS, RESOURCES), layers, strict=False):
        principal = denied_by(layer, may(who, {}, {"Effect": "Deny", "Resource": resource, "Condition": condition}))
        alike = not may_be_denied(principal, ACTION, f"{STORE}/imageset/")
        permission = Permission(ACTION, [], unless_denied=[IMAGE_SET])
        for facts in known:
            kept = PermissionSnapshot.from_json(PermissionSnapshot.of(principal, permission, facts).to_json())
            later = Permission(kept.permission.action, [], kept.permission.context, [IMAGE_SET])
            expected = refused_resources(principal, permission, facts)
            found = refused_resources(kept.principal, later, TagsAlone(facts))
            assert found == expected, (who, condition, resource, layer, facts)
            # Where nothing tells image sets apart, one is refused only with the data store.
            whole = Permission(ACTION, [], unless_denied=[STORE])
            assert not (alike and expected) or refused_resources(principal, whole, facts)
            refusals += len(expected)
    assert refusals > 100
