"""The userIdentity element of records (CloudTrail User Guide, "CloudTrail userIdentity element")."""

from __future__ import annotations

from datetime import UTC, datetime

from hounsfield.audit.events import Json
from hounsfield.iam.principals import Principal, PrincipalKind, Session


def identity_of(principal: Principal) -> dict[str, Json]:
    """Return the element of a caller who was proven."""
    identity: dict[str, Json] = {
        "type": principal.kind.value,
        "principalId": principal.id,
        "arn": principal.arn,
        "accountId": principal.account_id,
    }
    if principal.access_key_id:
        identity["accessKeyId"] = principal.access_key_id
    if principal.kind is PrincipalKind.USER:
        identity["userName"] = principal.name
    if principal.session is not None:
        identity["sessionContext"] = _session_context(principal, principal.session)
    return identity


def unauthenticated_identity(account_id: str, claimed_key: str) -> dict[str, Json]:
    """Return the element of a caller who was not proven: the key that was named, which need not be the caller's."""
    identity: dict[str, Json] = {"type": "Unknown", "principalId": "", "accountId": account_id}
    if claimed_key:
        identity["accessKeyId"] = claimed_key
    return identity


def service_identity(source: str) -> dict[str, Json]:
    """Return the element of the service itself."""
    return {"type": "AWSService", "invokedBy": source}


def _session_context(principal: Principal, session: Session) -> dict[str, Json]:
    issued = datetime.fromtimestamp(session.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    context: dict[str, Json] = {
        "sessionIssuer": {
            "type": "Role",
            "principalId": session.role_id,
            "arn": session.role_arn,
            "accountId": principal.account_id,
            "userName": principal.name,
        },
        "attributes": {"creationDate": issued, "mfaAuthenticated": "false"},
    }
    if session.provider:
        context["webIdFederationData"] = {"federatedProvider": session.provider, "attributes": {}}
    return context
