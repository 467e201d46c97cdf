"""Sign-in of a person by an issuer: authorization code with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700).

    CodeFlow.begin ─▶ where the browser goes, and what to remember ─▶ the issuer asks the person
    code, what was remembered ─▶ CodeFlow.finish ─▶ token endpoint ─▶ ID token: signature, audience, nonce ─▶ WebIdentity

The code is worth nothing without the verifier, which never leaves this server but for the token endpoint.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from hounsfield.oidc.discovery import DiscoveryError, fetch_discovery, read_object, url_in
from hounsfield.oidc.errors import CodeRefusedError, ForeignAudienceError, InvalidTokenError, IssuerUnavailableError
from hounsfield.oidc.fetch import Fetcher, UnreachableError
from hounsfield.oidc.issuer import Issuer, WebIdentity
from hounsfield.oidc.token import Token, read_token

_RANDOM_BYTES: Final = 32
_FRESH_SECONDS: Final = 300.0
"""How long a discovery document is gone by; while the issuer does not answer, longer."""
_ERROR: Final = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who this server is to the issuer.

    Attributes
    ----------
    id : str
        ``client_id``.
    secret : str
        ``client_secret``; empty for a public client, which PKCE alone protects.
    """

    id: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """What is remembered of a sign-in while the person is at the issuer.

    Attributes
    ----------
    state : str
        Comes back with the code: it is this sign-in.
    nonce : str
        Comes back in the ID token: it was made for this sign-in.
    verifier : str
        Proves to the token endpoint who asked for the code (PKCE).
    redirect_uri : str
        Where the issuer sends the browser back to.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str

    @classmethod
    def new(cls, redirect_uri: str) -> PendingSignIn:
        """Return one with new secrets."""
        state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
        return cls(state, nonce, verifier, redirect_uri)

    @property
    def challenge(self) -> str:
        """SHA-256 of the verifier, as the authorization endpoint gets it (``S256``)."""
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class _Endpoints:
    authorization: str
    token: str
    takes_basic: bool
    fetched_at: float


class CodeFlow:
    """Signs people in by one issuer; for use by several threads.

    Parameters
    ----------
    issuer : Issuer
        The issuer; its audience is the client.
    client : ClientCredentials
        Who this server is to it.
    scopes : str
        Scopes that are asked for, with blanks between them.
    fetcher : Fetcher
        Sends requests.
    clock : callable
        Seconds, never going back.
    """

    def __init__(
        self,
        issuer: Issuer,
        client: ClientCredentials,
        scopes: str,
        fetcher: Fetcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._scopes = scopes
        self._fetcher = fetcher
        self._clock = clock
        self._known: _Endpoints | None = None
        self._fetching = threading.Lock()

    @property
    def host(self) -> str:
        """Host of the issuer, by which people know it."""
        return urlsplit(self._issuer.url).hostname or self._issuer.url

    def begin(self, pending: PendingSignIn) -> str:
        """Return where to send the browser; may send a request.

        Raises
        ------
        IssuerUnavailableError
            It is not known where, and the issuer does not say so.
        """
        endpoint = self._endpoints().authorization
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client.id,
                "redirect_uri": pending.redirect_uri,
                "scope": self._scopes,
                "state": pending.state,
                "nonce": pending.nonce,
                "code_challenge": pending.challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    def finish(self, pending: PendingSignIn, code: str, issuer: str | None) -> tuple[Token, WebIdentity]:
        """Return the ID token for a code, and whom it is about; sends requests.

        Parameters
        ----------
        pending : PendingSignIn
            What was remembered.
        code : str
            What the browser brought back.
        issuer : str or None
            ``iss`` that came with it (RFC 9207).

        Raises
        ------
        CodeRefusedError
            The issuer gives no token for the code.
        InvalidTokenError
            The token is not one of the issuer for this sign-in.
        IssuerUnavailableError
            The issuer does not answer, or not as it must.
        """
        if issuer is not None and issuer != self._issuer.url:
            raise InvalidTokenError("the code comes from another issuer")
        token = read_token(self._id_token(pending, code))
        identity = self._issuer.vouch(token)
        nonce = identity.claims.text("nonce")
        if not hmac.compare_digest(nonce.encode(), pending.nonce.encode()):
            raise InvalidTokenError("nonce is that of another sign-in")
        party = identity.claims.text("azp")
        if (party and party != self._client.id) or (not party and len(identity.claims.audiences) > 1):
            raise ForeignAudienceError("azp is another client")
        return token, identity

    def _id_token(self, pending: PendingSignIn, code: str) -> str:
        endpoints = self._endpoints()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        }
        authorization = ""
        if self._client.secret and endpoints.takes_basic:
            # RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
            pair = f"{quote(self._client.id, safe='')}:{quote(self._client.secret, safe='')}"
            authorization = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            fields["client_id"] = self._client.id
            if self._client.secret:
                fields["client_secret"] = self._client.secret
        try:
            response = self._fetcher.post_form(endpoints.token, fields, authorization)
            answer = read_object(response.body)
        except (UnreachableError, DiscoveryError) as error:
            raise IssuerUnavailableError(f"token endpoint: {error}") from error
        if response.status != 200:
            raise CodeRefusedError(_error_of(answer))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise InvalidTokenError("the token endpoint gives no id_token; is the scope openid asked for?")
        return token

    def _endpoints(self) -> _Endpoints:
        """Return where the issuer is asked, as its discovery document says; an old one serves while it does not answer."""
        known = self._known
        if known is not None and self._clock() - known.fetched_at < _FRESH_SECONDS:
            return known
        with self._fetching:
            if self._known is not known and self._known is not None:
                return self._known
            try:
                document = fetch_discovery(self._fetcher, self._issuer.url)
                made = _Endpoints(
                    url_in(document, "authorization_endpoint"),
                    url_in(document, "token_endpoint"),
                    _takes_basic(document),
                    self._clock(),
                )
            except (UnreachableError, DiscoveryError) as error:
                if known is None:
                    raise IssuerUnavailableError(f"discovery document: {error}") from error
                return known
            self._known = made
            return made


def _takes_basic(document: Mapping[str, object]) -> bool:
    """Return whether the token endpoint takes a secret by HTTP Basic, which it does unless it says otherwise."""
    methods = document.get("token_endpoint_auth_methods_supported")
    return not isinstance(methods, list) or "client_secret_basic" in methods or "client_secret_post" not in methods


def _error_of(answer: Mapping[str, object]) -> str:
    error = answer.get("error")
    return error if isinstance(error, str) and _ERROR.fullmatch(error) else "an error without a name"
