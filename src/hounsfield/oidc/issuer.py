"""Validation of tokens of a configured issuer: signature, issuer, audience, times (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError

from hounsfield.oidc.claims import Claims
from hounsfield.oidc.errors import ForeignAudienceError, InvalidTokenError
from hounsfield.oidc.fetch import Fetcher
from hounsfield.oidc.jwks import KeySource
from hounsfield.oidc.lifetimes import check_lifetime
from hounsfield.oidc.token import Token, read_token, registry
from hounsfield.settings.issuers import IssuerConfiguration

_FETCH_SECONDS: Final = 2.0
_MOST_BYTES: Final = 256 * 1024
TYPES: Final = frozenset({"", "jwt", "at+jwt"})
"""Types of access and ID tokens (RFC 9068, section 2.1); an issuer signs others too, such as logout tokens (RFC 8725, 3.11)."""


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """Whom a genuine token is about.

    Attributes
    ----------
    issuer : str
        Who vouches for it (``iss``).
    subject : str
        Whom it is about (``sub``).
    audience : str
        The configured audience that it is for.
    expires_at : float
        When it will no longer be taken, in seconds since 1970-01-01 UTC.
    claims : Claims
        All it says.
    """

    issuer: str
    subject: str
    audience: str
    expires_at: float
    claims: Claims = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer whose tokens are taken.

    Attributes
    ----------
    url : str
        Its identifier, compared with ``iss`` character by character.
    audiences : tuple of str
        Whom tokens must be for: one of these.
    algorithms : tuple of str
        Algorithms of signatures that are taken.
    keys : KeySource
        Its public keys.
    leeway_seconds : float
        By how much its clock may differ.
    clock : callable
        Seconds since 1970-01-01 UTC.
    """

    url: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    keys: KeySource
    leeway_seconds: float
    clock: Callable[[], float] = time.time

    def validate(self, text: str) -> WebIdentity:
        """Check a token in its compact form; waits for the issuer when its keys are not there, so call it in a thread.

        Raises
        ------
        ExpiredTokenError
            Its time is over.
        InvalidTokenError
            It is not a token of this issuer for one of the audiences.
        IssuerUnavailableError
            The keys of the issuer cannot be fetched.
        """
        return self.vouch(read_token(text))

    def vouch(self, token: Token) -> WebIdentity:
        """Check a token that was read; waits and raises as `validate` does."""
        # Who claims to be of another issuer, or comes with another algorithm, does not make us fetch keys.
        if token.claims.text("iss") != self.url:
            raise InvalidTokenError("iss is another issuer")
        if token.type not in TYPES:
            raise InvalidTokenError("typ in its header is that of another kind of token")
        if token.algorithm not in self.algorithms:
            raise InvalidTokenError(f"its algorithm must be one of {', '.join(self.algorithms)}")
        expires_at = check_lifetime(token.claims, self.clock(), self.leeway_seconds)
        claims = self._signed(token)
        audience = next((entry for entry in claims.audiences if entry in self.audiences), None)
        if audience is None:
            raise ForeignAudienceError("aud has none of the configured audiences")
        if "cnf" in claims.values:
            # Whoever stole such a token must not get in with it (RFC 9449, section 7.2).
            raise InvalidTokenError("it is bound to a key of its holder, which a bearer token does not prove")
        subject = claims.text("sub")
        if not subject:
            raise InvalidTokenError("sub is missing")
        return WebIdentity(self.url, subject, audience, expires_at, claims)

    def _signed(self, token: Token) -> Claims:
        key = self.keys.key(token.key_id)
        try:
            signed = jws.deserialize_compact(token.text, key, registry=registry(self.algorithms))
        except (JoseError, ValueError):
            raise InvalidTokenError("its signature is not one of the issuer's key") from None
        return Claims.of_payload(signed.payload or b"")


def open_issuer(configuration: IssuerConfiguration) -> Issuer:
    """Return the issuer of a configuration; it fetches its keys when they are first needed."""
    keys = KeySource(
        configuration.url, configuration.jwks_url, Fetcher(_FETCH_SECONDS, _MOST_BYTES), configuration.jwks_lifetime
    )
    return Issuer(
        configuration.url, configuration.audiences, configuration.algorithms, keys, configuration.leeway_seconds
    )
