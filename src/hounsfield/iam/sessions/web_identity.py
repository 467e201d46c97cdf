"""Sessions of roles for people whom an OpenID Connect issuer vouches for: what the trust policy of the role says to it.

    WebIdentity, role ─▶ condition keys <issuer>:sub, <issuer>:aud, aws:FederatedProvider ─▶ trust policy ─▶ yes or no

Both AssumeRoleWithWebIdentity and the sign-in to the console ask here.

Source: IAM User Guide, "Available keys for AWS OIDC federation".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hounsfield.iam.identities.snapshot import Role
from hounsfield.iam.policies.condition_context import ContextValue
from hounsfield.iam.policies.principal_element import Party, PartyKind
from hounsfield.iam.policies.trust_policy import decide_trust
from hounsfield.iam.request_context import RequestConditionKeys
from hounsfield.oidc.issuer import WebIdentity

_ACTION = "sts:AssumeRoleWithWebIdentity"


@dataclass(frozen=True, slots=True)
class RoleConditionKeys:
    """What is known of a request for a session of a role: of the request itself, and the tags of the role.

    Attributes
    ----------
    request : RequestConditionKeys
        What is known of the request.
    role : Role
        The role.
    """

    request: RequestConditionKeys
    role: Role

    def value(self, key: str) -> ContextValue | None:
        """Return a global condition key, in lower case; None when the request has none."""
        return self.request.value(key)

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        """Return the tags of the role by its ARN."""
        return self.role.tags if resource == self.role.arn else {}


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """The issuer as policies name it.

    Attributes
    ----------
    name : str
        URL of the issuer without its scheme.
    arn : str
        Its ARN in the account.
    """

    name: str
    arn: str

    @classmethod
    def of(cls, issuer: str, partition: str, account_id: str) -> IdentityProvider:
        """Return that of an issuer, by its URL."""
        name = issuer.partition("://")[2].rstrip("/")
        return cls(name, f"arn:{partition}:iam::{account_id}:oidc-provider/{name}")


@dataclass(frozen=True, slots=True)
class _WebContext:
    """The condition keys of a request that brings a web identity token, in lower case."""

    own: Mapping[str, ContextValue]
    condition_keys: RoleConditionKeys

    def get(self, key: str, /) -> ContextValue | None:
        value = self.own.get(key)
        return self.condition_keys.value(key) if value is None else value


def may_assume_by_web(
    provider: IdentityProvider,
    identity: WebIdentity,
    role: Role,
    session_name: str,
    condition_keys: RequestConditionKeys,
) -> bool:
    """Return whether somebody may begin a session of a role, by its trust policy.

    Parameters
    ----------
    provider : IdentityProvider
        Who vouches.
    identity : WebIdentity
        For whom.
    role : Role
        The role.
    session_name : str
        What the session is to be called.
    condition_keys : RequestConditionKeys
        What else is known of the request.
    """
    own: dict[str, ContextValue] = {
        "sts:rolesessionname": session_name,
        f"{provider.name.lower()}:sub": identity.subject,
        f"{provider.name.lower()}:aud": identity.audience,
        "aws:federatedprovider": provider.arn,
    }
    party = Party(PartyKind.FEDERATED, frozenset({provider.name, provider.arn}))
    return decide_trust(role.trust, _ACTION, party, _WebContext(own, RoleConditionKeys(condition_keys, role))).allowed
