"""The user or role that a page is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hounsfield.console.calls import label
from hounsfield.console.visit import Visit
from hounsfield.iam.authorization import ContextValue
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.iam.simulation import allows_some_below

_NOT_KNOWN_YET: Final[Mapping[str, ContextValue]] = dict.fromkeys(
    ("aws:requesttag/", "aws:tagkeys", "iam:permissionsboundary"), UnsettledValue.HOPEFUL
)
"""Condition keys that a form will give."""


def noun_of(kind: IdentityKind) -> str:
    """Return a kind as operations and members of the API have it: ``User``, ``Role``."""
    return kind.value.capitalize()


def path_of(kind: IdentityKind, name: str) -> str:
    """Return the address of the page of a user or role."""
    return f"/console/{kind}s/{label(name)}"


def read_moment(text: str | None) -> datetime | None:
    """Return a time of an answer; None for none."""
    return None if text is None else datetime.fromisoformat(text)


def may_create(visit: Visit, action: str, kind: str) -> bool:
    """Return whether who is signed in may create a user, role or policy of some name, with some tags and some boundary.

    Parameters
    ----------
    visit : Visit
        Of who is signed in.
    action : str
        IAM action, such as ``iam:CreateUser``.
    kind : str
        What its ARN has before the name: ``user``, ``role``, ``policy``.
    """
    prefix = visit.place.iam_arn(kind, "")
    principal = visit.session.principal
    return visit.may(action, f"{prefix}*", context=_NOT_KNOWN_YET) or allows_some_below(principal, action, prefix)


def require_creation(visit: Visit, action: str, kind: str) -> None:
    """Refuse the form of a new user, role or policy to who may create none; raises `ApiError`."""
    if not may_create(visit, action, kind):
        visit.require(action, visit.place.iam_arn(kind, "*"))


@dataclass(frozen=True, slots=True)
class Identity:
    """A user or role as pages show it (API operations GetUser, GetRole).

    Attributes
    ----------
    kind : IdentityKind
        Which of the two.
    id, name, arn : str
        What it is known by.
    created_at : datetime or None
        When it was made.
    tags : Mapping of str to str
        Its tags.
    boundary : str or None
        ARN of its permissions boundary.
    trust : str
        Trust policy of a role, JSON.
    description : str
        What a role is for.
    longest_seconds : int
        Longest session of a role.
    """

    kind: IdentityKind
    id: str
    name: str
    arn: str
    created_at: datetime | None
    tags: Mapping[str, str]
    boundary: str | None
    trust: str
    description: str
    longest_seconds: int
    _visit: Visit = field(repr=False)

    @classmethod
    def of(cls, visit: Visit, kind: IdentityKind, found: Mapping[str, Any]) -> Identity:
        """Return a user or role from the members of an answer."""
        noun = noun_of(kind)
        return cls(
            kind,
            found[f"{noun}Id"],
            found[f"{noun}Name"],
            found["Arn"],
            read_moment(found.get("CreateDate")),
            {tag["Key"]: tag["Value"] for tag in found["Tags"]},
            (found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
            found.get("AssumeRolePolicyDocument") or "",
            found.get("Description") or "",
            found.get("MaxSessionDuration") or 0,
            visit,
        )

    @property
    def noun(self) -> str:
        """The kind, as operations of the API have it."""
        return noun_of(self.kind)

    @property
    def path(self) -> str:
        """Address of its page."""
        return path_of(self.kind, self.name)

    @property
    def member(self) -> Mapping[str, str]:
        """The member that names it in calls."""
        return {f"{self.noun}Name": self.name}

    def may(self, action: str) -> bool:
        """Return whether who is signed in is allowed an action on it, such as ``iam:DeleteUser``.

        Which policy is attached is not known yet: it may be the one that is allowed.
        """
        own: dict[str, ContextValue] = {"iam:policyarn": UnsettledValue.HOPEFUL}
        for key, value in self.tags.items():
            own[f"aws:resourcetag/{key.lower()}"] = own[f"iam:resourcetag/{key.lower()}"] = value
        if action == f"iam:Put{self.noun}PermissionsBoundary":
            own["iam:permissionsboundary"] = UnsettledValue.HOPEFUL
        elif self.boundary is not None:
            own["iam:permissionsboundary"] = self.boundary
        return self._visit.may(action, self.arn, context=own)


async def open_identity(visit: Visit, kind: IdentityKind) -> Identity:
    """Return the user or role that the path of a page names; raises `ApiError`."""
    noun = noun_of(kind)
    found = await visit.calls.administration(f"Get{noun}", **{f"{noun}Name": visit.labels[kind.value]})
    return Identity.of(visit, kind, found[noun])
