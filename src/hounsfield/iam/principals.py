"""Principals: who is calling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hounsfield.iam.policies.policy_set import NO_RIGHTS, PolicySet


class PrincipalKind(StrEnum):
    """Kinds of callers, by the names that CloudTrail has for them (userIdentity ``type``)."""

    ROOT = "Root"
    USER = "IAMUser"
    ROLE = "AssumedRole"


@dataclass(frozen=True, slots=True)
class Session:
    """The session of an assumed role.

    Attributes
    ----------
    role_arn : str
        ARN of the role.
    role_id : str
        Unique id of the role, ``AROA…``.
    issued_at : float
        When it began, in seconds since 1970-01-01 UTC.
    provider : str
        Issuer of the web identity, or the authorizer, that it was given for; empty for AssumeRole.
    name : str
        Its name (``sts:RoleSessionName``).
    source_identity : str
        Who began it (``aws:SourceIdentity``), which goes over to sessions begun from it; empty where nobody said.
    transitive_tags : Mapping of str to str
        Those of its tags that go over to sessions begun from it.
    """

    role_arn: str
    role_id: str
    issued_at: float
    provider: str = ""
    name: str = ""
    source_identity: str = ""
    transitive_tags: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that was identified.

    Attributes
    ----------
    arn : str
        What error messages and records name the caller by.
    kind : PrincipalKind
        What it is. The root of the account may do everything.
    id : str
        Its unique id (``aws:userid``): the account id for root, ``AIDA…`` for a user, ``AROA…:<session name>`` for a role.
    name : str
        User name or role name; empty for root.
    rights : PolicySet
        The policies that decide what it may do.
    tags : Mapping of str to str
        Its tags (``aws:PrincipalTag``).
    access_key_id : str
        The key that signed; empty where a bearer token was sent.
    session : Session or None
        Of an assumed role.
    """

    arn: str
    kind: PrincipalKind
    id: str
    name: str = ""
    rights: PolicySet = field(default=NO_RIGHTS, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict, repr=False)
    access_key_id: str = ""
    session: Session | None = None

    @property
    def is_root(self) -> bool:
        """Whether it is the root of the account, who may do everything."""
        return self.kind is PrincipalKind.ROOT

    @property
    def partition(self) -> str:
        """The partition of AWS that its ARN names, such as ``aws``."""
        return self.arn.split(":", 2)[1]

    @property
    def account_id(self) -> str:
        """The account it belongs to, 12 digits."""
        return self.arn.split(":", 5)[4]


def root_of(partition: str, account_id: str, access_key_id: str = "") -> Principal:
    """Return the root principal of an account."""
    return Principal(
        f"arn:{partition}:iam::{account_id}:root", PrincipalKind.ROOT, account_id, access_key_id=access_key_id
    )
