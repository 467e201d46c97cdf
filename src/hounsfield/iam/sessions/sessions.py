"""Sessions of roles: temporary credentials, and the principals behind them.

    Sessions.issue(role, …) ─▶ ASIA…, secret, session token
    ASIA…, session token ─▶ Sessions.open ─▶ secret, principal with the rights that the role has now

Nothing is kept of a session but what its token holds, so that every node accepts what another gave out. The role is looked up
in the directory at each use: what changes, counts; one that was deleted is gone, also when another has its name.
"""

from __future__ import annotations

import secrets as random_source
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.names import new_secret
from hounsfield.iam.identities.snapshot import Role
from hounsfield.iam.policies.document import Policy, PolicyKind
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.principals import Principal, PrincipalKind, Session
from hounsfield.iam.sessions.session_tokens import (
    MOST_PACKED_BYTES,
    ExpiredSessionError,
    InvalidSessionError,
    SessionContent,
    TokenSealer,
    pack,
)

SEALED_WITH: Final = "session-tokens"
"""Name of the secret of the installation that tokens are sealed with."""
KEY_PREFIX: Final = "ASIA"
"""What the access key ids of temporary credentials begin with."""
_ID_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ID_DIGITS: Final = 16
_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class NewSession:
    """What is asked of a session (API operations AssumeRole, AssumeRoleWithWebIdentity).

    Attributes
    ----------
    name : str
        Its name.
    seconds : int
        How long it is to last.
    policies : tuple of str
        Session policies, JSON, each valid.
    policy_arns : tuple of str
        Managed policies that are session policies.
    tags : Mapping of str to str
        Session tags, inherited ones too.
    transitive : tuple of str
        Keys of those that go over to sessions begun from it.
    provider : str
        Issuer of the web identity it is for.
    source_identity : str
        Who begins it.
    """

    name: str
    seconds: int
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, repr=False)
    transitive: tuple[str, ...] = ()
    provider: str = ""
    source_identity: str = ""


@dataclass(frozen=True, slots=True)
class TemporaryCredentials:
    """Credentials of a session.

    Attributes
    ----------
    access_key_id, secret, token : str
        What requests are signed with.
    expires_at : int
        When they end, in seconds since 1970-01-01 UTC.
    packed_share : int
        How much of what a token may hold its policies and tags take, in per cent.
    """

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: int
    packed_share: int


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session whose token was accepted.

    Attributes
    ----------
    secret : str
        Its secret access key.
    principal : Principal
        Whose session it is.
    """

    secret: str = field(repr=False)
    principal: Principal


@dataclass(frozen=True, slots=True)
class _OpenedToken:
    """What was made of a token, and of which role and managed policies."""

    role: Role
    managed: tuple[Policy, ...]
    session: OpenSession

    def is_of(self, role: Role, managed: tuple[Policy, ...]) -> bool:
        return self.role is role and self.managed == managed


class _TokenCacheEntry:
    """A token that was opened before; what was made of it last is replaced as a whole, as several threads may do so."""

    __slots__ = ("content", "made")

    def __init__(self, content: SessionContent) -> None:
        self.content = content
        self.made: _OpenedToken | None = None


class Sessions:
    """Issues temporary credentials and accepts them.

    Parameters
    ----------
    secret : bytes
        The secret of the installation called `SEALED_WITH`.
    directory : Directory
        Roles and managed policies.
    clock : callable
        Gives the seconds since 1970-01-01 UTC.
    """

    def __init__(self, secret: bytes, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._sealer = TokenSealer(secret)
        self._directory = directory
        self._clock = clock
        self._opened = lru_cache(maxsize=_KEPT)(self._unsealed)

    def issue(self, role: Role, new: NewSession) -> TemporaryCredentials:
        """Begin a session of a role; whether the caller may is decided before.

        Raises
        ------
        SessionTooLargeError
            Its policies and tags are more than a token may hold.
        """
        now = int(self._clock())
        content = SessionContent(
            secret=new_secret(),
            role_id=role.id,
            role_arn=role.arn,
            name=new.name,
            issued_at=now,
            expires_at=now + new.seconds,
            policies=new.policies,
            policy_arns=new.policy_arns,
            tags=new.tags,
            transitive=new.transitive,
            provider=new.provider,
            source_identity=new.source_identity,
        )
        key_id = KEY_PREFIX + "".join(random_source.choice(_ID_ALPHABET) for _ in range(_ID_DIGITS))
        token = self._sealer.seal(key_id, content)
        return TemporaryCredentials(key_id, content.secret, token, content.expires_at, _packed_share(content))

    def open(self, access_key_id: str, token: str) -> OpenSession:
        """Accept temporary credentials; whether a request is signed with the secret is found out after.

        Raises
        ------
        InvalidSessionError
            The token is not one of this access key, or the role or a session policy is not there any more.
        ExpiredSessionError
            Their time is over.
        DirectoryUnavailableError
            Nothing certain is known of roles at the moment.
        """
        kept = self._opened(access_key_id, token)
        content = kept.content
        if self._clock() >= content.expires_at:
            raise ExpiredSessionError
        role = self._directory.role(content.role_arn)
        if role is None or role.id != content.role_id:
            raise InvalidSessionError
        managed = self._managed(content)
        made = kept.made
        if made is None or not made.is_of(role, managed):
            made = kept.made = _OpenedToken(role, managed, _opened(access_key_id, content, role, managed))
        return made.session

    def _unsealed(self, access_key_id: str, token: str) -> _TokenCacheEntry:
        return _TokenCacheEntry(self._sealer.open(access_key_id, token))

    def _managed(self, content: SessionContent) -> tuple[Policy, ...]:
        """Return managed session policies; one that was deleted cannot be left out, as without it more might be allowed."""
        if not content.policy_arns:
            return ()
        found = [self._directory.policy(arn) for arn in content.policy_arns]
        there = tuple(policy for policy in found if policy is not None)
        if len(there) < len(found):
            raise InvalidSessionError
        return there


def _opened(access_key_id: str, content: SessionContent, role: Role, managed: tuple[Policy, ...]) -> OpenSession:
    handed_on = {key: content.tags[key] for key in content.transitive if key in content.tags}
    session = Session(
        role.arn, role.id, content.issued_at, content.provider, content.name, content.source_identity, handed_on
    )
    policies = (*(_session_policy(text) for text in content.policies), *managed)
    principal = session_principal(role, session, policies, content.tags)
    return OpenSession(content.secret, replace(principal, access_key_id=access_key_id))


def session_principal(
    role: Role, session: Session, policies: tuple[Policy, ...] = (), tags: Mapping[str, str] | None = None
) -> Principal:
    """Return the principal of a session of a role.

    Parameters
    ----------
    role : Role
        The role as it is now.
    session : Session
        The session, with its name.
    policies : tuple of Policy
        Session policies.
    tags : Mapping of str to str
        Session tags; they go before tags of the role, whatever the case of their keys.
    """
    tags = tags or {}
    names = {key.lower() for key in tags}
    _, partition, _, _, account_id, _ = role.arn.split(":", 5)
    return Principal(
        arn=f"arn:{partition}:sts::{account_id}:assumed-role/{role.name}/{session.name}",
        kind=PrincipalKind.ROLE,
        id=f"{role.id}:{session.name}",
        name=role.name,
        rights=PolicySet(role.rights.identity, role.rights.boundary, policies),
        tags={**{key: value for key, value in role.tags.items() if key.lower() not in names}, **tags},
        session=session,
    )


@lru_cache(maxsize=_KEPT)
def _session_policy(text: str) -> Policy:
    return parse_policy(text, kind=PolicyKind.SESSION)


def _packed_share(content: SessionContent) -> int:
    """Return the share of what a token may hold that is taken by what the caller asked for."""
    bare = replace(content, policies=(), policy_arns=(), tags={}, transitive=())
    room = MOST_PACKED_BYTES - len(pack(bare))
    return max(0, -(-100 * (len(pack(content)) - len(pack(bare))) // room))
