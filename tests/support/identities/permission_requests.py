"""Principals, resources and facts of requests, for tests of what a principal may do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.principals import Principal, PrincipalKind, Session

STORE = "arn:aws:medical-imaging:us-east-1:123456789012:datastore/" + "a" * 32
IMAGE_SET = f"{STORE}/imageset/" + "b" * 32
USER = Principal(
    "arn:aws:iam::123456789012:user/ann", PrincipalKind.USER, "AIDAQQQQQQQQQQQQQQQQQ", "ann", tags={"Ward": "3"}
)
SESSION = Principal(
    "arn:aws:sts::123456789012:assumed-role/readers/night",
    PrincipalKind.ROLE,
    "AROAQQQQQQQQQQQQQQQQQ:night",
    "readers",
    session=Session(
        "arn:aws:iam::123456789012:role/readers", "AROAQQQQQQQQQQQQQQQQQ", 1_782_864_000.0, "id.example.org"
    ),
)


@dataclass
class KnownFacts:
    """Facts of a request, with a note of which tags were looked up."""

    values: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)

    def value(self, key: str) -> str | None:
        return self.values.get(key)

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        self.looked_up.append(resource)
        return self.tags.get(resource, {})


def may(principal: Principal, *statements: dict[str, Any]) -> Principal:
    """Return a principal with one policy."""
    whole = [{"Effect": "Allow", "Action": "medical-imaging:*", "Resource": "*", **entry} for entry in statements]
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": whole}))
    return replace(principal, rights=PolicySet((policy,)))
