"""Lifetime checks of tokens, made whoever validates the rest (developer guide, "OIDC")."""

from __future__ import annotations

from typing import Final

from hounsfield.oidc.claims import Claims
from hounsfield.oidc.errors import EarlyTokenError, ExpiredTokenError, InvalidTokenError

LONGEST_AGE: Final = 12 * 3600.0
"""Seconds since a token was issued."""


def check_lifetime(claims: Claims, now: float, leeway: float) -> float:
    """Check ``exp`` and ``iat``, which must be there, and ``nbf``.

    Parameters
    ----------
    claims : Claims
        Of the token.
    now : float
        Seconds since 1970-01-01 UTC.
    leeway : float
        Seconds by which the clock of the issuer may differ.

    Returns
    -------
    float
        When the token will no longer be taken, in seconds since 1970-01-01 UTC, without leeway.

    Raises
    ------
    ExpiredTokenError
        ``exp`` is past, or ``iat`` more than 12 hours ago.
    EarlyTokenError
        ``iat`` or ``nbf`` is in the future.
    InvalidTokenError
        ``exp`` or ``iat`` is missing, or one is no number.
    """
    expires, issued, begins = (claims.seconds(name) for name in ("exp", "iat", "nbf"))
    if expires is None or issued is None:
        raise InvalidTokenError("exp is missing" if expires is None else "iat is missing")
    if issued > now + leeway:
        raise EarlyTokenError("iat is in the future")
    if begins is not None and begins > now + leeway:
        raise EarlyTokenError("nbf is in the future")
    if expires <= now - leeway:
        raise ExpiredTokenError("exp is past")
    if issued < now - LONGEST_AGE - leeway:
        raise ExpiredTokenError("iat is more than 12 hours ago")
    return min(expires, issued + LONGEST_AGE)
