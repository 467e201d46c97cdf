"""Records of users, roles, access keys and policies for operators; none holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IdentityKind(StrEnum):
    """What has policies."""

    USER = "user"
    ROLE = "role"

    @property
    def id_prefix(self) -> str:
        """What unique ids of this kind begin with."""
        return "AIDA" if self is IdentityKind.USER else "AROA"


class KeyStatus(StrEnum):
    """Statuses of access keys (IAM ``statusType``)."""

    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class AccessKeyRecord:
    """An access key.

    Attributes
    ----------
    id : str
        ``AKIA…``.
    user : str
        Name of the user whose key it is.
    status : KeyStatus
        Whether it may be used.
    created_at : datetime
        When it was made.
    expires_at : datetime or None
        From when on it is refused; None for never.
    last_used_at : datetime or None
        When it last signed a request, up to a minute behind; None for never.
    """

    id: str
    user: str
    status: KeyStatus
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def usable_at(self, moment: datetime) -> bool:
        """Return whether it is accepted at a moment."""
        return self.status is KeyStatus.ACTIVE and (self.expires_at is None or moment < self.expires_at)


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """A user or a role.

    Attributes
    ----------
    kind : IdentityKind
        Which of the two.
    id, name, arn : str
        Its unique id, its name, and the ARN made of that.
    created_at : datetime
        When it was made.
    tags : Mapping of str to str
        Its tags.
    attached : tuple of str
        ARNs of the managed policies attached to it.
    inline : Mapping of str to str
        Its own policies, JSON by name.
    boundary : str or None
        ARN of its permissions boundary.
    keys : tuple of AccessKeyRecord
        Access keys of a user, the oldest first.
    trust : str or None
        Trust policy of a role, JSON.
    max_session_seconds : int or None
        Longest session of a role.
    description : str
        What a role is for.
    """

    kind: IdentityKind
    id: str
    name: str
    arn: str
    created_at: datetime
    tags: Mapping[str, str]
    attached: tuple[str, ...]
    inline: Mapping[str, str]
    boundary: str | None
    keys: tuple[AccessKeyRecord, ...] = ()
    trust: str | None = None
    max_session_seconds: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A managed policy.

    Attributes
    ----------
    id : str
        ``ANPA…``; empty for one that is built in.
    name, arn : str
        Its name and ARN.
    description : str
        What it is for.
    document : str
        The policy, JSON.
    created_at, updated_at : datetime or None
        None for one that is built in.
    users_and_roles : tuple of str
        ARNs of those it is attached to or the boundary of.
    """

    id: str
    name: str
    arn: str
    description: str
    document: str
    created_at: datetime | None
    updated_at: datetime | None
    users_and_roles: tuple[str, ...]
