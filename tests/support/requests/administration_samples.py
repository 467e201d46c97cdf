"""Requests of the administration API with all their members."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operations import OPERATIONS

_POLICY = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
_BY_FORM: Mapping[Form, Any] = {
    Form.TEXT: "walked-sample-of-a-text",
    Form.DOCUMENT: _POLICY,
    Form.INTEGER: 1,
    Form.BOOLEAN: False,
    Form.TEXTS: ["walked"],
    Form.TAGS: [{"Key": "ward", "Value": "3"}],
    Form.MOMENT: "2099-01-01T00:00:00Z",
    Form.ENTRIES: [{"ContextKeyName": "aws:CurrentTime", "ContextKeyValues": ["2026-01-01T00:00:00Z"]}],
}
_BY_NAME: Mapping[str, Any] = {
    "DatastoreId": "0" * 32,
    "PolicySourceArn": "arn:aws:iam::000000000000:user/walked",
    "ActionNames": ["medical-imaging:GetDatastore"],
}


def sample_of(operation: str) -> dict[str, Any]:
    """Return all members of an operation, each with a value of its form."""
    return {member.name: _sample(member) for member in OPERATIONS[operation].members}


def _sample(member: Member) -> Any:
    if member.name in _BY_NAME:
        return _BY_NAME[member.name]
    if member.choices:
        return member.choices[0]
    if member.form is Form.INTEGER:
        return member.most
    return _BY_FORM[member.form]
