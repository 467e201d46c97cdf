"""Sign-in by the identity provider: the browser goes there and comes back with a code.

    ProviderSignIn.begin ─▶ sealed cookie, redirect to the provider
    ProviderSignIn.finish ─▶ cookie of this state? ─▶ code ─▶ ID token ─▶ claim ─▶ role that trusts the provider ─▶ SignedIn

What is to be remembered is in a cookie of the browser that began, sealed and bound to its name, so that every API process can
go on with it and nobody can finish a sign-in that somebody else began. The session is that of AssumeRoleWithWebIdentity: the
trust policy of the role decides, and the session ends with its credentials.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import urandom
from typing import Final, TypeVar

import orjson
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hounsfield.console.cookies import set_cookie
from hounsfield.console.sessions.sessions import SignedIn, SignInMethod
from hounsfield.gateway.authentication import AccessKeyHolders
from hounsfield.iam.request_context import RequestConditionKeys
from hounsfield.iam.sessions.session_tokens import SessionTooLargeError
from hounsfield.iam.sessions.sessions import NewSession
from hounsfield.iam.sessions.web_identity import IdentityProvider, may_assume_by_web
from hounsfield.oidc.code_flow import CodeFlow, PendingSignIn
from hounsfield.oidc.errors import (
    BearerError,
    CodeRefusedError,
    EarlyTokenError,
    ExpiredTokenError,
    ForeignAudienceError,
    IssuerUnavailableError,
)
from hounsfield.oidc.issuer import WebIdentity
from hounsfield.oidc.role_mapping import map_role
from hounsfield.oidc.session_names import make_session_name
from hounsfield.oidc.token import Token
from hounsfield.runtime.picklable_error import PicklableError
from hounsfield.settings.claim_roles import ClaimRole

_log = structlog.get_logger(__name__)

PATH: Final = "/console/sign-in/oidc"
RETURN_PATH: Final = f"{PATH}/callback"
"""Where the provider sends the browser back to; to be registered there."""
REFUSED: Final = "sign-in by the identity provider refused"
"""Log event that says why, beyond the words of the page."""
_SECONDS: Final = 600
"""How long somebody may take at the provider."""
_THREADS: Final = 4
_MOST_WAITING: Final = 64
_MOST_PENDING: Final = 8
"""Sign-ins that a browser may have begun at the same time."""
_NONCE_BYTES: Final = 12
_LONGEST_TARGET: Final = 1500
_LONGEST_CODE: Final = 4096
_LONGEST_ERROR: Final = 64
_T = TypeVar("_T")


class ProviderSignInError(PicklableError):
    """Nobody is signed in by the provider.

    Attributes
    ----------
    status : int
        HTTP status of the answer.
    message : str
        Why, in words for who wanted to sign in.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class ProviderSignIn:
    """Signs people in by the identity provider.

    Attributes
    ----------
    flow : CodeFlow
        Asks the provider.
    provider : IdentityProvider
        The provider as trust policies name it.
    roles : tuple of ClaimRole
        Which claim means which role.
    holders : AccessKeyHolders
        Roles, and the maker of their sessions.
    condition_keys : callable
        Returns what policies may ask about a request.
    secret : bytes
        The secret of the installation that cookies are sealed with.
    public_url : str
        What browsers call the server; empty for what they called.
    longest_seconds : int
        How long a session lasts at most, whatever its role allows.
    cookie : str
        What the names of cookies begin with.
    """

    flow: CodeFlow
    provider: IdentityProvider
    roles: tuple[ClaimRole, ...]
    holders: AccessKeyHolders
    condition_keys: Callable[[Request], RequestConditionKeys]
    secret: bytes = field(repr=False)
    public_url: str
    longest_seconds: int
    cookie: str
    clock: Callable[[], float] = time.time
    _cipher: AESGCM = field(init=False, repr=False)
    _threads: ThreadPoolExecutor = field(init=False, repr=False)
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, b"hounsfield console sign-in").derive(self.secret))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="provider-sign-in")

    @property
    def name(self) -> str:
        """What the provider is called on the page."""
        return self.flow.host

    async def begin(self, request: Request, target: str) -> Response:
        """Send the browser to the provider.

        Parameters
        ----------
        request : Request
            Of the browser.
        target : str
            The page to go to at the end.

        Raises
        ------
        ProviderSignInError
            The provider does not say where.
        """
        pending = PendingSignIn.new(f"{self._origin(request)}{RETURN_PATH}")
        location = await self._asked(lambda: self.flow.begin(pending))
        response = RedirectResponse(location, 303)
        pending_names = [name for name in request.cookies if name.startswith(f"{self.cookie}-")]
        if len(pending_names) >= _MOST_PENDING:
            # Sign-ins that were begun and left, which a page elsewhere may have made the browser do.
            for name in pending_names:
                response.delete_cookie(name, path=PATH)
        name = self._cookie_of(pending.state)
        content = self._seal(name, pending, target if len(target) <= _LONGEST_TARGET else "")
        set_cookie(request, response, name, content, path=PATH, seconds=_SECONDS)
        return response

    async def finish(self, request: Request) -> tuple[SignedIn, str]:
        """Return who is signed in, and the page to go to.

        Raises
        ------
        ProviderSignInError
            Nobody is.
        """
        query = request.query_params
        name = self._cookie_of(query.get("state", ""))
        opened = self._open(name, request.cookies.get(name, ""), query.get("state", ""))
        if opened is None:
            raise ProviderSignInError(
                400, "This sign-in was begun in another browser, was finished already, or took longer than ten minutes."
            )
        pending, target = opened
        if "error" in query:
            raise _told(query["error"][:_LONGEST_ERROR])
        code, issuer = query.get("code", ""), query.get("iss")
        if not code or len(code) > _LONGEST_CODE:
            raise ProviderSignInError(400, "The identity provider sent no code.")
        token, identity = await self._asked(lambda: self.flow.finish(pending, code, issuer))
        return self._session(request, token, identity), target

    def forget(self, request: Request, response: Response) -> None:
        """Have the browser forget the sign-in that it came back from."""
        name = self._cookie_of(request.query_params.get("state", ""))
        if name in request.cookies:
            response.delete_cookie(name, path=PATH)

    def _session(self, request: Request, token: Token, identity: WebIdentity) -> SignedIn:
        role_arn = map_role(identity.claims, self.roles)
        if role_arn is None:
            _log.warning(REFUSED, reason="no claim stands for a role")
            raise ProviderSignInError(
                403,
                "The identity provider knows you, but nothing that it says of you stands for a role here. "
                "Ask whoever looks after the users of this server.",
            )
        role = self.holders.directory.role(role_arn)
        session_name = make_session_name(token)
        if role is None or not may_assume_by_web(
            self.provider, identity, role, session_name, self.condition_keys(request)
        ):
            _log.warning(
                REFUSED,
                reason="there is no such role" if role is None else "the trust policy of the role does not allow it",
                role=role_arn,
            )
            raise ProviderSignInError(
                403, "Your role here cannot be used to sign in. Ask whoever looks after the users of this server."
            )
        seconds = min(role.max_session_seconds, self.longest_seconds)
        try:
            made = self.holders.sessions.issue(role, NewSession(session_name, seconds, provider=self.provider.arn))
        except SessionTooLargeError as error:
            raise ProviderSignInError(403, f"Your session would be too large: {error}") from error
        principal = self.holders.principal(made.access_key_id, made.token)
        if principal is None:
            raise ProviderSignInError(403, "Your role was deleted just now.")
        return SignedIn(principal, made.access_key_id, SignInMethod.PROVIDER, made.token, made.expires_at * 1000)

    async def _asked(self, ask: Callable[[], _T]) -> _T:
        """Ask the provider, in one of a few threads; raises `ProviderSignInError`."""
        if self._waiting >= _MOST_WAITING:
            raise ProviderSignInError(503, "Too many people are signing in just now. Try again in a while.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except (BearerError, CodeRefusedError) as error:
            _log.warning(REFUSED, reason=error.reason)
            raise _in_words(error) from error
        finally:
            self._waiting -= 1

    def _origin(self, request: Request) -> str:
        return self.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"

    def _cookie_of(self, state: str) -> str:
        """Return the name of the cookie of a sign-in: two that go on in two tabs do not disturb each other."""
        return f"{self.cookie}-{hashlib.sha256(state.encode('utf-8', 'replace')).hexdigest()[:8]}"

    def _seal(self, name: str, pending: PendingSignIn, target: str) -> str:
        content = orjson.dumps(
            [pending.state, pending.nonce, pending.verifier, pending.redirect_uri, target, self.clock() + _SECONDS]
        )
        nonce = urandom(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, content, name.encode())).decode()

    def _open(self, name: str, sealed: str, state: str) -> tuple[PendingSignIn, str] | None:
        """Read the cookie of a sign-in; None where there is none of this state, or its time is over."""
        try:
            content = urlsafe_b64decode(sealed)
            opened = self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], name.encode())
        except (Base64Error, ValueError, InvalidTag):
            return None
        known, nonce, verifier, redirect_uri, target, until = orjson.loads(opened)
        if known != state or self.clock() >= until:
            return None
        return PendingSignIn(known, nonce, verifier, redirect_uri), target


def _told(error: str) -> ProviderSignInError:
    """Return what to say of an error that the provider sent the browser back with (OpenID Connect Core 1.0, 3.1.2.6)."""
    if error == "access_denied":
        return ProviderSignInError(403, "The sign-in was cancelled, or the identity provider refused it.")
    if error in ("temporarily_unavailable", "server_error"):
        return ProviderSignInError(503, "The identity provider cannot sign anybody in just now. Try again in a while.")
    shown = error if error.isprintable() else "an error without a name"
    _log.warning(REFUSED, reason=f"the provider answers {shown}")
    return ProviderSignInError(400, f"The identity provider refused the request of this server: {shown}.")


def _in_words(error: BearerError | CodeRefusedError) -> ProviderSignInError:
    """Return what to say of an answer of the provider that signs nobody in."""
    if isinstance(error, IssuerUnavailableError):
        return ProviderSignInError(
            503, "The identity provider cannot be reached just now. Try again in a while, or sign in another way."
        )
    if isinstance(error, CodeRefusedError):
        if error.code in ("invalid_client", "unauthorized_client"):
            return ProviderSignInError(
                502, "The identity provider does not know this server. Its client id or secret is not right."
            )
        return ProviderSignInError(400, "The identity provider takes the code no longer. Begin again.")
    if isinstance(error, ForeignAudienceError):
        return ProviderSignInError(502, "The identity provider sent a token that is for another program.")
    if isinstance(error, EarlyTokenError | ExpiredTokenError):
        return ProviderSignInError(
            502, "The times of the token do not fit: the clocks of this server and of the identity provider differ."
        )
    return ProviderSignInError(502, "The identity provider sent a token that cannot be taken.")
