"""Members of answers: users, roles, keys and policies as IAM tells them.

Times are in ISO 8601. Policy documents are the text that somebody wrote, as a string.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from hounsfield.audit.events import Json
from hounsfield.iam.identities.records import IdentityKind, IdentityRecord, PolicyRecord


def time_text(moment: datetime | None) -> str | None:
    """Return a moment in ISO 8601, UTC, to the second; None for none."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def tag_list(tags: Mapping[str, str]) -> list[Json]:
    """Return tags as IAM lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def identity_members(record: IdentityRecord) -> Mapping[str, Json]:
    """Return a user or role without its keys and policies."""
    boundary = record.boundary
    shared: dict[str, Json] = {
        "Arn": record.arn,
        "CreateDate": time_text(record.created_at),
        "Tags": tag_list(record.tags),
        "PermissionsBoundary": None
        if boundary is None
        else {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary},
    }
    if record.kind is IdentityKind.USER:
        return {"UserName": record.name, "UserId": record.id, **shared}
    return {
        "RoleName": record.name,
        "RoleId": record.id,
        "Description": record.description,
        "MaxSessionDuration": record.max_session_seconds,
        "AssumeRolePolicyDocument": record.trust,
        **shared,
    }


def policy_members(record: PolicyRecord) -> Mapping[str, Json]:
    """Return a managed policy without its document."""
    return {
        "PolicyName": record.name,
        "PolicyId": record.id or None,
        "Arn": record.arn,
        "Description": record.description,
        "AttachmentCount": len(record.users_and_roles),
        "CreateDate": time_text(record.created_at),
        "UpdateDate": time_text(record.updated_at),
    }
