"""Authentication by signature: from the headers of a request to a principal, and to a reader that proves its body.

    headers ─▶ Authenticator.authenticate ─▶ AuthenticatedCaller(principal, proven) ─▶ body through its reader ─▶ proven
                  │ access key id                │ and session token
                  ├─▶ the root key               └─▶ Sessions ─▶ role
                  └─▶ Directory ─▶ user

A key that is unknown, disabled or expired is refused with the same words, and after the same work, as each other; so is a
session token that is not one of the key. That the time of a session is over is told: clients then ask for new credentials.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from hounsfield.aws.protocol.errors import ExpiredTokenException
from hounsfield.aws.sigv4.credential_scope import CredentialScope
from hounsfield.aws.sigv4.payload_hash import PayloadReader, PlainPayload
from hounsfield.aws.sigv4.request import Request
from hounsfield.aws.sigv4.verifier import Verifier
from hounsfield.gateway.request_body import header
from hounsfield.gateway.root_key_warning import RootKeyWarning
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.snapshot import KnownKey
from hounsfield.iam.principals import Principal, PrincipalKind, root_of
from hounsfield.iam.root_credentials import AccessKey
from hounsfield.iam.sessions.session_tokens import ExpiredSessionError, InvalidSessionError
from hounsfield.iam.sessions.sessions import Sessions
from hounsfield.storage.clock import now_ms

IN_PROCESS_CALLER: Final = "hounsfield.caller"
"""Entry of the scope of a request that this process makes itself for somebody it has authenticated; no client can set it."""


def is_signed(scope: Scope) -> bool:
    """Return whether a request has a signature, in its headers or in its query."""
    return header(scope, b"authorization") is not None or b"X-Amz-Signature=" in scope["query_string"]


@dataclass(frozen=True, slots=True)
class AuthenticatedCaller:
    """A caller whose headers were accepted.

    Attributes
    ----------
    principal : Principal
        Who it is.
    proven : bool
        Whether that is certain already; where it is not, only a body read to its end through `reader` makes it so, because
        the request does not state the hash of its body.
    reader : callable
        Makes the reader of the body; one reader reads one body.
    """

    principal: Principal
    proven: bool
    reader: Callable[[], PayloadReader]


@dataclass(frozen=True, slots=True)
class AccessKeyHolders:
    """The holders of access keys: the root of the account one, users others, sessions of roles those with a session token.

    Attributes
    ----------
    root_key : AccessKey
        The key of the data folder.
    root : Principal
        Who holds it.
    directory : Directory
        Users and their keys.
    sessions : Sessions
        Accepts temporary credentials.
    """

    root_key: AccessKey = field(repr=False)
    root: Principal
    directory: Directory = field(repr=False)
    sessions: Sessions = field(repr=False)

    @classmethod
    def of(
        cls, root_key: AccessKey, directory: Directory, sessions: Sessions, account_id: str, partition: str
    ) -> AccessKeyHolders:
        """Return the holders of an account."""
        return cls(root_key, root_of(partition, account_id, root_key.id), directory, sessions)

    def secret(self, scope: CredentialScope) -> str | None:
        """Return the secret of a key that may be used now; None for one that is unknown, disabled or expired.

        Raises
        ------
        ExpiredTokenException
            It is of a session whose time is over.
        DirectoryUnavailableError
            It is not the root key, and nothing certain is known of others at the moment.
        """
        if scope.session_token is not None:
            return self._session_secret(scope.access_key_id, scope.session_token)
        if scope.access_key_id == self.root_key.id:
            return self.root_key.secret
        key = self._usable_key(scope.access_key_id)
        return None if key is None else key.secret

    def _usable_key(self, access_key_id: str) -> KnownKey | None:
        """Return the key of a user that may be used now."""
        key = self.directory.key(access_key_id)
        return key if key is not None and key.usable_at(now_ms()) else None

    def _session_secret(self, access_key_id: str, token: str) -> str | None:
        try:
            return self.sessions.open(access_key_id, token).secret
        except InvalidSessionError:
            return None
        except ExpiredSessionError:
            raise ExpiredTokenException("The security token included in the request is expired") from None

    def holder(self, access_key_id: str, session_token: str | None) -> Principal | None:
        """Return the holder of a key that may be used now; None where it may not, or is not known.

        Raises
        ------
        DirectoryUnavailableError
            It is not the root key, and nothing certain is known of others at the moment.
        """
        if session_token is None and access_key_id != self.root_key.id:
            key = self._usable_key(access_key_id)
            return None if key is None else key.principal
        return self.principal(access_key_id, session_token)

    def signs_in(self, access_key_id: str, secret: str) -> Principal | None:
        """Return the holder of a key whose secret was given; None where the two do not fit, or may not be used.

        An unknown key takes the same work as a wrong secret. Raises as `holder` does.
        """
        key = self.root_key if access_key_id == self.root_key.id else self.directory.key(access_key_id)
        right = "" if key is None else key.secret
        same = hmac.compare_digest(hashlib.sha256(right.encode()).digest(), hashlib.sha256(secret.encode()).digest())
        return self.holder(access_key_id, None) if same and key is not None else None

    def principal(self, access_key_id: str, session_token: str | None) -> Principal | None:
        """Return the holder of a key, whether or not it may be used; None for one that is not known."""
        if session_token is not None:
            try:
                return self.sessions.open(access_key_id, session_token).principal
            except (InvalidSessionError, ExpiredSessionError):
                return None
        if access_key_id == self.root_key.id:
            return self.root
        key = self.directory.key(access_key_id)
        return None if key is None else key.principal


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Authenticates callers by their signatures.

    Attributes
    ----------
    verifier : Verifier or None
        Checks signatures by the secrets of `holders`; None lets everybody in as root.
    holders : AccessKeyHolders
        Who holds which key.
    root_warning : RootKeyWarning
        Warns when root is used for data.
    """

    verifier: Verifier | None
    holders: AccessKeyHolders
    root_warning: RootKeyWarning = field(default_factory=RootKeyWarning)
    _anybody: AuthenticatedCaller = field(init=False, repr=False)
    """Who calls where nobody has to prove who it is."""

    def __post_init__(self) -> None:
        root = self.holders.root
        anybody = AuthenticatedCaller(root_of(root.partition, root.account_id), proven=True, reader=PlainPayload)
        object.__setattr__(self, "_anybody", anybody)

    @classmethod
    def by_signature(cls, region: str, holders: AccessKeyHolders, service: str = "medical-imaging") -> Authenticator:
        """Return the authenticator of signatures for a region and a service."""
        return cls(Verifier(region, service, holders.secret), holders)

    @classmethod
    def everybody(cls, holders: AccessKeyHolders) -> Authenticator:
        """Return the authenticator that takes everybody for root, unsigned."""
        return cls(None, holders)

    @property
    def checks_signatures(self) -> bool:
        """Whether a caller has to prove who it is."""
        return self.verifier is not None

    def authenticate(self, scope: Scope) -> AuthenticatedCaller:
        """Check the headers of a request.

        Parameters
        ----------
        scope : dict
            ASGI scope of the request.

        Raises
        ------
        AwsError
            The request is not signed, or not as it must be.
        DirectoryUnavailableError
            It is signed with a key of which nothing certain is known at the moment.
        """
        if self.verifier is None:
            return self._anybody
        request = Request(scope["method"], scope["raw_path"], scope["query_string"], scope["headers"])
        pending = self.verifier.authenticate(request)
        holder = self.holders.principal(pending.access_key_id, pending.session_token)
        # The reader of a request by nobody refuses it at the end of its body, as it would a wrong signature.
        return AuthenticatedCaller(
            holder or self._nobody(pending.access_key_id), pending.signature_verified, pending.reader
        )

    def _nobody(self, access_key_id: str) -> Principal:
        root = self.holders.root
        return Principal(
            f"arn:{root.partition}:iam::{root.account_id}:user/",
            PrincipalKind.USER,
            id="",
            access_key_id=access_key_id,
        )

    def must_be_allowed_image_sets(self, principal: Principal, datastore_id: str | None) -> bool:
        """Return whether somebody must be allowed each image set of a data store that they touch, whatever the action."""
        return datastore_id is not None and not principal.is_root and self.holders.directory.is_restricted(datastore_id)

    def note_use(self, principal: Principal, action: str) -> None:
        """Note that a caller, who is proven to be one, uses a key.

        Parameters
        ----------
        principal : Principal
            Who calls.
        action : str
            IAM action without its prefix.
        """
        if principal.kind is PrincipalKind.USER:
            self.holders.directory.uses.note(principal.access_key_id)
        else:
            self.root_warning.note(principal, action)
